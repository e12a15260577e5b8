"""A genome cut into tiles of one size: the bins that tracks are read at, and the nodes of a graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from genograph.errors import InputError, nearest
from genograph.genome.interval import Interval

_BLOCK = 1_000_000  # bins looked at at a time


@dataclass(frozen=True)
class Bins:
    """Tiles of `bin_size` bp over every chromosome, numbered from 0 through the whole genome.

    Tile `i` of a chromosome covers bases `[i * bin_size, (i + 1) * bin_size)`. A remainder at the
    chromosome's end is dropped (as Basenji does), or kept as a last, shorter tile with `partial`
    (as cooler does).

    Args:
        sizes: Chromosome sizes in bp, in the genome's order.
        bin_size: Length of a tile in bp.
        partial: Whether the remainder at a chromosome's end becomes a tile.
        circular: Names of the circular chromosomes; distances on them go the short way round.

    >>> nodes = Bins({"chr1": 5000, "chr2": 2500}, 1000, partial=True)
    >>> len(nodes), str(nodes.interval(7))
    (8, 'chr2:2000-2500')
    """

    sizes: Mapping[str, int]
    bin_size: int
    partial: bool = False
    circular: frozenset[str] = frozenset()
    offsets: np.ndarray = field(init=False, repr=False, compare=False)  # (chroms + 1,)

    def __post_init__(self) -> None:
        if self.bin_size < 1:
            raise InputError(f"A bin holds at least 1 bp; got bin_size {self.bin_size}.")
        counts = [-(-size // self.bin_size) if self.partial else size // self.bin_size for size in self.sizes.values()]
        object.__setattr__(self, "offsets", np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))

    def __len__(self) -> int:
        return int(self.offsets[-1])

    def layout(self) -> dict[str, np.ndarray]:
        """What tells these tiles from others, as arrays: chromosomes, their sizes, and how they are cut."""
        return {
            "chroms": np.array(self.chroms, dtype=str),
            "sizes": np.array(list(self.sizes.values()), dtype=np.int64),
            "circular": np.array(sorted(self.circular), dtype=str),
            "bin_size": np.array(self.bin_size),
            "partial": np.array(self.partial),
        }

    def to_frame(self) -> pd.DataFrame:
        """Where the tiles lie: columns chrom, start and end.

        >>> Bins({"chr1": 2500}, 1000).to_frame().to_csv("places.tsv", sep="\\t", index=False)
        """
        tiles = np.arange(len(self))
        chrom = np.asarray(self.chroms, dtype=object)[self.chrom_index(tiles)]
        return pd.DataFrame({"chrom": chrom, "start": self.starts(tiles), "end": self.ends(tiles)})

    @property
    def length(self) -> str:
        """How long tiles are, in words."""
        return f"{self.bin_size:,} bp"

    @property
    def chroms(self) -> list[str]:
        return list(self.sizes)

    def span(self, chrom: str) -> slice:
        """The numbers of a chromosome's tiles, as a slice."""
        if chrom not in self.sizes:
            raise InputError(f"No chromosome '{chrom}' in this genome.{nearest(chrom, self.sizes)}")
        index = self.chroms.index(chrom)
        return slice(int(self.offsets[index]), int(self.offsets[index + 1]))

    def chrom_index(self, tiles: np.ndarray) -> np.ndarray:
        """For each tile the position of its chromosome in `chroms`."""
        return np.searchsorted(self.offsets, np.asarray(tiles), side="right") - 1

    def starts(self, tiles: np.ndarray) -> np.ndarray:
        """First base of each tile, counted from the start of its chromosome."""
        tiles = np.asarray(tiles)
        return (tiles - self.offsets[self.chrom_index(tiles)]) * self.bin_size

    def ends(self, tiles: np.ndarray) -> np.ndarray:
        """One past the last base of each tile; a partial tile ends with its chromosome."""
        sizes = np.asarray(list(self.sizes.values()))
        return np.minimum(self.starts(tiles) + self.bin_size, sizes[self.chrom_index(tiles)])

    def interval(self, tile: int) -> Interval:
        """Where one tile lies."""
        chrom = self.chroms[int(self.chrom_index(np.asarray(tile)))]
        return Interval(chrom, int(self.starts(np.asarray(tile))), int(self.ends(np.asarray(tile))))

    def locate(self, chrom: str, positions: np.ndarray) -> np.ndarray:
        """The tile that holds each position of a chromosome; -1 where no tile does."""
        span = self.span(chrom)
        positions = np.asarray(positions)
        tiles = span.start + positions // self.bin_size
        on_chrom = (positions >= 0) & (positions < self.sizes[chrom])
        return np.where(on_chrom & (tiles < span.stop), tiles, -1)

    def find(self, chrom: str, starts: np.ndarray, ends: np.ndarray, points: np.ndarray) -> np.ndarray:
        """The tile that stands for each place of a chromosome, the one that holds its point; -1 where none does."""
        return self.locate(chrom, points)

    def holding(self, bins: Bins) -> np.ndarray:
        """The tile that holds each bin's midpoint: (bins,) int32; -1 where none does."""
        held = np.empty(len(bins), dtype=np.int32)
        for first in range(0, len(bins), _BLOCK):
            number = np.arange(first, min(first + _BLOCK, len(bins)))
            midpoints = (bins.starts(number) + bins.ends(number)) // 2
            chrom = bins.chrom_index(number)
            tile = self.offsets[chrom] + midpoints // self.bin_size
            held[number] = np.where(tile < self.offsets[chrom + 1], tile, -1)
        return held

    def touching(self, interval: Interval) -> slice:
        """The tiles that share at least one base with an interval."""
        span = self.span(interval.chrom)
        end = min(interval.end, self.sizes[interval.chrom])
        if interval.start >= end:
            return slice(span.start, span.start)
        first = span.start + interval.start // self.bin_size
        last = span.start + -(-end // self.bin_size)
        return slice(min(first, span.stop), min(last, span.stop))

    def inside(self, interval: Interval) -> slice:
        """The tiles that lie wholly in an interval."""
        span = self.span(interval.chrom)
        first = span.start + -(-interval.start // self.bin_size)
        last = span.start + interval.end // self.bin_size
        if interval.end >= self.sizes[interval.chrom]:  # a partial last tile ends with its chromosome
            last = span.stop
        return slice(min(first, span.stop), max(min(first, span.stop), min(last, span.stop)))

    def mark(self, intervals: Iterable[Interval]) -> np.ndarray:
        """True for every tile that touches one of the intervals: (len(self),)."""
        marked = np.zeros(len(self), dtype=bool)
        for interval in intervals:
            marked[self.touching(interval)] = True
        return marked

    def marked(self, chrom: str, starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The tiles that stretches of a chromosome mark, as pairs of stretch and tile: two arrays (pairs,).

        A stretch marks every tile of which it covers at least half, and one shorter than a tile the one that holds
        its midpoint.
        """
        size, span = self.bin_size, self.span(chrom)
        is_short, middle = ends - starts < size, (starts + ends) // 2 // size
        # A stretch as long as a tile covers half of those tiles whose midpoint it reaches.
        first = np.where(is_short, middle, -((size - 2 * starts) // (2 * size)))
        last = np.where(is_short, middle, (2 * ends - size) // (2 * size))
        count = last - first + 1
        stretch = np.repeat(np.arange(len(starts)), count)
        tile = span.start + np.arange(len(stretch)) + np.repeat(first - (np.cumsum(count) - count), count)
        return stretch[tile < span.stop], tile[tile < span.stop]

    def pieces(self, chrom: str, bases: int) -> Iterator[slice]:
        """A chromosome's tiles, one after another, as slices that span at most so many bases, or one tile."""
        span = self.span(chrom)
        step = max(1, bases // self.bin_size)
        return (slice(first, min(first + step, span.stop)) for first in range(span.start, span.stop, step))

    def bases(self, values: np.ndarray, tiles: slice, start: int) -> np.ndarray:
        """Values of the bases from `start` on, as those of each of some tiles: (tiles, bin_size)."""
        first = int(self.starts(np.asarray(tiles.start))) - start
        return values[first : first + (tiles.stop - tiles.start) * self.bin_size].reshape(-1, self.bin_size)

    def bp_between(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """bp from the start of one tile to that of the other, the short way round; -1 between chromosomes."""
        distance = self.distance(first, second)
        return np.where(distance < 0, -1, distance * self.bin_size)

    def distance(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Tiles from one to the other, the short way round a circular chromosome; -1 between chromosomes."""
        first, second = np.asarray(first), np.asarray(second)
        chrom = self.chrom_index(first)
        distance = np.abs(first - second)
        counts = np.diff(self.offsets)[chrom]
        is_circular = np.asarray([name in self.circular for name in self.sizes], dtype=bool)[chrom]
        distance = np.where(is_circular, np.minimum(distance, counts - distance), distance)
        return np.where(chrom == self.chrom_index(second), distance, -1)


def bins_to_nodes(bins: Bins, nodes: Bins) -> np.ndarray:
    """The node of each bin, see `holding`: (bins,) int32; -1 for a bin of no node. A node's bins are in a row.

    A contact map's 5,000-bp bins do not divide into 128-bp bins, so membership goes by midpoint and
    a node holds 39 or 40 of them.
    """
    return np.arange(len(bins), dtype=np.int32) if nodes is bins else nodes.holding(bins)


def bins_of_nodes(node_of_bin: np.ndarray, num_nodes: int) -> np.ndarray:
    """First bin of every node, and one past its last: (nodes, 2) int64; 0 and 0 for a node without bins."""
    spans = np.zeros((num_nodes, 2), dtype=np.int64)
    changes = np.flatnonzero(node_of_bin[1:] != node_of_bin[:-1]) + 1
    first, end = np.append(0, changes), np.append(changes, len(node_of_bin))
    node = node_of_bin[first] if len(node_of_bin) else node_of_bin
    in_node = node >= 0
    spans[node[in_node]] = np.stack([first, end], axis=1)[in_node]
    return spans
