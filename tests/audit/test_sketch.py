from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genograph.audit import sketch
from genograph.audit.sketch import WINDOW, K, minimizers, share_found
from genograph.genome.assembly import COMPLEMENT


def random_codes(length, seed=0):
    return np.random.default_rng(seed).integers(0, 4, length).astype(np.uint8)


def reverse_complement(codes):
    return COMPLEMENT[codes[::-1]]


def canonical_kmers(codes):
    """Every k-mer of three kinds of bases or more, or its reverse complement, whichever comes first, by its place."""
    kmers = {}
    for place in range(len(codes) - K + 1):
        kmer = codes[place : place + K]
        if 4 not in kmer and len(set(kmer.tolist())) > 2:
            kmers[place] = min(kmer.tolist(), reverse_complement(kmer).tolist())
    return kmers


@pytest.mark.parametrize("length", [K, 80, 500])
def test_each_window_of_kmers_keeps_the_one_of_lowest_hash(length):
    codes = random_codes(length)
    hash_at = {place: minimizers(codes[place : place + K])[1][0] for place in canonical_kmers(codes)}
    width = min(WINDOW, length - K + 1)
    windows = [range(first, first + width) for first in range(length - K - width + 2)]
    expected = sorted({min(window, key=hash_at.get) for window in windows})
    position, hashes = minimizers(codes)
    assert position.tolist() == expected
    assert hashes.tolist() == [hash_at[place] for place in expected]


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), st.integers(K, 600))
def test_both_strands_have_the_same_minimizers(seed, length):
    codes = random_codes(length, seed)
    position, hashes = minimizers(codes)
    other_position, other_hashes = minimizers(reverse_complement(codes))
    assert (length - K - other_position[::-1]).tolist() == position.tolist()
    assert other_hashes[::-1].tolist() == hashes.tolist()


@pytest.mark.parametrize("block", [1, 7, 49, 50, 1000])
def test_minimizers_do_not_depend_on_the_size_of_a_block(block, monkeypatch):
    codes = random_codes(700)
    expected = minimizers(codes)
    monkeypatch.setattr(sketch, "BLOCK", block)
    for found, all_at_once in zip(minimizers(codes), expected, strict=True):
        assert found.tolist() == all_at_once.tolist()


@pytest.mark.parametrize("codes", [[0] * 200, [0, 3] * 100, [4] * 200, [0, 1, 2, 3] * 5 + [0, 1, 2]])
def test_simple_repeats_unknown_and_short_sequence_have_no_minimizer(codes):
    assert minimizers(np.array(codes, dtype=np.uint8))[0].tolist() == []


def test_no_minimizer_holds_an_n():
    codes = random_codes(2000)
    codes[[500, 900]] = 4
    position, _ = minimizers(codes)
    assert len(position) > 50
    assert not any(4 in codes[first : first + K] for first in position)


def test_a_copied_tile_is_found_whole_and_a_tile_beside_it_not_at_all():
    training, held_out = random_codes(5000, 1), random_codes(3000, 2)
    held_out[1000:2000] = training[700:1700]
    share = share_found([held_out], [training], 1000)
    assert len(share) == 3
    assert share[1] > 0.9
    assert share[[0, 2]].max() < 0.1


def test_a_copy_on_the_other_strand_is_found_too():
    held_out = random_codes(1000)
    share = share_found([reverse_complement(held_out)], [held_out], 1000)
    assert share.tolist() == [1.0]


def test_a_near_copy_keeps_the_minimizers_that_no_difference_touches():
    held_out = random_codes(20_000)
    training = held_out.copy()
    training[::100] = (training[::100] + 1) % 4
    share = share_found([held_out], [training], 20_000)
    assert 0.6 < share[0] < 0.9


def test_tiles_are_cut_from_the_start_of_each_stretch():
    share = share_found([random_codes(250, 1), np.full(100, 4, np.uint8)], [random_codes(250, 1)], 100)
    assert share[:2].tolist() == [1.0, 1.0]
    assert np.isnan(share).tolist() == [False, False, False, True]


def test_without_training_sequence_nothing_is_found():
    assert share_found([random_codes(100)], [], 100).tolist() == [0.0]
