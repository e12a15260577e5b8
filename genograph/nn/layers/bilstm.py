"""A bidirectional LSTM along stretches of bins."""

from __future__ import annotations

import math

from torch import Tensor, nn

from genograph.graph.batch import GenomeBatch
from genograph.nn.blocks import NORM_EPS, Count, Probability, from_image, initialise, to_image
from genograph.nn.layers.dilated import along_stretches


class BiLSTM(nn.Module):
    """Each bin with what an LSTM in both directions read up to it (Hochreiter and Schmidhuber 1997).

    Bins talk within their stretch (window or contact partner) only. The two states of a bin are projected to its
    channels, normalised over all stretches together, and added to it; the normalisation starts at zero, so that the
    layer starts as the identity. The LSTM is torch's, two biases a gate and torch's initialisation: uniform to
    1 / sqrt(width) either way.

    Args:
        channels: Of the bins.
        edge_dim: Edge attributes; an LSTM has no use for them.
        width: Channels of each direction.
        dropout: Probability, at the end.

    Attributes:
        channels: Of the output.
        span: Bins read beyond a bin's own: infinite, as each reads its whole stretch, however long that is.
    """

    span = math.inf

    def __init__(self, channels: int, edge_dim: int, *, width: Count = 64, dropout: Probability = 0.0) -> None:
        super().__init__()
        self.channels = channels
        self.lstm = nn.LSTM(channels, width, batch_first=True, bidirectional=True)
        self.project = nn.Linear(2 * width, channels, bias=False)
        self.norm = nn.BatchNorm1d(channels, eps=NORM_EPS)
        self.dropout = nn.Dropout(dropout)
        initialise(self.project.weight)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Tensor, batch: GenomeBatch) -> Tensor:
        """Bins (bins, channels) with what the LSTM adds."""
        states = along_stretches(lambda image: to_image(self.lstm(from_image(image))[0]), x, batch.layout)
        return x + self.dropout(self.norm(self.project(states)))
