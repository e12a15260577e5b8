"""A fully connected layer on each bin."""

from __future__ import annotations

from torch import Tensor, nn

from genograph.graph.batch import GenomeBatch
from genograph.nn.blocks import ACTIVATIONS, Activation, Count, Init, Probability, initialise


class Dense(nn.Sequential):
    """Linear, activation and dropout on each bin by itself, as DeepCpG joins sequence and neighbouring CpGs.

    Angermueller, Lee, Reik & Stegle 2017, Genome Biology 18:67.

    Args:
        channels: Of the bins.
        edge_dim: Edge attributes; bins that stand alone have no use for them.
        width: Channels of the output.
        dropout: Probability, at the end.
        activation: After the linear map; `gelu` is the tanh approximation.
        init: Of its weight.

    Attributes:
        channels: Of the output.
        span: Bins read beyond a bin's own: none.
    """

    span = 0

    def __init__(
        self,
        channels: int,
        edge_dim: int,
        *,
        width: Count = 512,
        dropout: Probability = 0.0,
        activation: Activation = "relu",
        init: Init = "he_normal",
    ) -> None:
        linear = nn.Linear(channels, width)
        initialise(linear.weight, init)
        nn.init.zeros_(linear.bias)
        super().__init__(linear, ACTIVATIONS[activation](), nn.Dropout(dropout))
        self.channels = width

    def forward(self, x: Tensor, batch: GenomeBatch) -> Tensor:
        """Bins (bins, channels) -> (bins, width)."""
        return super().forward(x)
