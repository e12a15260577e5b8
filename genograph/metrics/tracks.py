"""How well predicted tracks fit measured ones: correlations, explained variance, ranking.

A metric that is not defined, such as a correlation with a constant track or an AUROC without positives,
is NaN. A target that is NaN, or that the mask leaves out, is missing and counts in nothing.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score

from genograph.errors import InputError

logger = logging.getLogger(__name__)

METRICS = ("pearsonr", "spearmanr", "r2", "auroc", "auprc")


def is_positive(values: np.ndarray) -> np.ndarray:
    """Which peaks or methylated fractions are positive: those above a half, as DeepCpG rounds; not where NaN."""
    return values > 0.5


class TrackSums:
    """Sums from which Pearson's r and R2 of every track follow, gathered chunk by chunk.

    Means and squared deviations are merged pairwise (Chan, Golub & LeVeque 1983, The American
    Statistician 37:242), so large values with small differences stay exact. A mean of correlations
    over processes would be wrong; merge their sums instead.

    Args:
        num_tracks: Number of tracks.
    """

    def __init__(self, num_tracks: int) -> None:
        # n, two means, two sums of squared deviations, the sum of their products, the sum of squared errors
        self._state = np.zeros((7, num_tracks))

    @classmethod
    def from_states(cls, states: Sequence[np.ndarray]) -> TrackSums:
        """The sums over all processes, from what `state()` gave in each of them: (7, tracks) arrays."""
        shapes = {np.shape(state) for state in states}
        if len(shapes) != 1 or not all(len(shape) == 2 and shape[0] == 7 for shape in shapes):
            raise InputError(f"States of TrackSums have one shape, (7, tracks); got {sorted(shapes)}.")
        sums = cls(np.shape(states[0])[1])
        for state in states:
            sums._merge(np.asarray(state, dtype=np.float64))
        return sums

    def state(self) -> np.ndarray:
        """All sums as one array, for gathering across processes: (7, tracks)."""
        return self._state.copy()

    @property
    def n(self) -> np.ndarray:
        """Values seen per track: (tracks,)."""
        return self._state[0].astype(np.int64)

    def update(self, prediction: np.ndarray, target: np.ndarray, mask: np.ndarray | None = None) -> None:
        """Add a chunk.

        Args:
            prediction: Predicted values, (n, tracks).
            target: Measured values, (n, tracks); NaN is missing.
            mask: False where a value does not count, (n, tracks) or (n, 1). None: all count.

        Raises:
            InputError: If the shapes differ.
        """
        prediction = np.asarray(prediction, dtype=np.float64)
        target = np.asarray(target, dtype=np.float64)
        expected = (len(target), self._state.shape[1])
        if not prediction.shape == target.shape == expected:
            raise InputError(
                f"prediction {prediction.shape} and target {target.shape} must both be (n, {expected[1]})."
            )
        kept = ~np.isnan(target) if mask is None else ~np.isnan(target) & np.asarray(mask, dtype=bool)
        if len(target):
            self._merge(_chunk_state(prediction, target, kept))

    def _merge(self, other: np.ndarray) -> None:
        n, n_other = self._state[0], other[0]
        share = n_other / np.maximum(n + n_other, 1)
        step = other[1:3] - self._state[1:3]  # between the means of predictions and of targets
        self._state = self._state + np.concatenate([[n_other], step * share, other[3:]])
        self._state[3:5] += step**2 * n * share
        self._state[5] += step[0] * step[1] * n * share

    def pearsonr(self) -> np.ndarray:
        """Pearson's correlation per track: (tracks,). NaN below 2 values or without variance."""
        n, _, _, dev_p, dev_t, codev, _ = self._state
        scale = np.sqrt(dev_p) * np.sqrt(dev_t)
        return np.clip(_ratio(codev, scale, defined=n >= 2), -1, 1)

    def r2(self) -> np.ndarray:
        """1 - SSE / SST per track, SST about the target's own mean: (tracks,). NaN where SST is 0."""
        n, _, _, _, dev_t, _, sse = self._state
        return 1 - _ratio(sse, dev_t, defined=n >= 2)


def _chunk_state(prediction: np.ndarray, target: np.ndarray, kept: np.ndarray) -> np.ndarray:
    n = kept.sum(axis=0).astype(np.float64)
    (mean_p, from_p), (mean_t, from_t) = (_deviations(values, kept, n) for values in (prediction, target))
    error = np.where(kept, prediction - target, 0)
    return np.stack(
        [
            n,
            mean_p,
            mean_t,
            (from_p**2).sum(axis=0),
            (from_t**2).sum(axis=0),
            (from_p * from_t).sum(axis=0),
            (error**2).sum(axis=0),
        ]
    )


