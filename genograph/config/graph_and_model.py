"""The sections of a config that are made of components, graph and model, and the kinds of these.

A component is `{name: gat, heads: 4}`, see `genograph.config.components`. Each kind has a registry, and a contract that
classes of one's own keep.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator
from torch import nn

from genograph.config.components import Component, Contract, check_options
from genograph.config.data import FilePath
from genograph.embeddings import Description
from genograph.errors import InputError, nearest
from genograph.graph import CONTROLS, EDGES
from genograph.graph.batch import EDGE_MEASURES
from genograph.nn.encoders import ENCODERS
from genograph.nn.heads import HEADS, Head
from genograph.nn.layers import LAYERS
from genograph.nn.model import Trunk
from genograph.nn.neighbours import NEIGHBOURS
from genograph.sections import Section
from genograph.stored_encoder import StoredEmbeddings


class EdgeConfig(Component):
    """A type of edges; see `genograph.graph.genome_graph.EdgeBuilder`."""

    contract: ClassVar = Contract(EDGES, has=("name", "needs_contacts", "__call__"))


def _sound(edge: EdgeConfig) -> EdgeConfig:
    edge.build()  # checks the values of its options
    return edge


SoundEdge = Annotated[EdgeConfig, AfterValidator(_sound)]


class ControlConfig(Component):
    """What is done to a graph; see `genograph.graph.controls`."""

    contract: ClassVar = Contract(CONTROLS, has=("__call__",))


class EncoderConfig(Component):
    """Sequence to an embedding per bin, or such embeddings from disk."""

    contract: ClassVar = Contract(
        {**ENCODERS, "embeddings": StoredEmbeddings},
        nn.Module,
        ("bin_size",),
        ("channels", "receptive_field", "halo"),
    )


class NeighboursConfig(Component):
    """Covered CpGs beside a bin to an embedding."""

    contract: ClassVar = Contract(NEIGHBOURS, nn.Module, (), ("channels", "count"))


class LayerConfig(Component):
    """Bins to bins, along the sequence or over the graph."""

    contract: ClassVar = Contract(LAYERS, nn.Module, ("channels", "edge_dim"), ("channels", "span"))


class HeadConfig(Component):
    """A bin's embedding to the tracks of one assay."""

    contract: ClassVar = Contract(HEADS, Head, ("channels", "num_tracks"))


class CoarseConfig(Section):
    node_size: int = Field(gt=0)  # bp, a multiple of that of the level below
    edges: list[SoundEdge] = Field([])


class GraphConfig(Section):
    edges: list[SoundEdge] = Field([])
    coarse: list[CoarseConfig] = Field([])  # levels of larger nodes over the same bins, the smaller ones first
    controls: list[ControlConfig] = Field([])  # what is done to the graph, in this order
    features: FilePath | None = None  # table of places and numbers that nodes bring along
    candidates: FilePath | None = None  # BED of what is read from sequence; None: everything

    @field_validator("controls")
    @classmethod
    def _attributes_go_last(cls, controls: list[ControlConfig]) -> list[ControlConfig]:
        names = [control.name for control in controls]
        if "drop_attribute" in names and {*names[names.index("drop_attribute") :]} != {"drop_attribute"}:
            raise InputError("drop_attribute comes last: other controls write the attributes of edges anew.")
        return controls

    @property
    def levels(self) -> list[list[EdgeConfig]]:
        """The edges of every level, those among the smallest nodes first."""
        return [self.edges, *(level.edges for level in self.coarse)]

    @property
    def edge_types(self) -> tuple[str, ...]:
        """The types of the edges among the smallest nodes, each once, as columns of their attributes stand."""
        return _types(self.edges)

    @property
    def coarse_edge_types(self) -> list[tuple[str, ...]]:
        """The same of each level of larger nodes."""
        return [_types(level.edges) for level in self.coarse]

    @property
    def edge_dim(self) -> int:
        """How many attributes the edges among the smallest nodes have."""
        return _edge_dim(self.edges)

    @property
    def coarse_edge_dims(self) -> list[int]:
        """The same of each level of larger nodes."""
        return [_edge_dim(level.edges) for level in self.coarse]

    @property
    def files(self) -> dict[str, Path]:
        """The files that graph and batches are made of besides the store, by their keys."""
        named = {"graph.features": self.features, "graph.candidates": self.candidates}
        found = {key: path for key, path in named.items() if path is not None}
        parts = {f"graph.edges[{i}]": edge for i, edge in enumerate(self.edges)}
        for number, level in enumerate(self.coarse):
            parts |= {f"graph.coarse[{number}].edges[{i}]": edge for i, edge in enumerate(level.edges)}
        parts |= {f"graph.controls[{i}]": control for i, control in enumerate(self.controls)}
        return found | {key: path for name, part in parts.items() for key, path in part.files(name).items()}


