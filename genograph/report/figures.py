"""The figures of a report: from its tables to drawings, a list of them for each figure."""

from __future__ import annotations

import pandas as pd

from genograph import charts
from genograph.charts import Estimate, Line
from genograph.charts.drawing import MINUS
from genograph.report.ablation import Ablation, Locus


def forests(ablation: Ablation) -> list[str]:
    """Differences to the reference, and r, of the same arms in the same order; then r of simple predictors."""
    if ablation.arms.empty:
        return []
    found = ablation.differences.set_index("arm").reindex(ablation.arms["arm"])
    differences = [_estimate(row.Index, row.delta, row.low, row.high) for row in found.itertuples()]
    scores = [Estimate(row.arm, row.r, row.low, row.high) for row in ablation.arms.itertuples()]
    for i, arm in enumerate(ablation.arms["arm"]):
        if arm == ablation.reference:
            differences[i] = Estimate(arm, 0.0, mark="reference", note="reference")
            scores[i] = Estimate(arm, scores[i].value, scores[i].low, scores[i].high, mark="reference")
    scores += [Estimate(row.baseline, row.r, mark="hollow") for row in ablation.baselines.itertuples()]
    axis = f"Δr = {ablation.reference} {MINUS} arm"
    return [
        charts.forest("effect", differences, title="Difference of r to the reference, per arm", axis=axis, zero=True),
        charts.forest("scores", scores, title="r per arm", axis="r", ceiling=ablation.ceiling),
    ]


def strata(table: pd.DataFrame, order: list[str]) -> list[tuple[str, list[str]]]:
    """For each stratum a small forest plot per arm that was compared, a row per level."""
    figures = []
    for i, (stratum, rows) in enumerate(table.groupby("stratum", sort=False, observed=True)):
        span, panels = _span(rows[["delta", "low", "high"]].assign(zero=0.0)), []
        for j, (arm, levels) in enumerate(_by_arm(rows, order)):
            estimates = [_estimate(str(row.level), row.delta, row.low, row.high) for row in levels.itertuples()]
            if any(row.is_defined for row in estimates):
                panels.append(charts.levels(f"stratum-{i}-{j}", estimates, title=arm, span=span))
        figures.append((stratum, panels))
    return figures


def dose(table: pd.DataFrame) -> list[str]:
    """r against the share of contacts kept."""
    if table.empty:
        return []
    fraction, rows = table["fraction"].to_numpy(dtype=float), table[["r", "low", "high"]].to_numpy(dtype=float)
    return [charts.dose("response", fraction, rows, title="r by share of contacts kept", axis="r")]


def scatter(sample: pd.DataFrame, order: list[str]) -> list[str]:
    """A cloud per arm, all on the same axes."""
    span = _span(sample[["prediction", "target"]])
    return [
        charts.scatter(f"cloud-{i}", rows["prediction"].to_numpy(), rows["target"].to_numpy(), title=arm, span=span)
        for i, (arm, rows) in enumerate(_by_arm(sample, order))
    ]


def locus(place: Locus | None) -> list[str]:
    """Contacts, the measured track and the arms' predictions of it."""
    if place is None:
        return []
    tracks = {f"{place.track}, measured": place.target, **place.predictions}
    title = f"{place.chrom}:{place.start:,}-{place.end:,}"
    return [charts.locus("locus", tracks, start=place.start, bin_size=place.bin_size, arcs=place.arcs, title=title)]


def training(curves: pd.DataFrame, order: list[str]) -> list[tuple[str, list[str]]]:
    """Small multiples of r on the validation split, and of both losses."""
    figures = []
    for quantity, fields in (("r", ["valid_pearsonr"]), ("loss", ["valid_loss", "train_loss"])):
        span, epochs = _span(curves[fields]), int(max(curves["epoch"], default=0))
        panels = [
            charts.curves(f"{quantity}-{i}", _lines(rows, fields), title=arm, span=span, epochs=epochs)
            for i, (arm, rows) in enumerate(_by_arm(curves, order))
        ]
        figures.append((quantity, panels))
    return figures


def cost(arms: pd.DataFrame) -> list[str]:
    """Minutes and memory of a run of each arm."""
    if arms.empty:
        return []
    minutes = [Estimate(row.arm, row.seconds / 60) for row in arms.itertuples()]
    memory = [Estimate(row.arm, row.peak_mb) for row in arms.itertuples()]
    return [
        charts.forest("minutes", minutes, title="Time of a run, per arm", axis="minutes", zero=True, digits=1),
        charts.forest("memory", memory, title="Peak memory, per arm", axis="peak memory (MB)", zero=True, digits=0),
    ]


def _estimate(label: str, value: float, low: float, high: float) -> Estimate:
    """Filled if the interval is clear of zero, hollow if not."""
    return Estimate(label, value, low, high, mark="filled" if low > 0 or high < 0 else "hollow")


def _lines(rows: pd.DataFrame, fields: list[str]) -> list[Line]:
    """The runs of one arm: a line for each field."""
    epochs, lines = range(1, int(rows["epoch"].max()) + 1), []
    for field in fields:
        runs = rows.pivot(index=["fold", "seed"], columns="epoch", values=field).reindex(columns=epochs)
        label = field.replace("_", " ").replace("pearsonr", "r")
        lines.append(Line(label, runs.to_numpy(dtype=float), dashed=field.startswith("train")))
    return lines


def _by_arm(table: pd.DataFrame, order: list[str]) -> list[tuple[str, pd.DataFrame]]:
    """The rows of each arm that has any, in this order."""
    groups = dict(list(table.groupby("arm", sort=False, observed=True)))
    return [(arm, groups[arm]) for arm in dict.fromkeys([*order, *groups]) if arm in groups]


def _span(table: pd.DataFrame) -> tuple[float, float]:
    """An axis that holds all that is defined."""
    scale = charts.Scale.covering(table.to_numpy(dtype=float).ravel(), 0, 1)
    return scale.low, scale.high
