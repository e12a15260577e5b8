"""What all charts are drawn with: numbers as text, scales, axes and elements of SVG."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

NAN = float("nan")
MISSING, MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"
FULL, SMALL, WIDE = 400, 180, 720  # widths: half a page, a small multiple, the whole page
CHARACTER = 6.6  # width of a letter of a label


def decimal(value: float, digits: int = 3) -> str:
    """A number with a true minus sign; a dash for one that is not defined, never 0."""
    if not math.isfinite(value):
        return MISSING
    text = f"{value:,.{digits}f}"
    return text.replace("-", MINUS if float(text.replace(",", "")) else "")


@dataclass(frozen=True)
class Scale:
    """The straight map from `low` .. `high` to the coordinates `start` .. `end`."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def covering(cls, values: Iterable[float], start: float, end: float, *, pad: float = 0.06) -> Scale:
        """Around the finite values, with a share `pad` of their span on both sides; 0 .. 1 if there are none."""
        values = np.asarray(list(values), dtype=float)
        values = values[np.isfinite(values)]
        low, high = (values.min(), values.max()) if values.size else (0.0, 1.0)
        margin = pad * (high - low) if high > low else abs(low) / 10 or 0.5
        return cls(float(low - margin), float(high + margin), start, end)

    def __call__(self, value: float) -> float:
        """The coordinate of a value, or those of an array."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, count: int = 4) -> list[tuple[float, str]]:
        """About `count` round values within, each with its label."""
        rough = (self.high - self.low) / count
        power = 10.0 ** math.floor(math.log10(rough))
        step = power * min(factor for factor in (1, 2, 5, 10) if factor * power >= 0.7 * rough)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        return [(i * step, decimal(i * step, digits)) for i in range(first, last + 1)]


def x_axis(scale: Scale, y: float, label: str = "", *, count: int = 4) -> str:
    """Axis line, ticks and their labels, below them what the axis shows."""
    parts = [line(scale.start, y, scale.end, y, class_="axis")]
    for value, number in scale.ticks(count):
        parts.append(line(scale(value), y, scale(value), y + 4, class_="axis"))
        parts.append(text(scale(value), y + 16, number, text_anchor="middle"))
    if label:
        parts.append(text((scale.start + scale.end) / 2, y + 32, label, text_anchor="middle"))
    return tag("g", *parts)


def y_axis(scale: Scale, x: float, *, count: int = 3) -> str:
    """Axis line, ticks and their labels."""
    parts = [line(x, scale.start, x, scale.end, class_="axis")]
    for value, number in scale.ticks(count):
        parts.append(line(x - 4, scale(value), x, scale(value), class_="axis"))
        parts.append(text(x - 6, scale(value) + 4, number, text_anchor="end"))
    return tag("g", *parts)


def polyline(x: np.ndarray, y: np.ndarray) -> str:
    """The `d` of a path through the points, broken where one is not defined."""
    path, pen = [], "M"
    for i, j in zip(x, y, strict=True):
        if np.isfinite(j):
            path.append(f"{pen}{i:.1f} {j:.1f}")
        pen = "L" if np.isfinite(j) else "M"
    return "".join(path)


def shorten(label: str, room: float) -> str:
    """The label, cut to what fits in `room`."""
    length = int(room / CHARACTER)
    return label if len(label) <= length else label[: length - 1] + "…"


def svg(name: str, title: str, desc: str, width: float, height: float, parts: list[str], *, kind: str = "") -> str:
    """A drawing with its title and description, named by both."""
    said = tag("title", html.escape(title), id=f"{name}-title") + tag("desc", html.escape(desc), id=f"{name}-desc")
    box, spoken = f"0 0 {width:g} {height:g}", f"{name}-title {name}-desc"
    return tag("svg", said, *parts, viewBox=box, role="img", aria_labelledby=spoken, class_=kind)


def line(x1: float, y1: float, x2: float, y2: float, *, class_: str) -> str:
    """A straight line."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def text(x: float, y: float, words: str, **attributes: object) -> str:
    """Words at a place, escaped."""
    return tag("text", html.escape(words), x=x, y=y, **attributes)


def tag(kind: str, *content: str, **attributes: object) -> str:
    """An element; `class_` is its class, and an attribute without a value is left out."""
    pairs = ((key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items() if value != "")
    said = "".join(f' {key}="{_rounded(value)}"' for key, value in pairs)
    return f"<{kind}{said}>{''.join(content)}</{kind}>"


def _rounded(value: object) -> str:
    return f"{round(float(value), 1):g}" if isinstance(value, float) else html.escape(str(value))
