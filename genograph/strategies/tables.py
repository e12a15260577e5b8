"""The table of a study as markdown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from genograph.charts import MISSING
from genograph.strategies.scores import MEAN, TOGETHER

HEADINGS = {
    "auprc": "AUPRC",
    "auroc": "AUROC",
    "recall": "recall at 5 % FDR",
    "epoch": "stopping epoch",
}


def markdown(summary: pd.DataFrame) -> str:
    """The rows of all variants; if they are judged on several tests, the AUPRC of each variant on each test."""
    seeds = int(summary["seeds"].max())
    told = f"Mean over {seeds} seeds ± half the width of its 95 % interval (t)." if seeds > 1 else "One seed."
    single = summary[~summary["task"].isin([MEAN, TOGETHER])]
    has_both = (single["positives"] > 0) & (single["positives"] < single["sites"])
    tasks = single.loc[has_both, "task"].nunique()
    overs = {MEAN: f"mean over {tasks} tasks", TOGETHER: TOGETHER} if tasks > 1 else {MEAN: "one task"}
    make = _matrix if summary["test"].nunique() > 1 else _rows
    return "\n\n".join([*(make(summary[summary["task"] == task], over) for task, over in overs.items()), told])


def _rows(summary: pd.DataFrame, over: str) -> str:
    header = [over, *HEADINGS.values(), "parameters"]
    lines = []
    for row in summary.to_dict("records"):
        cells = [_cell(row, key, 1 if key == "epoch" else 3) for key in HEADINGS]
        lines.append([str(row["variant"]), *cells, _parameters(row)])
    return _table(header, lines)


def _matrix(summary: pd.DataFrame, over: str) -> str:
    tests = list(dict.fromkeys(summary["test"]))
    lines = []
    for variant, rows in summary.groupby("variant", sort=False):
        of_test = {row["test"]: row for row in rows.to_dict("records")}
        lines.append([str(variant), *(_cell(of_test[test], "auprc", 3) for test in tests)])
    first = summary.drop_duplicates("test").set_index("test")
    lines.append(["*by chance*", *(f"{first['positives'][test] / first['sites'][test]:.3f}" for test in tests)])
    return _table([f"trained with (AUPRC, {over})", *(f"judged on {test}" for test in tests)], lines)


def _cell(row: dict, key: str, digits: int) -> str:
    if np.isnan(row[key]):
        return MISSING
    half = (row[f"{key}_high"] - row[f"{key}_low"]) / 2
    return f"{row[key]:.{digits}f}" + ("" if np.isnan(half) else f" ± {half:.{digits}f}")


def _parameters(row: dict) -> str:
    if np.isnan(row["parameters"]):
        return MISSING
    return f"{row['models']} x {row['parameters']:,.0f}" if row["models"] > 1 else f"{row['parameters']:,.0f}"


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [header, ["---", *["---:"] * (len(header) - 1)], *lines]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)
