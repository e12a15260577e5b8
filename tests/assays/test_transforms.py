"""Values of bases become values of bins by Basenji's formulas; missing stays missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from genograph.assays.targets import SUM_STATS, Target
from genograph.assays.transforms import ClipReport, clip, pool
from genograph.errors import InputError

BASES = np.array([0, 1, 2, 5, 0, 0, 0, 0.04], dtype=np.float32)


def target(**options):
    return Target(identifier="t", file=Path("t.bw"), **options)


@pytest.mark.parametrize(
    ("sum_stat", "expected"),
    [
        ("sum", [8, 0.04]),
        ("mean", [2, 0.01]),
        ("median", [1.5, 0]),
        ("max", [5, 0.04]),
        ("sum_sqrt", [2, np.sqrt(1.04) - 1]),
        ("mean_sqrt", [np.sqrt(3) - 1, np.sqrt(1.01) - 1]),
        ("peak", [1, 0.2]),
    ],
)
def test_each_sum_stat_by_its_formula(sum_stat, expected):
    assert pool(BASES.reshape(-1, 4), target(sum_stat=sum_stat)) == pytest.approx(expected)


def test_bases_are_scaled_before_the_root_is_taken():
    assert pool(BASES[None, :4], target(sum_stat="sum_sqrt", scale=3)) == pytest.approx([4])


@pytest.mark.parametrize("sum_stat", SUM_STATS)
def test_a_bin_with_a_missing_base_is_missing_and_its_neighbour_is_not(sum_stat):
    bases = np.array([1, np.nan, 1, 1], dtype=np.float32)
    assert np.isnan(pool(bases.reshape(-1, 2), target(sum_stat=sum_stat))).tolist() == [True, False]


@pytest.mark.parametrize(("sum_stat", "value"), [("sum_sqrt", -1.5), ("mean_sqrt", -1.5), ("peak", -0.1)])
def test_the_root_of_a_negative_value_is_an_error_not_nan(sum_stat, value):
    with pytest.raises(InputError, match=f"'t': {sum_stat} takes a square root of counts, but a bin has {value}"):
        pool(np.array([[value], [np.nan]]), target(sum_stat=sum_stat))


def test_soft_clip_then_clip_and_what_they_touched():
    values, report = clip(np.array([-9, 1, 4, 7, 12, np.nan]), target(clip_soft=4, clip=5.5))
    np.testing.assert_allclose(values, [-5.5, 1, 4, 5, 5.5, np.nan])
    assert report == ClipReport("t", bins=6, soft_clipped=2, clipped=2, missing=1)
    assert str(report) == "t: of 6 bins 2 soft clipped, 2 clipped, 1 missing"


def test_without_clip_values_stay():
    values, report = clip(np.array([-9.0, 1e6]), target())
    assert values.tolist() == [-9, 1e6]
    assert (report.soft_clipped, report.clipped, report.missing) == (0, 0, 0)


def test_clip_leaves_its_input_alone():
    pooled = np.array([100.0], dtype=np.float32)
    clip(pooled, target(clip_soft=4, clip=5))
    assert pooled.tolist() == [100]


@given(arrays(np.float32, 20, elements=st.floats(0, 1e4, width=32)), st.floats(1, 100))
def test_soft_clip_keeps_the_order_and_never_raises_a_value(pooled, limit):
    pooled = np.sort(pooled)
    values, _ = clip(pooled, target(clip_soft=limit))
    assert (np.diff(values) >= 0).all()
    assert (values <= pooled * (1 + 1e-6)).all()
