"""What stands in the place of an encoder where no sequence is read."""

from __future__ import annotations

from torch import Tensor, nn


class NoEncoder(nn.Module):
    """Embeddings without channels: what a model of covered CpGs alone knows of the sequence.

    Args:
        bin_size: bp of a bin.

    Attributes:
        channels: Of an embedding.
        receptive_field: bp that one bin's embedding is computed from.
        halo: Bins of context on both sides.
    """

    channels = receptive_field = halo = 0

    def __init__(self, bin_size: int) -> None:
        super().__init__()
        self.bin_size = bin_size

    def forward(self, one_hot: Tensor, halo: int = 0) -> Tensor:
        """(pieces, inner bins, 0) of one-hot sequence (pieces, 4, bins * bin_size)."""
        return one_hot.new_zeros(one_hot.shape[0], one_hot.shape[2] // self.bin_size - 2 * halo, 0)
