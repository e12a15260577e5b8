"""Expected contacts: the decay with distance and the level between chromosomes, against direct counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genograph.assays.expected import mean_at_distance, pairs_at_distance
from genograph.genome.bins import Bins
from tests.maps import NODES, open_map, random_map


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.booleans())
def test_pairs_at_distance_equal_a_count_of_all_pairs(valid, circular):
    size, valid = len(valid), np.asarray(valid)
    counted = np.zeros(size)
    for first in range(size):
        for second in range(first, size):
            distance = second - first
            distance = min(distance, size - distance) if circular else distance
            counted[distance] += valid[first] * valid[second]
    np.testing.assert_array_equal(pairs_at_distance(valid, circular), counted)


def test_expected_is_the_mean_over_unmasked_pairs_at_that_distance(tmp_path):
    counts, weight = random_map(seed=3)
    contacts = open_map(tmp_path, NODES, counts, weight)
    balanced = counts * weight[:, None] * weight
    for chrom in NODES.chroms:
        own = balanced[NODES.span(chrom), NODES.span(chrom)]
        mean = [np.nanmean(np.diagonal(own, distance)) for distance in range(len(own))]
        np.testing.assert_allclose(contacts.expected[NODES.span(chrom)], mean, rtol=1e-12)


def test_expected_goes_the_short_way_round_on_a_circle(tmp_path):
    nodes = Bins({"plasmid": 600}, 100, circular=frozenset({"plasmid"}))
    counts = np.zeros((6, 6), int)
    counts[0, 5], counts[0, 1], counts[1, 4] = 12, 6, 9
    contacts = open_map(tmp_path, nodes, counts)
    # Six pairs are one apart, six two apart, three opposite.
    np.testing.assert_array_equal(contacts.expected, [0, 3, 0, 3, np.nan, np.nan])
    row, _, _, oe = next(contacts.blocks())
    np.testing.assert_array_equal(row, [0, 0, 1])
    np.testing.assert_allclose(oe, [2, 4, 3])


def test_trans_expected_is_the_mean_over_unmasked_pairs_of_two_chromosomes(tmp_path):
    counts, weight = random_map(seed=5)
    contacts = open_map(tmp_path, NODES, counts, weight, trans=True)
    between = (counts * weight[:, None] * weight)[:7, 7:]
    assert contacts.trans_expected == pytest.approx(np.nanmean(between))
    row, col, balanced, oe = next(contacts.blocks())
    is_trans = (row < 7) & (col >= 7)
    np.testing.assert_allclose(oe[is_trans], balanced[is_trans] / np.nanmean(between), rtol=1e-5)


def test_near_distances_stand_alone_and_far_ones_are_pooled():
    contacts, pairs = np.arange(100.0), np.full(100, 2.0)
    contacts[60] = 1000.0
    mean = mean_at_distance(contacts, pairs)
    np.testing.assert_allclose(mean[:9], np.arange(9) / 2)
    window = contacts[54:68]  # 60 / 1.122 to 60 * 1.122
    assert mean[60] == pytest.approx(window.sum() / (2 * len(window)))


def test_pooling_follows_a_power_law_closely():
    distance = np.arange(2000)
    pairs = 2000.0 - distance
    decay = 1.0 / (1 + distance)
    mean = mean_at_distance(decay * pairs, pairs)
    np.testing.assert_allclose(mean[:1700], decay[:1700], rtol=0.05)


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_observed_over_expected_averages_one_over_the_pairs_of_a_distance(tmp_path_factory, seed):
    nodes = Bins({"chr1": 800}, 100)
    rng = np.random.default_rng(seed)
    weight = np.where(rng.random(8) < 0.2, np.nan, rng.uniform(0.5, 2, 8))
    contacts = open_map(tmp_path_factory.mktemp("map"), nodes, rng.poisson(2.0, (8, 8)), weight)
    valid = ~np.isnan(weight)
    for row, col, _, oe in contacts.blocks():
        for distance in np.unique(col - row):
            num_pairs = np.sum(valid[: 8 - distance] & valid[distance:])
            assert oe[col - row == distance].sum() == pytest.approx(num_pairs, rel=1e-5)
