"""A torch module of others as an encoder: Basenji's, Enformer's, Borzoi's trunk, or what works like these."""

from __future__ import annotations

from torch import Tensor, nn

from genograph.errors import InputError


class ModuleEncoder(nn.Module):
    """Gives the bins of genograph what a module gives for positions of its own.

    Derive a class from it that makes the module; a config then names that class (`docs/embeddings.md`).

    Args:
        module: One-hot sequence (pieces, 4, bp), A C G T, N all zero, to (pieces, channels, positions). It may leave
            out positions at both ends, equally many, as Enformer crops.
        bin_size: bp of a bin, a multiple of `stride`: positions within a bin are averaged.
        channels: That it gives.
        stride: bp of a position.
        context: bp on both sides of a bin that its embedding may depend on, and at least what is cropped.
        channels_last: Whether it gives (pieces, positions, channels).

    Attributes:
        channels: Of an embedding.
        receptive_field: bp that one bin's embedding is computed from.
        halo: Bins of context a piece needs on both sides.

    Raises:
        InputError: If bins are no multiple of positions.

    >>> import torch
    >>> encoder = ModuleEncoder(torch.nn.AvgPool1d(32), 128, channels=4, stride=32, context=0)
    >>> encoder(torch.ones(2, 4, 5 * 128)).shape
    torch.Size([2, 5, 4])
    """

    def __init__(
        self,
        module: nn.Module,
        bin_size: int,
        *,
        channels: int,
        stride: int,
        context: int,
        channels_last: bool = False,
    ) -> None:
        super().__init__()
        if bin_size % stride:
            raise InputError(
                f"bins.bin_size is {bin_size} bp, no multiple of the {stride} bp of the module's positions."
            )
        self.module, self.bin_size, self.stride, self.channels_last = module, bin_size, stride, channels_last
        self.channels, self.halo = channels, -(-context // bin_size)
        self.receptive_field = bin_size + 2 * context

    def forward(self, one_hot: Tensor, halo: int = 0) -> Tensor:
        """Embeddings (pieces, inner bins, channels) of one-hot sequence (pieces, 4, bins * bin_size).

        Raises:
            InputError: If the module gives something else than it should.
        """
        found = self.module(one_hot)
        if found.ndim != 3 or found.shape[2 if self.channels_last else 1] != self.channels:
            raise InputError(
                f"the module gives {tuple(found.shape)} for {tuple(one_hot.shape)}, not "
                f"{'(pieces, positions, channels)' if self.channels_last else '(pieces, channels, positions)'} with "
                f"{self.channels} channels."
            )
        positions = found if self.channels_last else found.transpose(1, 2)
        cropped, odd = divmod(one_hot.shape[2] - positions.shape[1] * self.stride, 2 * self.stride)
        left = halo * self.bin_size // self.stride - cropped
        if odd or cropped < 0 or left < 0:
            raise InputError(
                f"the module gives {positions.shape[1]} positions of {self.stride} bp for {one_hot.shape[2]} bp, of "
                f"which {halo * self.bin_size} on each side are context. Correct its stride, or give it at least the "
                "context that it crops, and the config a batch.chunk."
            )
        inner = positions[:, left : positions.shape[1] - left]
        return inner.unflatten(1, (-1, self.bin_size // self.stride)).mean(2)
