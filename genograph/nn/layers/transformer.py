"""The graph transformer."""

from __future__ import annotations

from torch import Tensor

from genograph.nn.blocks import Count, Probability
from genograph.nn.layers.graph_block import GraphBlock, Level, channels_per_head


class GraphTransformer(GraphBlock):
    """Dot-product attention over neighbours, edge attributes in keys and values, and a gated skip.

    Shi et al. 2021, IJCAI ("Masked label prediction").

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
        from torch_geometric.nn import TransformerConv

        super().__init__(channels, dropout=dropout, level=level)
        # No bias: that of the keys cancels in the softmax and would never train.
        self.conv = TransformerConv(
            channels,
            channels_per_head(channels, heads, "transformer"),
            heads,
            edge_dim=edge_dim,
            beta=True,
            bias=False,
        )

    def message(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        return self.conv(x, edge_index, edge_attr)
