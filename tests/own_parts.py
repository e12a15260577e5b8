"""A user's own file: one class of each kind that a config may name, and some that break a contract."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from torch import nn

from genograph.graph import Edges
from genograph.nn.heads import PeakOrCountHead
from genograph.nn.layers.graph_block import GraphBlock

NOT_A_CLASS = 3


@dataclass(frozen=True, kw_only=True)
class EverySecond:
    """Join every node to the one `step` further on."""

    name: ClassVar[str] = "every_second"
    needs_contacts: ClassVar[bool] = False

    step: int = 2
    notes: Path | None = None

    def __call__(self, nodes, known) -> Edges:
        source = np.arange(len(nodes) - self.step)
        return Edges(source, source + self.step, np.ones(len(source)))


@dataclass(frozen=True, kw_only=True)
class Doubled:
    """Edges of twice the weight."""

    def __call__(self, graph, groups, rng):
        attr = graph.edge_attr.copy()
        attr[:, 0] *= 2
        return replace(graph, edge_attr=attr)


class BaseShares(nn.Module):
    """The share of each base in a bin, scaled."""

    halo = 0

    def __init__(self, bin_size: int, *, filters: int = 6) -> None:
        super().__init__()
        self.bin_size = self.receptive_field = bin_size
        self.channels = filters
        self.linear = nn.Linear(4, filters)

    def forward(self, one_hot, halo=0):
        shares = self.linear(one_hot.unflatten(2, (-1, self.bin_size)).mean(3).transpose(1, 2))
        return shares[:, halo : shares.shape[1] - halo]


class Summed(GraphBlock):
    """A node takes the sum of its neighbours."""

    def __init__(self, channels: int, edge_dim: int, *, dropout: float = 0.0) -> None:
        super().__init__(channels, dropout=dropout)
        self.linear = nn.Linear(channels, channels)
        self.of_edge = nn.Linear(edge_dim, 1)

    def message(self, x, edge_index, edge_attr):
        source, destination = edge_index
        return x.index_add(0, destination, self.of_edge(edge_attr) * self.linear(x[source]))


class Loud(PeakOrCountHead):
    """Predicts ten times as much."""

    def rate(self, raw):
        return 10 * super().rate(raw)


class Counted(nn.Module):
    """How many CpGs there are beside a bin."""

    channels = 1

    def __init__(self, *, count: int = 3) -> None:
        super().__init__()
        self.count = count

    def forward(self, state, distance):
        return (~state.isnan()).sum((1, 2))[:, None].float()


class Channelless(nn.Module):
    def __init__(self, channels: int, edge_dim: int) -> None:
        super().__init__()


@dataclass(frozen=True)
class Positional:
    step: int
