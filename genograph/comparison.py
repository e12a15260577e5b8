"""Which arm of an ablation predicts better, by how much, and how sure that is.

Everything is paired: arms are compared on the same points, tracks, folds and seeds. Points near each other on a
genome are not independent, so blocks of it are drawn anew (Efron & Tibshirani 1993, An Introduction to the
Bootstrap), the same blocks for all arms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from genograph.errors import InputError, nearest
from genograph.estimate import LEVEL, Contrast, Estimate, Run, fieller, holm
from genograph.scores import Points, Scores


@dataclass(frozen=True)
class OnDisk(Mapping[Run, np.ndarray]):
    """Predictions of an arm that are read whenever they are asked for, and not held.

    Args:
        read: By fold and seed, what reads them: (n, tracks).
    """

    read: Mapping[Run, Callable[[], np.ndarray]]

    def __getitem__(self, run: Run) -> np.ndarray:
        return self.read[run]()

    def __iter__(self) -> Iterator[Run]:
        return iter(self.read)

    def __len__(self) -> int:
        return len(self.read)


@dataclass(frozen=True)
class Comparison:
    """The runs of an ablation, and what they say about its arms.

    Predictions are taken one run at a time, twice: to find what is not predicted, and for their sums over blocks, of
    which alone all tables are made. A value that some run fails to predict is left out of all runs of its fold, but
    for runs that predict nothing of a track: they have no score there.

    Args:
        points: What each fold holds out.
        predictions: By arm, by fold and seed, what was predicted at the points of the fold, (n, tracks). `OnDisk`
            holds one of them at a time.
        reference: The arm that is asked about.

    Raises:
        InputError: If there is no reference, or a run does not fit the points of its fold.
    """

    points: Sequence[Points]
    predictions: Mapping[str, Mapping[Run, np.ndarray]]
    reference: str

    def __post_init__(self) -> None:
        self._require(self.reference)
        for arm, runs in self.predictions.items():
            for fold, _ in runs:
                if not 0 <= fold < len(self.points):
                    raise InputError(f"'{arm}' has a run of fold {fold}; folds are 0 to {len(self.points) - 1}.")
        _ = self._scores  # what does not fit is refused now

    @property
    def unpredicted(self) -> int:
        """How many points have a value that some run does not predict."""
        return sum(int(lost.any(axis=1).sum()) for lost in self._lost)

    def arms(self) -> pd.DataFrame:
        """The score of every arm: `arm runs r sd low high`; sd over seeds of the mean over folds, 95 % interval."""
        return self._arms(self._scores[None])

    def _arms(self, scores: Scores) -> pd.DataFrame:
        rows = []
        for arm in self.predictions:
            found = scores.estimate([arm])
            seeds = found.freedom[1] + 1
            sd = np.sqrt(found.by_seed[0, 0] * seeds) if seeds > 1 else np.nan
            rows.append((arm, found.runs, found.mean[0], sd, *found.contrast(1).interval))
        return pd.DataFrame(rows, columns=["arm", "runs", "r", "sd", "low", "high"])

    def differences(self) -> pd.DataFrame:
        """The reference less each other arm: `arm delta low high p p_holm detectable pairs left_out`."""
        return self._differences(self._scores[None])

    def _differences(self, scores: Scores) -> pd.DataFrame:
        table = _contrasts(scores, [(self.reference, arm) for arm in self.predictions if arm != self.reference])
        return table.drop(columns="first").rename(columns={"second": "arm"})

    def contrasts(self, pairs: Iterable[tuple[str, str]]) -> pd.DataFrame:
        """The first arm less the second, for pairs of arms that are tested together.

        Returns:
            `first second delta low high p p_holm detectable pairs left_out`. `low` and `high` are the 95 % interval
            of one difference and `p` its two-sided test; `p_holm` is corrected over the rows. `detectable` is the
            difference found with a power of .8 whatever the other rows show: at .05 over the number of rows that have
            runs, where Holm's correction starts; NaN if nothing varies. `pairs` counts the folds and seeds that both
            arms have, `left_out` those that one of them lacks.
        """
        pairs = list(pairs)
        for arm in {arm for pair in pairs for arm in pair}:
            self._require(arm)
        return _contrasts(self._scores[None], pairs)

    def contrast(self, weights: Mapping[str, float]) -> Contrast:
        """The sum of the scores of arms times their weights, over the runs that all of them have."""
        return self._estimate(list(weights)).contrast(*weights.values())

    def shares(self, base: str) -> pd.DataFrame:
        """The part of the reference's gain over `base` that each arm keeps: `arm share low high`.

        A share is (arm - base) / (reference - base), over the runs that all three have. Its 95 % interval is
        Fieller's, NaN where the gain is not clear of zero.
        """
        others = [arm for arm in self.predictions if arm not in (base, self.reference)]
        rows = [(arm, *fieller(self._estimate([arm, base, self.reference]))) for arm in others]
        return pd.DataFrame(rows, columns=["arm", "share", "low", "high"])

    def strata(self) -> pd.DataFrame:
        """Scores within each level of each stratum: `stratum level arm n r delta low high`.

        `n` counts points; `delta` is the reference less the arm with its 95 % interval, NaN for the reference.
        """
        tables = [
            self._arms(scores)[["arm", "r"]]
            .merge(self._differences(scores)[["arm", "delta", "low", "high"]], "left", on="arm")
            .assign(stratum=level[0], level=level[1], n=scores.n)
            for level, scores in self._scores.items()
            if level is not None
        ]
        columns = ["stratum", "level", "arm", "n", "r", "delta", "low", "high"]
        return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)

    @cached_property
    def _lost(self) -> list[np.ndarray]:
        """Per fold which values some run does not predict, (n, tracks)."""
        lost = [np.zeros(points.target.shape, dtype=bool) for points in self.points]
        for arm, run, predicted in self._runs():
            expected = self.points[run[0]].target
            if np.shape(predicted) != expected.shape:
                raise InputError(
                    f"'{arm}' predicts {np.shape(predicted)} for fold {run[0]} and seed {run[1]}, where "
                    f"{expected.shape} are judged. Predict each point of the fold once."
                )
            missing, judged = np.isnan(predicted), ~np.isnan(expected)
            lost[run[0]] |= missing & judged & ~(missing | ~judged).all(axis=0)
        return lost

    @cached_property
    def _scores(self) -> dict[tuple[str, int] | None, Scores]:
        """The runs on all points, under None, and on those of each level of each stratum."""
        points = [each.without(lost) for each, lost in zip(self.points, self._lost, strict=True)]
        kept = {None: [np.ones(len(each.target), dtype=bool) for each in points]}
        kept |= {(name, level): [each.is_in(name, level) for each in points] for name, level in _levels(points)}
        parts = {
            key: Scores(
                [each.only(inside) for each, inside in zip(points, mask, strict=True)],
                {arm: {} for arm in self.predictions},
            )
            for key, mask in kept.items()
        }
        for arm, run, predicted in self._runs():
            for key, part in parts.items():
                part.sums[arm][run] = part.points[run[0]].sums(predicted[kept[key][run[0]]])
        return parts

    def _runs(self) -> Iterator[tuple[str, Run, np.ndarray]]:
        for arm, runs in self.predictions.items():
            for run in runs:
                yield arm, run, np.asarray(runs[run])

    def _require(self, arm: str) -> None:
        if arm not in self.predictions:
            raise InputError(f"There is no run of arm '{arm}'.{nearest(arm, self.predictions)}")

    def _estimate(self, arms: Sequence[str]) -> Estimate:
        for arm in arms:
            self._require(arm)
        return self._scores[None].estimate(arms)


def _levels(points: Sequence[Points]) -> list[tuple[str, int]]:
    """Every stratum with its levels."""
    found = []
    for name in dict.fromkeys(name for each in points for name in each.strata):
        levels = np.unique(np.concatenate([each.strata.get(name, []) for each in points]))
        found += [(name, int(level)) for level in levels[levels >= 0]]
    return found


def _contrasts(scores: Scores, pairs: Iterable[tuple[str, str]]) -> pd.DataFrame:
    found = {tuple(pair): scores.estimate(pair) for pair in pairs}
    level = LEVEL / max(sum(one.runs > 0 for one in found.values()), 1)
    rows = []
    for pair, one in found.items():
        delta = one.contrast(1, -1)
        either = set().union(*(scores.sums[arm] for arm in pair))
        counts = one.runs, len(either) - one.runs
        rows.append((*pair, delta.value, *delta.interval, delta.p, delta.detectable(level), *counts))
    columns = ["first", "second", "delta", "low", "high", "p", "detectable", "pairs", "left_out"]
    table = pd.DataFrame(rows, columns=columns)
    table.insert(6, "p_holm", holm(table["p"]))
    return table
