"""The part of a model in which bins talk: along the sequence, over the graph, both or not at all."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

from genograph.graph.batch import GenomeBatch


class Processor(nn.Module):
    """Layers one after another; none of them makes each bin stand alone, as in Basset.

    Args:
        channels: Of the bins that enter.
        layers: In order; each takes the channels that the one before gives.

    Attributes:
        channels: Of the bins that leave.
        span: Bins read along the sequence beyond a bin's own, both sides together.
    """

    def __init__(self, channels: int, layers: Iterable[nn.Module] = ()) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.channels = self.layers[-1].channels if self.layers else channels
        self.span = sum(layer.span for layer in self.layers)

    def forward(self, x: Tensor, batch: GenomeBatch) -> Tensor:
        """Bins (bins, channels) -> (bins, channels')."""
        for layer in self.layers:
            x = layer(x, batch)
        return x
