"""Bins that lie where a list says: peaks, their negatives, CpG sites."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from genograph.errors import InputError
from genograph.genome.bins import Bins
from genograph.genome.interval import Interval

# Where a site comes from: the source of the config, or its negatives next to that, open in other cells, or anywhere.
SITE_KINDS = ("source", "flanking", "accessible", "random")


@dataclass(frozen=True)
class Sites(Bins):
    """Bins of `bin_size` bp at given places, in the order of the genome; they may overlap, and leave gaps.

    Args:
        sizes: Chromosome sizes in bp, in the genome's order.
        bin_size: Length of a site in bp.
        circular: Names of the circular chromosomes.
        chrom: (sites,) position of each site's chromosome in `sizes`, ascending.
        start: (sites,) its first base, ascending on a chromosome.

    Raises:
        InputError: If a site leaves its chromosome, or two are the same or out of order.

    >>> places = [Interval("chr1", 900, 1100), Interval("chr1", 40, 160)]
    >>> Sites.centred(places, {"chr1": 5000}, 100).start.tolist()
    [50, 950]
    """

    chrom: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64), repr=False, compare=False)
    start: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64), repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        bounds = np.arange(len(self.sizes) + 1)
        object.__setattr__(self, "offsets", np.searchsorted(self.chrom, bounds).astype(np.int64))
        sizes = np.asarray(list(self.sizes.values()), dtype=np.int64)
        outside = (self.start < 0) | (self.start + self.bin_size > sizes[self.chrom])
        if outside.any():
            at = int(np.flatnonzero(outside)[0])
            raise InputError(
                f"the site at {self.chroms[int(self.chrom[at])]}:{int(self.start[at]):,} leaves its chromosome."
            )
        step = np.diff(self.chrom) * (int(sizes.max(initial=0)) + 1) + np.diff(self.start)
        if (step <= 0).any():
            at = int(np.flatnonzero(step <= 0)[0]) + 1
            raise InputError(
                f"sites are not in order, or one comes twice: {self.chroms[int(self.chrom[at])]}:"
                f"{int(self.start[at]):,}."
            )

    @classmethod
    def centred(cls, places: Iterable[Interval], sizes: Mapping[str, int], bin_size: int, **options: object) -> Sites:
        """Sites of `bin_size` bp about midpoints of places, each once, without those that leave their chromosome."""
        index = {name: number for number, name in enumerate(sizes)}
        rows = np.array(
            [(index[each.chrom], (each.start + each.end) // 2 - bin_size // 2) for each in places], dtype=np.int64
        ).reshape(-1, 2)
        length = np.asarray(list(sizes.values()), dtype=np.int64)[rows[:, 0]]
        chrom, start = np.unique(rows[(rows[:, 1] >= 0) & (rows[:, 1] + bin_size <= length)], axis=0).T
        return cls(sizes, bin_size, chrom=chrom, start=start, **options)  # pyright: ignore[reportArgumentType]

    def layout(self) -> dict[str, np.ndarray]:
        return {**super().layout(), "chrom": self.chrom, "start": self.start}

    def starts(self, tiles: np.ndarray) -> np.ndarray:
        return self.start[np.asarray(tiles)]

    def ends(self, tiles: np.ndarray) -> np.ndarray:
        return self.starts(tiles) + self.bin_size

    def centres(self, tiles: np.ndarray) -> np.ndarray:
        """The base that each site lies about, the left one of two."""
        return self.starts(tiles) + (self.bin_size - 1) // 2

    def locate(self, chrom: str, positions: np.ndarray) -> np.ndarray:
        """The site that holds each position of a chromosome; -1 where none does.

        Raises:
            InputError: If sites of the chromosome overlap, so that two may hold one.
        """
        span, positions = self.span(chrom), np.asarray(positions)
        start = self.start[span]
        if (np.diff(start) < self.bin_size).any():
            raise InputError(f"sites of {self.bin_size} bp on {chrom} overlap, so a base has no site of its own.")
        site = np.searchsorted(start, positions, side="right") - 1
        held = (site >= 0) & (positions < start[np.maximum(site, 0)] + self.bin_size) if len(start) else site >= 0
        return np.where(held, span.start + site, -1)

    def find(self, chrom: str, starts: np.ndarray, ends: np.ndarray, points: np.ndarray) -> np.ndarray:
        """The site that a place is; where there is none such, the one that holds its point; -1 where none does.

        Raises:
            InputError: As `locate`, if a place is no site.
        """
        span = self.span(chrom)
        site = span.start + np.searchsorted(self.start[span], starts)
        known = np.minimum(site, max(span.stop - 1, 0))
        is_place = (site < span.stop) & (ends - starts == self.bin_size)
        is_place[is_place] = self.start[known[is_place]] == starts[is_place]
        found = np.where(is_place, site, -1)
        if not is_place.all():
            found[~is_place] = self.locate(chrom, points[~is_place])
        return found

    def touching(self, interval: Interval) -> slice:
        span = self.span(interval.chrom)
        start = self.start[span]
        first = span.start + int(np.searchsorted(start, interval.start - self.bin_size, side="right"))
        return slice(first, max(first, span.start + int(np.searchsorted(start, interval.end, side="left"))))

    def inside(self, interval: Interval) -> slice:
        span = self.span(interval.chrom)
        start = self.start[span]
        first = span.start + int(np.searchsorted(start, interval.start, side="left"))
        last = span.start + int(np.searchsorted(start, interval.end - self.bin_size, side="right"))
        return slice(first, max(first, last))

    def marked(self, chrom: str, starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        span, size = self.span(chrom), self.bin_size
        start, middle = self.start[span], (starts + ends) // 2
        is_short = ends - starts < size
        # Of a site at s a peak covers half if it begins by the end of its first half and ends at or behind its middle.
        low = np.where(is_short, middle - size + 1, starts - size // 2)
        high = np.where(is_short, middle, ends - (size + 1) // 2)
        first, last = np.searchsorted(start, low, side="left"), np.searchsorted(start, high, side="right")
        count = np.maximum(last - first, 0)
        peak = np.repeat(np.arange(len(starts)), count)
        return peak, span.start + first[peak] + np.arange(len(peak)) - np.repeat(np.cumsum(count) - count, count)

    def marked_by(self, places: Iterable[Interval]) -> np.ndarray:
        """True for the sites that any place marks, see `marked`: (sites,)."""
        found, spans = np.zeros(len(self), dtype=bool), {}
        for each in places:
            spans.setdefault(each.chrom, []).append((each.start, each.end))
        for chrom, each in spans.items():
            found[self.marked(chrom, *np.array(each).T)[1]] = True
        return found

    def pieces(self, chrom: str, bases: int) -> Iterator[slice]:
        span = self.span(chrom)
        first = span.start
        while first < span.stop:
            reach = int(self.start[first]) + max(bases - self.bin_size, 0)
            last = span.start + int(np.searchsorted(self.start[span], reach, side="right"))
            yield slice(first, max(last, first + 1))
            first = max(last, first + 1)

    def bases(self, values: np.ndarray, tiles: slice, start: int) -> np.ndarray:
        at = self.start[tiles] - start
        return values[at[:, None] + np.arange(self.bin_size)]

    def bp_between(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        first, second = np.asarray(first), np.asarray(second)
        chrom = self.chrom_index(first)
        distance = np.abs(self.start[first] - self.start[second])
        sizes = np.asarray(list(self.sizes.values()))[chrom]
        is_circular = np.asarray([name in self.circular for name in self.sizes], dtype=bool)[chrom]
        distance = np.where(is_circular, np.minimum(distance, sizes - distance), distance)
        return np.where(chrom == self.chrom_index(second), distance, -1)
