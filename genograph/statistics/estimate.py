"""Mean scores of arms with paired standard errors, from blocks of the genome and from seeds.

Nothing here knows what a score is: it gets the score of every run and how that moves when blocks are drawn anew.
docs/ablation.md has the formulas and how often the intervals held the truth.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import stdtrit

LEVEL = 0.05
POWER = 0.8
ROUNDING = 1e-12  # of a variance
MOST_SEEDS, MOST_TIMES = 20, 10  # that someone may be asked to run

Run = tuple[int, int]  # fold, seed


@dataclass(frozen=True)
class Contrast:
    """A weighted sum of scores, and how sure it is.

    Args:
        value: The sum.
        variance: Its variance from blocks and from seeds; they add up.
        freedom: Degrees of freedom that each variance is told from.
    """

    value: float
    variance: tuple[float, float]
    freedom: tuple[int, int]

    @property
    def error(self) -> float:
        """The standard error."""
        return float(np.sqrt(sum(self.variance)))

    def reach(self, tail: float) -> float:
        """Standard errors that are passed with probability `tail`.

        Student's t of blocks and of seeds, weighted by their variances (Cochran & Cox 1957, Experimental Designs,
        p. 100). With two seeds the usual degrees of freedom of Satterthwaite make intervals too narrow.
        """
        weight = np.asarray(self.variance) / sum(self.variance) if self.error else np.full(2, 0.5)
        return float(weight @ -stdtrit(self.freedom, tail))

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval; NaN where there is one block or one seed."""
        half = self.reach(LEVEL / 2) * self.error
        return self.value - half, self.value + half

    @property
    def p(self) -> float:
        """Two-sided; below .05 exactly where the interval leaves out zero."""
        if np.isnan(self.interval).any() or self.value == 0:
            return float("nan") if np.isnan(self.interval).any() else 1.0

        def beyond(log_tail: float) -> float:
            return self.reach(10**log_tail) * self.error - abs(self.value)

        lowest = -16.0  # a smaller p is 0
        return 2 * 10 ** brentq(beyond, lowest, np.log10(0.5)) if beyond(lowest) > 0 else 0.0

    def detectable(self, level: float) -> float:
        """The true difference that a two-sided test at `level` finds with a power of .8; NaN if nothing varies."""
        if self.error == 0:
            return float("nan")
        return (self.reach(level / 2) + self.reach(1 - POWER)) * self.error

    def with_more(self, *, blocks: float, seeds: float) -> Contrast:
        """The same with so many times the blocks and seeds, if new ones vary as these do."""
        by_block, by_seed = self.variance
        of_block, of_seed = self.freedom
        freedom = round(of_block * blocks), round((of_seed + 1) * seeds) - 1
        return Contrast(self.value, (by_block / blocks, by_seed / seeds), freedom)


@dataclass(frozen=True)
class Estimate:
    """Scores of several arms over the runs that all of them have.

    Args:
        mean: Mean over folds of the mean over seeds, (arms,).
        by_block: Covariance of `mean` from the stretches of genome that were judged, (arms, arms).
        by_seed: Covariance of `mean` from the noise of training, (arms, arms).
        freedom: Degrees of freedom of the two; 0 and a covariance of NaN if there is nothing to tell it from.
        runs: How many runs count.
    """

    mean: np.ndarray
    by_block: np.ndarray
    by_seed: np.ndarray
    freedom: tuple[int, int]
    runs: int

    def contrast(self, *weights: float) -> Contrast:
        """The sum of the scores times `weights`, one for each arm."""
        weight = np.asarray(weights, dtype=np.float64)
        blocks, seeds = (_variance(weight, matrix) for matrix in (self.by_block, self.by_seed))
        return Contrast(float(weight @ self.mean), (blocks, seeds), self.freedom)


def estimate(
    scores: Mapping[Run, np.ndarray], moved: Mapping[Run, np.ndarray], sizes: Sequence[np.ndarray]
) -> Estimate:
    """Mean scores and their covariances, from at least one run.

    Blocks are drawn within folds. A fold of one block cannot tell how it varies; then the folds themselves are what
    varies. Seeds vary as those do that all folds have; with one of these there is no interval.

    Args:
        scores: By fold and seed, the score of every arm, (arms,).
        moved: By fold and seed, how the scores move with each resample of the blocks, (arms, resamples); the
            same resamples for all runs of a fold. NaN where a score of the resample is not defined.
        sizes: By fold, how many points each of its blocks has, (blocks,).
    """
    blocks = [len(each) for each in sizes]
    folds: dict[int, list[Run]] = {}
    for run in scores:
        folds.setdefault(run[0], []).append(run)
    means = np.array([np.mean([scores[run] for run in runs], axis=0) for runs in folds.values()])
    if min(blocks[fold] for fold in folds) > 1:
        drawn = [_covariance(np.mean([moved[run] for run in runs], axis=0)) for runs in folds.values()]
        new = [matrix * _as_new(sizes[fold]) for fold, matrix in zip(folds, drawn, strict=True)]
        by_block, freedom = sum(new) / len(folds) ** 2, sum(blocks[fold] - 1 for fold in folds)
    else:
        by_block, freedom = _covariance(means.T) / len(folds), len(folds) - 1
    by_seed, num_seeds = _seed_covariance(scores, folds)
    return Estimate(means.mean(axis=0), by_block, by_seed, (freedom, num_seeds - 1), len(scores))


