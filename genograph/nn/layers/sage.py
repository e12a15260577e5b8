"""GraphSAGE with learned edge weights."""

from __future__ import annotations

from torch import Tensor, nn

from genograph.nn.blocks import Probability
from genograph.nn.layers.graph_block import GraphBlock
from genograph.nn.layers.scatter import EdgeWeight, scatter_sum


class SAGE(GraphBlock):
    """A node beside the weighted mean of its neighbours (Hamilton et al. 2017, NeurIPS).

    The weight of an edge is learned from its attributes; a node without edges has a mean of 0.

    Args:
        channels: Of the bins.
        edge_dim: Edge attributes.
        dropout: Probability, after the messages.
    """

    def __init__(self, channels: int, edge_dim: int, *, dropout: Probability = 0.0) -> None:
        super().__init__(channels, dropout=dropout)
        self.edge_weight = EdgeWeight(edge_dim)
        self.of_self = nn.Linear(channels, channels)
        self.of_neighbours = nn.Linear(channels, channels, bias=False)

    def message(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        source, destination = edge_index
        weight = self.edge_weight(edge_attr)
        total = scatter_sum(weight * x.index_select(0, source), destination, len(x))
        mean = total / scatter_sum(weight, destination, len(x)).clamp(min=1e-12)
        return self.of_self(x) + self.of_neighbours(mean)
