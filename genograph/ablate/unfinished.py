"""Whether training may have ended before its runs had learnt what others had, so that arms cannot be compared yet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from genograph.ablate.grid import Run

LATE = 10  # the last epochs are one in so many of `training.max_epochs`, and one at least
FAR = 5  # times as far behind the other seeds as a run usually lies from them


def best_scores(done: Sequence[Run]) -> pd.DataFrame:
    """The best validation score of each run by its `training.monitor`, the greater the better.

    Returns:
        `arm fold seed best others is_late is_behind`. `others` is the median of the best scores of the other seeds of
        arm and fold, NaN if they are fewer than two; `is_late` says whether the best was in the last epochs, and
        `is_behind` whether it was and yet lies below `others`, `FAR` times as far as the median run lies from them.
    """
    table = pd.DataFrame(map(_best, done), columns=["arm", "fold", "seed", "best", "is_late"])
    table["others"] = [_others(table, row) for row in table.itertuples()]
    behind = table["others"] - table["best"]
    usual = behind.abs().median()
    table["is_behind"] = table["is_late"] & (behind > FAR * usual) & (usual > 0)
    return table


def training_warning(scores: pd.DataFrame) -> list[str]:
    """What to say of `best_scores`: nothing, or one line that names the runs that were left behind."""
    named = [
        f"{row.arm}, fold {row.fold}, seed {row.seed} reached {abs(row.best):.3f} where the other seeds reached "
        f"{abs(row.others):.3f}"
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
    score = -score if training.monitor == "loss" else score
    best = int(np.where(np.isfinite(score), score, -np.inf).argmax())
    is_late = best >= training.max_epochs - max(training.max_epochs // LATE, 1)
    return run.arm, run.fold, run.seed, score[best], is_late


def _others(table: pd.DataFrame, row: tuple) -> float:
    is_other = (table["arm"] == row.arm) & (table["fold"] == row.fold) & (table["seed"] != row.seed)
    return table.loc[is_other, "best"].median() if is_other.sum() > 1 else np.nan
