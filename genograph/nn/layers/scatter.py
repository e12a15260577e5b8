"""Sums and softmaxes over groups of rows, and the weight an edge gets from its attributes."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def scatter_sum(values: Tensor, index: Tensor, size: int) -> Tensor:
    """Sum of the rows of each group: values (rows, C), index (rows,) -> (size, C); 0 for an empty group."""
    return values.new_zeros(size, *values.shape[1:]).index_add(0, index, values)


def softmax_pool(values: Tensor, score: Tensor, index: Tensor, size: int) -> Tensor:
    """Mean of each group's rows under a softmax of their scores, per channel; 0 for an empty group.

    Args:
        values: (rows, C).
        score: (rows, C).
        index: (rows,) group of each row.
        size: Groups.

    Returns:
        (size, C).
    """
    peak = torch.full_like(score[:1], -torch.inf).repeat(size, 1)
    peak = peak.scatter_reduce(0, index[:, None].expand_as(score), score.detach(), "amax")
    weight = torch.exp(score - peak[index])
    # The row at its group's peak weighs 1, so that only an empty group sums to less.
    return scatter_sum(weight * values, index, size) / scatter_sum(weight, index, size).clamp(min=1)


class EdgeWeight(nn.Module):
    """A positive weight per edge, learned from all of its attributes and near 1 at first."""

    def __init__(self, edge_dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(edge_dim, 1)
        nn.init.normal_(self.linear.weight, std=0.01)
        nn.init.constant_(self.linear.bias, math.log(math.e - 1))  # softplus of it is 1

    def forward(self, edge_attr: Tensor) -> Tensor:
        """Weights (edges, 1) of attributes (edges, edge_dim)."""
        return F.softplus(self.linear(edge_attr))
