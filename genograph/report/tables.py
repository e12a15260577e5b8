"""The tables of a report: which columns, how a value is written, and what a column is sorted by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from genograph.charts import MISSING, decimal


@dataclass(frozen=True)
class Column:
    """A column of a table: its heading, the field it shows, how, and the field that it is sorted by if another."""

    heading: str
    field: str
    show: Callable[[object], str] = str
    sort: str | None = None

    @property
    def is_number(self) -> bool:
        """Whether it is sorted by value, and stands at the right."""
        return self.show is not str or self.sort is not None

    @property
    def is_prose(self) -> bool:
        """Whether it needs room for a sentence."""
        return self.field in ("description", "message")

    def cell(self, row: dict[str, object]) -> tuple[str, object]:
        """What is shown, and what it is sorted by: "" where it is not defined."""
        key, value = row[self.sort or self.field], row[self.field]
        return (MISSING if pd.isna(value) else self.show(value)), ("" if pd.isna(key) else key)


def p_value(p: float) -> str:
    """Three decimals; below that, only that it is below."""
    return "<0.001" if p < 0.001 else decimal(p)


def whole(value: float) -> str:
    """Without decimals, thousands apart."""
    return decimal(value, 0)


def duration(seconds: float) -> str:
    """Seconds, minutes and seconds, or hours and minutes."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes} min {seconds:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def interval(low: float, high: float) -> str:
    """Both ends, or a dash if one is not defined."""
    return MISSING if pd.isna(low) or pd.isna(high) else f"{decimal(low)} to {decimal(high)}"


INTERVAL = Column("95 % interval", "interval", sort="low")
# Table -> its columns; the first heads the row.
COLUMNS = {
    "arms": (
        Column("Arm", "arm"),
        Column("What it is", "description"),
        Column("Runs", "runs", whole),
        Column("r", "r", decimal),
        INTERVAL,
        Column("SD over seeds", "sd", decimal),
    ),
    "baselines": (Column("Simple predictor", "baseline"), Column("r", "r", decimal)),
    "differences": (
        Column("Arm", "arm"),
        Column("Δr", "delta", decimal),
        INTERVAL,
        Column("p", "p", p_value),
        Column("p (Holm)", "p_holm", p_value),
        Column("Detectable Δr", "detectable", decimal),
        Column("Pairs of runs", "pairs", whole),
        Column("Runs left out", "left_out", whole),
    ),
    "tracks": (
        Column("Arm", "arm"),
        Column("Track", "track"),
        Column("r", "r", decimal),
        Column("Δr", "delta", decimal),
        INTERVAL,
    ),
    "strata": (
        Column("Arm", "arm"),
        Column("Stratum", "stratum"),
        Column("Level", "level"),
        Column("n", "n", whole),
        Column("r", "r", decimal),
        Column("Δr", "delta", decimal),
        INTERVAL,
    ),
    "dose": (Column("Contacts kept", "fraction", "{:.0%}".format), Column("r", "r", decimal), INTERVAL),
    "audit": (
        Column("Check", "check"),
        Column("Status", "status"),
        Column("Count", "count", whole),
        Column("Finding", "message"),
    ),
    "cost": (
        Column("Arm", "arm"),
        Column("Parameters", "parameters", whole),
        Column("Contacts seen, training", "contacts_trained", decimal),
        Column("Contacts seen, held out", "contacts", decimal),
        Column("Time of a run", "seconds", duration),
        Column("Peak memory (MB)", "peak_mb", whole),
    ),
}


def cells(name: str, frame: pd.DataFrame) -> list[list[tuple[str, object]]]:
    """The cells of each row of table `name`, as shown and as sorted by; `interval` is made of `low` and `high`."""
    if INTERVAL in COLUMNS[name]:
        ends = zip(frame["low"], frame["high"], strict=True)
        frame = frame.assign(interval=[interval(low, high) for low, high in ends])
    return [[column.cell(row) for column in COLUMNS[name]] for row in frame.to_dict("records")]
