"""What one training or prediction step sees: pieces of sequence, the bins they fill, the nodes and edges."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

import torch
from torch import Tensor

EDGE_MEASURES = ("weight", "log10_distance")  # first columns of edge_attr; one for each type and own ones follow


@dataclass(frozen=True, kw_only=True)
class NodeGraph:
    """Nodes of one size that the bins of a batch lie in, and the edges among them.

    Attributes:
        node_of_bin: (bins,) node of each bin within the batch; -1 for a bin of no node.
        num_nodes: Nodes in the batch.
        edge_index: (2, edges) source and destination node, sorted by destination.
        edge_attr: (edges, attributes); see `GenomeGraph.attribute_names`.
    """

    node_of_bin: Tensor
    num_nodes: int
    edge_index: Tensor
    edge_attr: Tensor


@dataclass(frozen=True, kw_only=True)
class GenomeBatch:
    """Windows of bins, their strongest contact partners, and the edges among the nodes of each window.

    Every sample is a graph of its own: edges never join two windows, so a batch of two gives what two
    batches of one give. A piece of sequence that several samples need is encoded once.

    The bins stand in one flat axis, `bins` long: first the windows, then the partner nodes' stretches.
    `layout` says how to view it, as (stretches, bins in each); `layout[0]` is the windows.

    Attributes:
        codes: (pieces, piece length in bp) uint8; A C G T N are 0 to 4. Context on both sides is included. Where
            stored embeddings are read in place of sequence these, (1, n, channels) float.
        source: (bins,) for every bin its place in the encoder's output, flattened over (pieces, bins of
            a piece); -1 where the bin is not encoded and takes the placeholder.
        layout: Shapes of the stretches that make up the flat bins axis.
        crop: Bins at both ends of a window that give context only and are not predicted.
        node_of_bin: (bins,) node of each bin within this batch; -1 for a bin of no node.
        num_nodes: Nodes in the batch.
        features: (num_nodes + 1, columns) what is known of nodes besides, see `FeatureScale.apply`, the last row for
            bins of no node; None where nothing is.
        edge_index: (2, edges) source and destination node, sorted by destination.
        edge_attr: (edges, attributes); see `GenomeGraph.attribute_names`.
        coarse: Larger nodes over the same bins, level 1 first, with edges of their own.
        neighbours: If the model reads them, `state` and `distance` in bp of the CpGs that each cell covers beside a
            bin: (bins, cells, 2 * count) each, NaN where there is none. `assays.cpg_neighbours` says in which order.
        position: (windows, predicted bins) number of each predicted bin in the genome; -1 outside of it.
        target: For each assay (windows, predicted bins, tracks), NaN where missing.
        coverage: For count-ratio assays (methylation) the coverage, shaped as the target.
        mask: For each assay, shaped as the target: True where the value enters loss and metrics.
    """

    codes: Tensor
    source: Tensor
    layout: tuple[tuple[int, int], ...]
    crop: int
    node_of_bin: Tensor
    num_nodes: int
    edge_index: Tensor
    edge_attr: Tensor
    position: Tensor
    features: Tensor | None = None
    coarse: tuple[NodeGraph, ...] = ()
    neighbours: dict[str, Tensor] = field(default_factory=dict)
    target: dict[str, Tensor] = field(default_factory=dict)
    coverage: dict[str, Tensor] = field(default_factory=dict)
    mask: dict[str, Tensor] = field(default_factory=dict)

    @property
    def num_windows(self) -> int:
        return self.layout[0][0]

    def level(self, number: int) -> NodeGraph:
        """The nodes and edges of a level: 0 are the smallest nodes, which windows and partners are made of."""
        if number:
            return self.coarse[number - 1]
        return NodeGraph(**{each.name: getattr(self, each.name) for each in fields(NodeGraph)})

    def windows(self, x: Tensor) -> Tensor:
        """The predicted bins of a flat (bins, channels) tensor: (windows, predicted bins, channels)."""
        num_windows, num_bins = self.layout[0]
        window = x[: num_windows * num_bins].view(num_windows, num_bins, -1)
        return window[:, self.crop : num_bins - self.crop]

    def to(self, device: torch.device | str, non_blocking: bool = False) -> GenomeBatch:
        """The same batch on another device."""
        return _moved(self, device, non_blocking)


def _moved(value: Any, device: torch.device | str, non_blocking: bool) -> Any:
    """What a batch holds on another device, with all that it holds itself."""

    def move(each: Any) -> Any:
        return _moved(each, device, non_blocking)

    if isinstance(value, Tensor):
        return value.to(device, non_blocking=non_blocking)
    if isinstance(value, dict):
        return {name: move(each) for name, each in value.items()}
    if isinstance(value, tuple):
        return tuple(move(each) for each in value)
    if isinstance(value, GenomeBatch | NodeGraph):
        return replace(value, **{each.name: move(getattr(value, each.name)) for each in fields(value)})
    return value
