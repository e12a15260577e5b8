"""A map summed to larger nodes, beside the map that the file gives for these nodes."""

from __future__ import annotations

import numpy as np
import pytest

from genograph.assays.coarsened import coarsened
from genograph.errors import InputError
from genograph.genome.bins import Bins
from tests.maps import open_map, read, write_map

SIZES = {"chr1": 1250, "ring": 900, "chr2": 450}  # 13, 9 and 5 bins of 100 bp
FINE, COARSE = (Bins(SIZES, size, partial=True, circular=frozenset({"ring"})) for size in (100, 300))


def counts_and_weights(seed=0):
    """Two bins of the first coarse node of chr1, and all three of its third, are masked."""
    rng = np.random.default_rng(seed)
    weight = rng.uniform(0.5, 2.0, len(FINE))
    weight[[0, 1, 6, 7, 8]] = np.nan
    return rng.poisson(3.0, (len(FINE), len(FINE))), weight


def pixels(contacts, size=2_000_000):
    """Row, column and balanced contacts of all pairs, each (pairs,)."""
    return tuple(np.concatenate(each) for each in zip(*contacts.pixels(size), strict=True))


@pytest.fixture(params=[100, 50])
def maps(request, tmp_path):
    """A map over small nodes of one or two map bins, and what the same file gives for large ones."""
    counts, weight = counts_and_weights()
    if request.param == 50:  # every bin in halves, but for the last of chr1 and chr2; a half of a masked one is not
        half = np.delete(np.repeat(np.arange(len(FINE)), 2), [25, 53])
        counts, weight = counts[half][:, half], weight[half]
        weight[1] = 1.5
    uri = write_map(tmp_path / "map.cool", SIZES, request.param, counts, weight)
    return read(uri, tmp_path / "fine", FINE, trans=True), read(uri, tmp_path / "coarse", COARSE, trans=True)


def test_summed_to_larger_nodes_a_map_is_what_its_file_gives_for_them(maps):
    fine, expected = maps
    found = coarsened(fine, COARSE)
    for ours, theirs in zip(pixels(found), pixels(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    for name in ("weight", "mapped", "expected", "trans_expected"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-5, err_msg=name)
    ours, theirs = (np.concatenate([oe for *_, oe in each.blocks()]) for each in (found, expected))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)


def test_a_large_node_is_masked_when_all_of_its_parts_are(tmp_path):
    found = coarsened(open_map(tmp_path, FINE, *counts_and_weights()), COARSE)
    assert np.flatnonzero(found.masked).tolist() == [2]
    assert found.mapped[[0, 1, 2]].tolist() == pytest.approx([1 / 3, 1, 0])
    assert np.isnan(found.weight[2])


@pytest.mark.parametrize("size", [1, 3, 40])
def test_however_few_pairs_are_read_at_a_time_their_sums_are_whole(size, tmp_path):
    fine = open_map(tmp_path, FINE, *counts_and_weights(), trans=True)
    whole, read_in_parts = pixels(coarsened(fine, COARSE)), pixels(coarsened(fine, COARSE), size)
    for ours, theirs in zip(read_in_parts, whole, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    assert max(len(row) for row, *_ in coarsened(fine, COARSE).pixels(size)) <= size


def test_arrays_are_those_of_the_larger_nodes_and_not_of_the_map_that_is_summed(tmp_path):
    found = coarsened(open_map(tmp_path, FINE, *counts_and_weights(), trans=True), COARSE)
    row, col, balanced = pixels(found)
    assert len(found) == len(row) < len(COARSE) ** 2
    for ours, theirs in zip((found.row, found.col, found.balanced), (row, col, balanced), strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype


def test_arrays_of_a_thinned_map_are_of_the_reads_that_are_kept(tmp_path):
    found = open_map(tmp_path, FINE, *counts_and_weights()).thinned(0.1, seed=3)
    row, col, balanced = pixels(found)
    assert len(found) == len(row) > 0
    for ours, theirs in zip((found.row, found.col, found.balanced), (row, col, balanced), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_without_pairs_nothing_is_summed(tmp_path):
    found = coarsened(open_map(tmp_path, FINE, np.zeros((len(FINE), len(FINE)), dtype=int)), COARSE)
    assert [len(row) for row, *_ in found.pixels()] == []
    assert (len(found), len(found.row)) == (0, 0)


def test_pairs_that_lie_farther_apart_than_the_map_keeps_are_none(tmp_path):
    found = coarsened(open_map(tmp_path, FINE, *counts_and_weights(), max_distance=500), COARSE)
    row, col, _ = pixels(found)
    assert COARSE.bp_between(row, col).max() == 300  # nodes 600 bp apart have parts 400 bp apart, but few
    assert np.isfinite(found.expected[:2]).all()
    assert np.isnan(found.expected[2:5]).all()


def test_a_thinned_map_keeps_the_same_reads_in_larger_nodes(tmp_path):
    fine = open_map(tmp_path, FINE, *counts_and_weights())
    thinned, summed = coarsened(fine, COARSE).thinned(0.5, seed=3), coarsened(fine.thinned(0.5, seed=3), COARSE)
    for ours, theirs in zip(pixels(thinned), pixels(summed), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert pixels(thinned)[2].sum() == pytest.approx(sum(each[2].sum() for each in fine.thinned(0.5, 3).pixels()))
    assert len(pixels(fine.thinned(0.5, 3))[0]) < len(pixels(fine)[0])


def test_nodes_that_are_no_multiple_are_refused(tmp_path):
    fine = open_map(tmp_path, FINE, *counts_and_weights())
    with pytest.raises(InputError, match="nodes of 100 bp cannot be summed to nodes of 250 bp; choose a multiple"):
        coarsened(fine, Bins(SIZES, 250, partial=True))


def test_pairs_of_larger_nodes_have_numbers_that_hold_the_square_of_their_count(maps):
    assert coarsened(maps[0], COARSE).of_node.dtype == np.int64
