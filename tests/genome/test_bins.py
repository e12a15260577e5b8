"""Bins tile every chromosome from its start; every question about them agrees with counting bases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import genograph.genome.bins
from genograph.errors import InputError
from genograph.genome.bins import Bins, bins_of_nodes, bins_to_nodes
from genograph.genome.interval import Interval

SIZES = st.lists(st.integers(1, 30), min_size=1, max_size=4).map(
    lambda sizes: {f"chr{number}": size for number, size in enumerate(sizes)}
)
BINS = st.builds(Bins, SIZES, st.integers(1, 8), partial=st.booleans())


@st.composite
def bins_and_interval(draw):
    bins = draw(BINS)
    chrom = draw(st.sampled_from(bins.chroms))
    start, end = sorted((draw(st.integers(0, 40)), draw(st.integers(0, 40))))
    return bins, Interval(chrom, start, end)


def bases(interval: Interval, size: int) -> set[int]:
    return set(range(interval.start, min(interval.end, size)))


def test_a_remainder_is_dropped_or_kept_as_a_shorter_tile():
    sizes = {"a": 10, "b": 3, "c": 4}
    assert [str(Bins(sizes, 4).interval(tile)) for tile in range(3)] == ["a:0-4", "a:4-8", "c:0-4"]
    kept = Bins(sizes, 4, partial=True)
    assert [str(kept.interval(tile)) for tile in range(5)] == ["a:0-4", "a:4-8", "a:8-10", "b:0-3", "c:0-4"]


def test_a_bin_of_no_bases_is_an_error():
    with pytest.raises(InputError, match="at least 1 bp; got bin_size 0"):
        Bins({"a": 10}, 0)


def test_an_unknown_chromosome_is_an_error():
    with pytest.raises(InputError, match=r"No chromosome 'chr2' in this genome. Did you mean 'chr1'"):
        Bins({"chr1": 10}, 4).span("chr2")


@given(BINS)
def test_tiles_cover_each_chromosome_once_from_its_start(bins):
    for chrom, size in bins.sizes.items():
        span = bins.span(chrom)
        covered = [
            base
            for tile in range(span.start, span.stop)
            for base in range(bins.interval(tile).start, bins.interval(tile).end)
        ]
        whole = size if bins.partial else size - size % bins.bin_size
        assert covered == list(range(whole))


@given(BINS)
def test_each_base_is_located_in_the_tile_that_holds_it(bins):
    for chrom, size in bins.sizes.items():
        for position, tile in zip(range(-2, size + 10), bins.locate(chrom, np.arange(-2, size + 10)), strict=True):
            holders = [
                n
                for n in range(len(bins))
                if bins.interval(n).chrom == chrom and position in bases(bins.interval(n), size)
            ]
            assert holders == ([tile] if tile >= 0 else [])


@given(bins_and_interval())
def test_touching_tiles_share_a_base_with_the_interval(case):
    bins, interval = case
    wanted = bases(interval, bins.sizes[interval.chrom])
    expected = [
        tile
        for tile in range(len(bins))
        if bins.interval(tile).chrom == interval.chrom and bases(bins.interval(tile), 99) & wanted
    ]
    assert list(range(len(bins)))[bins.touching(interval)] == expected
    assert np.flatnonzero(bins.mark([interval])).tolist() == expected


@given(bins_and_interval())
def test_tiles_inside_have_all_their_bases_in_the_interval(case):
    bins, interval = case
    wanted = bases(interval, bins.sizes[interval.chrom])
    expected = [
        tile
        for tile in range(len(bins))
        if bins.interval(tile).chrom == interval.chrom and bases(bins.interval(tile), 99) <= wanted
    ]
    assert list(range(len(bins)))[bins.inside(interval)] == expected


def test_distance_goes_the_short_way_round_a_circle_and_is_undefined_between_chromosomes():
    bins = Bins({"line": 100, "circle": 100}, 10, circular=frozenset({"circle"}))
    assert bins.distance(np.array([0, 10, 10, 9]), np.array([9, 19, 15, 10])).tolist() == [9, 1, 5, -1]


def test_bins_belong_to_nodes_by_their_midpoint():
    bins, nodes = Bins({"a": 24, "b": 8}, 4), Bins({"a": 24, "b": 8}, 10, partial=True)
    assert bins_to_nodes(bins, nodes).tolist() == [0, 0, 1, 1, 1, 2, 3, 3]


def test_a_bin_beyond_the_last_whole_node_has_none():
    bins, nodes = Bins({"a": 24, "b": 8}, 4), Bins({"a": 24, "b": 8}, 10)
    assert bins_to_nodes(bins, nodes).tolist() == [0, 0, 1, 1, 1, -1, -1, -1]


@given(SIZES, st.integers(1, 5), st.integers(1, 10))
def test_the_node_of_a_bin_holds_its_midpoint(sizes, bin_size, node_size):
    bins, nodes = Bins(sizes, bin_size), Bins(sizes, node_size, partial=True)
    for tile, node in enumerate(bins_to_nodes(bins, nodes)):
        place = bins.interval(tile)
        assert nodes.interval(node).overlaps(
            Interval(place.chrom, place.start + bin_size // 2, place.start + bin_size // 2 + 1)
        )


@given(st.lists(st.tuples(st.integers(0, 59), st.integers(1, 60)), min_size=1, max_size=5), st.integers(1, 13))
def test_marked_tiles_are_those_counted_base_by_base(spans, bin_size):
    starts, ends = np.array([(start, min(start + length, 60)) for start, length in spans]).T
    expected = []
    for peak, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        shared = [len({*range(start, end)} & {*range(b * bin_size, (b + 1) * bin_size)}) for b in range(61)]
        marked = [b for b, count in enumerate(shared) if 2 * count >= bin_size]
        if end - start < bin_size:
            assert marked in ([], [(start + end) // 2 // bin_size])
            marked = [(start + end) // 2 // bin_size]
        assert marked
        expected += [(peak, b) for b in marked]
    peak, tile = Bins({"chr1": 61 * bin_size}, bin_size).marked("chr1", starts, ends)
    assert list(zip(peak.tolist(), tile.tolist(), strict=True)) == expected


def test_a_nodes_bins_are_told_by_the_first_and_the_end_of_their_row():
    spans = bins_of_nodes(np.array([-1, 2, 2, -1, 0, 0, 0, 3], dtype=np.int32), 5)
    assert spans.tolist() == [[4, 7], [0, 0], [1, 3], [7, 8], [0, 0]]
    assert bins_of_nodes(np.empty(0, dtype=np.int32), 2).tolist() == [[0, 0], [0, 0]]


def test_bins_are_put_into_nodes_a_block_at_a_time_in_four_bytes_each(monkeypatch):
    sizes = {"chr1": 5000, "chr2": 2500}
    bins, nodes = Bins(sizes, 128), Bins(sizes, 1000, partial=True)
    whole = bins_to_nodes(bins, nodes)
    monkeypatch.setattr(genograph.genome.bins, "_BLOCK", 7)
    assert whole.dtype == np.int32
    np.testing.assert_array_equal(bins_to_nodes(bins, nodes), whole)
