"""Charts as inline SVG: functions of data that return a string.

A chart holds no colour. Its shapes carry classes (`axis`, `zero`, `interval`, `mark`, `mean`, `run`, ...) that the
page's style sheet paints, in light and dark. It scales by its `viewBox`; what a screen reader says of it stands in
`title` and `desc`, whose ids begin with `name`, unique in the page.
"""

from genograph.charts.drawing import MISSING, Scale, decimal
from genograph.charts.effects import Estimate, dose, forest, levels
from genograph.charts.fits import Line, curves, scatter
from genograph.charts.tracks import MAX_ARCS, locus

__all__ = [
    "MAX_ARCS",
    "MISSING",
    "Estimate",
    "Line",
    "Scale",
    "curves",
    "decimal",
    "dose",
    "forest",
    "levels",
    "locus",
    "scatter",
]
