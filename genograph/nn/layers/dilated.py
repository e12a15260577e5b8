"""Basenji's dilated convolutions, residual (2020) and densely connected (2018), along stretches of bins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from genograph.graph.batch import GenomeBatch
from genograph.nn.blocks import (
    ACTIVATIONS,
    NORM_EPS,
    Activation,
    Count,
    Init,
    Probability,
    SameConv,
    from_image,
    initialise,
    to_image,
)


class Dilated(nn.Module):
    """Residual dilated convolutions, each reaching further than the one before (Kelley 2020, PLoS Comput Biol).

    Bins talk within their stretch (window or contact partner) only; beyond its ends there are zeros. The last
    normalisation of every residual starts at zero, so that the layer starts as the identity.

    Args:
        channels: Of the bins.
        edge_dim: Edge attributes; a convolution has no use for them.
        filters: Width inside a residual.
        kernel: Bins under the kernel.
        layers: Residuals.
        rate_multiplier: From one residual's dilation to the next, rounded half to even.
        dropout: Probability, at the end of a residual.
        activation: Before each convolution; `gelu` is the tanh approximation.

    Attributes:
        channels: Of the output.
        span: Bins read beyond a bin's own, both sides together.
    """

    def __init__(
        self,
        channels: int,
        edge_dim: int,
        *,
        filters: Count = 32,
        kernel: Count = 3,
        layers: Count = 6,
        rate_multiplier: Annotated[float, Field(ge=1)] = 2.0,
        dropout: Probability = 0.0,
        activation: Activation = "gelu",
    ) -> None:
        super().__init__()
        rates = dilation_rates(layers, rate_multiplier)
        self.channels, self.span = channels, sum(rates) * (kernel - 1)
        self.residuals = nn.ModuleList(
            _Residual(channels, filters, kernel, rate, dropout, activation) for rate in rates
        )

    def forward(self, x: Tensor, batch: GenomeBatch) -> Tensor:
        """Bins (bins, channels) with what their neighbours along the sequence add."""
        for residual in self.residuals:
            x = x + residual(x, batch.layout)
        return x


class DilatedDense(nn.Module):
    """Densely connected dilated convolutions: each adds its channels to all it was given (Kelley 2018).

    Args:
        channels: Of the bins.
        edge_dim: Edge attributes; a convolution has no use for them.
        filters: Channels that each convolution adds.
        kernel: Bins under the kernel.
        layers: Convolutions.
        first_rate: Dilation of the first.
        rate_multiplier: From one dilation to the next, rounded half to even.
        dropout: Probability, after each normalisation.
        activation: Before each convolution.
        init: Of the kernels.

    Attributes:
        channels: Of the output, `channels + layers * filters`.
        span: Bins read beyond a bin's own, both sides together.
    """

    def __init__(
        self,
        channels: int,
        edge_dim: int,
        *,
        filters: Count = 108,
        kernel: Count = 3,
        layers: Count = 6,
        first_rate: Count = 2,
        rate_multiplier: Annotated[float, Field(ge=1)] = 2.0,
        dropout: Probability = 0.0,
        activation: Activation = "relu",
        init: Init = "he_normal",
    ) -> None:
        super().__init__()
        rates = dilation_rates(layers, rate_multiplier, first_rate)
        self.channels, self.span = channels + layers * filters, sum(rates) * (kernel - 1)
        self.convs = nn.ModuleList(
            _DilatedConv(channels + i * filters, filters, kernel, rate, activation, init)
            for i, rate in enumerate(rates)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, batch: GenomeBatch) -> Tensor:
        """Bins (bins, channels) and after them what each convolution adds: (bins, channels')."""
        for conv in self.convs:
            x = torch.cat([x, self.dropout(conv(x, batch.layout))], dim=1)
        return x


class _DilatedConv(nn.Module):
    """Activation, dilated convolution, normalisation: over all stretches together, so that none has its own."""

    def __init__(
        self, channels: int, filters: int, kernel: int, rate: int, activation: Activation, init: Init = "he_normal"
    ) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]()
        self.conv = SameConv(channels, filters, kernel, dilation=rate)
        self.norm = nn.BatchNorm1d(filters, eps=NORM_EPS)
        initialise(self.conv.weight, init)

    def forward(self, x: Tensor, layout: tuple[tuple[int, int], ...]) -> Tensor:
        return self.norm(along_stretches(self.conv, self.activation(x), layout))


class _Residual(nn.Module):
    def __init__(
        self, channels: int, filters: int, kernel: int, rate: int, dropout: float, activation: Activation
    ) -> None:
        super().__init__()
        self.dilated = _DilatedConv(channels, filters, kernel, rate, activation)
        self.activation = ACTIVATIONS[activation]()
        self.project = nn.Linear(filters, channels, bias=False)  # a convolution of kernel 1
        self.norm = nn.BatchNorm1d(channels, eps=NORM_EPS)
        self.dropout = nn.Dropout(dropout)
        initialise(self.project.weight)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Tensor, layout: tuple[tuple[int, int], ...]) -> Tensor:
        return self.dropout(self.norm(self.project(self.activation(self.dilated(x, layout)))))


def along_stretches(conv: Callable[[Tensor], Tensor], x: Tensor, layout: tuple[tuple[int, int], ...]) -> Tensor:
    """Apply a length-keeping convolution of images to each stretch of a flat (bins, C) tensor: (bins, C')."""
    groups = x.split([count * length for count, length in layout])
    return torch.cat(
        [
            from_image(conv(to_image(bins.unflatten(0, shape)))).flatten(0, 1)
            for bins, shape in zip(groups, layout, strict=True)
            if bins.shape[0]
        ]
    )


def dilation_rates(layers: int, multiplier: float, first: int = 1) -> list[int]:
    """Dilations that grow by a factor, each rounded before the next is made of it: 1, 2, 3, 4, 6, 9, 14 for 1.5."""
    rates = [first]
    while len(rates) < layers:
        rates.append(round(rates[-1] * multiplier))  # half to even, as numpy rounds
    return rates
