"""A stretch of a chromosome: contacts as arcs above signal tracks."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from genograph.charts.drawing import WIDE, Scale, line, svg, tag, text

MAX_ARCS = 200
HIGH = 44  # of a track; above it stands its label


def locus(
    name: str, tracks: Mapping[str, np.ndarray], *, start: int, bin_size: int, arcs: np.ndarray, title: str
) -> str:
    """Tracks on one scale from 0, the first of them measured, contacts as arcs above.

    Args:
        tracks: Label -> values, NaN where missing: (bins,) each.
        start: Of the first bin, in bp.
        bin_size: In bp.
        arcs: Two ends in bp and a weight: (contacts, 3). The `MAX_ARCS` strongest are drawn, cut at the edges.
    """
    bins, top = len(next(iter(tracks.values()))), 112 if len(arcs) else 12
    x = Scale(start, start + bin_size * bins, 0, WIDE)
    edges = x(start + bin_size * np.arange(bins + 1))
    signal = Scale.covering([0.0, *np.concatenate(list(tracks.values()))], 0, 1, pad=0)
    parts = [_arcs(arcs, x), text(WIDE, top + 22, "{} to {}".format(*_ends(signal)), text_anchor="end")]
    for i, (label, track) in enumerate(tracks.items()):
        y = Scale(signal.low, signal.high, top + 30 + HIGH, top + 30)
        parts.append(text(0, top + 22, label, class_="strong"))
        parts.append(_track(track, edges, y, "prediction" if i else "target"))
        top += 32 + HIGH
    parts.append(_place_axis(x, top + 4))
    said = f"{len(tracks)} tracks over {bins} bins of {bin_size} bp, and {len(arcs)} contacts."
    return svg(name, title, said, WIDE, top + 40, parts, kind="wide")


def _ends(scale: Scale) -> tuple[str, str]:
    return f"{scale.low:.3g}", f"{scale.high:.3g}"


def _arcs(arcs: np.ndarray, x: Scale) -> str:
    """Half ellipses between the ends of contacts, thicker where the weight is larger."""
    arcs = arcs.reshape(-1, 3)
    arcs = arcs[np.isfinite(arcs).all(axis=1)]
    strongest = arcs[np.argsort(-arcs[:, 2], kind="stable")[:MAX_ARCS]]
    longest = np.abs(strongest[:, 0] - strongest[:, 1]).max(initial=1)
    parts = []
    for first, second, weight in strongest:
        a, b = sorted((x(first), x(second)))
        height = 96 * math.sqrt(abs(first - second) / longest)
        d = f"M{a:.1f} 106A{(b - a) / 2:.1f} {height:.1f} 0 0 1 {b:.1f} 106"
        parts.append(tag("path", d=d, class_="arc", stroke_width=0.5 + 2 * weight / strongest[0, 2]))
    return tag("svg", *parts, width=WIDE, height=108)  # an inner svg cuts what leaves it


def _track(track: np.ndarray, edges: np.ndarray, y: Scale, kind: str) -> str:
    """A filled step per bin; bins without a value are shaded over the whole height."""
    base, parts = y(0), []
    for first, last in _stretches(~np.isfinite(track)):
        width = edges[last] - edges[first]
        parts.append(tag("rect", x=edges[first], y=y.end, width=width, height=float(HIGH), class_="missing"))
    tops = np.where(np.isfinite(track), y(track), base)
    steps = "".join(f"V{top:.1f}H{edge:.1f}" for top, edge in zip(tops, edges[1:], strict=True))
    parts.append(tag("path", d=f"M{edges[0]:.1f} {base:.1f}{steps}V{base:.1f}z", class_=f"track {kind}"))
    parts.append(line(edges[0], base, edges[-1], base, class_="axis"))
    return tag("g", *parts)


def _stretches(marked: np.ndarray) -> list[tuple[int, int]]:
    """First and one past the last of each run of True: (bins,)."""
    turns = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(np.int8)))
    return list(zip(turns[::2], turns[1::2], strict=True))


def _place_axis(x: Scale, y: float) -> str:
    """Places in Mb, away from the edges: labels grow on a phone."""
    place = Scale(x.low / 1e6, x.high / 1e6, x.start, x.end)
    parts = [line(0, y, WIDE, y, class_="axis"), text(0, y + 28, "Mb")]
    for value, label in place.ticks():
        if 80 <= place(value) <= WIDE - 50:
            parts.append(line(place(value), y, place(value), y + 5, class_="axis"))
            parts.append(text(place(value), y + 28, label, text_anchor="middle"))
    return tag("g", *parts)
