"""Edges from files of pairs: loops that a contact map was searched for, and tables of any pairs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from genograph.assays.pairs import Column, read_bedpe, read_pair_table
from genograph.genome.bins import Bins
from genograph.graph.building import Known
from genograph.graph.genome_graph import Edges
from genograph.graph.placing import Anchors, join_places


@dataclass(frozen=True, kw_only=True)
class LoopEdges:
    """Join the anchors of each pair of a BEDPE file: loops of FitHiChIP, HiCCUPS, chromosight, Mustache, cooltools.

    A weight should be larger for a stronger loop and not much above 6, as those of `hic` edges are; a q-value is no
    weight. Without a column all weigh 1.
    """

    needs_contacts: ClassVar[bool] = False

    file: Path
    type: str = "loops"
    weight: Column | None = None
    anchors: Anchors = "midpoint"

    @property
    def name(self) -> str:
        return self.type

    def __call__(self, nodes: Bins, known: Known) -> Edges:
        pairs = read_bedpe(self.file, nodes.sizes, weight=self.weight, **known.names)
        return join_places(pairs, nodes, self.anchors, str(self.file))


@dataclass(frozen=True, kw_only=True)
class TableEdges:
    """Join the two ends of each row of a table: genes by name, as regulators and their targets, or regions.

    A gene stands at the node of its TSS. An edge runs both ways, as all do: who regulates whom is not told.
    """

    needs_contacts: ClassVar[bool] = False

    file: Path
    type: str = "table"
    source: Column = 1
    target: Column = 2
    weight: Column | None = None
    anchors: Anchors = "midpoint"

    @property
    def name(self) -> str:
        return self.type

    def __call__(self, nodes: Bins, known: Known) -> Edges:
        columns = {"source": self.source, "target": self.target, "weight": self.weight}
        pairs = read_pair_table(self.file, nodes.sizes, known.genes, **columns, **known.names)
        return join_places(pairs, nodes, self.anchors, str(self.file))
