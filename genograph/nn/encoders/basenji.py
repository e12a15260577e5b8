"""Basenji's stem and convolution tower (Kelley et al. 2018, Genome Research 28:739)."""

from __future__ import annotations

from math import prod
from typing import Literal

import torch
from torch import Tensor, nn

from genograph.errors import InputError
from genograph.nn.blocks import Activation, ConvBlock, ConvSpec, Init, from_image


class BasenjiEncoder(nn.Module):
    """A tower of convolutions that pools sequence down to one embedding per bin.

    Each block is activation, convolution, batch normalisation, dropout, max pool, so that the activation
    meets the one-hot sequence itself, as in Basenji; with `stem: conv_dna` the first one is convolution, batch
    normalisation, activation, dropout, max pool, as in its later models.

    Args:
        bin_size: bp of a bin.
        blocks: The convolutions from the sequence on; their pools multiply to the bin size.
        activation: Of every block; `gelu` is the tanh approximation.
        init: Of every kernel.
        stem: What the first block is.

    Attributes:
        channels: Of an embedding.
        receptive_field: bp that one bin's embedding is computed from.
        halo: Bins of context a piece needs on both sides for its embeddings not to depend on its ends.

    Raises:
        InputError: If the blocks do not pool to the bin size.
    """

    def __init__(
        self,
        bin_size: int,
        *,
        blocks: list[ConvSpec],
        activation: Activation = "gelu",
        init: Init = "he_normal",
        stem: Literal["conv_block", "conv_dna"] = "conv_block",
    ) -> None:
        super().__init__()
        specs = [ConvSpec.model_validate(block) for block in blocks]
        convs = [(spec, filters) for spec in specs for filters in spec.widths]
        pooled = prod(spec.pool for spec, _ in convs)
        if pooled != bin_size:
            raise InputError(
                f"the encoder pools to {pooled} bp, bins are {bin_size} bp. "
                f"Change bins.bin_size, or the pools of the encoder's blocks so that they multiply to {bin_size}."
            )
        self.tower = nn.Sequential()
        self.channels, stride, left, right = 4, 1, 0, 0
        for spec, filters in convs:
            self.tower.append(
                ConvBlock(
                    self.channels,
                    filters,
                    spec.kernel,
                    pool=spec.pool,
                    dropout=spec.dropout,
                    activation=activation,
                    order="conv_norm_act" if stem == "conv_dna" and not len(self.tower) else "act_conv_norm",
                    bias=False,
                    init=init,
                )
            )
            # Of an even kernel the longer arm lies to the right.
            left, right = left + stride * ((spec.kernel - 1) // 2), right + stride * (spec.kernel // 2)
            self.channels, stride = filters, stride * spec.pool
        self.receptive_field = left + bin_size + right
        self.halo = -(-right // bin_size)

    def forward(self, one_hot: Tensor, halo: int = 0) -> Tensor:
        """Embeddings (pieces, inner bins, channels) of one-hot sequence (pieces, 4, bins * bin_size).

        Args:
            one_hot: Sequence.
            halo: Bins at both ends that are context only and are dropped.
        """
        image = one_hot.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        embeddings = from_image(self.tower(image))
        return embeddings[:, halo : embeddings.shape[1] - halo]
