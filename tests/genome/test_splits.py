"""Held-out bins never train, near ones neither, and windows never leave a chromosome."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genograph.errors import InputError
from genograph.genome.bins import Bins
from genograph.genome.splits import NONE, TEST, TRAIN, VALID, assign_splits, runs

BINS = Bins({"a": 100, "b": 50, "c": 30}, 10)


def test_whole_chromosomes_are_held_out_and_the_rest_trains():
    split = assign_splits(BINS, train=None, valid=["b"], test=["c"])
    assert split.tolist() == [TRAIN] * 10 + [VALID] * 5 + [TEST] * 3
    assert split.dtype == np.int8


def test_named_training_regions_leave_the_others_out():
    split = assign_splits(BINS, train=["a:0-30"], valid=["b"], test=["c"])
    assert split[:10].tolist() == [TRAIN] * 3 + [NONE] * 7


def test_a_bin_partly_in_a_held_out_region_is_in_no_split():
    split = assign_splits(BINS, train=None, valid=["a:15-40"], test=["b"])
    assert split[:5].tolist() == [TRAIN, NONE, VALID, VALID, TRAIN]


def test_nothing_trains_within_the_gap():
    split = assign_splits(BINS, train=None, valid=["a:40-60"], test=["b"], gap=11)
    assert split[:10].tolist() == [TRAIN] * 2 + [NONE] * 2 + [VALID] * 2 + [NONE] * 2 + [TRAIN] * 2


def test_the_gap_keeps_named_training_regions_away_too():
    split = assign_splits(BINS, train=["a:0-40"], valid=["a:40-60"], test=["b"], gap=10)
    assert split[:5].tolist() == [TRAIN] * 3 + [NONE, VALID]


@pytest.mark.parametrize(("region", "expected"), [("a:0-20", 9), ("a:80-100", 0)])
def test_the_gap_crosses_the_origin_of_a_circle_only(region, expected):
    circle = Bins({"a": 100, "b": 50}, 10, circular=frozenset({"a"}))
    line = Bins({"a": 100, "b": 50}, 10)
    options = {"train": None, "valid": [region], "test": ["b"], "gap": 10}
    assert assign_splits(circle, **options)[expected] == NONE
    assert assign_splits(line, **options)[expected] == TRAIN


@pytest.mark.parametrize(
    ("train", "valid", "test", "message"),
    [
        (None, ["a"], ["a:0-10"], "valid region a:0-100 and test region a:0-10 overlap"),
        (["b"], ["a"], ["b"], "train region b:0-50 and test region b:0-50 overlap"),
        (None, ["b"], [], "No bin of 10 bp is left for the test split"),
        (None, ["b:1-9"], ["c"], "left for the valid split"),
        (None, ["a"], ["b", "c"], "left for the train split"),
        (None, ["chrQ"], ["b"], "no chromosome 'chrQ'"),
    ],
)
def test_a_wrong_split_is_an_error_that_says_why(train, valid, test, message):
    with pytest.raises(InputError, match=message):
        assign_splits(BINS, train=train, valid=valid, test=test)


def test_runs_break_at_chromosomes():
    mask = np.ones(18, dtype=bool)
    mask[[0, 4]] = False
    assert runs(mask, BINS) == [(1, 4), (5, 10), (10, 15), (15, 18)]


def test_no_bin_gives_no_run():
    assert runs(np.zeros(18, dtype=bool), BINS) == []


@given(st.lists(st.booleans(), min_size=18, max_size=18))
def test_runs_are_maximal_and_cover_the_mask(mask):
    found = runs(np.array(mask), BINS)
    covered = [tile for first, last in found for tile in range(first, last)]
    assert covered == np.flatnonzero(mask).tolist()
    for first, last in found:
        chrom = BINS.chrom_index(np.arange(first, last))
        assert first < last
        assert len(set(chrom.tolist())) == 1
        assert last in BINS.offsets or not mask[last]
        assert first in BINS.offsets or not mask[first - 1]
