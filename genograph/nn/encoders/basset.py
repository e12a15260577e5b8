"""Basset's network (Kelley, Snoek and Rinn 2016, Genome Research 26:990) and its family as an encoder of bins."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from genograph.errors import InputError
from genograph.nn.blocks import ACTIVATIONS, Activation, ConvBlock, ConvSpec, Count, Init, Probability, initialise
from genograph.nn.encoders.centred import CentredReader
from genograph.nn.encoders.recurrent import Recurrent, RecurrentSpec

PUBLISHED_BLOCKS = (
    ConvSpec(filters=300, kernel=19, pool=3),
    ConvSpec(filters=200, kernel=11, pool=4),
    ConvSpec(filters=200, kernel=7, pool=4),
)
Order = Literal["conv_norm_act", "act_conv_norm"]


class BassetEncoder(nn.Module):
    """Reads `input_length` bp around every bin's centre by convolutions, perhaps a recurrent layer, and dense layers.

    The defaults, bins of 600 bp and a linear head are Basset itself: 4,135,064 parameters for 164 tracks. DeepSEA,
    DeepCpG's DNA networks and CNNs with an LSTM on top differ from it in options alone; see `configs/`.

    Args:
        bin_size: bp of a bin.
        input_length: bp read for each bin.
        blocks: Convolution, normalisation, activation, max pool and dropout each.
        recurrent: After them, both directions over what is left of the positions; their last states go on. None
            for all positions side by side.
        hidden: Widths of the fully connected layers; linear, normalisation, activation, dropout each.
        dropout: Probability after each of these.
        padding: Of the convolutions: `valid` as Basset's published weights have it, `same` as its later code.
        remainder: Whether positions that do not fill a max pool are kept, as in Basset, or dropped, as in the others.
        order: `act_conv_norm` is that of Basenji's later models: all convolutions but the first, and all fully
            connected layers, come after the activation, of which there is a last one at the end.
        activation: Which; `gelu` is the tanh approximation.
        norm_eps: Of batch normalisation: 1e-5 in Torch7, 1e-3 in Keras; None for no normalisation.
        bias: Of convolutions and fully connected layers.
        init: Of their weights.

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
        recurrent: RecurrentSpec | None = None,
        hidden: tuple[Count, ...] = (1000, 1000),
        dropout: Probability = 0.3,
        padding: Literal["valid", "same"] = "valid",
        remainder: Literal["keep", "drop"] = "keep",
        order: Order = "conv_norm_act",
        activation: Activation = "relu",
        norm_eps: Annotated[float, Field(gt=0)] | None = 1e-5,
        bias: bool = True,
        init: Init = "he_normal",
    ) -> None:
        super().__init__()
        self.reader = CentredReader(bin_size, input_length)
        self.receptive_field, self.halo = input_length, self.reader.halo
        shared = {"activation": activation, "norm_eps": norm_eps, "bias": bias, "init": init}
        self.convs, self.channels, length = nn.Sequential(), 4, input_length
        for spec in (ConvSpec.model_validate(block) for block in blocks):
            for filters in spec.widths:
                place = order if len(self.convs) else "conv_norm_act"
                block = ConvBlock(self.channels, filters, spec.kernel, padding=padding, order=place, **shared)
                length -= spec.kernel - 1 if padding == "valid" else 0
                length = _pool(block, spec, length, keep=remainder == "keep")
                self.convs.append(block)
                self.channels = filters
        if length < 1:
            raise InputError(
                f"input_length {input_length} is too short for the encoder's blocks: nothing is left to read. "
                "Give more bp, or padding: same."
            )
        self._summarise(length, recurrent)
        self.dense = nn.Sequential()
        for width in hidden:
            self.dense.append(_dense_block(self.channels, width, dropout, order, **shared))
            self.channels = width
        if order == "act_conv_norm":
            self.dense.append(ACTIVATIONS[activation]())

    def _summarise(self, length: int, recurrent: RecurrentSpec | None) -> None:
        """Make one vector of what is left of the positions."""
        if recurrent is None:
            self.summary, self.channels = nn.Flatten(), self.channels * length
        else:
            spec = RecurrentSpec.model_validate(recurrent)
            self.summary, self.channels = Recurrent(self.channels, spec), 2 * spec.width

    def forward(self, one_hot: Tensor, halo: int = 0) -> Tensor:
        """Embeddings (pieces, inner bins, channels) of one-hot sequence (pieces, 4, bins * bin_size).

        Args:
            one_hot: Sequence.
            halo: Bins at both ends that are context only and are not evaluated.
        """
        embeddings = self.dense(self.summary(self.convs(self.reader(one_hot, halo))))
        return embeddings.unflatten(0, (one_hot.shape[0], -1))


def _pool(block: ConvBlock, spec: ConvSpec, length: int, *, keep: bool) -> int:
    """Add a block's max pool and dropout, in Basset's order; how many of `length` positions they leave."""
    if spec.pool > 1:
        block.add_module("pool", nn.MaxPool2d((1, spec.pool), ceil_mode=keep))
    if spec.dropout:
        block.add_module("dropout", nn.Dropout(spec.dropout))
    return -(-length // spec.pool) if keep else length // spec.pool


def _dense_block(
    channels: int,
    width: int,
    dropout: float,
    order: Order,
    *,
    activation: Activation,
    norm_eps: float | None,
    bias: bool,
    init: Init,
) -> nn.Sequential:
    linear, act = nn.Linear(channels, width, bias=bias), ACTIVATIONS[activation]()
    initialise(linear.weight, init)
    norm = [] if norm_eps is None else [nn.BatchNorm1d(width, eps=norm_eps)]
    parts = [linear, *norm, act] if order == "conv_norm_act" else [act, linear, *norm]
    return nn.Sequential(*parts, nn.Dropout(dropout))