def _edge_dim(edges: Sequence[EdgeConfig]) -> int:
    own = {name for edge in edges for name in getattr(edge.build(), "attributes", ())}
    return len(EDGE_MEASURES) + len(_types(edges)) + len(own)


def _types(edges: Iterable[EdgeConfig]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(edge.build().name for edge in edges))


def _known_heads(heads: dict[str, dict[str, Any]], info: ValidationInfo) -> dict[str, dict[str, Any]]:
    folder, known = (info.context or {}).get("folder", Path()), {}
    for assay, options in heads.items():
        if assay not in HEADS:
            raise InputError(f"no head '{assay}'.{nearest(assay, HEADS)}")
        try:
            head = HeadConfig.checked({"name": assay, **options}, folder)
        except InputError as error:
            raise InputError(f"{assay}: {error}" if "name" in options else str(error)) from None
        known[assay] = {key: value for key, value in head.items() if key in options}
    return known


Heads = Annotated[dict[str, dict[str, Any]], AfterValidator(_known_heads)]  # assay -> options


class ModelConfig(Section):
    encoder: EncoderConfig | None  # None: no sequence is read
    neighbours: NeighboursConfig | None = None  # of covered CpGs; None: none are read
    processor: list[LayerConfig] = Field([])
    trunk: dict[str, Any] | None = None
    heads: Heads
    both_strands: bool = False  # the encoder's embeddings are the mean over both strands

    @model_validator(mode="after")
    def _something_is_read(self) -> ModelConfig:
        if self.encoder is None and self.neighbours is None:
            raise InputError("encoder: null reads no sequence; give neighbours to read, or an encoder.")
        if self.encoder is None and self.both_strands:
            raise InputError("both_strands: there is no encoder to read both; leave it out.")
        if self.embeddings and self.both_strands:
            raise InputError("both_strands: stored embeddings are of both strands if their encoder was; leave it out.")
        return self

    @field_validator("trunk")
    @classmethod
    def _known_trunk(cls, trunk: dict[str, Any] | None) -> dict[str, Any] | None:
        return trunk and check_options(Trunk, trunk, "trunk")

    @property
    def embeddings(self) -> Path | None:
        """The JSON of the embeddings that are read in place of sequence; None if sequence is."""
        is_stored = self.encoder is not None and self.encoder.kind is StoredEmbeddings
        return self.encoder.options["file"] if is_stored else None

    def head(self, assay: str) -> HeadConfig:
        """The head of an assay: the assay's own, unless its options name another class."""
        return HeadConfig.model_validate({"name": assay, **self.heads[assay]})

    @property
    def files(self) -> dict[str, Path]:
        """The files that classes of one's own stand in, those that options name and what these describe, by keys."""
        parts: dict[str, Component | None] = {"model.encoder": self.encoder, "model.neighbours": self.neighbours}
        parts |= {f"model.processor[{i}]": layer for i, layer in enumerate(self.processor)}
        parts |= {f"model.heads.{assay}": self.head(assay) for assay in self.heads}
        found = {key: path for name, part in parts.items() if part for key, path in part.files(name).items()}
        if self.embeddings is not None and self.embeddings.is_file():
            found["model.encoder.array"] = self.embeddings.with_name(Description.read(self.embeddings).array)
        return found
