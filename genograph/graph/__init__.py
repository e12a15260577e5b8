"""From a genome's nodes and contacts to a graph."""

from genograph.graph.controls import CONTROLS, node_groups
from genograph.graph.genome_graph import Edges, GenomeGraph, build_graph
from genograph.graph.hic import HiCEdges
from genograph.graph.linear import LinearEdges

EDGES = {
    "linear": LinearEdges,
    "hic": HiCEdges,
}

__all__ = [
    "CONTROLS",
    "EDGES",
    "Edges",
    "GenomeGraph",
    "HiCEdges",
    "LinearEdges",
    "build_graph",
    "node_groups",
]
