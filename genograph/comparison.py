"""Which arm of an ablation predicts better, by how much, and how sure that is.

Everything is paired: arms are compared on the same points, tracks, folds and seeds. Points near each other on a
genome are not independent, so blocks of it are drawn anew (Efron & Tibshirani 1993, An Introduction to the
Bootstrap), the same blocks for all arms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd

from genograph.errors import InputError, nearest
from genograph.estimate import LEVEL, Contrast, Estimate, Run, estimate, fieller, holm, nothing

RESAMPLES = 2000
FLAT = 1e-12  # a variance this small beside the mean square is rounding


@dataclass(frozen=True)
class Points:
    """What one fold holds out, of the tracks that are judged.

    Args:
        target: Measured values, (n, tracks); NaN where masked or missing.
        block: The stretch of genome that each point lies in, (n,) int. Blocks are drawn as wholes.
        strata: By name, the level of each point, (n,) int; -1 for none.

    Raises:
        InputError: If the shapes do not agree.
    """

    target: np.ndarray
    block: np.ndarray
    strata: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if np.ndim(self.target) != 2:
            raise InputError(f"The target of a fold is (n, tracks); got {np.shape(self.target)}.")
        for name, values in {"block": self.block, **self.strata}.items():
            if np.shape(values) != (len(self.target),):
                raise InputError(
                    f"'{name}' is (n,), one for each of {len(self.target)} points; got {np.shape(values)}."
                )

    @cached_property
    def order(self) -> np.ndarray:
        """The points that have a target, block by block."""
        kept = np.flatnonzero(~np.isnan(self.target).all(axis=1))
        return kept[np.argsort(self.block[kept], kind="stable")]

    @cached_property
    def starts(self) -> np.ndarray:
        """Where in `order` each block starts, (blocks,)."""
        return np.unique(self.block[self.order], return_index=True)[1]

    def only(self, kept: np.ndarray) -> Points:
        """The points where `kept`, (n,) bool, holds."""
        return Points(self.target[kept], self.block[kept], {name: level[kept] for name, level in self.strata.items()})

    def sums(self, predicted: np.ndarray) -> np.ndarray:
        """Per block n, sums of x, y, x^2, y^2 and xy of predictions x and targets y: (blocks, 6, tracks).

        x and y are taken about their means over the fold, so that large values keep their small differences.
        """
        x, y = (np.asarray(values, dtype=np.float64)[self.order] for values in (predicted, self.target))
        kept = ~(np.isnan(x) | np.isnan(y))
        n = np.maximum(kept.sum(axis=0), 1)
        x, y = (np.where(kept, values, 0) for values in (x, y))
        x, y = (np.where(kept, values - values.sum(axis=0) / n, 0) for values in (x, y))
        of_point = (kept.astype(np.float64), x, y, x * x, y * y, x * y)
        if not len(self.starts):
            return np.zeros((0, 6, self.target.shape[1]))
        return np.stack([np.add.reduceat(values, self.starts, axis=0) for values in of_point], axis=1)


def pearsonr(sums: np.ndarray) -> np.ndarray:
    """Pearson's r from sums (..., 6, tracks) as `Points.sums` gives them: (..., tracks).

    NaN below 2 points or where either side is constant.
    """
    n, x, y, xx, yy, xy = np.moveaxis(sums, -2, 0)
    var_x, var_y = n * xx - x * x, n * yy - y * y
    defined = (n >= 2) & (var_x > FLAT * n * xx) & (var_y > FLAT * n * yy)
    scale = np.sqrt(np.where(defined, var_x, 1)) * np.sqrt(np.where(defined, var_y, 1))
    return np.where(defined, np.clip((n * xy - x * y) / scale, -1, 1), np.nan)


@dataclass(frozen=True)
class Comparison:
    """The runs of an ablation, and what they say about its arms.

    The score of a run is Pearson's r over the points that its fold holds out, the mean over the tracks where it is
    defined. The score of an arm is the mean over folds of the mean over seeds.

    Args:
        points: What each fold holds out.
        predictions: By arm, by fold and seed, what was predicted at the points of the fold, (n, tracks).
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
            for (fold, seed), predicted in runs.items():
                if not 0 <= fold < len(self.points):
                    raise InputError(f"'{arm}' has a run of fold {fold}; folds are 0 to {len(self.points) - 1}.")
                if np.shape(predicted) != self.points[fold].target.shape:
                    raise InputError(
                        f"'{arm}' predicts {np.shape(predicted)} for fold {fold} and seed {seed}, where "
                        f"{self.points[fold].target.shape} are judged. Predict each point of the fold once."
                    )

    def arms(self) -> pd.DataFrame:
        """The score of every arm: `arm runs r sd low high`; sd over seeds of the mean over folds, 95 % interval."""
        rows = []
        for arm in self.predictions:
            found = self._estimate([arm])
            seeds = found.freedom[1] + 1
            sd = np.sqrt(found.by_seed[0, 0] * seeds) if seeds > 1 else np.nan
            rows.append((arm, found.runs, found.mean[0], sd, *found.contrast(1).interval))
        return pd.DataFrame(rows, columns=["arm", "runs", "r", "sd", "low", "high"])

    def differences(self) -> pd.DataFrame:
        """The reference less each other arm: `arm delta low high p p_holm detectable pairs left_out`."""
        table = self.contrasts([(self.reference, arm) for arm in self.predictions if arm != self.reference])
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
        found = {tuple(pair): self._estimate(pair) for pair in pairs}
        level = LEVEL / max(sum(one.runs > 0 for one in found.values()), 1)
        rows = []
        for pair, one in found.items():
            delta = one.contrast(1, -1)
            either = set().union(*(self.predictions[arm] for arm in pair))
            counts = one.runs, len(either) - one.runs
            rows.append((*pair, delta.value, *delta.interval, delta.p, delta.detectable(level), *counts))
        columns = ["first", "second", "delta", "low", "high", "p", "detectable", "pairs", "left_out"]
        table = pd.DataFrame(rows, columns=columns)
        table.insert(6, "p_holm", holm(table["p"]))
        return table

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
        tables = []
        for name in dict.fromkeys(name for points in self.points for name in points.strata):
            levels = np.unique(np.concatenate([points.strata.get(name, []) for points in self.points]))
            tables += [self._within(name, level)._stratum(name, level) for level in levels[levels >= 0].astype(int)]
        columns = ["stratum", "level", "arm", "n", "r", "delta", "low", "high"]
        return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)

    def _within(self, name: str, level: int) -> Comparison:
        nowhere = (np.full(len(points.target), -1) for points in self.points)
        kept = [points.strata.get(name, none) == level for points, none in zip(self.points, nowhere, strict=True)]
        predictions = {
            arm: {run: np.asarray(predicted)[kept[run[0]]] for run, predicted in runs.items()}
            for arm, runs in self.predictions.items()
        }
        points = [points.only(inside) for points, inside in zip(self.points, kept, strict=True)]
        return replace(self, points=points, predictions=predictions)

    def _stratum(self, name: str, level: int) -> pd.DataFrame:
        table = self.arms()[["arm", "r"]].merge(self.differences()[["arm", "delta", "low", "high"]], "left", on="arm")
        return table.assign(stratum=name, level=level, n=sum(len(points.order) for points in self.points))

    def _require(self, arm: str) -> None:
        if arm not in self.predictions:
            raise InputError(f"There is no run of arm '{arm}'.{nearest(arm, self.predictions)}")

    def _estimate(self, arms: Sequence[str]) -> Estimate:
        for arm in arms:
            self._require(arm)
        scores, moved = {}, {}
        for run in sorted(set.intersection(*(set(self.predictions[arm]) for arm in arms))):
            score, draws = self._score(arms, run)
            if not np.isnan(score).any():
                scores[run], moved[run] = score, draws
        if not scores:
            return nothing(len(arms))
        return estimate(scores, moved, [len(points.starts) for points in self.points])

    def _score(self, arms: Sequence[str], run: Run) -> tuple[np.ndarray, np.ndarray]:
        """The score of a run of each arm, (arms,), and how it moves as blocks are drawn, (arms, RESAMPLES)."""
        sums = self._sums(arms, run)
        r = pearsonr(sums.sum(axis=1))
        tracks = ~np.isnan(r).any(axis=0)  # of an arm that predicts a constant the track is left out of all
        if not tracks.any():
            return np.full(len(arms), np.nan), np.full((len(arms), RESAMPLES), np.nan)
        drawn = self._draws[run[0]] @ sums[..., tracks].reshape(*sums.shape[:2], -1)
        shift = pearsonr(drawn.reshape(len(arms), RESAMPLES, 6, -1)) - r[:, None, tracks]
        both = ~np.isnan(shift).any(axis=0)
        count = both.sum(axis=1)
        moved = np.where(both, shift, 0).sum(axis=2) / np.maximum(count, 1)
        return r[:, tracks].mean(axis=1), np.where(count > 0, moved, np.nan)

    @cached_property
    def _draws(self) -> list[np.ndarray]:
        """Per fold how often each resample draws each block, (RESAMPLES, blocks); 0 blocks where nothing is judged."""
        draws = []
        for fold, points in enumerate(self.points):
            rng, blocks = np.random.default_rng([RESAMPLES, fold]), len(points.starts)
            counts = rng.multinomial(blocks, np.full(blocks, 1 / blocks), RESAMPLES) if blocks else []
            draws.append(np.reshape(counts, (RESAMPLES, blocks)).astype(np.float64))
        return draws

    @cached_property
    def _own(self) -> dict[tuple[str, Run], np.ndarray]:
        return {}

    def _sums(self, arms: Sequence[str], run: Run) -> np.ndarray:
        """Sums of the points that all arms predict: (arms, blocks, 6, tracks)."""
        points = self.points[run[0]]
        predicted = [np.asarray(self.predictions[arm][run]) for arm in arms]
        missing = [np.isnan(p).any() for p in predicted]
        if len(arms) > 1 and any(missing):
            lost = np.any([np.isnan(p) for p in predicted], axis=0)
            return np.stack([points.sums(np.where(lost, np.nan, p)) for p in predicted])
        for arm, values in zip(arms, predicted, strict=True):
            if (arm, run) not in self._own:
                self._own[arm, run] = points.sums(values)
        return np.stack([self._own[arm, run] for arm in arms])
