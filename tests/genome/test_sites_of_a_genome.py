from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genograph.errors import InputError
from genograph.genome.bins import Bins, bins_to_nodes
from genograph.genome.interval import Interval
from genograph.genome.sites import Sites

SIZES = {"chr1": 100, "chr2": 50}


def make(places, size=10, **options):
    chrom, start = np.array(places, dtype=np.int64).reshape(-1, 2).T
    return Sites(SIZES, size, chrom=chrom, start=start, **options)


SITES = make([(0, 10), (0, 25), (0, 60), (1, 0)])


def test_a_site_lies_where_it_was_put():
    assert [SITES.interval(site) for site in range(4)] == [
        Interval("chr1", 10, 20),
        Interval("chr1", 25, 35),
        Interval("chr1", 60, 70),
        Interval("chr2", 0, 10),
    ]
    assert SITES.span("chr1") == slice(0, 3)
    assert SITES.chrom_index(np.arange(4)).tolist() == [0, 0, 0, 1]


def test_a_base_is_in_the_site_that_holds_it():
    assert SITES.locate("chr1", np.array([9, 10, 19, 20, 34, 35, 65, 99])).tolist() == [-1, 0, 0, -1, 1, -1, 2, -1]
    assert SITES.locate("chr2", np.array([0, 10])).tolist() == [3, -1]


def test_a_base_of_overlapping_sites_has_none_of_its_own():
    with pytest.raises(InputError, match="sites of 10 bp on chr1 overlap"):
        make([(0, 10), (0, 19)]).locate("chr1", np.array([19]))


def test_a_place_is_the_site_that_lies_there_though_others_overlap_it():
    sites = make([(0, 10), (0, 19), (0, 25), (1, 0)])
    starts = np.array([25, 19, 10])
    assert sites.find("chr1", starts, starts + 10, starts + 5).tolist() == [2, 1, 0]
    with pytest.raises(InputError, match="sites of 10 bp on chr1 overlap"):
        sites.find("chr1", np.array([19, 18]), np.array([29, 29]), np.array([24, 23]))


def test_a_place_that_is_no_site_is_the_one_that_holds_its_point():
    starts, ends = np.array([10, 20, 61, 95]), np.array([20, 40, 70, 100])
    assert SITES.find("chr1", starts, ends, (starts + ends) // 2).tolist() == [0, 1, 2, -1]


@pytest.mark.parametrize("places", [[(0, 91)], [(0, -1)], [(1, 45)]])
def test_a_site_that_leaves_its_chromosome_is_refused(places):
    with pytest.raises(InputError, match="leaves its chromosome"):
        make(places)


@pytest.mark.parametrize("places", [[(0, 20), (0, 10)], [(1, 0), (0, 0)], [(0, 5), (0, 5)]])
def test_sites_out_of_order_or_twice_are_refused(places):
    with pytest.raises(InputError, match="not in order, or one comes twice"):
        make(places)


def test_a_centred_site_has_the_midpoint_of_its_place_and_comes_once():
    places = [Interval("chr1", 40, 60), Interval("chr1", 49, 52), Interval("chr2", 0, 4), Interval("chr1", 10, 11)]
    sites = Sites.centred(places, SIZES, 10)
    assert [sites.interval(site) for site in range(len(sites))] == [Interval("chr1", 5, 15), Interval("chr1", 45, 55)]


@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=8, unique=True).map(sorted),
    st.integers(1, 13),
    st.integers(0, 59),
    st.integers(1, 20),
)
def test_sites_are_found_as_counted_base_by_base(starts, size, start, length):
    sites = Sites({"chr1": 64}, size, chrom=np.zeros(len(starts), dtype=np.int64), start=np.array(starts))
    end = min(start + length, 64)
    own = [{*range(first, first + size)} for first in starts]
    shared = [len(bases & {*range(start, end)}) for bases in own]
    interval = Interval("chr1", start, end)
    everything = np.arange(len(starts))
    assert everything[sites.touching(interval)].tolist() == [i for i, count in enumerate(shared) if count]
    assert everything[sites.inside(interval)].tolist() == [i for i, count in enumerate(shared) if count == size]
    middle = (start + end) // 2
    marked = [i for i, bases in enumerate(own) if (2 * shared[i] >= size if end - start >= size else middle in bases)]
    peak, site = sites.marked("chr1", np.array([start]), np.array([end]))
    assert (peak == 0).all()
    assert site.tolist() == marked


@given(st.lists(st.integers(0, 90), min_size=1, max_size=8, unique=True).map(sorted), st.integers(1, 60))
def test_pieces_hold_every_site_once_and_span_no_more_than_they_may(starts, bases):
    sites = make([(0, start) for start in starts])
    pieces = [*sites.pieces("chr1", bases)]
    assert np.concatenate([np.arange(each.start, each.stop) for each in pieces]).tolist() == [*range(len(starts))]
    for each in pieces:
        assert each.stop - each.start == 1 or starts[each.stop - 1] + 10 - starts[each.start] <= bases


def test_the_bases_of_a_site_are_its_own():
    values = np.arange(100)
    assert SITES.bases(values[20:], slice(1, 3), 20).tolist() == [[*range(25, 35)], [*range(60, 70)]]


def test_distance_is_in_bp_and_the_short_way_round():
    round_trip = make([(0, 0), (0, 85), (1, 0)], circular=frozenset(["chr1"]))
    assert round_trip.bp_between(np.array([0, 0, 1]), np.array([1, 2, 1])).tolist() == [15, -1, 0]
    assert SITES.bp_between(np.array([0]), np.array([2])).tolist() == [50]


def test_a_node_holds_the_sites_whose_midpoints_lie_in_it():
    assert bins_to_nodes(SITES, Bins(SIZES, 30, partial=True)).tolist() == [0, 1, 2, 4]
    assert bins_to_nodes(SITES, SITES).tolist() == [0, 1, 2, 3]
