"""GraphSAGE with a mean for each type of edge, and learned edge weights."""

from __future__ import annotations

from torch import Tensor, nn

from genograph.graph.batch import EDGE_MEASURES
from genograph.nn.blocks import Probability
from genograph.nn.layers.graph_block import GraphBlock
from genograph.nn.layers.scatter import EdgeWeight, scatter_sum


class SAGE(GraphBlock):
    """A node beside the weighted mean of its neighbours (Hamilton et al. 2017, NeurIPS), one for each edge type.

    A type has a mean and a matrix of its own, as in a relational graph convolution (Schlichtkrull et al. 2018,
    ESWC), so that what loops bring is not diluted by what lies beside. The weight of an edge is learned from its
    attributes; a node without edges of a type has a mean of 0.

    Args:
        channels: Of the bins.
        edge_dim: Edge attributes.
        dropout: Probability, after the messages.
    """

    def __init__(self, channels: int, edge_dim: int, *, dropout: Probability = 0.0) -> None:
        super().__init__(channels, dropout=dropout)
        num_types = edge_dim - len(EDGE_MEASURES)
        self.edge_weight = EdgeWeight(edge_dim)
        self.of_self = nn.Linear(channels, channels)
        self.of_neighbours = nn.ModuleList(nn.Linear(channels, channels, bias=False) for _ in range(num_types))

    def message(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        source, destination = edge_index
        weight, neighbours = self.edge_weight(edge_attr), x.index_select(0, source)
        out = self.of_self(x)
        for linear, is_type in zip(self.of_neighbours, edge_attr[:, len(EDGE_MEASURES) :].T, strict=True):
            of_type = weight * is_type[:, None]
            total = scatter_sum(of_type * neighbours, destination, len(x))
            out = out + linear(total / scatter_sum(of_type, destination, len(x)).clamp(min=1e-12))
        return out
