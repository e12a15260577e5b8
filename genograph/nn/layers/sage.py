"""GraphSAGE with a mean or a sum for each type of edge, and learned edge weights."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from genograph.graph.batch import EDGE_MEASURES
from genograph.nn.blocks import Probability
from genograph.nn.layers.graph_block import GraphBlock, Level
from genograph.nn.layers.scatter import EdgeWeight, scatter_sum


class SAGE(GraphBlock):
    """A node beside the weighted mean, or sum, of its neighbours (Hamilton et al. 2017, NeurIPS) for each edge type.

    A type has a mean and a matrix of its own, as in a relational graph convolution (Schlichtkrull et al. 2018,
    ESWC), so that what loops bring is not diluted by what lies beside. The weight of an edge is learned from its
    attributes; a node without edges of a type has a mean of 0. An attribute of one's own has a mean and a matrix as a
    type has, in which a neighbour counts as much as the attribute says, and with its sign. A sum, whose messages have a
    bias each, also tells how many neighbours there are, which a mean hides (Xu et al. 2019, ICLR): that may help, and
    it is how a model can learn from a node's degree alone.

    Args:
        channels: Of the bins.
        edge_dim: Edge attributes.
        aggregate: `mean` or `sum`.
        dropout: Probability, after the messages.
        level: Of the nodes, see `GraphBlock`.
    """

    def __init__(
        self,
        channels: int,
        edge_dim: int,
        *,
        aggregate: Literal["mean", "sum"] = "mean",
        dropout: Probability = 0.0,
        level: Level = 0,
    ) -> None:
        super().__init__(channels, dropout=dropout, level=level)
        self.aggregate = aggregate
        self.edge_weight = EdgeWeight(edge_dim)
        self.of_self = nn.Linear(channels, channels)
        self.of_neighbours = nn.ModuleList(
            nn.Linear(channels, channels, bias=aggregate == "sum") for _ in range(edge_dim - len(EDGE_MEASURES))
        )  # of each type, then of each own attribute

    def message(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        (source, destination), nodes = edge_index, x.shape[0]
        weight, neighbours = self.edge_weight(edge_attr), x.index_select(0, source)
        out = self.of_self(x)
        for linear, share in zip(self.of_neighbours, edge_attr[:, len(EDGE_MEASURES) :].T, strict=True):
            weighted = weight * share[:, None]
            total = scatter_sum(weighted * neighbours, destination, nodes)
            if self.aggregate == "mean":
                out = out + linear(total / scatter_sum(weighted.abs(), destination, nodes).clamp(min=1e-12))
            else:  # the bias comes with every message
                out = out + F.linear(total, linear.weight) + scatter_sum(weighted, destination, nodes) * linear.bias
        return out
