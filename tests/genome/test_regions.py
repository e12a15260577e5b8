"""Nodes of unequal length: which they are, and which bins are theirs."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genograph.errors import InputError
from genograph.genome.bins import Bins, bins_of_nodes, bins_to_nodes
from genograph.genome.interval import Interval
from genograph.genome.regions import Regions, read_regions
from genograph.genome.sites import Sites

SIZES = {"chr1": 1000, "chr2": 500}
NAMES = {"aliases": {}, "whole_genome": True}


def make(*places, **options) -> Regions:
    return Regions.of([Interval(*place) for place in places], SIZES, **options)


REGIONS = make(("chr2", 40, 60), ("chr1", 250, 900), ("chr1", 10, 130), ("chr1", 100, 230))


def test_regions_stand_in_the_order_of_the_genome():
    assert [str(REGIONS.interval(each)) for each in range(4)] == [
        "chr1:10-130",
        "chr1:100-230",
        "chr1:250-900",
        "chr2:40-60",
    ]
    assert (REGIONS.span("chr1"), REGIONS.span("chr2")) == (slice(0, 3), slice(3, 4))
    assert (REGIONS.length, REGIONS.bin_size) == ("20 to 650 bp", 230)


def test_a_bin_belongs_to_the_region_that_covers_the_most_of_it():
    # Of bin 1, 100 to 200, the first covers 30 and the second all; bin 2 has 30 of the second and 50 of the third.
    expected = [0, 1, 2, 2, 2, 2, 2, 2, 2, -1, 3, -1, -1, -1, -1]
    assert bins_to_nodes(Bins(SIZES, 100), REGIONS).tolist() == expected


def test_a_bin_that_two_regions_cover_alike_belongs_to_the_first():
    assert bins_to_nodes(Bins(SIZES, 100), make(("chr1", 0, 50), ("chr1", 50, 100)))[0] == 0


def test_bins_that_are_sites_belong_to_regions_too():
    sites = Sites(SIZES, 20, chrom=np.array([0, 0, 1]), start=np.array([105, 235, 41]))
    assert bins_to_nodes(sites, REGIONS).tolist() == [0, 2, 3]


def test_regions_within_others_or_given_twice_are_left_out_and_counted(caplog):
    caplog.set_level("INFO")
    regions = make(("chr1", 0, 100), ("chr1", 0, 100), ("chr1", 0, 40), ("chr1", 20, 100), ("chr1", 20, 101))
    assert [str(regions.interval(each)) for each in range(2)] == ["chr1:0-100", "chr1:20-101"]
    assert len(regions) == 2
    assert "3 of 5 places lie within another and are left out" in caplog.text


@given(
    st.lists(
        st.tuples(st.sampled_from(["chr1", "chr2"]), st.integers(0, 480), st.integers(1, 200)), min_size=1, max_size=12
    ),
    st.sampled_from([7, 20, 64]),
)
def test_the_bins_of_a_region_are_in_a_row_and_each_has_the_region_that_covers_the_most(places, size):
    places = [Interval(chrom, start, min(start + length, SIZES[chrom])) for chrom, start, length in places]
    regions, bins = Regions.of(places, SIZES), Bins(SIZES, size)
    node = bins_to_nodes(bins, regions)
    for number in range(len(bins)):
        own = bins.interval(number)
        each = [regions.interval(region) for region in range(len(regions))]
        covered = [
            max(0, min(own.end, other.end) - max(own.start, other.start)) * (own.chrom == other.chrom) for other in each
        ]
        assert node[number] == (int(np.argmax(covered)) if max(covered) else -1)
    spans = bins_of_nodes(node, len(regions))
    for region, (first, end) in enumerate(spans.tolist()):
        assert np.flatnonzero(node == region).tolist() == list(range(first, end))


def test_a_base_is_in_the_first_region_that_holds_it_and_a_place_is_its_own_region():
    at = np.array([9, 10, 110, 130, 229, 240, 899, 900])
    assert REGIONS.locate("chr1", at).tolist() == [-1, 0, 0, 1, 1, -1, 2, -1]
    start, end = np.array([100, 100, 0]), np.array([230, 120, 5])
    assert REGIONS.find("chr1", start, end, start).tolist() == [1, 0, -1]
    assert make(("chr2", 0, 10)).locate("chr1", at[:2]).tolist() == [-1, -1]


def test_touching_and_inside_are_what_lies_there():
    assert REGIONS.touching(Interval("chr1", 120, 250)) == slice(0, 2)
    assert REGIONS.touching(Interval("chr1", 120, 251)) == slice(0, 3)
    assert REGIONS.inside(Interval("chr1", 10, 230)) == slice(0, 2)
    assert REGIONS.inside(Interval("chr1", 11, 230)) == slice(1, 2)
    assert REGIONS.touching(Interval("chr1", 900, 950)) == slice(3, 3)


def test_distances_are_from_middle_to_middle_and_the_short_way_round():
    assert REGIONS.bp_between(np.array([0, 0, 0]), np.array([1, 2, 3])).tolist() == [95, 505, -1]
    circle = make(("chr1", 0, 100), ("chr1", 900, 1000), circular=frozenset({"chr1"}))
    assert circle.bp_between(np.array([0]), np.array([1])).tolist() == [100]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nodes.bed", "chr1\t10\t30\nchr1\t50\t90\tpeak\t0\t-\nchrX\t0\t9\n"),
        ("nodes.narrowPeak", "chr1\t10\t30\t.\t0\t.\t5\t-1\t-1\t9\nchr1\t50\t90\t.\t0\t.\t5\t-1\t-1\t9\n"),
        ("nodes.tsv", "name\tchrom\tstart\tend\tstrand\na\tchr1\t50\t90\t+\nb\tchr1\t10\t30\t-\n"),
        ("nodes.gff3", "chr1\t.\tgene\t11\t30\t.\t+\t.\tID=a\nchr1\t.\tgene\t51\t90\t.\t+\t.\tID=b\n"),
    ],
)
def test_regions_are_read_from_bed_and_from_files_of_genes(name, text, tmp_path):
    (tmp_path / name).write_text(text)
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    for path in (tmp_path / name, tmp_path / f"{name}.gz"):
        found = read_regions(path, SIZES, circular=frozenset(), **NAMES)
        assert (found.start.tolist(), found.end.tolist()) == ([10, 50], [30, 90])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chr1\t10\t10\n", r"nodes\.bed: chr1:10-10 has no base, so it is no node"),
        ("chr1\t1000\t1010\n", r"nodes\.bed, line 1: wrong assembly"),
        ("chr1\tx\t10\n", r"nodes\.bed, line 1: expected chrom, start and end"),
        ("\n", r"nodes\.bed holds no interval"),
    ],
)
def test_what_is_no_node_is_one_line(text, message, tmp_path):
    (tmp_path / "nodes.bed").write_text(text)
    with pytest.raises(InputError, match=message):
        read_regions(tmp_path / "nodes.bed", SIZES, circular=frozenset(), **NAMES)


def test_no_place_is_no_graph():
    with pytest.raises(InputError, match="there is no place for a node"):
        make()
