"""The CpG sites about a site that a cell covers: what DeepCpG's CpG network reads.

Angermueller, Lee, Reik & Stegle 2017, Genome Biology 18:67.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from genograph.assays.cpg_states import CpgStates

_ROWS = 512  # sites at a time: beyond its result, a look-up of any size takes little memory


@dataclass(frozen=True)
class CoveredSites:
    """The sites that each cell covers, cell after cell, so that a look-up costs what is looked up, not the genome.

    All three may be memory-mapped.

    Attributes:
        span: (cells, chromosomes, 2) int64, where the sites of a cell on a chromosome start and end.
        position: (covered,) int64 0-based, ascending for each cell and chromosome.
        state: (covered,) float32 methylated fraction; none is missing.
    """

    span: np.ndarray
    position: np.ndarray
    state: np.ndarray

    @classmethod
    def of(cls, states: CpgStates) -> CoveredSites:
        """Those of a matrix, which is read column by column."""
        rows = [np.flatnonzero(~np.isnan(states.state[:, cell])) for cell in range(len(states.cells))]
        chroms = np.arange(len(states.chroms) + 1)
        before = np.cumsum([0, *map(len, rows)])[:-1]
        edges = before[:, None] + np.array([np.searchsorted(states.chrom_index[row], chroms) for row in rows])
        return cls(
            np.stack([edges[:, :-1], edges[:, 1:]], axis=-1),
            np.concatenate([states.position[row] for row in rows]),
            np.concatenate([states.state[row, cell] for cell, row in enumerate(rows)]),
        )

    @classmethod
    def open(cls, folder: Path) -> CoveredSites:
        """Those of a store, memory-mapped."""
        return cls(*(np.load(folder / f"{field.name}.npy", mmap_mode="r") for field in fields(cls)))

    def first(self, chrom_index: np.ndarray, position: np.ndarray) -> np.ndarray:
        """Which covered site of each cell is the first at or behind a place, on its chromosome: (n, cells) int64.

        Where none is, it is the end of the chromosome's sites.
        """
        low, high = self.span[:, chrom_index].T
        last, wanted = len(self.position) - 1, position[:, None]
        for _ in range(int((high - low).max(initial=0)).bit_length()):  # bisection, of all sites and cells at once
            middle = (low + high) // 2
            is_before = (low < high) & (self.position[np.minimum(middle, last)] < wanted)
            low, high = np.where(is_before, middle + 1, low), np.where(is_before, high, middle)
        return low

    def states_at(self, chrom_index: np.ndarray, position: np.ndarray) -> np.ndarray:
        """The state of every cell at the places themselves: (n, cells) float32, NaN where it does not cover one."""
        first = self.first(chrom_index, position)
        is_here = self.is_at(first, chrom_index, position)
        state = np.full(first.shape, np.nan, dtype=np.float32)
        state[is_here] = self.state[first[is_here]]
        return state

    def within(self, chrom_index: np.ndarray, start: np.ndarray, end: np.ndarray) -> CoveredSites:
        """The sites of some stretches alone, each of which takes the place of a chromosome; nothing is copied.

        Args:
            chrom_index: (stretches,) their chromosomes.
            start: (stretches,) first positions.
            end: (stretches,) positions behind their last.
        """
        edges = [self.first(chrom_index, place).T for place in (start, end)]
        return CoveredSites(np.stack(edges, axis=-1), self.position, self.state)

    def is_at(self, first: np.ndarray, chrom_index: np.ndarray, position: np.ndarray) -> np.ndarray:
        """Whether what `first` found is at the place itself: (n, cells)."""
        is_here = first < self.span[:, chrom_index, 1].T
        is_here[is_here] = self.position[first[is_here]] == np.broadcast_to(position[:, None], first.shape)[is_here]
        return is_here


def neighbours(
    covered: CoveredSites,
    chrom_index: np.ndarray,
    position: np.ndarray,
    count: int = 25,
    *,
    hidden: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """States and distances of the nearest CpGs that a cell covers on both sides of a site: (n, cells, 2 * count) each.

    The `count` left ones come first, the nearest of them last; then the right ones, the nearest first, so that
    positions ascend. The site itself is not among them, covered or not. Where a chromosome ends, and beyond the last
    covered site, state and distance are NaN: that a network takes .5 and 25,000 bp for them is for the network to say.

    Args:
        covered: Of all cells.
        chrom_index: (n,) chromosomes of the sites, in any order.
        position: (n,) their 0-based positions; the sites need not be covered by any cell.
        count: On each side.
        hidden: (n, 2) start and end of a stretch of each site's chromosome that counts as not covered; None for none.

    Returns:
        State (methylated fraction) and distance in bp, float32.
    """
    state, distance = np.empty((2, len(position), len(covered.span), 2 * count), dtype=np.float32)
    for row in range(0, len(position), _ROWS):
        rows = slice(row, row + _ROWS)
        index, is_missing = _nearest(
            covered, chrom_index[rows], position[rows], count, None if hidden is None else hidden[rows]
        )
        state[rows] = covered.state.take(index, mode="clip")
        distance[rows] = np.abs(covered.position.take(index, mode="clip") - position[rows, None, None])
        state[rows][is_missing] = distance[rows][is_missing] = np.nan
    return state, distance


def _nearest(
    covered: CoveredSites, chrom_index: np.ndarray, position: np.ndarray, count: int, hidden: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Which covered sites are the neighbours, and which of these there are not: (n, cells, 2 * count) each."""
    first = covered.first(chrom_index, position)
    behind = first + covered.is_at(first, chrom_index, position)
    steps = np.arange(count)
    left, right = first[..., None] - count + steps, behind[..., None] + steps
    if hidden is not None:
        low, high = (covered.first(chrom_index, place)[..., None] for place in hidden.T)
        # Counted outwards, the first that is hidden is followed by the next beyond all that are.
        left -= np.clip(first[..., None] - low, 0, high - low) * (left < high)
        right += np.clip(high - behind[..., None], 0, high - low) * (right >= low)
    start, end = covered.span[:, chrom_index].T[..., None]
    index = np.concatenate([left, right], axis=-1)
    return index, (index < start) | (index >= end)
