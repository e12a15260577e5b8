"""The last layer that all heads share."""

from __future__ import annotations

from torch import Tensor, nn

from genograph.nn.blocks import (
    ACTIVATIONS,
    Activation,
    ConvBlock,
    Count,
    Init,
    Probability,
    from_image,
    to_image,
)


class Trunk(nn.Module):
    """What every head shares: a convolution of kernel 1 on each bin and a last activation.

    Args:
        channels: Of the bins.
        filters: Of the convolution, and so of the output.
        dropout: Probability.
        activation: Before the convolution and at the end; `gelu` is the tanh approximation.
        init: Of the convolution.
    """

    def __init__(
        self,
        channels: int,
        *,
        filters: Count,
        dropout: Probability = 0.0,
        activation: Activation = "gelu",
        init: Init = "he_normal",
    ) -> None:
        super().__init__()
        self.channels = filters
        self.block = ConvBlock(channels, filters, dropout=dropout, activation=activation, init=init)
        self.activation = ACTIVATIONS[activation]()

    def forward(self, x: Tensor) -> Tensor:
        """(windows, bins, channels) -> (windows, bins, filters)."""
        return self.activation(from_image(self.block(to_image(x))))
