"""Whether training may have ended before its runs had learnt what others had, so that arms cannot be compared yet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import t

from genograph.ablate.grid import Run

LATE = 10  # the last epochs are one in so many of `training.max_epochs`, and one at least
FAR = 5  # times as far behind the other seeds as a run usually lies from them
LEVEL = 0.05  # the chance that an arm of which no run was left behind has one that seems to be, by its own scatter


def best_scores(done: Sequence[Run]) -> pd.DataFrame:
    """The best validation score of each run by its `training.monitor`.

    Returns:
        `arm fold seed best is_late others is_behind`. `others` is the median of the best scores of the other seeds of
        arm and fold, NaN if they are fewer than two; `is_late` says whether the best was in the last epochs, and
        `is_behind` whether it was and yet is worse than `others`: `FAR` times as far as the median run lies from them,
        and farther than runs that scatter as they do would lie, by t of one value beyond others, at `LEVEL` over the
        runs of the arm.
    """
    table = pd.DataFrame(map(_best, done), columns=["arm", "fold", "seed", "best", "is_late"])
    others = [_others(table, row) for row in table.itertuples()]
    table["others"] = [each.median() for each in others]
    sign = np.array([-1 if run.config.training.monitor == "loss" else 1 for run in done])
    behind = sign * (table["others"] - table["best"])
    usual = behind.abs().median()
    runs = table.groupby("arm")["arm"].transform("count")
    lies = sign * ([each.mean() for each in others] - table["best"])
    is_beyond = lies > [_reach(each, LEVEL / count) for each, count in zip(others, runs, strict=True)]
    table["is_behind"] = table["is_late"] & (behind > FAR * usual) & (usual > 0) & is_beyond
    return table


def training_warning(scores: pd.DataFrame) -> list[str]:
    """What to say of `best_scores`: nothing, or one line that names the runs that were left behind."""
    named = [
        f"{row.arm}, fold {row.fold}, seed {row.seed} reached {row.best:.3f} where the other seeds reached "
        f"{row.others:.3f}"
        for row in scores[scores["is_behind"]].itertuples()
    ]
    if not named:
        return []
    late = f"{scores['is_late'].sum()} of {len(scores)} runs had their best validation score in the last epochs"
    return [
        f"training may not be finished: {late}, and {'; '.join(named)}. Raise training.max_epochs, in a new folder."
    ]


def _best(run: Run) -> tuple[str, int, int, float, bool]:
    training = run.config.training
    score = pd.read_csv(run.folder / "metrics.csv")[f"valid_{training.monitor}"].to_numpy(dtype=float)
    gain = -score if training.monitor == "loss" else score
    best = int(np.where(np.isfinite(gain), gain, -np.inf).argmax())
    is_late = best >= training.max_epochs - max(training.max_epochs // LATE, 1)
    return run.arm, run.fold, run.seed, score[best], is_late


def _others(table: pd.DataFrame, row: tuple) -> pd.Series:
    """The best scores of the other seeds of a run's arm and fold, none if there are fewer than two."""
    is_other = (table["arm"] == row.arm) & (table["fold"] == row.fold) & (table["seed"] != row.seed)
    scores = table.loc[is_other, "best"].dropna()
    return scores if len(scores) > 1 else scores[:0]


def _reach(others: pd.Series, level: float) -> float:
    """How far one more normal value would lie on one side of their mean with that probability, NaN for none."""
    return t.ppf(1 - level, len(others) - 1) * others.std() * np.sqrt(1 + 1 / len(others)) if len(others) else np.nan
