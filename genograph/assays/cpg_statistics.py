"""Statistics of methylation across cells, at a site and in windows about it: further targets of DeepCpG.

Angermueller, Lee, Reik & Stegle 2017, Genome Biology 18:67.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import entr

from genograph.assays.cpg_neighbours import CoveredSites, neighbours
from genograph.assays.cpg_states import binary

WINDOWS = (1001, 2001, 3001, 4001, 5001)  # bp
CLASSES = ("mode", "cat_var", "cat2_var", "diff")
"""The statistics that are classes; the others are numbers."""

# The original's edges of three classes of variance, whose lowest holds a variance of 0: -1e-7 to 0.25.
_LOW, _HIGH = np.linspace(-1e-7, 0.25, 4)[1:3]
_ROWS = 4096  # sites at a time


def statistics(state: np.ndarray, *, min_cells: int = 3) -> dict[str, np.ndarray]:
    """Statistics across cells, each (n,) float32 and NaN where fewer than `min_cells` cover a site.

    `mean`; `mode`, the mean rounded (a half to 0); `var`, the variance, divided by the number of cells; `cat_var`, its
    third of 0 to .25 as 0, 1 or 2; `cat2_var`, 0 in the lowest third and else 1; `diff`, 1 if cells differ;
    `entropy` of a site that is methylated as often as the mean, in nats.

    The original's `diff` drops the decimals of the largest state, so fractions below 1 differ from themselves and 0
    from no fraction; here cells differ if their states do.

    Args:
        state: (n, cells) methylated fraction, NaN where a cell has none; may be memory-mapped.
        min_cells: A site that no cell covers has none in any case.
    """
    pieces = [_statistics(state[rows], max(min_cells, 1)) for rows in _slices(len(state))]
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


def _statistics(state: np.ndarray, min_cells: int) -> dict[str, np.ndarray]:
    state = np.asarray(state, dtype=np.float64)
    is_covered = ~np.isnan(state)
    count = is_covered.sum(axis=1)
    mean = _mean(state, is_covered)
    var = _mean((state - mean[:, None]) ** 2, is_covered)
    lowest = np.where(is_covered, state, np.inf).min(axis=1, initial=np.inf)
    highest = np.where(is_covered, state, -np.inf).max(axis=1, initial=-np.inf)
    values = {
        "mean": mean,
        "mode": binary(mean),
        "var": var,
        "cat_var": np.digitize(var, [_LOW, _HIGH], right=True),
        "cat2_var": var > _LOW,
        "diff": lowest != highest,
        "entropy": entr(mean) + entr(1 - mean),
    }
    return {name: np.where(count >= min_cells, value, np.nan).astype(np.float32) for name, value in values.items()}


def window_statistics(
    covered: CoveredSites,
    chrom_index: np.ndarray,
    position: np.ndarray,
    widths: Sequence[int] = WINDOWS,
    *,
    count: int = 25,
    min_cells: int = 1,
) -> dict[int, dict[str, np.ndarray]]:
    """The same statistics in windows centred on sites, for every width in bp.

    A cell's state in a window is the mean over the CpGs that it covers there: the site itself and, as in the original,
    no more than its `count` nearest neighbours on each side. A window of 1001 bp reaches 500 bp to either side.

    Args:
        covered: Of all cells.
        chrom_index: (n,) chromosomes of the sites.
        position: (n,) their 0-based positions.
        widths: Of the windows in bp.
        count: Neighbours on each side.
        min_cells: That need a CpG in the window; the original asks for one.
    """
    pieces = [
        _window_means(covered, chrom_index[rows], position[rows], widths, count) for rows in _slices(len(position))
    ]
    means = np.concatenate(pieces, axis=1)
    return {width: statistics(mean, min_cells=min_cells) for width, mean in zip(widths, means, strict=True)}


def _window_means(
    covered: CoveredSites, chrom_index: np.ndarray, position: np.ndarray, widths: Sequence[int], count: int
) -> np.ndarray:
    """Mean state of every cell in windows about sites: (widths, n, cells) float32."""
    own = covered.states_at(chrom_index, position)[..., None]
    state, distance = neighbours(covered, chrom_index, position, count)
    state, distance = np.concatenate([state, own], axis=-1), np.concatenate([distance, np.zeros_like(own)], axis=-1)
    is_covered = ~np.isnan(state)
    means = [_mean(state, is_covered & (distance <= width // 2)) for width in widths]
    return np.array(means, dtype=np.float32).reshape(len(widths), *own.shape[:2])


def _slices(length: int) -> list[slice]:
    return [slice(row, row + _ROWS) for row in range(0, max(length, 1), _ROWS)]


def _mean(values: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Mean over the last axis of what is kept, NaN where nothing is."""
    count = kept.sum(axis=-1)
    total = np.where(kept, values, 0).sum(axis=-1, dtype=np.float64)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
