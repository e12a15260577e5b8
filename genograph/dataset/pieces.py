"""The pieces of sequence that fill a batch's bins, each read and encoded once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from genograph.genome.sites import Sites
from genograph.store import Store


@dataclass(frozen=True)
class Stretches:
    """Rows of consecutive bins: windows, or the bins of contact partners.

    Attributes:
        run: (stretches,) the run that each lies in.
        first: (stretches,) its first bin; it may lie before the run.
        bins: (stretches, bins in each) bin numbers, -1 where the run does not reach.
    """

    run: np.ndarray
    first: np.ndarray
    bins: np.ndarray


@dataclass(frozen=True)
class PieceReader:
    """Cuts stretches into pieces of `chunk` bins and reads them with `halo` bins of context on both sides.

    Args:
        store: Where the sequence is.
        runs: (runs, 2) first bin and end of the runs that sequence may be read from.
        chunk: Bins in a piece.
        halo: Bins of context on each side of it.
        candidates: (bins,) True for bins that are read from sequence; None for all.
    """

    store: Store
    runs: np.ndarray
    chunk: int
    halo: int
    candidates: np.ndarray | None = None

    def read(self, stretches: list[Stretches], *, shift: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Codes of the pieces that these stretches need, and every bin's place in them.

        Args:
            stretches: What to fill.
            shift: bp that the sequence is read further on.

        Returns:
            `codes` (pieces, bp) uint8, context included, and `source` (bins,) int64: the bin's place in
            the pieces' bins laid end to end (without context), -1 where it is not read.
        """
        is_read = [self._is_read(each.bins) for each in stretches]
        keys = np.concatenate([self._keys(each) for each in stretches])
        needed = np.concatenate([self._needed(each) for each in is_read])
        pieces, number = np.unique(keys[needed], axis=0, return_inverse=True)
        piece_of = np.full(len(keys), -1, dtype=np.int64)
        piece_of[needed] = number.ravel()
        source, at = [], 0
        for read in is_read:
            count, length = read.shape
            per_stretch = -(-length // self.chunk)
            piece = piece_of[at : at + count * per_stretch].reshape(count, per_stretch)
            at += count * per_stretch
            place = np.arange(length)
            source.append(np.where(read, piece[:, place // self.chunk] * self.chunk + place % self.chunk, -1))
        codes = [self._codes(run, first, shift) for run, first in pieces.tolist()]
        length = (self.chunk + 2 * self.halo) * self.store.bins.bin_size
        return np.stack(codes) if codes else np.empty((0, length), np.uint8), np.concatenate(
            [each.ravel() for each in source]
        )

    def _is_read(self, bins: np.ndarray) -> np.ndarray:
        """Without candidates all bins are read, those beyond the run as N: a window is then one stretch of sequence."""
        if self.candidates is None:
            return np.ones(bins.shape, dtype=bool)
        return (bins >= 0) & self.candidates[bins]

    def _keys(self, stretches: Stretches) -> np.ndarray:
        """(run, first bin) of every piece of every stretch: (pieces, 2)."""
        first = stretches.first[:, None] + np.arange(0, stretches.bins.shape[1], self.chunk)
        return np.stack([np.broadcast_to(stretches.run[:, None], first.shape), first], axis=-1).reshape(-1, 2)

    def _needed(self, is_read: np.ndarray) -> np.ndarray:
        """Whether any bin of each piece is read: (pieces,)."""
        starts = np.arange(0, is_read.shape[1], self.chunk)
        return np.logical_or.reduceat(is_read, starts, axis=1).ravel()

    def _codes(self, run: int, first: int, shift: int) -> np.ndarray:
        """A piece with its context: N beyond its run, unless the run is a whole circular chromosome."""
        bins = self.store.bins
        chrom = int(self._chrom[run])
        if isinstance(bins, Sites):
            return self._site_codes(run, first, chrom, shift)
        start = (first - self.halo - int(bins.offsets[chrom])) * bins.bin_size + shift
        end = start + (self.chunk + 2 * self.halo) * bins.bin_size
        low, high = ((self.runs[run] - bins.offsets[chrom]) * bins.bin_size).tolist()
        if self.is_circle[run]:
            # The last bin meets the first, as bins do: the remainder of the chromosome that has no bin is skipped.
            return self.store.codes(bins.chroms[chrom], low, high).take(np.arange(start, end), mode="wrap")
        codes = np.array(self.store.codes(bins.chroms[chrom], start, end))
        codes[: max(0, low - start)] = 4
        codes[max(0, high - start) :] = 4
        return codes

    def _site_codes(self, run: int, site: int, chrom: int, shift: int) -> np.ndarray:
        """A site with its context: N from the next site on that is of another run, and beyond its chromosome."""
        bins, (first, end) = self.store.bins, self.runs[run].tolist()
        length = (1 + 2 * self.halo) * bins.bin_size
        if self.is_circle[run]:
            site = first + (site - first) % (end - first)
        if not first <= site < end:
            return np.full(length, 4, dtype=np.uint8)
        start = int(bins.starts(np.asarray(site))) - self.halo * bins.bin_size + shift
        codes = np.array(self.store.codes(bins.chroms[chrom], start, start + length))
        if first > bins.offsets[chrom]:
            before = min(bins.ends(np.asarray(first - 1)), bins.starts(np.asarray(first)))
            codes[: max(0, before - start)] = 4
        if end < bins.offsets[chrom + 1]:
            behind = max(bins.starts(np.asarray(end)), bins.ends(np.asarray(end - 1)))
            codes[max(0, behind - start) :] = 4
        return codes

    @cached_property
    def _chrom(self) -> np.ndarray:
        return self.store.bins.chrom_index(self.runs[:, 0])

    @cached_property
    def is_circle(self) -> np.ndarray:
        """Whether a run is a whole circular chromosome, which has no end: (runs,)."""
        bins = self.store.bins
        circular = np.isin(np.asarray(bins.chroms)[self._chrom], list(bins.circular))
        return circular & (self.runs[:, 1] - self.runs[:, 0] == np.diff(bins.offsets)[self._chrom])
