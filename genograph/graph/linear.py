"""Edges along the chromosome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from genograph.errors import InputError
from genograph.genome.bins import Bins
from genograph.graph.building import Known
from genograph.graph.genome_graph import LINEAR, Edges


@dataclass(frozen=True, kw_only=True)
class LinearEdges:
    """Join every node to the nodes within `reach` of it, in both directions, with weight 1.

    Genomic distance is what a contact map shows first, so this is the graph that Hi-C edges have to
    beat. On a circular chromosome the last node is a neighbour of the first. Masked nodes are joined
    too: the chromosome runs on where a contact map sees nothing.
    """

    name: ClassVar[str] = LINEAR
    needs_contacts: ClassVar[bool] = False

    reach: int = 1  # nodes

    def __post_init__(self) -> None:
        if self.reach < 1:
            raise InputError(
                f"linear: reach counts nodes and must be at least 1; got {self.reach}. "
                "For a graph without edges, set edges: [] in the config."
            )

    def __call__(self, nodes: Bins, known: Known) -> Edges:
        source = np.arange(len(nodes))
        chrom = nodes.chrom_index(source)
        first, last = nodes.offsets[chrom], nodes.offsets[chrom + 1]
        is_circular = np.asarray([name in nodes.circular for name in nodes.chroms], dtype=bool)[chrom]
        pairs = []
        for step in range(1, self.reach + 1):
            joined = is_circular | (source + step < last)
            onward = first + (source - first + step) % (last - first)
            pairs.append(np.stack([source[joined], onward[joined]]))
        source, destination = np.concatenate(pairs, axis=1)
        return Edges(source, destination, np.ones(len(source), dtype=np.float32))
