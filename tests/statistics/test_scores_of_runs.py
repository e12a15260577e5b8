"""Pearson's r follows from sums over blocks of the genome, drawn once, twice or never."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from genograph.errors import InputError
from genograph.statistics.scores import Points, Scores, pearsonr


def test_r_from_sums_of_blocks_is_that_of_scipy():
    rng = np.random.default_rng(0)
    target, predicted = rng.gamma(2, 3, size=(2, 60, 2)) + 1e6
    sums = Points(target, rng.integers(0, 4, 60)).sums(predicted)
    assert sums.shape == (4, 6, 2)
    expected = [stats.pearsonr(predicted[:, track], target[:, track])[0] for track in range(2)]
    assert pearsonr(sums.sum(axis=0)) == pytest.approx(expected, abs=1e-9)


def test_a_block_drawn_twice_counts_its_points_twice():
    rng = np.random.default_rng(1)
    target, predicted = rng.normal(size=(2, 20, 1))
    block = np.repeat([0, 1], 10)
    sums = Points(target, block).sums(predicted)
    twice = np.concatenate([predicted, predicted[10:]])[:, 0], np.concatenate([target, target[10:]])[:, 0]
    assert pearsonr(sums[0] + 2 * sums[1])[0] == pytest.approx(stats.pearsonr(*twice)[0])


def test_a_constant_prediction_has_an_r_of_0_and_constant_targets_have_none():
    varies, flat = np.arange(4.0)[:, None], np.full((4, 1), 0.1)
    assert pearsonr(Points(varies, np.zeros(4)).sums(flat).sum(axis=0)).tolist() == [0]
    assert np.isnan(pearsonr(Points(flat, np.zeros(4)).sums(varies).sum(axis=0))).all()
    assert np.isnan(pearsonr(Points(varies, np.zeros(4)).sums(np.full((4, 1), np.nan)).sum(axis=0))).all()


def test_points_without_a_target_are_in_no_block():
    points = Points(np.array([[1.0, np.nan], [np.nan, np.nan], [2.0, 3.0]]), np.array([5, 7, 1]))
    assert points.order.tolist() == [2, 0]
    assert points.starts.tolist() == [0, 1]
    assert Scores([points], {}).n == 2


def test_a_point_is_in_a_level_of_a_stratum_or_in_none():
    points = Points(np.zeros((3, 1)), np.zeros(3), {"contacts": np.array([0, 1, -1])})
    assert points.is_in("contacts", 1).tolist() == [False, True, False]
    assert points.is_in("signal", 1).tolist() == [False] * 3


def test_points_without_some_values_have_these_missing():
    points = Points(np.array([[1.0, 2.0]]), np.zeros(1))
    np.testing.assert_array_equal(points.without(np.array([[True, False]])).target, [[np.nan, 2.0]])


def test_what_does_not_fit_the_points_is_refused():
    with pytest.raises(InputError, match=r"'block' is \(n,\), one for each of 4 points; got \(3,\)"):
        Points(np.zeros((4, 1)), np.zeros(3))
    with pytest.raises(InputError, match=r"The target of a fold is \(n, tracks\); got \(4,\)"):
        Points(np.zeros(4), np.zeros(4))
