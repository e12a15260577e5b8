from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genograph.simulate.grammar import FACTORS, PAIR_GAP, activity, draw_motifs, plan_decoy, plan_pair

seeds = st.integers(0, 10_000)


def obeys(first, second):
    """Whether two sites are a pair by the grammar, read along the strand of ACT1."""
    if {first.factor, second.factor} != {"ACT1", "ACT2"} or first.strand != second.strand:
        return False
    one, two = (first, second) if first.factor == "ACT1" else (second, first)
    gap = (two.offset - one.offset) * one.strand - FACTORS["ACT1"]
    return PAIR_GAP[0] <= gap < PAIR_GAP[1]


@given(seeds, st.integers(-100, 100))
def test_a_pair_obeys_the_grammar(seed, middle):
    assert obeys(*plan_pair(np.random.default_rng(seed), middle, 0))


@given(seeds, st.integers(-100, 100))
def test_a_decoy_never_does(seed, middle):
    assert not obeys(*plan_decoy(np.random.default_rng(seed), middle))


@pytest.mark.parametrize(
    ("factors", "occupancy", "pair", "expected"),
    [
        ([], [], [], 0.0),
        (["CORE"], [1.0], [-1], 0.0),
        (["ACT1"], [0.5], [-1], 0.2),
        (["ACT1", "ACT2"], [1.0, 1.0], [-1, -1], 0.8),  # a decoy
        (["ACT1", "ACT2"], [1.0, 1.0], [0, 0], 2.4),
        (["ACT1", "ACT2"], [1.0, 0.5], [0, 0], 0.6 + 0.8),
        (["ACT1", "ACT2", "REP"], [1.0, 1.0, 1.0], [0, 0, -1], 2.4 * 0.15),
    ],
)
def test_activity_is_that_of_bound_activators_pairs_and_repressors(factors, occupancy, pair, expected):
    assert activity(factors, np.array(occupancy), np.array(pair)) == pytest.approx(expected)


@pytest.mark.parametrize(("mismatches", "expected"), [(0, 0.961), (1, 0.5), (2, 0.039)])
def test_a_site_with_one_mismatch_is_bound_half_of_the_time(mismatches, expected):
    motif = draw_motifs(np.random.default_rng(0))["ACT1"]
    codes = motif.probability.argmax(axis=1).astype(np.uint8)
    codes[:mismatches] = (codes[:mismatches] + 1) % 4
    assert motif.occupancy(codes) == pytest.approx(expected, abs=1e-3)  # 1 / (1 + 47 ** (-1 / 1.2)), and so on


@given(seeds)
def test_motifs_differ_from_each_other_on_both_strands(seed):
    consensus = [motif.probability.argmax(axis=1) for motif in draw_motifs(np.random.default_rng(seed)).values()]
    for number, one in enumerate(consensus):
        for other in consensus[number + 1 :]:
            length = min(len(one), len(other))
            for form in (other, 3 - other[::-1]):
                assert (one[:length] != form[:length]).sum() >= 3
