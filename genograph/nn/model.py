"""The whole model: sequence to bins to talking bins to tracks."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from genograph.errors import InputError
from genograph.graph.batch import GenomeBatch
from genograph.nn.encoders import BothStrands, NoEncoder
from genograph.nn.heads import Head
from genograph.nn.layers.graph_block import GraphBlock
from genograph.nn.processor import Processor
from genograph.nn.trunk import Trunk

ModelPart = Literal["encoder", "neighbours", "features", "processor", "trunk", "heads"]


class GenomeModel(nn.Module):
    """Encoder, processor, trunk and heads; a Basenji and a graph model differ in the processor alone.

    Args:
        encoder: One-hot sequence to an embedding per bin.
        neighbours: Covered CpGs beside a bin to an embedding that stands beside the encoder's; None for none.
        processor: Lets the bins of a batch talk.
        trunk: Shared by the heads; None for none.
        heads: By assay. Of several genomes by `genome/assay`: a batch, of one of them, then asks for those it has
            targets of.
        features: Columns of what nodes bring along besides sequence, which are added to their bins by a linear map.
        halo: Bins of context on both sides of a piece of sequence, dropped after encoding.
        masked: Whether bins may come without sequence; they share one learned embedding, which otherwise is 0.
    """

    def __init__(
        self,
        encoder: nn.Module,
        neighbours: nn.Module | None,
        processor: Processor,
        trunk: Trunk | None,
        heads: Mapping[str, Head],
        *,
        bin_size: int,
        features: int = 0,
        halo: int,
        masked: bool,
    ) -> None:
        super().__init__()
        self.encoder, self.processor = encoder, processor
        self.neighbours = neighbours or nn.Identity()
        self.trunk = trunk or nn.Identity()
        self.heads = nn.ModuleDict(heads)
        self.bin_size, self.halo = bin_size, halo
        if masked:
            self.placeholder = nn.Parameter(torch.randn(encoder.channels) * 0.02)
        else:
            self.register_buffer("placeholder", torch.zeros(encoder.channels), persistent=False)
        entering = encoder.channels + (neighbours.channels if neighbours else 0)
        # Added, not put beside: the layers that follow are then the same with features and without.
        self.features = nn.Linear(features, entering, bias=False) if features else nn.Identity()
        self.register_buffer("bases", torch.eye(5, 4), persistent=False)  # the row of N is zero

    @property
    def tracks(self) -> dict[str, int]:
        """The number of tracks of each assay."""
        return {assay: head.num_tracks for assay, head in self.heads.items()}

    @property
    def receptive_field(self) -> float:
        """bp of contiguous sequence that one bin's prediction depends on, all with `bilstm`; contacts reach further."""
        return self.encoder.receptive_field + self.processor.span * self.bin_size

    def forward(self, batch: GenomeBatch) -> dict[str, Tensor]:
        """Predictions in units for each assay: (windows, predicted bins, tracks)."""
        return self.rates(self.raw(batch))

    def raw(self, batch: GenomeBatch) -> dict[str, Tensor]:
        """Outputs before the link for each assay: (windows, predicted bins, tracks)."""
        return self.decode(self.encode(self.one_hot(batch.codes)), batch)

    def rates(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Raw outputs as predictions in units: mean counts, or probabilities."""
        return {assay: self.heads[assay].rate(output) for assay, output in raw.items()}

    def loss(
        self, batch: GenomeBatch, raw: Mapping[str, Tensor] | None = None, shares: Mapping[str, Tensor] | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum of the assays' losses, and each of them; an assay that was not measured is left out.

        Args:
            batch: With targets and masks.
            raw: What `raw(batch)` gave, if it is at hand.
            shares: What the loss of each assay is multiplied by, in one process of several, where not all measure
                equally much and some may measure nothing; None for 1.

        Raises:
            InputError: If nothing at all was measured, in this one process.
        """
        raw = self.raw(batch) if raw is None else raw
        losses = {
            assay: self.heads[assay].loss(output, batch.target[assay], batch.mask[assay], batch.coverage.get(assay))
            for assay, output in raw.items()
        }
        parts = {assay: loss for assay, loss in losses.items() if loss is not None}
        if shares is not None:
            parts = {assay: shares[assay] * loss for assay, loss in parts.items()}
        elif not parts:
            raise InputError("no value of any assay was measured in this batch. Leave out windows that hold nothing.")
        # Zero times the others: a process of several must see a gradient, if of zero, for every parameter.
        unmeasured = sum(raw[assay].sum() * 0 for assay in losses if assay not in parts)
        unmeasured = unmeasured + sum(parameter.sum() * 0 for parameter in self.idle(batch))
        total = sum(self.heads[assay].weight * loss for assay, loss in parts.items()) + unmeasured
        return total, {assay: loss.detach() for assay, loss in parts.items()}

    def one_hot(self, codes: Tensor) -> Tensor:
        """Codes (pieces, bp) as one-hot (pieces, 4, bp), A C G T; N is all zero. Stored embeddings stay as they are."""
        if codes.is_floating_point():
            return codes
        return self.bases[codes.int()].transpose(1, 2)

    def encode(self, one_hot: Tensor) -> Tensor:
        """Embeddings (pieces, bins, channels) of pieces (pieces, 4, bp), without the bins of context."""
        if one_hot.shape[0] == 0:  # a mask may leave a batch nothing to read
            num_bins = one_hot.shape[2] // self.bin_size
            # A process of several must see a gradient, if of zero, for every parameter.
            unread = sum(parameter.sum() for parameter in self.encoder.parameters())
            return one_hot.new_zeros(0, num_bins - 2 * self.halo, self.encoder.channels) + unread
        return self.encoder(one_hot, self.halo)

    def decode(self, encoded: Tensor, batch: GenomeBatch) -> dict[str, Tensor]:
        """Raw outputs of a batch whose pieces have the embeddings `encoded` (pieces, bins, channels)."""
        # The placeholder stands first, where source -1, no sequence, then points to.
        embeddings = torch.cat([self.placeholder[None].to(encoded.dtype), encoded.flatten(0, 1)])
        x = embeddings.index_select(0, batch.source + 1)
        if batch.neighbours:
            x = torch.cat([x, self.neighbours(**batch.neighbours)], dim=1)
        if batch.features is not None:
            node = torch.where(batch.node_of_bin < 0, batch.num_nodes, batch.node_of_bin)
            x = x + self.features(batch.features).index_select(0, node)
        x = self.processor(x, batch)
        x = self.trunk(batch.windows(x))
        return {assay: head(x) for assay, head in self.asked(batch).items()}

    def asked(self, batch: GenomeBatch) -> dict[str, Head]:
        """The heads that a batch has targets of; all of them if it has none."""
        return {assay: head for assay, head in self.heads.items() if assay in batch.target or not batch.target}

    def idle(self, batch: GenomeBatch) -> list[nn.Parameter]:
        """The weights of the other heads, those of other genomes."""
        asked = self.asked(batch)
        return [each for assay, head in self.heads.items() if assay not in asked for each in head.parameters()]


class ComponentSpec(Protocol):
    """A component as a config describes it: `build` takes what its class takes by position."""

    label: str
    kind: type
    options: Mapping[str, Any]

    def build(self, *given: Any) -> Any: ...


class ModelSpec(Protocol):
    """A model as a config describes it; `trunk` are the options of `Trunk`, `heads` names the assays that have one."""

    encoder: ComponentSpec | None
    neighbours: ComponentSpec | None
    processor: Iterable[ComponentSpec]
    trunk: Any
    heads: Iterable[str]
    both_strands: bool

    def head(self, assay: str) -> ComponentSpec: ...


def build_model(
    spec: ModelSpec,
    *,
    bin_size: int,
    edge_dim: int,
    features: int = 0,
    coarse_edge_dims: Sequence[int] = (),
    tracks: Mapping[str, int],
    whole_windows: bool = True,
    masked: bool = False,
) -> GenomeModel:
    """A new model as a config describes it; with one seed of torch, parts that two models share start alike.

    Args:
        spec: Its parts by name, with their options.
        bin_size: bp of a bin.
        edge_dim: Edge attributes.
        features: Columns of what nodes bring along.
        coarse_edge_dims: The same of each level of larger nodes.
        tracks: Tracks of each assay in the data; an assay may be left out if its head states them.
        whole_windows: Whether a window is one piece of sequence with zeros beyond, as Basenji's, or pieces
            carry the context that the encoder needs.
        masked: Whether bins may come without sequence.

    Raises:
        InputError: If parts do not fit each other or the data.
    """
    seed = int(torch.randint(2**31, (), device="cpu"))
    with _drawn(seed, "encoder"):
        encoder = spec.encoder.build(bin_size) if spec.encoder else NoEncoder(bin_size)
        encoder = BothStrands(encoder) if spec.both_strands else encoder
    with _drawn(seed, "neighbours"):
        neighbours = spec.neighbours and spec.neighbours.build()
    entering = encoder.channels + (neighbours.channels if neighbours else 0)
    layers, channels = [], entering
    for part in spec.processor:
        before = sum(isinstance(layer, part.kind) for layer in layers)
        with _drawn(seed, f"{part.label} {before}"):
            layers.append(part.build(channels, _edge_dim(part, [edge_dim, *coarse_edge_dims])))
        channels = layers[-1].channels
    processor = Processor(entering, layers)
    with _drawn(seed, "trunk"):
        trunk = Trunk(channels, **dict(spec.trunk)) if spec.trunk else None
    width, heads = trunk.channels if trunk else channels, {}
    for assay in spec.heads:
        with _drawn(seed, f"head {assay}"):
            try:
                heads[assay] = spec.head(assay).build(width, tracks.get(assay))
            except InputError as error:
                raise InputError(f"model.heads.{assay}: {error}") from error
    halo = 0 if whole_windows else encoder.halo
    options = {"bin_size": bin_size, "features": features, "halo": halo, "masked": masked}
    with _drawn(seed, "placeholder"):
        return GenomeModel(encoder, neighbours, processor, trunk, heads, **options)


def _edge_dim(part: ComponentSpec, edge_dims: Sequence[int]) -> int:
    """Edge attributes of the level that a layer is over."""
    level = part.options.get("level", 0) if issubclass(part.kind, GraphBlock) else 0
    if level >= len(edge_dims):
        raise InputError(
            f"model.processor: '{part.label}' is over level {level}, but the graph has levels 0 to "
            f"{len(edge_dims) - 1}. Those above 0 are the items of graph.coarse."
        )
    return edge_dims[level]


@contextmanager
def _drawn(seed: int, part: str) -> Iterator[None]:
    """Random numbers of a part's own, so that models that share it start it alike, whatever else they have."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(zlib.crc32(f"{seed} {part}".encode()))
        yield


class ParameterCount(NamedTuple):
    """Numbers as Keras prints them: the total includes the moving means and variances of normalisation."""

    total: int
    trainable: int
    norm_statistics: int


def count_parameters(model: nn.Module) -> ParameterCount:
    """How many numbers a model has, trains, and keeps as batch normalisation's moving statistics."""
    parameters = list(model.parameters())
    statistics = sum(
        buffer.numel() for name, buffer in model.named_buffers() if name.endswith(("running_mean", "running_var"))
    )
    return ParameterCount(
        total=sum(each.numel() for each in parameters) + statistics,
        trainable=sum(each.numel() for each in parameters if each.requires_grad),
        norm_statistics=statistics,
    )
