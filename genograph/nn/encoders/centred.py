"""Sequence around the centre of every bin, for encoders that read each bin by itself."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class CentredReader:
    """Cuts the `length` bp around the centre of each bin out of pieces of sequence.

    Args:
        bin_size: bp of a bin.
        length: bp read for each bin; fewer than a bin has are read from its middle.
    """

    bin_size: int
    length: int

    @property
    def left(self) -> int:
        """bp read before a bin's start."""
        return (self.length - self.bin_size) // 2

    @property
    def right(self) -> int:
        """bp read after a bin's end; the odd one is here."""
        return self.length - self.bin_size - self.left

    @property
    def halo(self) -> int:
        """Bins of context that what is read reaches into, on each side."""
        return max(0, -(-self.right // self.bin_size))

    def __call__(self, one_hot: Tensor, halo: int) -> Tensor:
        """What is read for each inner bin, as images (pieces * inner bins, 4, 1, length), channels last.

        Args:
            one_hot: (pieces, 4, bins * bin_size).
            halo: Bins at both ends that are context; where there are too few, zeros stand for the rest.
        """
        context = halo * self.bin_size
        # A negative padding cuts: where there is more context than is read, or bins are longer than it.
        needed = F.pad(one_hot, (self.left - context, self.right - context))
        reads = needed.unfold(2, self.length, self.bin_size).transpose(1, 2).flatten(0, 1)
        return reads.unsqueeze(2).contiguous(memory_format=torch.channels_last)
