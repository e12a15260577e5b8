"""Estimates with their intervals: forest plots, small ones by level, and dose and response."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass

import numpy as np

from genograph.charts.drawing import (
    CHARACTER,
    FULL,
    MISSING,
    NAN,
    SMALL,
    Scale,
    decimal,
    line,
    polyline,
    shorten,
    svg,
    tag,
    text,
    x_axis,
    y_axis,
)


@dataclass(frozen=True)
class Estimate:
    """A row of a forest plot.

    Attributes:
        label: What was estimated.
        value: NaN if not defined.
        low: Of its interval; NaN for none.
        high: Of its interval.
        mark: `filled`, `hollow` or `reference`.
        note: What stands at the right in place of the value.
    """

    label: str
    value: float
    low: float = NAN
    high: float = NAN
    mark: str = "filled"
    note: str = ""

    @property
    def is_defined(self) -> bool:
        """Whether there is a value to draw."""
        return math.isfinite(self.value)


def forest(
    name: str,
    rows: list[Estimate],
    *,
    title: str,
    axis: str,
    zero: bool = False,
    ceiling: float | None = None,
    digits: int = 3,
) -> str:
    """Rows of estimates with their intervals, one below the other, and the values at the right.

    Args:
        axis: What the x axis shows.
        zero: Whether the axis holds 0, with a line through it.
        ceiling: The best value possible, a dashed line.
        digits: Decimals of the values.
    """
    top, best = 24, NAN if ceiling is None else ceiling
    left, bottom = _margin(rows, 0.42 * FULL), top + 22 * len(rows)
    ends = [value for row in rows for value in (row.value, row.low, row.high)]
    scale = Scale.covering([*ends, best, *[0.0] * zero], left + 6, FULL - 66)
    parts = [x_axis(scale, bottom, axis)]
    if zero:
        parts.append(line(scale(0), top - 6, scale(0), bottom, class_="zero"))
    if math.isfinite(best):
        parts.append(line(scale(best), top - 6, scale(best), bottom, class_="ceiling"))
        parts.append(text(scale(best), 12, f"ceiling {decimal(best)}", text_anchor="end"))
    for i, row in enumerate(rows):
        y = top + 22 * (i + 0.5)
        note = row.note or (decimal(row.value, digits) if row.is_defined else "not defined")
        kind = "value" if row.is_defined and not row.note else "note"
        parts += [_row(row, scale, y, left, radius=4), text(FULL, y + 4, note, text_anchor="end", class_=kind)]
    return svg(name, title, _range_of(rows, digits), FULL, bottom + 40, parts)


def levels(name: str, rows: list[Estimate], *, title: str, span: tuple[float, float]) -> str:
    """A small forest plot with a line through 0, whose x axis `span` its neighbours share."""
    top, left = 20, _margin(rows, 0.45 * SMALL)
    bottom, scale = top + 18 * len(rows), Scale(*span, left + 4, SMALL - 12)
    parts = [text(0, 12, shorten(title, SMALL), class_="panel"), x_axis(scale, bottom, count=3)]
    parts.append(line(scale(0), top, scale(0), bottom, class_="zero"))
    for i, row in enumerate(rows):
        y = top + 18 * (i + 0.5)
        parts.append(_row(row, scale, y, left, radius=3))
        if not row.is_defined:
            parts.append(text(SMALL - 12, y + 4, MISSING, text_anchor="end"))
    return svg(name, title, _range_of(rows), SMALL, bottom + 22, parts)


def dose(name: str, fraction: np.ndarray, rows: np.ndarray, *, title: str, axis: str) -> str:
    """A value against the share of contacts kept.

    Args:
        fraction: 0 to 1: (doses,).
        rows: Value and the two ends of its interval: (doses, 3).
        axis: What the y axis shows.
    """
    order = np.argsort(fraction)
    fraction, rows = fraction[order], rows[order]
    x, y = Scale(0, 100, 48, FULL - 14), Scale.covering(rows.ravel(), 204, 16)
    parts = [x_axis(x, 212, "contacts kept (%)"), y_axis(y, 48), text(36, 10, axis)]
    parts.append(tag("path", d=polyline(x(100 * fraction), y(rows[:, 0])), class_="mean"))
    for share, (value, low, high) in zip(x(100 * fraction), rows, strict=True):
        if math.isfinite(low) and math.isfinite(high):
            parts.append(line(share, y(low), share, y(high), class_="interval"))
        if math.isfinite(value):
            parts.append(_mark("filled", share, y(value), radius=4))
    said = "; ".join(f"{100 * f:g} %: {decimal(value)}" for f, (value, _, _) in zip(fraction, rows, strict=True))
    return svg(name, title, said + ".", FULL, 252, parts)


def _margin(rows: list[Estimate], most: float) -> float:
    """Room for the labels, at most `most`."""
    return min(10 + CHARACTER * max(len(row.label) for row in rows), most)


def _row(row: Estimate, scale: Scale, y: float, left: float, *, radius: float) -> str:
    """Label, interval and mark."""
    weight = "strong" if row.mark == "reference" else ""
    parts = [text(left - 4, y + 4, shorten(row.label, left - 4), text_anchor="end", class_=weight)]
    if not row.is_defined:
        return tag("g", *parts)
    said = f"{row.label}: {decimal(row.value)}"
    if math.isfinite(row.low) and math.isfinite(row.high):
        parts.append(line(scale(row.low), y, scale(row.high), y, class_="interval"))
        said += f" ({decimal(row.low)} to {decimal(row.high)})"
    return tag("g", tag("title", html.escape(said)), *parts, _mark(row.mark, scale(row.value), y, radius=radius))


def _mark(mark: str, x: float, y: float, *, radius: float) -> str:
    """A diamond for the reference, a disc or a ring for the others."""
    if mark == "reference":
        return tag("path", d=f"M{x:.1f} {y - 6:.1f}l6 6l-6 6l-6 -6z", class_="mark reference")
    return tag("circle", cx=x, cy=y, r=radius, class_=f"mark {mark}")


def _range_of(rows: list[Estimate], digits: int = 3) -> str:
    """The lowest and the highest row in words."""
    defined = sorted((row for row in rows if row.is_defined), key=lambda row: row.value)
    if not defined:
        return f"{len(rows)} rows, none defined."
    ends = " to ".join(f"{decimal(row.value, digits)} ({row.label})" for row in (defined[0], defined[-1]))
    return f"{len(rows)} rows, from {ends}."