def _as_new(sizes: np.ndarray) -> float:
    """How many times as much new blocks vary as those that are drawn out of as many.

    B / (B - 1) of B equal ones. Unequal ones count as so many equal ones as their sizes are worth (Kish 1965, Survey
    Sampling): what a large block has of its own moves the mean that it is compared with.
    """
    worth = sizes.sum() ** 2 / (sizes**2).sum()
    return float(worth / (worth - 1))


def nothing(num_arms: int) -> Estimate:
    """The estimate without a run: NaN."""
    unknown = np.full((num_arms, num_arms), np.nan)
    return Estimate(np.full(num_arms, np.nan), unknown, unknown, (0, 0), 0)


def _seed_covariance(scores: Mapping[Run, np.ndarray], folds: Collection[int]) -> tuple[np.ndarray, int]:
    """Covariance of the mean over folds and seeds as seeds vary, and the number of seeds that tell it.

    A seed is one draw for all its folds, as its initial weights are the same in each of them. Only seeds that all
    folds have tell how it varies. The others are in the mean, which varies no more for it (docs/ablation.md).
    """
    seeds = sorted(seed for seed in {seed for _, seed in scores} if all((fold, seed) in scores for fold in folds))
    if len(seeds) < 2:
        num_arms = len(next(iter(scores.values())))
        return np.full((num_arms, num_arms), np.nan), 1
    of_seed = [np.mean([scores[fold, seed] for fold in folds], axis=0) for seed in seeds]
    return _covariance(np.transpose(of_seed)) / len(seeds), len(seeds)


def _variance(weight: np.ndarray, covariance: np.ndarray) -> float:
    """Variance of a weighted sum; 0 where it is less than rounding leaves of its terms."""
    variance = float(weight @ covariance @ weight)
    return 0.0 if variance <= ROUNDING * float(weight**2 @ np.diag(covariance)) else variance


def _covariance(draws: np.ndarray) -> np.ndarray:
    """Covariance of (arms, draws) over the draws that are defined; NaN below two of them."""
    defined = draws[:, ~np.isnan(draws).any(axis=0)]
    if defined.shape[1] < 2:
        return np.full((len(draws), len(draws)), np.nan)
    return np.atleast_2d(np.cov(defined))


def fieller(estimate: Estimate) -> tuple[float, float, float]:
    """(first - second) / (third - second) of three arms, with its 95 % interval.

    The interval holds the ratios r for which the test of (first - second) - r (third - second) does not refuse 0
    (Fieller 1954, Journal of the Royal Statistical Society B 16:175), each with the degrees of freedom of its own
    variances. It is NaN where the denominator is not clear of zero: it would have no bounds.
    """
    upper, lower = estimate.contrast(1, -1, 0), estimate.contrast(0, -1, 1)
    share = upper.value / lower.value if lower.value else np.nan

    def room(ratio: float) -> float:
        off = estimate.contrast(1, ratio - 1, -ratio)
        return off.reach(LEVEL / 2) * off.error - abs(off.value)

    def bound(step: float) -> float:
        while room(share + step) > 0:
            step *= 2
        return brentq(room, share, share + step)

    low, high = lower.interval
    if not (low > 0 or high < 0):
        return share, np.nan, np.nan
    return (share, bound(-1.0), bound(1.0)) if room(share) > 0 else (share, share, share)


def enough(contrasts: Sequence[Contrast], span: float) -> tuple[int, int] | None:
    """How many seeds, and how many times the blocks, make the halves of the intervals add up to less than `span`.

    Of all numbers of seeds up to 20 and times up to 10, those with the fewest runs, if they vary as these do. None if
    none is enough.
    """

    def width(seeds: int, times: int) -> float:
        more = [each.with_more(blocks=times, seeds=seeds / now) for each in contrasts]
        return sum(each.reach(LEVEL / 2) * each.error for each in more)

    now = contrasts[0].freedom[1] + 1
    designs = [(seeds, times) for seeds in range(now, max(now, MOST_SEEDS) + 1) for times in range(1, MOST_TIMES + 1)]
    for seeds, times in sorted(designs[1:], key=lambda design: design[0] * design[1]):
        if width(seeds, times) < span:
            return seeds, times
    return None


def holm(p: Sequence[float]) -> np.ndarray:
    """p-values corrected over all that are not NaN (Holm 1979, Scandinavian Journal of Statistics 6:65)."""
    p = np.asarray(p, dtype=np.float64)
    corrected = np.full(len(p), np.nan)
    order = np.argsort(p)[: np.sum(~np.isnan(p))]  # NaN sorts last
    steps = p[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return corrected