def _deviations(values: np.ndarray, kept: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # Measured from the first value, a constant track has a variance of exactly 0, not of rounding errors.
    first = np.where(n > 0, values[kept.argmax(axis=0), np.arange(values.shape[1])], 0)
    shifted = np.where(kept, values - first, 0)
    shift = shifted.sum(axis=0) / np.maximum(n, 1)
    return first + shift, np.where(kept, shifted - shift, 0)


def _ratio(numerator: np.ndarray, denominator: np.ndarray, defined: np.ndarray) -> np.ndarray:
    return np.divide(
        numerator,
        denominator,
        out=np.full(len(numerator), np.nan),
        where=defined & (denominator != 0),
    )


def spearmanr(prediction: np.ndarray, target: np.ndarray) -> float:
    """Spearman's rank correlation of one track, ties given their mean rank; NaN targets left out.

    Args:
        prediction: Predicted values, (n,).
        target: Measured values, (n,).
    """
    prediction, target = without_missing(prediction, target)
    if np.isnan(prediction).any():
        return float("nan")
    sums = TrackSums(1)
    sums.update(rankdata(prediction)[:, None], rankdata(target)[:, None])
    return float(sums.pearsonr()[0])


def auroc(label: np.ndarray, score: np.ndarray) -> float:
    """Area under the ROC curve: how often a positive scores above a negative, a tie counting half.

    Args:
        label: 1 or 0, (n,); NaN is missing.
        score: Higher for positives, (n,).

    Returns:
        NaN without positives, without negatives or where a score is NaN.

    Raises:
        InputError: If a label is neither 0, 1 nor NaN.
    """
    score, label = without_missing(score, checked_labels(label))
    positives = int(label.sum())
    negatives = len(label) - positives
    if positives == 0 or negatives == 0 or np.isnan(score).any():
        return float("nan")
    rank_sum = rankdata(score)[label == 1].sum()
    return float((rank_sum - positives * (positives + 1) / 2) / (positives * negatives))


def average_precision(label: np.ndarray, score: np.ndarray) -> float:
    """Area under the precision-recall curve, as steps without interpolation.

    Chance is the share of positives. Arguments, NaN and errors are those of `auroc`.
    """
    score, label = without_missing(score, checked_labels(label))
    if label.sum() in (0, len(label)) or np.isnan(score).any():
        return float("nan")
    return float(average_precision_score(label, score))


RANKING = {"auroc": auroc, "auprc": average_precision}


def checked_labels(label: np.ndarray) -> np.ndarray:
    """Labels as float64; an error if one is neither 0, 1 nor NaN."""
    label = np.asarray(label, dtype=np.float64)
    wrong = label[~(np.isnan(label) | (label == 0) | (label == 1))]
    if len(wrong):
        raise InputError(f"Labels are 0, 1 or NaN; got {wrong[0]:g}. Give fractions a threshold first.")
    return label


def without_missing(prediction: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Prediction and target of one track as float64, where the target is not NaN; an error if shapes differ."""
    prediction = np.asarray(prediction, dtype=np.float64)
    target = np.asarray(target, dtype=np.float64)
    if prediction.shape != target.shape or target.ndim != 1:
        raise InputError(f"One track is compared with one; got shapes {prediction.shape} and {target.shape}.")
    kept = ~np.isnan(target)
    return prediction[kept], target[kept]


def track_accuracy(
    prediction: np.ndarray,
    target: np.ndarray,
    mask: np.ndarray,
    *,
    indices: Sequence[int],
    identifiers: Sequence[str],
    descriptions: Sequence[str],
    ranking: bool = False,
) -> pd.DataFrame:
    """The accuracy table: one row per track.

    Arrays may be memory-mapped; they are read track by track.

    Args:
        prediction: Predicted values, (tracks, n).
        target: Measured values, (tracks, n); NaN is missing.
        mask: False where a value does not count, (tracks, n) or (n,).
        indices: Number of each track in the targets table.
        identifiers: Short name of each track.
        descriptions: What each track is.
        ranking: Whether values lie between 0 and 1, as peaks and methylation do. That adds `auroc` and
            `auprc` (average precision), what is above a half being positive.

    Returns:
        Columns `index pearsonr spearmanr r2 [auroc auprc] n identifier description`. Undefined values
        are NaN; `warn_of_undefined` names their tracks.

    Raises:
        InputError: If shapes or names do not agree.
    """
    if prediction.shape != target.shape or target.ndim != 2:
        raise InputError(f"prediction {prediction.shape} and target {target.shape} must agree.")
    if not len(indices) == len(identifiers) == len(descriptions) == len(target):
        raise InputError(
            f"{len(target)} tracks, but {len(indices)} indices, {len(identifiers)} identifiers and "
            f"{len(descriptions)} descriptions."
        )
    mask = np.broadcast_to(mask, target.shape)
    rows = [_accuracy(*track, ranking=ranking) for track in zip(prediction, target, mask, strict=True)]
    metrics = METRICS if ranking else METRICS[:3]
    table = pd.DataFrame(rows, columns=[*metrics, "n"])
    table.insert(0, "index", list(indices))
    table["identifier"], table["description"] = list(identifiers), list(descriptions)
    return table


def _accuracy(prediction: np.ndarray, target: np.ndarray, mask: np.ndarray, *, ranking: bool) -> dict[str, float]:
    kept = mask & ~np.isnan(target)
    prediction, target = prediction[kept], target[kept]
    sums = TrackSums(1)
    sums.update(prediction[:, None], target[:, None])
    row = {
        "pearsonr": sums.pearsonr()[0],
        "spearmanr": spearmanr(prediction, target),
        "r2": sums.r2()[0],
        "n": len(target),
    }
    if ranking:
        label = is_positive(target)
        row |= {"auroc": auroc(label, prediction), "auprc": average_precision(label, prediction)}
    return row


def warn_of_undefined(table: pd.DataFrame) -> None:
    """Log which metrics of an accuracy table are NaN, and for which tracks."""
    metrics_of = defaultdict(list)
    for metric in METRICS:
        if metric in table and table[metric].isna().any():
            metrics_of[", ".join(table.loc[table[metric].isna(), "identifier"])].append(metric)
    if metrics_of:
        logger.warning(
            "Accuracy is not defined (NaN): %s. "
            "There are fewer than 2 values, no variance, one class only, or a NaN prediction.",
            "; ".join(f"{', '.join(metrics)} of {tracks}" for tracks, metrics in metrics_of.items()),
        )
