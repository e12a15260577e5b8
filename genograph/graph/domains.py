"""Edges within domains, such as TADs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from genograph.errors import InputError
from genograph.genome.bed import read_bed
from genograph.genome.bins import Bins
from genograph.graph.building import Known
from genograph.graph.genome_graph import Edges
from genograph.graph.placing import check_size


@dataclass(frozen=True, kw_only=True)
class DomainEdges:
    """Join the nodes of one domain of a BED file to each other, with weight 1.

    A node is of the domains that hold its midpoint. With a `reach` of 1 each is joined to the next: linear edges that
    end where a domain ends.
    """

    needs_contacts: ClassVar[bool] = False

    file: Path
    type: str = "domains"
    reach: int | None = None  # nodes

    def __post_init__(self) -> None:
        if self.reach is not None and self.reach < 1:
            raise InputError(f"domains: reach counts nodes and must be at least 1; got {self.reach}.")

    @property
    def name(self) -> str:
        return self.type

    def __call__(self, nodes: Bins, known: Known) -> Edges:
        first, count = self._spans(nodes, known)
        reach = int(count.max(initial=1)) - 1
        reach = reach if self.reach is None else min(reach, self.reach)
        if reach < 1:
            raise InputError(f"{self.file}: no domain holds two nodes of {nodes.length}. Use smaller nodes.")
        steps = np.minimum(np.maximum(count - 1, 0), reach)
        check_size(int((steps * count - steps * (steps + 1) // 2).sum()), str(self.file), "Give a smaller reach.")
        pairs = []
        for step in range(1, reach + 1):
            left = np.maximum(count - step, 0)
            start = np.arange(left.sum()) + np.repeat(first - (np.cumsum(left) - left), left)
            pairs.append(np.stack([start, start + step]))
        source, destination = np.concatenate(pairs, axis=1)
        return Edges(source, destination, np.ones(len(source)))

    def _spans(self, nodes: Bins, known: Known) -> tuple[np.ndarray, np.ndarray]:
        """First node of each domain, and how many it has: (domains,) each."""
        tiles = np.arange(len(nodes))
        middle = (nodes.starts(tiles) + nodes.ends(tiles)) // 2
        found = []
        for domain in read_bed(self.file, sizes=nodes.sizes, **known.names):
            span = nodes.span(domain.chrom)
            first, end = np.searchsorted(middle[span], (domain.start, domain.end))
            found.append((span.start + first, end - first))
        first, count = np.array(found, dtype=np.int64).T
        return first, count
