"""Standard errors add the variance of blocks and of seeds; few of either make an interval wide, one makes it NaN."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from genograph.statistics.estimate import Contrast, Estimate, enough, estimate, fieller, holm

STILL = np.zeros((1, 3))


def even(blocks):
    """The sizes of blocks of 30 points."""
    return np.full(blocks, 30)


def test_an_interval_of_blocks_alone_is_students():
    low, high = Contrast(1.0, (4.0, 0.0), (7, 4)).interval
    assert (low, high) == pytest.approx((1 - 2 * stats.t.ppf(0.975, 7), 1 + 2 * stats.t.ppf(0.975, 7)))


def test_students_t_of_blocks_and_seeds_is_weighted_by_their_variances():
    expected = 0.25 * stats.t.ppf(0.975, 9) + 0.75 * stats.t.ppf(0.975, 1)
    assert Contrast(0.0, (1.0, 3.0), (9, 1)).reach(0.025) == pytest.approx(expected)


@given(st.floats(0.1, 5), st.floats(0, 4), st.floats(0.01, 4), st.integers(1, 30), st.integers(1, 9))
def test_p_is_below_five_percent_exactly_where_the_interval_leaves_out_zero(value, blocks, seeds, df_blocks, df_seeds):
    contrast = Contrast(value, (blocks, seeds), (df_blocks, df_seeds))
    assert (contrast.p < 0.05) == (contrast.interval[0] > 0) or contrast.p == pytest.approx(0.05)


def test_p_is_that_of_students_test():
    assert Contrast(-3.0, (1.0, 0.0), (5, 4)).p == pytest.approx(2 * stats.t.sf(3, 5))


def test_an_arm_against_itself_has_p_one():
    assert Contrast(0.0, (0.0, 0.0), (5, 4)).p == 1.0


def test_a_difference_that_never_varies_has_p_zero():
    assert Contrast(0.2, (0.0, 0.0), (5, 4)).p == 0.0


def test_detectable_is_what_the_quantiles_of_level_and_power_add_up_to():
    expected = 2 * (stats.t.ppf(0.975, 8) + stats.t.ppf(0.8, 8))
    assert Contrast(0.0, (4.0, 0.0), (8, 4)).detectable(0.05) == pytest.approx(expected)


def test_what_never_varies_tells_nothing_of_what_could_be_detected():
    assert np.isnan(Contrast(0.0, (0.0, 0.0), (8, 4)).detectable(0.05))


def test_more_blocks_and_seeds_lower_their_variances_and_add_degrees_of_freedom():
    assert Contrast(0.1, (4.0, 6.0), (8, 4)).with_more(blocks=2, seeds=3) == Contrast(0.1, (2.0, 2.0), (16, 14))


def half(contrast):
    return contrast.interval[1] - contrast.value


def test_enough_is_the_fewest_runs_whose_intervals_add_up_to_less_than_the_span():
    one, other = Contrast(0.1, (1e-6, 4e-4), (9, 2)), Contrast(0.1, (1e-6, 1e-4), (9, 2))
    seeds, times = enough([one, other], 0.05)
    assert times == 1
    width = [
        sum(half(each.with_more(blocks=1, seeds=count / 3)) for each in (one, other)) for count in (seeds - 1, seeds)
    ]
    assert width[1] < 0.05 <= width[0]


def test_where_blocks_vary_more_of_them_are_enough():
    contrast = Contrast(0.1, (4e-4, 1e-9), (9, 4))
    seeds, times = enough([contrast], 0.025)
    assert (seeds, times) == (5, 3)
    assert half(contrast.with_more(blocks=3, seeds=1)) < 0.025 <= half(contrast.with_more(blocks=2, seeds=1))


def test_nothing_within_reach_is_enough_for_a_tiny_span():
    assert enough([Contrast(0.1, (1.0, 1.0), (9, 4))], 1e-6) is None


def test_the_variance_of_seeds_is_that_of_their_mean():
    scores = {(0, seed): np.array([score]) for seed, score in enumerate([1.0, 2.0, 6.0])}
    found = estimate(scores, dict.fromkeys(scores, STILL), [even(4)])
    assert found.mean[0] == 3
    assert found.by_seed[0, 0] == pytest.approx(np.var([1, 2, 6], ddof=1) / 3)
    assert found.freedom == (3, 2)


def test_a_seed_is_one_draw_for_all_folds():
    luck = {0: -1.0, 1: 1.0}
    scores = {(fold, seed): np.array([10 * fold + luck[seed]]) for fold in range(3) for seed in luck}
    found = estimate(scores, dict.fromkeys(scores, STILL), [even(4), even(4), even(4)])
    assert found.by_seed[0, 0] == pytest.approx(np.var([-1, 1], ddof=1) / 2)  # not a third of it
    assert found.freedom == (9, 1)


def test_a_fold_with_a_run_less_counts_as_much_as_the_others():
    scores = {(0, 0): np.array([0.0]), (0, 1): np.array([0.0]), (1, 0): np.array([1.0])}
    assert estimate(scores, dict.fromkeys(scores, STILL), [even(2), even(2)]).mean[0] == 0.5


def test_the_variance_of_seeds_is_that_of_the_seeds_that_all_folds_have():
    scores = {(0, seed): np.array([score]) for seed, score in enumerate([1.0, 2.0, 6.0])}
    scores |= {(1, seed): np.array([score]) for seed, score in enumerate([1.0, 4.0])}
    found = estimate(scores, dict.fromkeys(scores, STILL), [even(4), even(4)])
    assert found.by_seed[0, 0] == pytest.approx(np.var([1.0, 3.0], ddof=1) / 2)
    assert found.freedom == (6, 1)


def test_one_seed_in_one_of_the_folds_has_no_interval():
    scores = {(fold, 0): np.array([0.1 * fold]) for fold in range(5)} | {(0, 1): np.array([0.3])}
    one = estimate(scores, dict.fromkeys(scores, STILL), [even(8)] * 5).contrast(1)
    assert one.value == pytest.approx((0.15 + 0.1 + 0.2 + 0.3 + 0.4) / 5)
    assert np.isnan([*one.interval, one.p]).all()


def test_resamples_of_few_blocks_are_widened_to_what_new_blocks_would_do():
    moved = np.array([[-1.0, 0.0, 1.0]])
    scores = {(0, seed): np.array([0.5]) for seed in range(2)}
    found = estimate(scores, dict.fromkeys(scores, moved), [even(3)])
    assert found.by_block[0, 0] == pytest.approx(1.0 * 3 / 2)


def test_unequal_blocks_are_widened_as_the_equal_ones_that_they_are_worth():
    moved = np.array([[-1.0, 0.0, 1.0]])
    scores = {(0, seed): np.array([0.5]) for seed in range(2)}
    sizes = np.array([60, 20, 20])  # 10,000 / 4,400 = 2.27 blocks
    assert estimate(scores, dict.fromkeys(scores, moved), [sizes]).by_block[0, 0] == pytest.approx(
        2.2727 / 1.2727, 1e-4
    )


def test_resamples_without_a_score_are_left_out():
    moved = np.array([[-1.0, np.nan, 0.0, 1.0]])
    scores = {(0, seed): np.array([0.5]) for seed in range(2)}
    assert estimate(scores, dict.fromkeys(scores, moved), [even(3)]).by_block[0, 0] == pytest.approx(1.5)


def test_folds_of_one_block_vary_among_themselves():
    scores = {(fold, seed): np.array([score]) for fold, score in enumerate([1.0, 2.0, 6.0]) for seed in range(2)}
    found = estimate(scores, dict.fromkeys(scores, np.zeros((1, 3))), [even(1), even(1), even(1)])
    assert found.by_block[0, 0] == pytest.approx(np.var([1, 2, 6], ddof=1) / 3)
    assert found.freedom == (2, 1)


def test_one_block_has_no_interval():
    scores = {(0, seed): np.array([0.1 * seed]) for seed in range(5)}
    one = estimate(scores, dict.fromkeys(scores, STILL), [even(1)]).contrast(1)
    assert np.isnan([*one.interval, one.p, one.detectable(0.05)]).all()


def test_one_seed_has_no_interval():
    scores = {(fold, 0): np.array([0.1 * fold]) for fold in range(5)}
    one = estimate(scores, dict.fromkeys(scores, STILL), [even(8)] * 5).contrast(1)
    assert np.isnan([*one.interval, one.p]).all()


def test_what_two_arms_share_leaves_their_difference():
    common = np.array([[1.0, 1.0], [1.0, 1.0]])
    one = Estimate(np.array([0.6, 0.5]), common, common, (9, 4), 5).contrast(1, -1)
    assert one.value == pytest.approx(0.1)
    assert one.error == 0


def test_a_variance_that_is_rounding_is_none():
    rounded = np.array([[1.0, 1.0 - 2e-16], [1.0 - 2e-16, 1.0]])
    assert Estimate(np.array([0.5, 0.5]), rounded, rounded, (9, 4), 5).contrast(1, -1).variance == (0, 0)


def three(covariance, mean=(0.7, 0.5, 0.9)):
    return Estimate(np.array(mean), np.asarray(covariance, dtype=float), np.zeros((3, 3)), (9, 4), 5)


def test_a_share_without_noise_is_a_ratio():
    assert fieller(three(np.zeros((3, 3)))) == pytest.approx((0.5, 0.5, 0.5))


def test_fiellers_bounds_are_where_a_t_test_just_refuses():
    """Also with two seeds, which vary in another mix with blocks at either bound."""
    blocks, seeds = np.diag([1e-4, 2e-4, 1e-4]), np.diag([4e-6, 1e-6, 9e-6])
    for freedom in ((9, 4), (9, 1)):
        found = Estimate(np.array([0.7, 0.5, 0.9]), blocks, seeds, freedom, 5)
        share, low, high = fieller(found)
        assert low < share < high
        for bound in (low, high):
            assert found.contrast(1, bound - 1, -bound).p == pytest.approx(0.05, abs=1e-6)


def test_a_share_of_no_clear_gain_has_no_bounds():
    share, low, high = fieller(three(np.diag([0.1, 0.1, 0.1])))
    assert share == pytest.approx(0.5)
    assert np.isnan([low, high]).all()


def test_holm_multiplies_the_smallest_p_by_all_and_never_lets_p_fall():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_holm_stops_at_one_and_counts_no_missing_p():
    corrected = holm([0.6, np.nan, 0.7])
    assert corrected[[0, 2]] == pytest.approx([1, 1])
    assert np.isnan(corrected[1])
