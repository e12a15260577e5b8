"""How models fit, as small multiples: training curves, and prediction against target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genograph.charts.drawing import SMALL, Scale, line, polyline, shorten, svg, tag, text, x_axis, y_axis


@dataclass(frozen=True)
class Line:
    """Runs of one quantity over epochs.

    Attributes:
        label: The quantity.
        runs: NaN where a run has stopped: (runs, epochs).
        dashed: How it is drawn.
    """

    label: str
    runs: np.ndarray
    dashed: bool = False

    @property
    def mean(self) -> np.ndarray:
        """Over all runs: (epochs,); NaN where one of them has no value, so that no early stop bends the curve."""
        return self.runs.mean(axis=0)


def curves(name: str, lines: list[Line], *, title: str, span: tuple[float, float], epochs: int) -> str:
    """Each run faint and their mean strong, over epochs, on axes that the neighbours share.

    Args:
        span: Of the y axis.
        epochs: The last of the x axis.
    """
    x, y = Scale(1, max(epochs, 2), 36, SMALL - 8), Scale(*span, 108, 22)
    parts = [x_axis(x, 112, count=3), y_axis(y, 36), text(0, 12, shorten(title, SMALL), class_="panel")]
    for drawn in lines:
        dashed, at = " dashed" * drawn.dashed, 1 + np.arange(drawn.runs.shape[1])
        parts += [tag("path", d=polyline(x(at), y(run)), class_=f"run{dashed}") for run in drawn.runs]
        parts.append(tag("path", d=polyline(x(at), y(drawn.mean)), class_=f"mean{dashed}"))
    quantities, runs = " and ".join(drawn.label for drawn in lines), len(lines[0].runs)
    return svg(name, title, f"{quantities}: {runs} runs and their mean.", SMALL, 134, parts)


def scatter(name: str, prediction: np.ndarray, target: np.ndarray, *, title: str, span: tuple[float, float]) -> str:
    """Prediction (x) against target (y), with the line on which they agree; `span` is of both axes."""
    defined = np.isfinite(prediction) & np.isfinite(target)
    x, y = Scale(*span, 36, SMALL - 8), Scale(*span, 158, 22)
    parts = [x_axis(x, 162, count=3), y_axis(y, 36), text(0, 12, shorten(title, SMALL), class_="panel")]
    parts.append(line(x(span[0]), y(span[0]), x(span[1]), y(span[1]), class_="zero"))
    pairs = zip(x(prediction[defined]), y(target[defined]), strict=True)
    # A dot is a line of no length with a round cap: a tenth of the bytes of a circle.
    parts.append(tag("path", d="".join(f"M{i:.1f} {j:.1f}h0" for i, j in pairs), class_="dots"))
    said = f"{defined.sum()} of {len(defined)} places; both values are defined there."
    return svg(name, title, said, SMALL, 184, parts)
