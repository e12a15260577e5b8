"""GraphSAGE with a mean or a sum for each type of edge, and learned edge weights."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from genograph.graph.batch import EDGE_MEASURES
from genograph.nn.blocks import Probability
from genograph.nn.layers.graph_block import GraphBlock
from genograph.nn.layers.scatter import EdgeWeight, scatter_sum


class SAGE(GraphBlock):
    """A node beside the weighted mean, or sum, of its neighbours (Hamilton et al. 2017, NeurIPS) for each edge type.

    A type has a mean and a matrix of its own, as in a relational graph convolution (Schlichtkrull et al. 2018,
    ESWC), so that what loops bring is not diluted by what lies beside. The weight of an edge is learned from its
    attributes; a node without edges of a type has a mean of 0. A sum, whose messages have a bias each, also tells how
    many neighbours there are, which a mean hides (Xu et al. 2019, ICLR): that may help, and it is how a model can learn
    from a node's degree alone.

    Args:
        channels: Of the bins.
        edge_dim: Edge attributes.
        aggregate: `mean` or `sum`.
        dropout: Probability, after the messages.
    """

    def __init__(
        self,
        channels: int,
        edge_dim: int,
        *,
        aggregate: Literal["mean", "sum"] = "mean",
        dropout: Probability = 0.0,
    ) -> None:
        super().__init__(channels, dropout=dropout)
        self.aggregate = aggregate
        num_types = edge_dim - len(EDGE_MEASURES)
        self.edge_weight = EdgeWeight(edge_dim)
        self.of_self = nn.Linear(channels, channels)
        self.of_neighbours = nn.ModuleList(
            nn.Linear(channels, channels, bias=aggregate == "sum") for _ in range(num_types)
        )

    def message(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        source, destination = edge_index
        weight, neighbours = self.edge_weight(edge_attr), x.index_select(0, source)
        out = self.of_self(x)
        for linear, is_type in zip(self.of_neighbours, edge_attr[:, len(EDGE_MEASURES) :].T, strict=True):
            of_type = weight * is_type[:, None]
            total = scatter_sum(of_type * neighbours, destination, len(x))
            weights = scatter_sum(of_type, destination, len(x))
            if self.aggregate == "mean":
                out = out + linear(total / weights.clamp(min=1e-12))
            else:  # the bias comes with every message
                out = out + F.linear(total, linear.weight) + weights * linear.bias
        return out
