"""Basset's network (Kelley, Snoek and Rinn 2016, Genome Research 26:990) as an encoder of bins."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genograph.errors import InputError
from genograph.nn.blocks import ConvBlock, ConvSpec, Count, Probability, initialise

PUBLISHED_BLOCKS = (
    ConvSpec(filters=300, kernel=19, pool=3),
    ConvSpec(filters=200, kernel=11, pool=4),
    ConvSpec(filters=200, kernel=7, pool=4),
)
_NORM_EPS = 1e-5  # Torch7's


class BassetEncoder(nn.Module):
    """Reads `input_length` bp around every bin's centre by convolutions and fully connected layers.

    With `bin_size` 600 and a linear head on one bin it is Basset itself: 4,135,064 parameters for 164 tracks.

    Args:
        bin_size: bp of a bin.
        input_length: bp read for each bin.
        blocks: Convolution, batch normalisation, ReLU, max pool each.
        hidden: Widths of the fully connected layers.
        dropout: Probability after each of these.
        padding: Of the convolutions: `valid` as the published weights have it, `same` as its later code.

    Attributes:
        channels: Of an embedding.
        receptive_field: bp that one bin's embedding is computed from.
        halo: Bins of context a piece needs on both sides for its embeddings not to depend on its ends.

    Raises:
        InputError: If the convolutions leave nothing of the input.
    """

    def __init__(
        self,
        bin_size: int,
        *,
        input_length: Count = 600,
        blocks: tuple[ConvSpec, ...] = PUBLISHED_BLOCKS,
        hidden: tuple[Count, ...] = (1000, 1000),
        dropout: Probability = 0.3,
        padding: Literal["valid", "same"] = "valid",
    ) -> None:
        super().__init__()
        self.bin_size, self.receptive_field = bin_size, input_length
        self.left = (input_length - bin_size) // 2
        self.right = input_length - bin_size - self.left
        self.halo = max(0, -(-self.right // bin_size))
        self.convs, channels, length = nn.Sequential(), 4, input_length
        for spec in (ConvSpec.model_validate(block) for block in blocks):
            for filters in spec.widths:
                self.convs.append(_conv_block(channels, filters, spec, padding))
                length = -(-(length - (spec.kernel - 1 if padding == "valid" else 0)) // spec.pool)
                channels = filters
        if length < 1:
            raise InputError(
                f"input_length {input_length} is too short for the encoder's blocks: nothing is left to read. "
                "Give more bp, or padding: same."
            )
        self.dense, self.channels = nn.Sequential(), channels * length
        for width in hidden:
            self.dense.append(_dense_block(self.channels, width, dropout))
            self.channels = width

    def forward(self, one_hot: Tensor) -> Tensor:
        """Embeddings (pieces, bins, channels) of one-hot sequence (pieces, 4, bins * bin_size)."""
        # A negative padding, where bins are longer than what is read, cuts.
        reads = F.pad(one_hot, (self.left, self.right)).unfold(2, self.receptive_field, self.bin_size)
        image = reads.transpose(1, 2).flatten(0, 1).unsqueeze(2).contiguous(memory_format=torch.channels_last)
        return self.dense(self.convs(image).flatten(1)).unflatten(0, (len(one_hot), -1))


def _conv_block(channels: int, filters: int, spec: ConvSpec, padding: Literal["valid", "same"]) -> ConvBlock:
    return ConvBlock(
        channels,
        filters,
        spec.kernel,
        pool=spec.pool,
        dropout=spec.dropout,
        activation="relu",
        order="conv_norm_act",
        padding=padding,
        norm_eps=_NORM_EPS,
    )


def _dense_block(channels: int, width: int, dropout: float) -> nn.Sequential:
    linear = nn.Linear(channels, width)
    initialise(linear.weight)
    return nn.Sequential(linear, nn.BatchNorm1d(width, eps=_NORM_EPS), nn.ReLU(), nn.Dropout(dropout))
