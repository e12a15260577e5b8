"""What stands in the place of an encoder where embeddings come from disk."""

from __future__ import annotations

import math
from pathlib import Path

from torch import Tensor, nn

from genograph.embeddings import Description
from genograph.errors import InputError


class StoredEmbeddings(nn.Module):
    """Hands on embeddings that were computed before, as `genograph embed` does; nothing here is trained.

    Args:
        bin_size: bp of a bin.
        file: The JSON that describes them.

    Attributes:
        channels: Of an embedding.
        receptive_field: bp that one bin's embedding was computed from, NaN if that is not known.
        halo: Bins of context on both sides: none, as no sequence is read.

    Raises:
        InputError: If there are none, or they are of bins of another size.
    """

    halo = 0

    def __init__(self, bin_size: int, *, file: Path) -> None:
        super().__init__()
        self.description = Description.read(file)
        if self.description.bin_size != bin_size:
            raise InputError(
                f"{file} has embeddings of bins of {self.description.bin_size} bp, bins.bin_size is {bin_size}."
            )
        known = self.description.receptive_field
        self.channels, self.receptive_field = self.description.channels, math.nan if known is None else known

    def forward(self, embeddings: Tensor, halo: int = 0) -> Tensor:
        """The embeddings (pieces, bins, channels) in 32 bits."""
        return embeddings.float()
