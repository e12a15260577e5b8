"""From the value of every base to the value of a bin, in Basenji's order.

Scale, pool by `sum_stat`, soft clip, clip (Kelley et al. 2018, Genome Research 28:739). NaN is missing:
a bin with a missing base is missing, and no other value is ever made NaN or the other way round.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genograph.assays.targets import Target
from genograph.errors import InputError


@dataclass(frozen=True, slots=True)
class ClipReport:
    """What the transform did to a track: its bins, and how many were soft clipped, clipped or missing."""

    identifier: str
    bins: int
    soft_clipped: int
    clipped: int
    missing: int

    def __str__(self) -> str:
        return (
            f"{self.identifier}: of {self.bins} bins {self.soft_clipped} soft clipped, "
            f"{self.clipped} clipped, {self.missing} missing"
        )


def pool(values: np.ndarray, target: Target) -> np.ndarray:
    """One value per bin from one per base: (bins, bin_size) -> (bins,) float32.

    `sum`, `mean`, `median` and `max` say what they do; `sum_sqrt` and `mean_sqrt` are sqrt(1 + x) - 1 of
    the sum and the mean; `peak` is sqrt(4 * mean), clipped to 0 and 1. Uncovered bases are zeros here.

    Raises:
        InputError: If a square root of a negative number is asked for.
    """
    bases = values * np.float64(target.scale)
    if target.sum_stat in ("sum", "sum_sqrt"):
        pooled = bases.sum(axis=1)
    elif target.sum_stat == "median":
        pooled = np.median(bases, axis=1)
    elif target.sum_stat == "max":
        pooled = bases.max(axis=1)
    else:
        pooled = bases.mean(axis=1)
    return root(pooled, target).astype(np.float32)


def root(pooled: np.ndarray, target: Target) -> np.ndarray:
    """The square root that `sum_sqrt`, `mean_sqrt` and `peak` take of pooled values; others stay.

    Raises:
        InputError: If a value is too low to have one.
    """
    if target.sum_stat not in ("sum_sqrt", "mean_sqrt", "peak"):
        return pooled
    lowest = 0 if target.sum_stat == "peak" else -1
    if np.any(pooled < lowest):
        raise InputError(
            f"Target '{target.identifier}': {target.sum_stat} takes a square root of counts, but a bin has "
            f"{np.nanmin(pooled):g}. Use sum_stat 'sum' or 'mean' for a track with negative values."
        )
    return np.clip(np.sqrt(4 * pooled), 0, 1) if target.sum_stat == "peak" else np.sqrt(1 + pooled) - 1


def clip(pooled: np.ndarray, target: Target) -> tuple[np.ndarray, ClipReport]:
    """Soft clip, then clip, pooled values; what is missing stays so. Also how many bins that touched.

    Above `clip_soft` = c a value x becomes c - 1 + sqrt(x - c + 1).
    """
    values = np.array(pooled, dtype=np.float32)
    soft = np.zeros(len(values), dtype=bool)
    if target.clip_soft is not None:
        soft = values > target.clip_soft
        values[soft] = target.clip_soft - 1 + np.sqrt(values[soft] - target.clip_soft + 1)
    hard = np.zeros(len(values), dtype=bool)
    if target.clip is not None:
        hard = np.abs(values) > target.clip
        values = np.clip(values, -target.clip, target.clip)
    missing = int(np.isnan(values).sum())
    return values, ClipReport(target.identifier, len(values), int(soft.sum()), int(hard.sum()), missing)
