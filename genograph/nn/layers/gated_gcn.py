"""ChromeGCN's gated graph convolution."""

from __future__ import annotations

from torch import Tensor, nn

from genograph.nn.blocks import Probability
from genograph.nn.layers.gcn import GraphConvolution
from genograph.nn.layers.graph_block import GraphBlock, Level


class GatedGCN(GraphBlock):
    """A node keeps itself or takes its neighbourhood, as a scalar gate decides.

    The layer of ChromeGCN (Lanchantin and Qi 2020, Bioinformatics 36:i659), `(1 - g) x + g tanh(conv(x))`
    with `g` from the convolved node; its edges are weighted here by what their attributes say.

    Args:
        channels: Of the bins.
        edge_dim: Edge attributes.
        dropout: Probability, after the messages.
        level: Of the nodes, see `GraphBlock`.
    """

    def __init__(self, channels: int, edge_dim: int, *, dropout: Probability = 0.0, level: Level = 0) -> None:
        super().__init__(channels, dropout=dropout, level=level)
        self.conv = GraphConvolution(channels, edge_dim)
        self.tanh = nn.Tanh()
        self.keep_or_take = nn.Sequential(nn.Linear(channels, 1), nn.Sigmoid())

    def message(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        neighbourhood = self.tanh(self.conv(x, edge_index, edge_attr))
        gate = self.keep_or_take(neighbourhood)
        return (1 - gate) * x + gate * neighbourhood
