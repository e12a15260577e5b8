"""An encoder that both strands of a sequence go through."""

from __future__ import annotations

from torch import Tensor, nn


class BothStrands(nn.Module):
    """The mean of an encoder's embeddings over both strands: those of the reverse complement are its own, in reverse.

    Reverse-complement parameter sharing as in siamese models (Zhou, Shrikumar & Kundaje 2022, MLCB, PMLR 165:1): it
    costs a second evaluation, and the model cannot tell strands apart.

    Args:
        encoder: An encoder of bins.

    Attributes:
        channels: Of an embedding.
        receptive_field: bp that one bin's embedding is computed from.
        halo: Bins of context on both sides.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.channels, self.receptive_field, self.halo = encoder.channels, encoder.receptive_field, encoder.halo

    def forward(self, one_hot: Tensor, halo: int = 0) -> Tensor:
        """Embeddings (pieces, bins, channels) of one-hot sequence (pieces, 4, bp), A C G T."""
        forward, backward = self.encoder(one_hot, halo), self.encoder(one_hot.flip(1, 2), halo)
        return (forward + backward.flip(1)) / 2
