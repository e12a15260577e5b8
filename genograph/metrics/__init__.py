"""How well predictions fit what was measured: of tracks, of the states of single sites, and by annotation."""

from genograph.metrics.annotations import accuracy_by_annotation, annotate, curves_by_annotation
from genograph.metrics.classification import (
    binary_accuracy,
    category_accuracy,
    curve,
    output_accuracy,
    recall_at_fdr,
    regression_accuracy,
    trapezoid_auprc,
)
from genograph.metrics.tracks import (
    RANKING,
    TrackSums,
    auroc,
    average_precision,
    is_positive,
    spearmanr,
    track_accuracy,
    warn_of_undefined,
)

__all__ = [
    "RANKING",
    "TrackSums",
    "accuracy_by_annotation",
    "annotate",
    "auroc",
    "average_precision",
    "binary_accuracy",
    "category_accuracy",
    "curve",
    "curves_by_annotation",
    "is_positive",
    "output_accuracy",
    "recall_at_fdr",
    "regression_accuracy",
    "spearmanr",
    "track_accuracy",
    "trapezoid_auprc",
    "warn_of_undefined",
]
