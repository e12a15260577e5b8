"""Metrics of single sites equal scikit-learn's and scipy's where they are defined, and are NaN where not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as skm

from genograph.errors import InputError
from genograph.metrics.classification import (
    binary_accuracy,
    category_accuracy,
    curve,
    output_accuracy,
    recall_at_fdr,
    regression_accuracy,
    trapezoid_auprc,
)

NAN = np.nan


def undefined(values):
    return {name for name, value in values.items() if np.isnan(value)}


def test_a_table_of_errors_by_hand():
    # 2 true, 1 missed, 1 wrong, 1 left alone; the last is missing.
    values = binary_accuracy(np.array([1, 1, 1, 0, 0, NAN]), np.array([0.9, 0.8, 0.1, 0.7, 0.2, 0.9]))
    assert values == {
        "auc": pytest.approx(4 / 6),
        "acc": 3 / 5,
        "tpr": 2 / 3,
        "tnr": 1 / 2,
        "f1": 4 / 6,
        "mcc": pytest.approx((2 * 1 - 1 * 1) / np.sqrt(3 * 3 * 2 * 2)),
        "n": 5,
    }


def test_a_half_is_no_methylation_neither_measured_nor_predicted():
    values = binary_accuracy(np.array([0.5, 0.51]), np.array([0.5, 0.51]))
    assert (values["tpr"], values["tnr"]) == (1, 1)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=30))
def test_defined_metrics_equal_scikit_learn(pairs):
    label, score = np.array(pairs, dtype=float).T
    called, values = np.round(score), binary_accuracy(label, score)
    expected = {"acc": skm.accuracy_score(label, called)}
    if label.any():
        expected |= {"tpr": skm.recall_score(label, called), "f1": skm.f1_score(label, called, zero_division=0)}
    if not label.all():
        expected["tnr"] = skm.recall_score(1 - label, 1 - called)
    if 0 < label.mean() < 1:
        expected["auc"] = skm.roc_auc_score(label, score)
    if 0 < label.mean() < 1 and 0 < called.mean() < 1:
        expected["mcc"] = skm.matthews_corrcoef(label, called)
    assert undefined(values) == {"auc", "acc", "tpr", "tnr", "f1", "mcc"} - set(expected)
    assert {name: values[name] for name in expected} == pytest.approx(expected, abs=1e-12)


def test_a_target_without_positives_is_nan_never_1():
    values = binary_accuracy(np.zeros(3), np.array([0.1, 0.2, 0.3]))
    assert undefined(values) == {"auc", "tpr", "f1", "mcc"}
    assert (values["acc"], values["tnr"], values["n"]) == (1, 1, 3)
    for measure in (recall_at_fdr, trapezoid_auprc):
        assert np.isnan(measure(np.zeros(3), np.arange(3)))


def test_metrics_of_nothing_are_nan():
    assert undefined(binary_accuracy(np.array([NAN]), np.array([0.5]))) == {"auc", "acc", "tpr", "tnr", "f1", "mcc"}
    assert undefined(regression_accuracy(np.array([NAN]), np.array([0.5]))) == {"mse", "mad", "cor", "kendall"}
    assert undefined(category_accuracy(np.array([NAN]), np.ones((1, 3)))) == {"cat_acc", "auc_0", "auc_1", "auc_2"}


def test_a_nan_prediction_leaves_nothing_defined():
    label, score = np.array([1.0, 0.0]), np.array([NAN, 0.2])
    assert len(undefined(binary_accuracy(label, score))) == 6
    assert len(undefined(regression_accuracy(label, score))) == 4
    assert np.isnan(recall_at_fdr(label, score))
    assert np.isnan(trapezoid_auprc(label, score))


def test_regression_equals_scipy():
    rng = np.random.default_rng(0)
    target = rng.random(50).round(1)
    prediction = target + rng.normal(size=50).round(1)
    values = regression_accuracy(np.append(target, NAN), np.append(prediction, 1))
    assert values == {
        "mse": pytest.approx(np.mean((prediction - target) ** 2)),
        "mad": pytest.approx(np.mean(np.abs(prediction - target))),
        "cor": pytest.approx(stats.pearsonr(prediction, target)[0]),
        "kendall": pytest.approx(stats.kendalltau(prediction, target)[0]),
        "n": 50,
    }


def test_a_constant_has_no_correlation_but_an_error():
    values = regression_accuracy(np.full(3, 0.5), np.array([0.5, 0.5, 0.8]))
    assert undefined(values) == {"cor", "kendall"}
    assert values["mad"] == pytest.approx(0.1)


def test_classes_are_judged_together_and_one_against_the_others():
    probability = np.array([[0.8, 0.1, 0.1], [0.2, 0.5, 0.3], [0.4, 0.3, 0.3], [0.1, 0.8, 0.1]])
    values = category_accuracy(np.array([0, 1, 1, NAN]), probability)
    assert undefined(values) == {"auc_2"}
    assert (values["cat_acc"], values["auc_0"], values["auc_1"], values["n"]) == (2 / 3, 1, 1, 3)


def test_an_output_is_judged_by_what_it_is_called():
    target, prediction = np.array([0.1, 0.9, 0.6]), np.array([0.2, 0.8, 0.4])
    assert set(output_accuracy("cpg/mean", target, prediction)) == {"auc", "acc", "tpr", "tnr", "f1", "mcc", "n"}
    assert set(output_accuracy("cpg_stats/var", target, prediction)) == {"mse", "mad", "cor", "kendall", "n"}
    assert len(output_accuracy("win_stats/1001/mean", target, prediction)) == 11
    assert "cat_acc" in output_accuracy("cpg_stats/cat_var", np.array([0, 2.0]), np.eye(3)[:2])
    with pytest.raises(InputError, match=r"Output 'cpg_stats/men' is not known.*Did you mean 'mean'\?"):
        output_accuracy("cpg_stats/men", target, prediction)


def test_recall_at_a_false_discovery_rate_is_the_largest_that_is_precise_enough():
    label = np.array([1] * 10 + [0] + [1] * 10 + [0] * 9 + [1])
    score = np.linspace(1, 0, len(label))
    assert recall_at_fdr(label, score) == 20 / 21  # 20 of 21 called are right
    assert recall_at_fdr(label, score, fdr=0.04) == 10 / 21
    assert recall_at_fdr(np.array([1] * 19 + [0]), np.zeros(20)) == 1  # exactly 5 %


def test_recall_is_0_where_no_threshold_is_precise_enough_and_ties_are_called_together():
    assert recall_at_fdr(np.array([0, 1, 1]), np.array([0.9, 0.8, 0.7])) == 0
    assert recall_at_fdr(np.array([1, 0, 1]), np.array([0.9, 0.9, 0.7])) == 0


def test_straight_lines_between_points_are_not_steps():
    label, score = np.array([1, 0, 1]), np.array([0.9, 0.8, 0.7])
    # Points are (recall 0, precision 1), (1/2, 1), (1/2, 1/2) and (1, 2/3).
    assert trapezoid_auprc(label, score) == pytest.approx(1 / 2 + 1 / 2 * (1 / 2 + 2 / 3) / 2)


def test_curves_pass_through_their_points():
    label, score = np.array([1, 0, 1, NAN]), np.array([0.9, 0.8, 0.7, 0.1])
    np.testing.assert_allclose(curve("roc", label, score), [[0, 0, 1, 1], [0, 0.5, 0.5, 1], [np.inf, 0.9, 0.8, 0.7]])
    np.testing.assert_allclose(curve("pr", label, score), [[1, 0.5, 0.5], [2 / 3, 0.5, 1], [0.7, 0.8, 0.9]])
    assert curve("roc", np.ones(3), np.arange(3)) is None


def test_a_long_curve_keeps_its_ends():
    rng = np.random.default_rng(0)
    x, y, threshold = curve("roc", rng.integers(0, 2, 500), rng.random(500), num_points=20)
    assert len(x) == len(y) == len(threshold) == 20
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
