"""Graph convolution with learned edge weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genograph.nn.blocks import Probability
from genograph.nn.layers.graph_block import GraphBlock, Level
from genograph.nn.layers.scatter import EdgeWeight, scatter_sum


class GraphConvolution(nn.Module):
    """`D^-1/2 (A + I) D^-1/2 X W`, where A holds a weight per edge learned from its attributes.

    Kipf and Welling 2017, ICLR. An edge of a node to itself counts besides the I.
    """

    def __init__(self, channels: int, edge_dim: int) -> None:
        super().__init__()
        self.edge_weight = EdgeWeight(edge_dim)
        self.linear = nn.Linear(channels, channels)

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        """Nodes (nodes, channels) -> (nodes, channels)."""
        (source, destination), nodes = edge_index, x.shape[0]
        weight = self.edge_weight(edge_attr)
        scale = torch.rsqrt(1 + scatter_sum(weight, destination, nodes))
        scaled = scale * x
        return self.linear(scale * (scaled + scatter_sum(weight * scaled.index_select(0, source), destination, nodes)))


class GCN(GraphBlock):
    """Symmetrically normalised sum over a node and its neighbours (Kipf and Welling 2017).

    Args:
        channels: Of the bins.
        edge_dim: Edge attributes.
        dropout: Probability, after the messages.
        level: Of the nodes, see `GraphBlock`.
    """

    def __init__(self, channels: int, edge_dim: int, *, dropout: Probability = 0.0, level: Level = 0) -> None:
        super().__init__(channels, dropout=dropout, level=level)
        self.conv = GraphConvolution(channels, edge_dim)

    def message(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        return self.conv(x, edge_index, edge_attr)
