"""Edges from a contact map: pairs that meet more often than their distance explains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from genograph.assays.contacts import ContactMap
from genograph.errors import InputError
from genograph.genome.bins import Bins
from genograph.graph.building import Known
from genograph.graph.genome_graph import Edges
from genograph.graph.ranking import check_ranking, known_contacts, strongest_contacts


@dataclass(frozen=True, kw_only=True)
class HiCEdges:
    """Join every node to the `top_k` nodes of its chromosome that it meets most often for their distance.

    Pairs are ranked by observed over expected contacts (O/E), shrunk towards 1 by `pseudocount` reads, see
    `strongest_contacts`. Without that a single read far away, where hardly any is expected, outranks a loop seen in
    fifty. A pair stays if either end ranks it, so a node may have more than `top_k` edges; a repeat that reads of many
    places map to becomes a hub, which the greatest degree in `GenomeGraph.summary` shows.

    With `max_fdr` only pairs are ranked that meet more often than chance lets them, at that false discovery rate over
    all pairs in reach, see `genograph.assays.significance`. With `downsample` the edges are those of a shallower map,
    see `ContactMap.thinned`.
    """

    name: ClassVar[str] = "hic"
    needs_contacts: ClassVar[bool] = True

    top_k: int = 8
    min_distance: int = 20_000  # bp; closer pairs meet whatever the fold, and linear edges join them
    max_distance: int | None = None  # bp
    min_oe: float = 1.0
    pseudocount: float = 1.0  # reads
    max_fdr: float | None = None  # leaves pairs out that do not stand out from chance
    downsample: float = 1.0  # share of the reads that are kept, at random
    seed: int = 0  # of that choice

    def __post_init__(self) -> None:
        check_ranking(
            self.name,
            top_k=self.top_k,
            max_fdr=self.max_fdr,
            downsample=self.downsample,
            min_distance=self.min_distance,
            min_oe=self.min_oe,
            pseudocount=self.pseudocount,
            seed=self.seed,
        )
        if self.max_distance is not None and self.max_distance < self.min_distance:
            raise InputError(f"hic: max_distance {self.max_distance} is below min_distance {self.min_distance} bp.")

    def __call__(self, nodes: Bins, known: Known) -> Edges:
        contacts = known_contacts(self.name, known.contacts, self.downsample, self.seed)
        self._check_reach(contacts)
        return strongest_contacts(
            contacts,
            self._reach(nodes),
            top_k=self.top_k,
            min_oe=self.min_oe,
            pseudocount=self.pseudocount,
            max_fdr=self.max_fdr,
        )

    def _check_reach(self, contacts: ContactMap) -> None:
        asked = self.min_distance if self.max_distance is None else self.max_distance
        if contacts.max_distance is not None and asked > contacts.max_distance:
            raise InputError(
                f"hic: edges up to {asked} bp need contacts up to there, but the store keeps those within "
                f"{contacts.max_distance} bp. Raise contacts.max_distance and prepare again."
            )

    def _reach(self, nodes: Bins) -> range:
        """Distances in nodes."""
        last = int(np.diff(nodes.offsets).max()) if self.max_distance is None else self.max_distance // nodes.bin_size
        return range(max(-(-self.min_distance // nodes.bin_size), 1), last + 1)
