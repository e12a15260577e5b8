"""The stored embeddings that fill a batch's bins, each read once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genograph.dataset.pieces import PieceReader, Stretches
from genograph.embeddings import Embeddings


@dataclass(frozen=True, kw_only=True)
class EmbeddingReader(PieceReader):
    """Reads embeddings where a `PieceReader` reads sequence: all of a batch are one piece, of no context.

    A place beyond its run has the embedding that the encoder gives it there, if that was stored, and else none.

    Args:
        embeddings: Of the store's bins.
    """

    embeddings: Embeddings

    def read(self, stretches: list[Stretches], *, shift: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Embeddings (1, n, channels) that these stretches need, and every bin's place among them, (bins,) int64.

        The place is -1 where nothing is encoded, or the embedding is missing (NaN).
        """
        assert shift == 0, "a config that shifts what is stored is refused"
        rows, number = np.unique(np.concatenate([self._rows(each).ravel() for each in stretches]), return_inverse=True)
        found = self.embeddings.values[rows]
        is_there = (rows >= 0) & ~np.isnan(found).any(axis=1)
        place = np.where(is_there, np.cumsum(is_there) - 1, -1)
        return found[is_there][None], place[number]

    def _rows(self, stretches: Stretches) -> np.ndarray:
        """The row of each bin: (stretches, bins in each); -1 where none is read."""
        first, end = self.runs[stretches.run].T[..., None]
        place = stretches.first[:, None] + np.arange(stretches.bins.shape[1])
        place = np.where(self.is_circle[stretches.run][:, None], first + (place - first) % (end - first), place)
        return np.where(self._is_read(stretches.bins), self.embeddings.rows(first, end, place), -1)
