"""From a genome's nodes and contacts to a graph."""

from genograph.graph.building import Known, build_graph
from genograph.graph.controls import CONTROLS, node_groups
from genograph.graph.domains import DomainEdges
from genograph.graph.genome_graph import Edges, GenomeGraph
from genograph.graph.hic import HiCEdges
from genograph.graph.linear import LinearEdges
from genograph.graph.loops import LoopEdges, TableEdges
from genograph.graph.saved import SavedEdges
from genograph.graph.trans import TransEdges

EDGES = {
    "linear": LinearEdges,
    "hic": HiCEdges,
    "trans": TransEdges,
    "loops": LoopEdges,
    "domains": DomainEdges,
    "table": TableEdges,
    "saved": SavedEdges,
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
    "SavedEdges",
    "TableEdges",
    "TransEdges",
    "build_graph",
    "node_groups",
]
