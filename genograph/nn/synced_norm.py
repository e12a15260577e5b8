"""Batch normalisation over what all processes see, which is that of one process with all of their batches."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm


def normalise_over_processes(model: nn.Module) -> None:
    """Let every batch normalisation of a model, in training, take mean and variance over all processes.

    Names, weights and moving statistics stay. All processes are to reach all of them at every step. Unlike torch's own
    this is for CPUs too, and keeps what classes add to batch normalisation.
    """
    for norm in model.modules():
        if isinstance(norm, _BatchNorm):
            kind = type(norm)
            norm.__class__ = type(f"Synced{kind.__name__}", (kind, _Synced), {"is_synced": True})


class _Sum(torch.autograd.Function):
    """Over processes, of values and in turn of gradients, as each value is in the loss of every process."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        values = values.clone()
        distributed.all_reduce(values)
        return values

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _Sum.apply(gradient)


class _Synced(_BatchNorm):
    def forward(self, input: Tensor) -> Tensor:
        """(N, C, ...) -> (N, C, ...)"""
        if not self.training:
            return super().forward(input)
        axes, shape = [0, *range(2, input.dim())], (1, -1, *[1] * (input.dim() - 2))
        x = input.float()
        count, total = _Sum.apply(torch.cat([x.new_tensor([x[:, 0].numel()]), x.sum(axes)])).split([1, x.shape[1]])
        mean = total / count
        centred = x - mean.view(shape)
        variance = _Sum.apply(centred.square().sum(axes)) / count
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1).clamp(min=1), self.momentum)
            self.num_batches_tracked.add_(1)
        scaled = centred * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            scaled = scaled * self.weight.view(shape) + self.bias.view(shape)
        return scaled.to(input.dtype)
