"""How well states of single sites are predicted: DeepCpG's metrics of its outputs, and its curves.

A metric that is not defined is NaN: no cell without a methylated site has a perfect recall. A target that is NaN is
missing and counts in nothing; where a prediction is NaN, all is. Angermueller, Lee, Reik & Stegle 2017, Genome Biology
18:67.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from scipy.stats import kendalltau
from sklearn.metrics import auc, precision_recall_curve, roc_curve

from genograph.assays.cpg_states import binary
from genograph.errors import InputError, nearest
from genograph.metrics.tracks import TrackSums, auroc, checked_labels, without_missing

_NAN = float("nan")


def binary_accuracy(target: np.ndarray, score: np.ndarray) -> dict[str, float]:
    """`auc acc tpr tnr f1 mcc n` of one output with two classes.

    Without positives `auc`, `tpr` and `f1` are NaN, without negatives `auc` and `tnr`, and `mcc` where labels or
    predictions are all alike.

    Args:
        target: (n,) labels, or fractions, which are rounded by `binary`: exactly .5 is a 0, as in DeepCpG.
        score: (n,) predicted probabilities; above .5 is a 1.
    """
    score, label = without_missing(score, binary(target))
    return {"auc": auroc(label, score), **_confusion(label, score), "n": len(label)}


def _confusion(label: np.ndarray, score: np.ndarray) -> dict[str, float]:
    if np.isnan(score).any():
        return dict.fromkeys(("acc", "tpr", "tnr", "f1", "mcc"), _NAN)
    is_true, is_called = label == 1, binary(score) == 1
    tp, fp = float((is_true & is_called).sum()), float((~is_true & is_called).sum())
    fn, tn = float((is_true & ~is_called).sum()), float((~is_true & ~is_called).sum())
    return {
        "acc": _ratio(tp + tn, len(label)),
        "tpr": _ratio(tp, tp + fn),
        "tnr": _ratio(tn, tn + fp),
        "f1": _ratio(2 * tp, 2 * tp + fp + fn) if tp + fn else _NAN,
        "mcc": _ratio(tp * tn - fp * fn, np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))),
    }


def _ratio(numerator: float, denominator: float) -> float:
    return float(numerator / denominator) if denominator else _NAN


def regression_accuracy(target: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
    """`mse mad cor kendall n` of one output that is a number.

    `mad` is the mean absolute deviation, `cor` Pearson's correlation, `kendall` Kendall's tau-b of all values (the
    original draws 100,000).

    Args:
        target: (n,) measured values.
        prediction: (n,) predicted values.
    """
    prediction, target = without_missing(prediction, target)
    values = dict.fromkeys(("mse", "mad", "cor", "kendall"), _NAN)
    if len(target) and not np.isnan(prediction).any():
        error, sums = prediction - target, TrackSums(1)
        sums.update(prediction[:, None], target[:, None])
        values = {"mse": np.mean(error**2), "mad": np.mean(np.abs(error)), "cor": sums.pearsonr()[0]}
        values["kendall"] = kendalltau(prediction, target).statistic
    return {name: float(value) for name, value in values.items()} | {"n": len(target)}


def category_accuracy(target: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    """`cat_acc`, `auc_0`, `auc_1`, ... and `n` of one output with several classes.

    Args:
        target: (n,) number of the class.
        probability: (n, classes) predicted.
    """
    kept = ~np.isnan(target)
    target, probability = target[kept], probability[kept]
    is_defined = len(target) and not np.isnan(probability).any()
    accuracy = float((probability.argmax(axis=1) == target).mean()) if is_defined else _NAN
    aucs = {f"auc_{each}": auroc(target == each, probability[:, each]) for each in range(probability.shape[1])}
    return {"cat_acc": accuracy, **aucs, "n": len(target)}


BINARY = ("cpg", "mode", "diff", "cat2_var")
"""Kinds of output with two classes."""
METRICS_OF: Mapping[str, tuple[Callable[[np.ndarray, np.ndarray], dict[str, float]], ...]] = {
    **dict.fromkeys(BINARY, (binary_accuracy,)),
    **dict.fromkeys(("var", "entropy"), (regression_accuracy,)),
    "mean": (regression_accuracy, binary_accuracy),
    "cat_var": (category_accuracy,),
}
"""How each kind of output is judged."""


def kind_of(output: str) -> str:
    """The key in `METRICS_OF` of an output: `cpg/BS27_4_SER` is of kind `cpg`, `win_stats/1001/mean` of kind `mean`.

    Raises:
        InputError: If it is none that is known.
    """
    kind = "cpg" if output.startswith("cpg/") else output.rsplit("/", 1)[-1]
    if kind not in METRICS_OF:
        raise InputError(f"Output '{output}' is not known: 'cpg/CELL', or a statistic.{nearest(kind, METRICS_OF)}")
    return kind


def output_accuracy(output: str, target: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
    """All metrics of an output, by its name; arguments are those of the functions in `METRICS_OF`."""
    values = {}
    for measure in METRICS_OF[kind_of(output)]:
        values |= measure(target, prediction)
    return values


def recall_at_fdr(label: np.ndarray, score: np.ndarray, fdr: float = 0.05) -> float:
    """The largest recall at a threshold where no more than a share `fdr` of what is called is wrong.

    Args:
        label: (n,) 1 or 0; NaN is missing.
        score: (n,) higher for positives; a threshold calls all that tie with it.
        fdr: Share of false positives among all called.

    Returns:
        0 where no threshold is that precise; NaN without positives or where a score is NaN.
    """
    score, label = without_missing(score, checked_labels(label))
    if not label.any() or np.isnan(score).any():
        return _NAN
    precision, recall, _ = precision_recall_curve(label, score)
    return float(recall[precision >= 1 - fdr - 1e-12].max())  # sklearn ends the curve at recall 0, precision 1


def trapezoid_auprc(label: np.ndarray, score: np.ndarray) -> float:
    """Area under the precision-recall curve with straight lines between its points, which is optimistic.

    For tables that were made so; `metrics.average_precision` is the measure elsewhere. Arguments and NaN are its own.
    """
    score, label = without_missing(score, checked_labels(label))
    if label.sum() in (0, len(label)) or np.isnan(score).any():
        return _NAN
    precision, recall, _ = precision_recall_curve(label, score)
    return float(auc(recall, precision))


def _roc(label: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, ...]:
    return roc_curve(label, score)


def _pr(label: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, ...]:
    precision, recall, threshold = precision_recall_curve(label, score)
    return recall[:-1], precision[:-1], threshold  # the last point, recall 0, is at no threshold


CURVES: Mapping[str, Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, ...]]] = {"roc": _roc, "pr": _pr}
"""False and true positive rate, and recall and precision; with the threshold of each point."""


def curve(kind: str, target: np.ndarray, score: np.ndarray, num_points: int = 1000) -> tuple[np.ndarray, ...] | None:
    """x, y and threshold of a curve, at most `num_points` of each; None where the labels are all alike.

    Args:
        kind: A name in `CURVES`.
        target: (n,) labels or fractions, as for `binary_accuracy`.
        score: (n,) predicted.
        num_points: Evenly spaced among all.
    """
    score, label = without_missing(score, binary(target))
    if np.isnan(auroc(label, score)):
        return None
    points = CURVES[kind](label, score)
    length = len(points[0])
    chosen = np.linspace(0, length - 1, min(length, num_points)).astype(int)
    return tuple(values[chosen] for values in points)
