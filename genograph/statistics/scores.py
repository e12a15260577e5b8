"""Scores of the runs of an ablation on one set of points, and how they move as blocks of the genome are drawn anew.

What a run predicts is needed once, for its sums over blocks; from these follow all scores, also of resampled blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from genograph.errors import InputError
from genograph.statistics.estimate import Estimate, Run, estimate, nothing

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

    @property
    def sizes(self) -> np.ndarray:
        """How many points with a target each block has, (blocks,)."""
        return np.diff(np.append(self.starts, len(self.order)))

    def is_in(self, stratum: str, level: int) -> np.ndarray:
        """Which points are in a level of a stratum, (n,) bool."""
        return self.strata.get(stratum, np.full(len(self.target), -1)) == level

    def without(self, lost: np.ndarray) -> Points:
        """The targets where `lost`, (n, tracks) bool, does not hold."""
        return replace(self, target=np.where(lost, np.nan, self.target)) if lost.any() else self

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

    A constant prediction tells no place from another and has 0, so that an arm whose training collapsed is not left
    out to its own advantage. NaN below 2 points or where the targets are constant.
    """
    n, x, y, xx, yy, xy = np.moveaxis(sums, -2, 0)
    var_x, var_y = n * xx - x * x, n * yy - y * y
    defined, varies = (n >= 2) & (var_y > FLAT * n * yy), var_x > FLAT * n * xx
    scale = np.sqrt(np.where(varies, var_x, 1)) * np.sqrt(np.where(defined, var_y, 1))
    return np.where(defined, np.where(varies, np.clip((n * xy - x * y) / scale, -1, 1), 0), np.nan)


def mean_pearsonr(points: Points, predicted: np.ndarray) -> float:
    """The r of predictions, (n, tracks), over the points: its mean over the tracks where it is defined, else NaN."""
    r = pearsonr(points.sums(predicted).sum(axis=0))
    return float(r[np.isfinite(r)].mean()) if np.isfinite(r).any() else float("nan")


@dataclass(frozen=True)
class Scores:
    """The runs of an ablation on one set of points.

    The score of a run is Pearson's r over the points that its fold holds out, the mean over the tracks where it is
    defined. The score of an arm is the mean over folds of the mean over seeds.

    Args:
        points: What each fold holds out.
        sums: By arm, by fold and seed, `Points.sums` of what was predicted: (blocks, 6, tracks). More may be added.
    """

    points: Sequence[Points]
    sums: dict[str, dict[Run, np.ndarray]]

    @property
    def n(self) -> int:
        """Points that have a target."""
        return sum(len(points.order) for points in self.points)

    def estimate(self, arms: Sequence[str], track: int | None = None) -> Estimate:
        """Scores of arms, of one track or of all, over the runs that all of them have and in which all have a score."""
        scores, moved = {}, {}
        for run in sorted(set.intersection(*(set(self.sums[arm]) for arm in arms))):
            score, draws = self._score(np.stack([self.sums[arm][run] for arm in arms]), run[0], track)
            if not np.isnan(score).any():
                scores[run], moved[run] = score, draws
        if not scores:
            return nothing(len(arms))
        return estimate(scores, moved, [points.sizes for points in self.points])

    def _score(self, sums: np.ndarray, fold: int, track: int | None) -> tuple[np.ndarray, np.ndarray]:
        """The score of each arm in a run, (arms,), and how it moves as blocks are drawn, (arms, RESAMPLES).

        Args:
            sums: (arms, blocks, 6, tracks)
            fold: Of the run.
            track: The only one that counts, or None.
        """
        sums, arms = sums if track is None else sums[..., [track]], len(sums)
        r = pearsonr(sums.sum(axis=1))
        tracks = ~np.isnan(r).any(axis=0)  # one that varies nowhere, or of which a run predicts nothing
        if not tracks.any():
            return np.full(arms, np.nan), np.full((arms, RESAMPLES), np.nan)
        drawn = self._draws[fold] @ sums[..., tracks].reshape(*sums.shape[:2], -1)
        shift = pearsonr(drawn.reshape(arms, RESAMPLES, 6, -1)) - r[:, None, tracks]
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
