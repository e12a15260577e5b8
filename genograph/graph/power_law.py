"""Edges that distance alone makes one expect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from genograph.assays.contacts import ContactMap
from genograph.errors import InputError
from genograph.genome.bins import Bins
from genograph.graph.genome_graph import Edges, pairs_apart


@dataclass(frozen=True, kw_only=True)
class PowerLawEdges:
    """Join every node to the `top_k` nodes of its chromosome that distance makes it meet most often.

    Contacts fall off with distance as a power law (Lieberman-Aiden et al. 2009, Science 326:289), so by that law alone
    the partners of a node are the nearest at `min_distance` or more; of two at one distance both count, so a node
    may get one more. A pair stays if either end ranks it. Every weight is 1, which is what `hic` gives a pair that
    meets as often as expected, log2(1 + 1): the law is the expectation, so observed over expected is 1 everywhere,
    and how contacts fall off is in the distance that each edge has. Nodes that the contact map masks, if there
    is one, get none; it is used for nothing else.
    """

    name: ClassVar[str] = "power_law"
    needs_contacts: ClassVar[bool] = False

    top_k: int = 8
    min_distance: int = 20_000  # bp

    def __post_init__(self) -> None:
        if self.top_k < 1:
            raise InputError(f"power_law: top_k must be at least 1; got {self.top_k}.")
        if self.min_distance < 0:
            raise InputError(f"power_law: min_distance must not be negative; got {self.min_distance}.")

    def __call__(self, nodes: Bins, contacts: ContactMap | None = None) -> Edges:
        is_seen = np.ones(len(nodes), dtype=bool) if contacts is None else ~contacts.masked
        pairs = [np.empty((2, 0), dtype=np.int64), *(self._nearest(nodes, chrom, is_seen) for chrom in nodes.chroms)]
        source, destination = np.concatenate(pairs, axis=1)
        return Edges(source, destination, np.ones(len(source), dtype=np.float32))

    def _nearest(self, nodes: Bins, chrom: str, is_seen: np.ndarray) -> np.ndarray:
        """The pairs of one chromosome: (2, pairs). Goes from distance to distance until every node has its share."""
        span = nodes.span(chrom)
        found = np.zeros(len(nodes), dtype=np.int64)  # partners of each node at the distances gone through
        pairs = [np.empty((2, 0), dtype=np.int64)]
        for distance in range(max(-(-self.min_distance // nodes.bin_size), 1), span.stop - span.start):
            if (found[span][is_seen[span]] >= self.top_k).all():
                break
            pair = np.stack(pairs_apart(nodes, chrom, distance))
            pair = pair[:, is_seen[pair].all(axis=0)]
            pairs.append(pair[:, (found[pair] < self.top_k).any(axis=0)])
            found += np.bincount(pair.ravel(), minlength=len(nodes))
        return np.concatenate(pairs, axis=1)
