"""From a genome's nodes and contacts to a graph."""

from genograph.graph.controls import CONTROLS, node_groups
from genograph.graph.domains import DomainEdges
from genograph.graph.genome_graph import Edges, GenomeGraph, Known, build_graph
from genograph.graph.hic import HiCEdges
from genograph.graph.linear import LinearEdges
from genograph.graph.loops import LoopEdges, TableEdges

EDGES = {
    "linear": LinearEdges,
    "hic": HiCEdges,
    "loops": LoopEdges,
    "domains": DomainEdges,
    "table": TableEdges,
}

__all__ = [
    "CONTROLS",
    "EDGES",
    "DomainEdges",
    "Edges",
    "GenomeGraph",
    "HiCEdges",
    "Known",
    "LinearEdges",
    "LoopEdges",
    "TableEdges",
    "build_graph",
    "node_groups",
]
