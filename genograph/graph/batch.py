"""What one training or prediction step sees: pieces of sequence, the bins they fill, the nodes and edges."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

import torch
from torch import Tensor

EDGE_MEASURES = ("weight", "log10_distance")  # first columns of edge_attr; one for each type and own ones follow


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
        features: (num_nodes + 1, columns) what is known of nodes besides, see `NodeFeatures.scaled`, the last row for
            bins of no node; None where nothing is.
        edge_index: (2, edges) source and destination node, sorted by destination.
        edge_attr: (edges, attributes); see `GenomeGraph.attribute_names`.
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
    neighbours: dict[str, Tensor] = field(default_factory=dict)
    target: dict[str, Tensor] = field(default_factory=dict)
    coverage: dict[str, Tensor] = field(default_factory=dict)
    mask: dict[str, Tensor] = field(default_factory=dict)

    @property
    def num_windows(self) -> int:
        return self.layout[0][0]

    def windows(self, x: Tensor) -> Tensor:
        """The predicted bins of a flat (bins, channels) tensor: (windows, predicted bins, channels)."""
        num_windows, num_bins = self.layout[0]
        window = x[: num_windows * num_bins].view(num_windows, num_bins, -1)
        return window[:, self.crop : num_bins - self.crop]

    def to(self, device: torch.device | str, non_blocking: bool = False) -> GenomeBatch:
        """The same batch on another device."""

        def move(value):
            if isinstance(value, Tensor):
                return value.to(device, non_blocking=non_blocking)
            if isinstance(value, dict):
                return {name: move(item) for name, item in value.items()}
            return value

        return replace(self, **{each.name: move(getattr(self, each.name)) for each in fields(self)})
