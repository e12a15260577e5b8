"""Nodes of unequal length: genes, peaks, elements."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from genograph.errors import InputError
from genograph.genome.bed import read_bed
from genograph.genome.bins import Bins
from genograph.genome.genes import READERS, read_genes
from genograph.genome.interval import Interval

log = logging.getLogger("genograph")


@dataclass(frozen=True)
class Regions(Bins):
    """Nodes at given places, in the order of the genome; they may overlap, and leave gaps, but none holds another.

    What is next to a region is the one that follows it, however far. Its `bin_size` is the mean length.

    Args:
        sizes: Chromosome sizes in bp, in the genome's order.
        circular: Names of the circular chromosomes.
        chrom: (regions,) position of each region's chromosome in `sizes`, ascending.
        start: (regions,) its first base, ascending on a chromosome.
        end: (regions,) one past its last base, ascending on a chromosome.

    >>> from genograph.genome.interval import Interval
    >>> places = [Interval("chr1", 900, 1100), Interval("chr1", 40, 160), Interval("chr1", 50, 60)]
    >>> nodes = Regions.of(places, {"chr1": 5000})
    >>> [str(nodes.interval(number)) for number in range(len(nodes))]
    ['chr1:40-160', 'chr1:900-1100']
    """

    chrom: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64), repr=False, compare=False)
    start: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64), repr=False, compare=False)
    end: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64), repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        bounds = np.arange(len(self.sizes) + 1)
        object.__setattr__(self, "offsets", np.searchsorted(self.chrom, bounds).astype(np.int64))

    @classmethod
    def of(
        cls, places: Iterable[Interval], sizes: Mapping[str, int], circular: frozenset[str] = frozenset()
    ) -> Regions:
        """The nodes at some places of the genome; one that lies within another is left out, and counted in the log.

        Raises:
            InputError: If there is no place, or one is empty.
        """
        index = {name: number for number, name in enumerate(sizes)}
        rows = np.array([(index[each.chrom], each.start, each.end) for each in places], dtype=np.int64).reshape(-1, 3)
        if not len(rows):
            raise InputError("there is no place for a node.")
        if (empty := np.flatnonzero(rows[:, 1] >= rows[:, 2])).size:
            chrom, start, end = rows[empty[0]].tolist()
            raise InputError(f"{list(sizes)[chrom]}:{start}-{end} has no base, so it is no node.")
        rows = rows[np.lexsort((-rows[:, 2], rows[:, 1], rows[:, 0]))]
        chrom, start, end = rows[~_is_within(rows)].T
        if left := len(rows) - len(chrom):
            log.info("%d of %d places lie within another and are left out: no bin would be theirs.", left, len(rows))
        length = round(float((end - start).mean()))
        return cls(sizes, length, circular=circular, chrom=chrom, start=start, end=end)

    def layout(self) -> dict[str, np.ndarray]:
        return {**super().layout(), "chrom": self.chrom, "start": self.start, "end": self.end}

    @property
    def length(self) -> str:
        lengths = self.end - self.start
        return f"{lengths.min():,} to {lengths.max():,} bp"

    def starts(self, tiles: np.ndarray) -> np.ndarray:
        return self.start[np.asarray(tiles)]

    def ends(self, tiles: np.ndarray) -> np.ndarray:
        return self.end[np.asarray(tiles)]

    def locate(self, chrom: str, positions: np.ndarray) -> np.ndarray:
        """The region that holds each position of a chromosome, of several the first; -1 where none does."""
        span, positions = self.span(chrom), np.asarray(positions)
        region = span.start + np.searchsorted(self.end[span], positions, side="right")
        known = np.minimum(region, max(span.stop - 1, 0))
        return np.where((region < span.stop) & (self.start[known] <= positions), region, -1)

    def find(self, chrom: str, starts: np.ndarray, ends: np.ndarray, points: np.ndarray) -> np.ndarray:
        """The region that a place is; where there is none such, the one that holds its point."""
        span = self.span(chrom)
        region = span.start + np.searchsorted(self.start[span], starts)
        known = np.minimum(region, max(span.stop - 1, 0))
        is_place = (region < span.stop) & (self.start[known] == starts) & (self.end[known] == ends)
        return np.where(is_place, region, self.locate(chrom, points))

    def touching(self, interval: Interval) -> slice:
        span = self.span(interval.chrom)
        first = span.start + int(np.searchsorted(self.end[span], interval.start, side="right"))
        return slice(first, max(first, span.start + int(np.searchsorted(self.start[span], interval.end))))

    def inside(self, interval: Interval) -> slice:
        span = self.span(interval.chrom)
        first = span.start + int(np.searchsorted(self.start[span], interval.start))
        return slice(first, max(first, span.start + int(np.searchsorted(self.end[span], interval.end, side="right"))))

    def holding(self, bins: Bins) -> np.ndarray:
        """The region that covers the most of each bin, of several the first: (bins,) int32; -1 where none touches it.

        The bins of a region follow one another, as no region holds another.
        """
        found = np.full(len(bins), -1, dtype=np.int32)
        for chrom in self.chroms:
            own, span = self.span(chrom), bins.span(chrom)
            tiles = np.arange(span.start, span.stop)
            low, high = bins.starts(tiles), bins.ends(tiles)
            first = np.searchsorted(high, self.start[own], side="right")
            count = np.maximum(np.searchsorted(low, self.end[own]) - first, 0)
            region = np.repeat(np.arange(own.start, own.stop), count)
            at = np.arange(len(region)) + np.repeat(first - (np.cumsum(count) - count), count)
            covered = np.minimum(high[at], self.end[region]) - np.maximum(low[at], self.start[region])
            order = np.lexsort((region, -covered, at))
            most = order[np.diff(at[order], prepend=-1) != 0]
            found[tiles[at[most]]] = region[most]
        return found

    def bp_between(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """bp from the middle of one region to that of the other, the short way round; -1 between chromosomes."""
        first, second = np.asarray(first), np.asarray(second)
        middle, chrom = (self.start + self.end) // 2, self.chrom[first]
        distance = np.abs(middle[first] - middle[second])
        sizes = np.asarray(list(self.sizes.values()))[chrom]
        is_circular = np.asarray([name in self.circular for name in self.sizes], dtype=bool)[chrom]
        distance = np.where(is_circular, np.minimum(distance, sizes - distance), distance)
        return np.where(chrom == self.chrom[second], distance, -1)


def read_regions(path: Path, sizes: Mapping[str, int], *, circular: frozenset[str], **names: Any) -> Regions:
    """The nodes at the places of a BED file, or at the genes of a GFF3, GTF or table.

    Args:
        path: The file, plain or gzip; its suffix says the format.
        sizes: Chromosome sizes in bp.
        circular: Names of the circular chromosomes.
        names: `aliases` and `whole_genome`, as `read_bed` takes them.

    Raises:
        InputError: If it is neither, or a place is none of this genome's.
    """
    if Path(path.name.removesuffix(".gz")).suffix.lower() in READERS.keys() - {".bed"}:
        genes = read_genes(path, sizes, **names)
        rows = zip(genes.chrom.tolist(), genes.start.tolist(), genes.end.tolist(), strict=True)
        places = [Interval(*row) for row in rows]
    else:
        places = read_bed(path, sizes=sizes, **names)
    try:
        return Regions.of(places, sizes, circular)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _is_within(rows: np.ndarray) -> np.ndarray:
    """Whether an earlier row reaches at least as far; rows of chrom, start, end, the longest of one start first."""
    reach = rows[:, 0] * (int(rows[:, 2].max()) + 1) + rows[:, 2]
    before = np.concatenate([[-1], np.maximum.accumulate(reach)[:-1]])
    return before >= reach
