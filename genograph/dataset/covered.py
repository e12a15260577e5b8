"""The CpGs that each cell covers beside the bins of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from genograph.assays.cpg_neighbours import CoveredSites, neighbours
from genograph.dataset.pieces import Stretches
from genograph.genome.sites import Sites
from genograph.store import Store


@dataclass(frozen=True)
class CoveredReader:
    """Looks up the nearest covered CpGs on both sides of every bin, as far as a prediction may see them.

    Two things it may not see: what lies in another run than the bin, for nothing crosses a split; and all that is
    predicted with the bin, or a model whose bins talk would read the label of one off what stands beside another.

    Args:
        store: Whose bins are covered sites.
        runs: (runs, 2) first bin and end of the runs that neighbours may be of.
        count: On each side, of each cell.
    """

    store: Store
    runs: np.ndarray
    count: int

    def read(
        self, window: Stretches, partner: Stretches, window_of_partner: np.ndarray, predicted: np.ndarray
    ) -> dict[str, np.ndarray]:
        """State and distance of the neighbours of each bin, (bins, cells, 2 * count) each, NaN where there is none.

        Args:
            window: Bins of windows, which come first.
            partner: Bins of contact partners.
            window_of_partner: (partners,) the window that each was brought along by.
            predicted: (windows, bins) predicted bins of each window, -1 for none; one at least.
        """
        first = np.where(predicted >= 0, predicted, len(self._sites)).min(axis=1)
        hidden = np.stack([self._sites.centres(first), self._sites.centres(predicted.max(axis=1)) + 1], axis=1)
        is_beside = window.run[window_of_partner] == partner.run
        parts = (
            self._beside(window, hidden),
            self._beside(partner, hidden[window_of_partner] * is_beside[:, None]),
        )
        return dict(zip(("state", "distance"), np.concatenate(parts, axis=1), strict=True))

    def _beside(self, stretches: Stretches, hidden: np.ndarray) -> np.ndarray:
        """State and distance: (2, bins, cells, 2 * count)."""
        is_bin = stretches.bins >= 0
        stretch, bins = np.nonzero(is_bin)[0], stretches.bins[is_bin]
        values = np.full((2, is_bin.size, len(self._covered.span), 2 * self.count), np.nan, dtype=np.float32)
        values[:, is_bin.ravel()] = neighbours(
            self._covered, stretches.run[stretch], self._sites.centres(bins), self.count, hidden=hidden[stretch]
        )
        return values

    @property
    def _sites(self) -> Sites:
        assert isinstance(self.store.bins, Sites), "only sites are covered"
        return self.store.bins

    @cached_property
    def _covered(self) -> CoveredSites:
        """What cells cover in each run, which takes the place of a chromosome."""
        assert self.store.covered is not None, "the config says so"
        first, last = self.runs[:, 0], self.runs[:, 1] - 1
        chrom = self._sites.chrom_index(first)
        return self.store.covered.within(chrom, self._sites.centres(first), self._sites.centres(last) + 1)
