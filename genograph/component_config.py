"""The kinds of components that a config may name: their registries, and what is asked of a class of one's own."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from genograph.components import Component, Contract
from genograph.graph import CONTROLS, EDGES
from genograph.nn.encoders import ENCODERS
from genograph.nn.heads import HEADS, Head
from genograph.nn.layers import LAYERS
from genograph.nn.neighbours import NEIGHBOURS


class EdgeConfig(Component):
    """A type of edges; see `genograph.graph.genome_graph.EdgeBuilder`."""

    contract: ClassVar = Contract(EDGES, has=("name", "needs_contacts", "__call__"))


class ControlConfig(Component):
    """What is done to a graph; see `genograph.graph.controls`."""

    contract: ClassVar = Contract(CONTROLS, has=("__call__",))


class EncoderConfig(Component):
    """Sequence to an embedding per bin."""

    contract: ClassVar = Contract(ENCODERS, nn.Module, ("bin_size",), ("channels", "receptive_field", "halo"))


class NeighboursConfig(Component):
    """Covered CpGs beside a bin to an embedding."""

    contract: ClassVar = Contract(NEIGHBOURS, nn.Module, (), ("channels", "count"))


class LayerConfig(Component):
    """Bins to bins, along the sequence or over the graph."""

    contract: ClassVar = Contract(LAYERS, nn.Module, ("channels", "edge_dim"), ("channels", "span"))


class HeadConfig(Component):
    """A bin's embedding to the tracks of one assay."""

    contract: ClassVar = Contract(HEADS, Head, ("channels", "num_tracks"))
