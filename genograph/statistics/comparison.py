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
from genograph.statistics.estimate import LEVEL, Contrast, Estimate, Run, fieller, holm
from genograph.statistics.scores import Points, Scores

Key = tuple[str, Run]  # arm and run
Level = tuple[str, int]  # of a stratum


@dataclass(frozen=True)
class Part:
    """What is looked at: the points of a level of a stratum or all, one track or all."""

    level: Level | None = None
    track: int | None = None


WHOLE = Part()


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

    Arms are compared over the runs that all of them have, on the values that each of these runs predicts; but a run
    that predicts nothing of a track has no score there, and costs the others nothing. So no comparison depends on
    arms that it does not ask about. Predictions are taken one run at a time: to find what is not predicted, and for
    their sums over blocks, of which alone all tables are made.

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
        _ = self._holes  # what does not fit is refused now

    def judged(self, unit: str) -> str:
        """On how much arms are judged, in words: `160 genes in 20 blocks of 2 folds, 5 seeds`."""
        points, blocks = sum(len(each.order) for each in self.points), sum(len(each.starts) for each in self.points)
        counts = {
            "block": blocks,
            "fold": len(self.points),
            "seed": len({seed for _, seed in self.predictions[self.reference]}),
        }
        block, fold, seed = (f"{count:,} {name}{'s' if count > 1 else ''}" for name, count in counts.items())
        return f"{points:,} {unit} in {block} of {fold}, {seed}"

    def unpredicted(self, *arms: str) -> int:
        """How many points have a value that some run does not predict, of those in which arms are compared."""
        lost = self._lost(self._holey(arms))
        return sum(int(each.any(axis=1).sum()) for each in lost)

    def arms(self) -> pd.DataFrame:
        """The score of every arm: `arm runs r sd low high`; sd over seeds of the mean over folds, 95 % interval."""
        return self._arms()

    def _arms(self, part: Part = WHOLE) -> pd.DataFrame:
        rows = []
        for arm in self.predictions:
            found = self._estimate([arm], part)
            seeds = found.freedom[1] + 1
            sd = np.sqrt(found.by_seed[0, 0] * seeds) if seeds > 1 else np.nan
            rows.append((arm, found.runs, found.mean[0], sd, *found.contrast(1).interval))
        return pd.DataFrame(rows, columns=["arm", "runs", "r", "sd", "low", "high"])

    def differences(self) -> pd.DataFrame:
        """The reference less each other arm: `arm delta low high p p_holm detectable pairs left_out`."""
        return self._differences()

    def _differences(self, part: Part = WHOLE) -> pd.DataFrame:
        pairs = [(self.reference, arm) for arm in self.predictions if arm != self.reference]
        return (
            self._contrasts(pairs, part)
            .drop(columns=["first", "first_r", "second_r", "undefined"])
            .rename(columns={"second": "arm"})
        )

    def contrasts(self, pairs: Iterable[tuple[str, str]]) -> pd.DataFrame:
        """The first arm less the second, for pairs of arms that are tested together.

        Returns:
            `first second first_r second_r delta low high p p_holm detectable pairs left_out undefined`. The two r are
            over the runs that both arms have and that have a score. `low` and `high` are the 95 % interval of one
            difference and `p` its two-sided test; `p_holm` is corrected over the rows. `detectable` is the difference
            found with a power of .8 whatever the other rows show: at .05 over the number of rows that have runs, where
            Holm's correction starts; NaN if nothing varies. `pairs` counts the folds and seeds over which it is,
            `left_out` the others, and `undefined` those of them that both arms have, one of them without a score, as
            where a run predicts nothing.
        """
        return self._contrasts(pairs)

    def _contrasts(self, pairs: Iterable[tuple[str, str]], part: Part = WHOLE) -> pd.DataFrame:
        found = {tuple(pair): self._estimate(pair, part) for pair in pairs}
        tested = LEVEL / max(sum(one.runs > 0 for one in found.values()), 1)
        rows = []
        for pair, one in found.items():
            delta = one.contrast(1, -1)
            either = set().union(*(self.predictions[arm] for arm in pair))
            counts = one.runs, len(either) - one.runs, len(self._shared(pair)) - one.runs
            rows.append((*pair, *one.mean, delta.value, *delta.interval, delta.p, delta.detectable(tested), *counts))
        columns = ["first", "second", "first_r", "second_r", "delta", "low", "high", "p", "detectable"]
        table = pd.DataFrame(rows, columns=[*columns, "pairs", "left_out", "undefined"])
        table.insert(8, "p_holm", holm(table["p"]))
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
        tables = [
            self._part(Part(level)).assign(stratum=level[0], level=level[1], n=scores.n)
            for level, scores in self._parts(frozenset()).items()
            if level is not None
        ]
        columns = ["stratum", "level", "arm", "n", "r", "delta", "low", "high"]
        return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)

    def tracks(self) -> pd.DataFrame:
        """Scores of each track by itself: `track arm r delta low high`, as in `strata`; `track` is its number."""
        numbers = range(self.points[0].target.shape[1])
        tables = [self._part(Part(track=number)).assign(track=number) for number in numbers]
        return pd.concat(tables, ignore_index=True)[["track", "arm", "r", "delta", "low", "high"]]

    def _part(self, part: Part) -> pd.DataFrame:
        """Of every arm in a part: `arm r delta low high`."""
        differences = self._differences(part)[["arm", "delta", "low", "high"]]
        return self._arms(part)[["arm", "r"]].merge(differences, "left", on="arm")

    @cached_property
    def _holes(self) -> dict[Key, np.ndarray]:
        """Which values a run does not predict, (n, tracks), of the runs that lack any."""
        holes = {}
        for arm in self.predictions:
            for run in self.predictions[arm]:
                predicted, expected = self._read(arm, run), self.points[run[0]].target
                if np.shape(predicted) != expected.shape:
                    raise InputError(
                        f"'{arm}' predicts {np.shape(predicted)} for fold {run[0]} and seed {run[1]}, where "
                        f"{expected.shape} are judged. Predict each point of the fold once."
                    )
                missing, judged = np.isnan(predicted), ~np.isnan(expected)
                lost = missing & judged & ~(missing | ~judged).all(axis=0)
                if lost.any():
                    holes[arm, run] = lost
        return holes

    def _shared(self, arms: Sequence[str]) -> set[Run]:
        """The runs that all of some arms have."""
        for arm in arms:
            self._require(arm)
        return set.intersection(*(set(self.predictions[arm]) for arm in arms))

    def _holey(self, arms: Sequence[str]) -> frozenset[Key]:
        """The runs that lack a value, of those in which arms are compared."""
        return frozenset((arm, run) for run in self._shared(arms) for arm in arms if (arm, run) in self._holes)

    def _lost(self, holey: frozenset[Key]) -> list[np.ndarray]:
        """Per fold which values some of these runs do not predict, (n, tracks)."""
        lost = [np.zeros(points.target.shape, dtype=bool) for points in self.points]
        for arm, run in holey:
            lost[run[0]] |= self._holes[arm, run]
        return lost

    @cached_property
    def _parts_of(self) -> dict[frozenset[Key], dict[Level | None, Scores]]:
        return {}

    def _parts(self, holey: frozenset[Key]) -> dict[Level | None, Scores]:
        """Scores on the points that all of these runs predict, under None, and on those of each level of each stratum.

        They have no run yet, see `_estimate`.
        """
        if holey not in self._parts_of:
            points = [each.without(lost) for each, lost in zip(self.points, self._lost(holey), strict=True)]
            self._parts_of[holey] = {
                level: Scores([each.only(each.is_in(*level)) for each in points] if level else points, {})
                for level in (None, *_levels(self.points))
            }
        return self._parts_of[holey]

    def _estimate(self, arms: Sequence[str], part: Part = WHOLE) -> Estimate:
        parts, shared = self._parts(self._holey(arms)), self._shared(arms)
        for arm in arms:
            for run in sorted(shared - parts[None].sums.setdefault(arm, {}).keys()):
                predicted, fold = self._read(arm, run), self.points[run[0]]
                for each, scores in parts.items():
                    inside = predicted[fold.is_in(*each)] if each else predicted
                    scores.sums.setdefault(arm, {})[run] = scores.points[run[0]].sums(inside)
        return parts[part.level].estimate(arms, part.track)

    def _read(self, arm: str, run: Run) -> np.ndarray:
        return np.asarray(self.predictions[arm][run])

    def _require(self, arm: str) -> None:
        if arm not in self.predictions:
            raise InputError(f"There is no run of arm '{arm}'.{nearest(arm, self.predictions)}")


def _levels(points: Sequence[Points]) -> list[Level]:
    """Every stratum with its levels."""
    found = []
    for name in dict.fromkeys(name for each in points for name in each.strata):
        levels = np.unique(np.concatenate([each.strata.get(name, []) for each in points]))
        found += [(name, int(level)) for level in levels[levels >= 0]]
    return found
