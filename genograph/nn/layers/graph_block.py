"""What all graph layers share: bins pool to nodes, nodes exchange messages, bins take back what they need."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from genograph.errors import InputError
from genograph.graph.batch import GenomeBatch
from genograph.nn.blocks import ACTIVATIONS, NORM_EPS
from genograph.nn.layers.scatter import softmax_pool

Level = Annotated[int, Field(ge=0)]


class NodePool(nn.Module):
    """Attention pooling of bins to nodes, a softmax over a node's bins per channel.

    It starts between mean and max pooling: a bin weighs as exp(2 x), as in Enformer (Avsec et al. 2021,
    Nature Methods 18:1196).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.score = nn.Linear(channels, channels, bias=False)
        nn.init.eye_(self.score.weight)
        with torch.no_grad():
            self.score.weight.mul_(2)

    def forward(self, x: Tensor, node_of_bin: Tensor, num_nodes: int) -> Tensor:
        """Bins (bins, channels) -> nodes (num_nodes, channels); a bin of no node (-1) goes nowhere."""
        node = torch.where(node_of_bin < 0, num_nodes, node_of_bin)
        return softmax_pool(x, self.score(x), node, num_nodes + 1)[:num_nodes]


class NodeNorm(nn.BatchNorm1d):
    """Batch normalisation over the nodes of a batch; one node alone has no spread and takes the moving statistics.

    Not layer normalisation: that would make a node in which nothing binds look like one in which much does.
    """

    is_synced = False  # over processes, of which others have nodes too

    def forward(self, input: Tensor) -> Tensor:
        """(nodes, channels) -> (nodes, channels)."""
        if input.shape[0] > 1 or self.is_synced:
            return super().forward(input)
        return F.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


class GraphBlock(nn.Module, ABC):
    """A graph layer with bins in and bins out, so that it mixes freely with layers along the sequence and other levels.

    Bins pool to nodes, which are normalised and exchange messages over the edges. Each bin then adds as much
    of its node's result as a gate of its own lets through; a bin of no node stays as it was. What differs
    from one graph layer to the next is `message`.

    Args:
        channels: Of the bins, kept.
        dropout: Probability, after the messages.
        level: Of the nodes: 0 for the smallest, 1 for the first of `graph.coarse`.

    Attributes:
        channels: Of the output.
        span: Bins read along the sequence beyond a bin's own: none, contacts are counted apart.

    >>> class Summed(GraphBlock):
    ...     def __init__(self, channels: int, edge_dim: int, *, dropout: float = 0.0) -> None:
    ...         super().__init__(channels, dropout=dropout)
    ...
    ...     def message(self, x, edge_index, edge_attr):
    ...         source, destination = edge_index
    ...         return x.index_add(0, destination, x[source])
    >>> Summed(8, 3).message(torch.eye(2), torch.tensor([[0], [1]]), torch.ones(1, 3)).tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    """

    span = 0

    def __init__(self, channels: int, *, dropout: float, level: Level = 0) -> None:
        super().__init__()
        self.channels, self.level = channels, level
        self.pool = NodePool(channels)
        self.norm = NodeNorm(channels, eps=NORM_EPS)
        self.activation = ACTIVATIONS["gelu"]()
        self.dropout = nn.Dropout(dropout)
        self.to_bins = nn.Linear(channels, channels)
        self.gate = nn.Sequential(nn.Linear(channels, channels), nn.Sigmoid())

    @abstractmethod
    def message(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        """Nodes after one exchange: (nodes, channels) of x (nodes, channels), edge_index (2, edges) and edge_attr."""

    def forward(self, x: Tensor, batch: GenomeBatch) -> Tensor:
        """Bins (bins, channels) with what their nodes learned of the nodes they touch."""
        graph = batch.level(self.level)
        node = self.norm(self.pool(x, graph.node_of_bin, graph.num_nodes))
        node = self.dropout(self.activation(self.message(node, graph.edge_index, graph.edge_attr)))
        # Node number -1, no node, takes the row of zeros that is put first.
        update = F.pad(self.to_bins(node), (0, 0, 1, 0)).index_select(0, graph.node_of_bin + 1)
        return x + self.gate(x) * update


def channels_per_head(channels: int, heads: int, layer: str) -> int:
    """Channels of each attention head.

    Raises:
        InputError: If the heads do not share the channels evenly.
    """
    if channels % heads:
        fitting = [count for count in range(1, 17) if channels % count == 0]
        raise InputError(
            f"{layer}: {heads} heads cannot share {channels} channels evenly. Choose heads among {fitting}."
        )
    return channels // heads
