"""How well the models of a study tell positive sites of the test split from others, task by task and over seeds."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import t

from genograph.ablate.judged import Judged
from genograph.config import Config
from genograph.errors import InputError
from genograph.experiment import Experiment
from genograph.metrics import auroc, average_precision, is_positive, recall_at_fdr, trapezoid_auprc

MEASURES = {"auroc": auroc, "auprc": average_precision, "auprc_trapezoid": trapezoid_auprc, "recall": recall_at_fdr}
MEAN, TOGETHER = "mean over tasks", "all tasks together"  # rows beside those of single tasks
CONFIDENCE = 0.95

log = logging.getLogger("genograph")


@dataclass(frozen=True)
class Judge:
    """Tasks and what is known of them at sites of the test split.

    Attributes:
        names: Of the tasks.
        label: (tasks, sites) 1 and 0, NaN where it is missing or does not count; sites in the order in which runs keep
            their predictions.
    """

    names: list[str]
    label: np.ndarray

    @classmethod
    def of(cls, config: Config) -> Judge:
        """The tracks of a config at the kinds of sites that it takes; those that cannot be judged are logged.

        Raises:
            InputError: If no track has both a positive and a negative site.
        """
        experiment = Experiment.open(config)
        (assay,) = experiment.targets
        bins = Judged(experiment, assay, "bins").bins
        values = np.asarray(experiment.store.signals(assay)[bins]).T
        label = np.where(experiment.counted("test")[bins] & np.isfinite(values), is_positive(values), np.nan)
        names = [target.identifier for target in experiment.targets[assay]]
        lacking = [name for name, both in zip(names, _has_both(label), strict=True) if not both]
        if len(lacking) == len(names):
            raise InputError("splits.test: no track has both a positive and a negative site there; choose others.")
        if lacking:
            log.warning("Without a positive or a negative site to test on, and NaN: %s.", ", ".join(lacking))
        return cls(names, label)

    def score(self, predicted: Mapping[str, np.ndarray]) -> pd.DataFrame:
        """The scores of what was predicted, (sites,) of each task by its name; NaN for tasks that are not there."""
        nothing = np.full(self.label.shape[1], np.nan)
        return score(self.label, np.stack([predicted.get(name, nothing) for name in self.names]), self.names)


def _has_both(label: np.ndarray) -> np.ndarray:
    return (label == 1).any(axis=1) & (label == 0).any(axis=1)


def score(label: np.ndarray, prediction: np.ndarray, names: Sequence[str]) -> pd.DataFrame:
    """`task sites positives auroc auprc auprc_trapezoid recall`: a row for each task, their mean, and all together.

    The mean is over the tasks that have positives and negatives; it is NaN if one of these was not predicted. All
    together rank every pair of a site and a task, so that the level of a task counts as well.

    Args:
        label: (tasks, sites) 1, 0 or NaN.
        prediction: (tasks, sites) higher for positives; NaN where nothing was predicted.
        names: Of the tasks.
    """
    rows = [_row(name, *task) for name, *task in zip(names, label, prediction, strict=True)]
    table = pd.DataFrame(rows)
    judged = table[_has_both(label)]
    mean = {"task": MEAN, **judged[["sites", "positives", *MEASURES]].mean(skipna=False)}
    together = _row(TOGETHER, label.ravel(), prediction.ravel())
    return pd.concat([table, pd.DataFrame([mean, together])], ignore_index=True)


def _row(name: str, label: np.ndarray, prediction: np.ndarray) -> dict[str, object]:
    counts = {"sites": np.isfinite(label).sum(), "positives": (label == 1).sum()}
    return {"task": name, **counts, **{key: measure(label, prediction) for key, measure in MEASURES.items()}}


def t_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean of values and the ends of its 95 % interval by Student's t; NaN ends for fewer than two values."""
    values = np.asarray(values, dtype=np.float64)
    mean = float(values.mean())
    if len(values) < 2:
        return mean, float("nan"), float("nan")
    half = t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return mean, float(mean - half), float(mean + half)


def summarise(scores: pd.DataFrame) -> pd.DataFrame:
    """One row for each variant, test and task: the mean over seeds of each measure, and its interval.

    Args:
        scores: Rows of `score` with `variant test seed epoch models parameters` besides.
    """
    rows = []
    for (variant, test, task), group in scores.groupby(["variant", "test", "task"], sort=False):
        row = {"variant": variant, "test": test, "task": task, "seeds": len(group)}
        row |= {key: group[key].max() for key in ("sites", "positives", "models", "parameters")}
        for key in (*MEASURES, "epoch"):
            row |= dict(zip((key, f"{key}_low", f"{key}_high"), t_interval(group[key].to_numpy()), strict=True))
        rows.append(row)
    return pd.DataFrame(rows)
