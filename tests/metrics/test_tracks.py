"""Metrics equal scipy's and scikit-learn's, in chunks and in any order, and are NaN where undefined."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import average_precision_score, r2_score, roc_auc_score

from genograph.assays.cpg_states import binary
from genograph.errors import InputError
from genograph.metrics import (
    TrackSums,
    auroc,
    average_precision,
    is_positive,
    spearmanr,
    track_accuracy,
    warn_of_undefined,
)


def summed(prediction, target, mask=None, cuts=()):
    sums = TrackSums(target.shape[1])
    for rows in np.split(np.arange(len(target)), cuts):
        sums.update(prediction[rows], target[rows], None if mask is None else mask[rows])
    return sums


@pytest.fixture
def tracks():
    rng = np.random.default_rng(0)
    target = rng.gamma(2, 3, size=(200, 3))
    return target + rng.normal(size=target.shape), target, rng.random(target.shape) < 0.7


def test_perfect_prediction_has_r_and_r2_one():
    target = np.array([[1.0], [2.0], [4.0]])
    sums = summed(target, target)
    assert (sums.n[0], sums.r2()[0]) == (3, 1.0)
    assert sums.pearsonr()[0] == pytest.approx(1, abs=1e-15)


def test_r2_is_taken_about_the_targets_own_mean():
    sums = summed(np.array([[2.0], [2.0]]), np.array([[1.0], [5.0]]))
    assert sums.r2()[0] == 1 - (1 + 9) / (4 + 4)


@settings(max_examples=30)
@given(cuts=st.lists(st.integers(0, 200), max_size=6).map(sorted))
def test_any_chunks_give_what_scipy_gives_on_the_whole(cuts):
    rng = np.random.default_rng(len(cuts))
    target = rng.gamma(2, 3, size=(200, 2))
    prediction = target + rng.normal(size=target.shape)
    mask = rng.random(target.shape) < 0.7
    sums = summed(prediction, target, mask, cuts)
    for track in range(2):
        kept = mask[:, track]
        pair = prediction[kept, track], target[kept, track]
        assert sums.n[track] == kept.sum()
        assert sums.pearsonr()[track] == pytest.approx(stats.pearsonr(*pair)[0], abs=1e-9)
        assert sums.r2()[track] == pytest.approx(r2_score(pair[1], pair[0]), abs=1e-9)


def test_small_differences_on_large_values_stay_exact(tracks):
    prediction, target, _ = tracks
    near, far = summed(prediction, target), summed(prediction + 1e8, target + 1e8, cuts=(7, 100))
    np.testing.assert_allclose(far.pearsonr(), near.pearsonr(), rtol=1e-7)
    np.testing.assert_allclose(far.r2(), near.r2(), rtol=1e-7)


def test_states_of_several_processes_become_one_in_any_order(tracks):
    prediction, target, mask = tracks
    parts = np.split(np.arange(200), (13, 90))
    states = [summed(prediction[rows], target[rows], mask[rows]).state() for rows in parts]
    whole = summed(prediction, target, mask)
    for sums in (TrackSums.from_states(states), TrackSums.from_states(states[::-1])):
        np.testing.assert_array_equal(sums.n, whole.n)
        np.testing.assert_allclose(sums.pearsonr(), whole.pearsonr(), rtol=1e-12)
        np.testing.assert_allclose(sums.r2(), whole.r2(), rtol=1e-12)


def test_a_state_is_a_copy(tracks):
    prediction, target, _ = tracks
    sums = summed(prediction, target)
    sums.state()[:] = 0
    assert sums.n[0] == 200


def test_missing_targets_and_masked_values_count_in_nothing():
    prediction = np.array([[1.0], [2.0], [np.nan], [4.0]])
    target = np.array([[1.0], [np.nan], [3.0], [5.0]])
    sums = summed(prediction, target, mask=np.array([[True], [True], [False], [True]]))
    assert (sums.n[0], sums.r2()[0]) == (2, 1 - 1 / 8)


def test_a_mask_of_bins_counts_for_every_track(tracks):
    prediction, target, _ = tracks
    bins = np.arange(200)[:, None] < 50
    np.testing.assert_array_equal(
        summed(prediction, target, bins).pearsonr(), summed(prediction[:50], target[:50]).pearsonr()
    )


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e6 + 0.1])
def test_a_constant_track_has_no_correlation(value):
    constant = np.full((1001, 1), value)
    varied = np.arange(1001.0)[:, None]
    assert np.isnan(summed(constant, varied, cuts=(3, 500)).pearsonr()[0])
    assert np.isnan(summed(varied, constant, cuts=(3, 500)).pearsonr()[0])
    assert np.isnan(summed(varied, constant, cuts=(3, 500)).r2()[0])


def test_fewer_than_two_values_have_no_accuracy():
    sums = summed(np.ones((1, 1)), np.ones((1, 1)))
    assert np.isnan(sums.pearsonr()[0])
    assert np.isnan(sums.r2()[0])
    assert np.isnan(TrackSums(1).pearsonr()[0])


def test_a_nan_prediction_spoils_its_own_track_only(tracks):
    prediction, target, _ = tracks
    prediction[3, 1] = np.nan
    assert np.isnan(summed(prediction, target, cuts=(100,)).pearsonr()).tolist() == [False, True, False]


def test_sums_refuse_other_shapes():
    with pytest.raises(InputError, match=r"must both be \(n, 2\)"):
        TrackSums(2).update(np.ones((3, 1)), np.ones((3, 1)))
    with pytest.raises(InputError, match="one shape"):
        TrackSums.from_states([np.zeros((7, 1)), np.zeros((7, 2))])


def test_spearman_equals_scipy_with_ties():
    prediction = np.array([1.0, 2.0, 2.0, 5.0, 4.0, 9.0])
    target = np.array([0.0, 0.0, 3.0, 3.0, 7.0, np.nan])
    expected = stats.spearmanr(prediction[:5], target[:5]).statistic
    assert spearmanr(prediction, target) == pytest.approx(expected, abs=1e-12)


def test_auroc_counts_a_tie_as_half():
    assert auroc([1, 0, 1, 0], [0.9, 0.1, 0.5, 0.5]) == (1 + 1 + 1 + 0.5) / 4


@settings(max_examples=30)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=40))
def test_ranking_metrics_equal_scikit_learn(pairs):
    label = np.array([pair[0] for pair in pairs], dtype=float)
    score = np.array([pair[1] for pair in pairs], dtype=float)
    if label.min() == label.max():
        assert np.isnan(auroc(label, score))
        assert np.isnan(average_precision(label, score))
    else:
        assert auroc(label, score) == pytest.approx(roc_auc_score(label, score), abs=1e-12)
        assert average_precision(label, score) == pytest.approx(average_precision_score(label, score), abs=1e-12)


def test_missing_labels_are_left_out():
    label, score = [1, np.nan, 0], [0.8, 0.1, 0.3]
    assert auroc(label, score) == 1.0
    assert average_precision(label, score) == 1.0


def test_metrics_of_nothing_are_nan():
    assert np.isnan(auroc([], []))
    assert np.isnan(average_precision([np.nan], [1.0]))
    assert np.isnan(spearmanr([], []))


def test_a_label_that_is_no_class_is_an_error():
    with pytest.raises(InputError, match=r"got 0\.4"):
        auroc([0, 0.4, 1], [1, 2, 3])


def table(prediction, target, mask=True, *, ranking=False):
    """The table of (n, tracks) arrays, whose tracks are numbered from 5."""
    names = [f"t{track}" for track in range(target.shape[1])]
    return track_accuracy(
        prediction.T,
        target.T,
        np.transpose(mask),
        indices=range(5, 5 + len(names)),
        identifiers=names,
        descriptions=names,
        ranking=ranking,
    )


def test_the_table_has_the_columns_of_the_field(tracks):
    prediction, target, mask = tracks
    accuracy = table(prediction, target, mask)
    assert list(accuracy) == ["index", "pearsonr", "spearmanr", "r2", "n", "identifier", "description"]
    kept = mask[:, 2]
    assert accuracy["index"].tolist() == [5, 6, 7]
    assert accuracy["n"].tolist() == mask.sum(axis=0).tolist()
    assert accuracy["pearsonr"][2] == pytest.approx(stats.pearsonr(prediction[kept, 2], target[kept, 2])[0], abs=1e-12)


def test_peaks_and_fractions_above_a_half_are_positives_and_exactly_a_half_is_none():
    fraction = np.array([[0.0], [0.2], [0.9], [0.5], [0.51], [np.nan]], dtype=np.float32)
    prediction = np.array([[0.1], [0.6], [0.8], [0.7], [0.4], [0.0]])
    accuracy = table(prediction, fraction, ranking=True)
    assert list(accuracy)[4:6] == ["auroc", "auprc"]
    assert accuracy["auroc"][0] == (3 + 1) / 6
    assert accuracy["auprc"][0] == pytest.approx((1 + 2 / 4) / 2)
    assert accuracy["n"][0] == 5


def test_tracks_and_labels_of_deepcpg_have_one_rule():
    fraction = np.array([0, 0.25, 0.5, np.nextafter(np.float32(0.5), np.float32(1)), 0.75, 1], dtype=np.float32)
    np.testing.assert_array_equal(is_positive(fraction), binary(fraction) == 1)


def test_a_slice_of_memory_mapped_tracks_is_read_from_disk(tracks, tmp_path):
    prediction, target, mask = (values[20:90] for values in tracks)
    np.save(tmp_path / "target.npy", tracks[1].T)
    on_disk = np.load(tmp_path / "target.npy", mmap_mode="r")[:, 20:90]
    assert table(prediction, on_disk.T, mask).equals(table(prediction, target, mask))


def test_undefined_metrics_are_nan_and_named_with_their_tracks(tracks, caplog):
    prediction, target, _ = tracks
    target[:, 0] = np.arange(200) % 2
    target[:, 1] = 7
    target[:, 2] = np.linspace(1, 2, 200)
    accuracy = table(prediction, target, ranking=True)
    with caplog.at_level(logging.WARNING):
        warn_of_undefined(accuracy)
    assert accuracy["pearsonr"].isna().tolist() == [False, True, False]
    assert "not defined (NaN): pearsonr, spearmanr, r2 of t1; auroc, auprc of t1, t2. There" in caplog.text


def test_nothing_is_warned_of_where_all_is_defined(tracks, caplog):
    warn_of_undefined(table(*tracks))
    assert not caplog.text


def test_the_table_refuses_other_shapes_and_missing_names():
    values = np.ones((2, 3))
    with pytest.raises(InputError, match="must agree"):
        table(values, np.ones((2, 4)))
    with pytest.raises(InputError, match="2 tracks, but 2 indices, 1 identifiers and 2 descriptions"):
        track_accuracy(values, values, True, indices=[0, 1], identifiers=["a"], descriptions=["a", "b"])
