"""Graph attention with edge features."""

from __future__ import annotations

from torch import Tensor

from genograph.nn.blocks import Count, Probability
from genograph.nn.layers.graph_block import GraphBlock, Level, channels_per_head


class GAT(GraphBlock):
    """A node attends to itself and its neighbours; edge attributes enter the attention (GATv2).

    Brody, Alon and Yahav 2022, ICLR. A node's edge to itself has the mean attributes of its other edges.

    Args:
        channels: Of the bins.
        edge_dim: Edge attributes.
        heads: Attention heads; they share the channels.
        dropout: Probability, after the messages.
        level: Of the nodes, see `GraphBlock`.

    Raises:
        InputError: If the heads do not divide the channels.
    """

    def __init__(
        self, channels: int, edge_dim: int, *, heads: Count = 4, dropout: Probability = 0.0, level: Level = 0
    ) -> None:
        # Importing PyTorch Geometric takes seconds; only a model that uses it waits for them.
        from torch_geometric.nn import GATv2Conv

        super().__init__(channels, dropout=dropout, level=level)
        self.conv = GATv2Conv(channels, channels_per_head(channels, heads, "gat"), heads, edge_dim=edge_dim)

    def message(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        return self.conv(x, edge_index, edge_attr)
