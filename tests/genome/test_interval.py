"""Intervals are 0-based and half-open, and region strings mean what they say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genograph.errors import InputError
from genograph.genome.interval import Interval, parse_region

SIZES = {"chr1": 1000, "HLA*01:01": 50, "odd:1-2": 30}
BOUNDS = st.tuples(st.integers(0, 30), st.integers(0, 30)).map(sorted)


def test_length_and_text_of_an_interval():
    assert len(Interval("chr1", 10, 30)) == 20
    assert str(Interval("chr1", 10, 30)) == "chr1:10-30"


@pytest.mark.parametrize(("start", "end"), [(-1, 5), (5, 4)])
def test_coordinates_out_of_order_are_an_error(start, end):
    with pytest.raises(InputError, match="0 <= start <= end"):
        Interval("chr1", start, end)


def test_neighbours_do_not_overlap():
    assert not Interval("chr1", 0, 10).overlaps(Interval("chr1", 10, 20))
    assert Interval("chr1", 0, 10).overlaps(Interval("chr1", 9, 20))
    assert not Interval("chr1", 0, 10).overlaps(Interval("chr2", 0, 10))


@given(BOUNDS, BOUNDS)
def test_intervals_overlap_when_they_share_a_base(first, second):
    shared = set(range(*first)) & set(range(*second))
    assert Interval("a", *first).overlaps(Interval("a", *second)) == bool(shared)


@pytest.mark.parametrize(
    ("text", "interval"),
    [
        ("chr1", Interval("chr1", 0, 1000)),
        ("chr1:0-1,000", Interval("chr1", 0, 1000)),
        (" chr1:1_0-20 ", Interval("chr1", 10, 20)),
        ("HLA*01:01", Interval("HLA*01:01", 0, 50)),
        ("HLA*01:01:5-9", Interval("HLA*01:01", 5, 9)),
        ("odd:1-2", Interval("odd:1-2", 0, 30)),
        ("odd:1-2:3-4", Interval("odd:1-2", 3, 4)),
    ],
)
def test_region_strings(text, interval):
    assert parse_region(text, SIZES) == interval


@pytest.mark.parametrize("text", ["", "chr2", "chr2:1-2", "chr1:,-5", "chr1:5", "chr1:-5-10", "chr1:a-b"])
def test_an_unknown_chromosome_is_an_error(text):
    with pytest.raises(InputError, match="no chromosome"):
        parse_region(text, SIZES)


@pytest.mark.parametrize("text", ["chr1:5-5", "chr1:9-5", "chr1:0-1001"])
def test_coordinates_off_the_chromosome_are_an_error(text):
    with pytest.raises(InputError, match="0 <= start < end <= 1000"):
        parse_region(text, SIZES)


@given(st.integers(0, 999), st.integers(1, 1000))
def test_an_interval_written_is_the_interval_read(start, end):
    if start < end:
        assert parse_region(str(Interval("chr1", start, end)), SIZES) == Interval("chr1", start, end)
