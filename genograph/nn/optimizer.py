"""Optimisers and gradient clipping as the published models state them."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop


def build_optimizer(
    parameters: Iterable[nn.Parameter],
    name: str,
    *,
    learning_rate: float,
    momentum: float,
    beta2: float,
    weight_decay: float,
) -> Optimizer:
    """SGD with momentum, RMSprop, Adam or AdamW.

    `momentum` is Adam's first beta; `beta2` also what RMSprop keeps of squared gradients: Torch7's alpha, which Basset
    calls momentum.
    """
    if name == "sgd":
        return SGD(parameters, lr=learning_rate, momentum=momentum, weight_decay=weight_decay)
    if name == "rmsprop":
        return RMSprop(parameters, lr=learning_rate, alpha=beta2, momentum=momentum, weight_decay=weight_decay)
    optimizer = {"adam": Adam, "adamw": AdamW}[name]
    return optimizer(parameters, lr=learning_rate, betas=(momentum, beta2), weight_decay=weight_decay)


def rate_share(step: int, *, warmup: int, steps: int | None) -> float:
    """The share of the learning rate that a step takes, 0 to 1.

    Args:
        step: From 0 on.
        warmup: Steps in which it rises linearly.
        steps: Of the whole training, over which it falls as half a cosine (Loshchilov & Hutter 2017, ICLR); None
            keeps it constant.
    """
    share = min(1.0, (step + 1) / (warmup + 1))
    return share if steps is None else share * (1 + math.cos(math.pi * min(1.0, step / steps))) / 2


def clip_gradients(parameters: Iterable[nn.Parameter], max_norm: float, *, per_variable: bool) -> None:
    """Scale gradients down in place to a norm of at most `max_norm`.

    Args:
        parameters: Those without a gradient are passed over.
        max_norm: The largest L2 norm left.
        per_variable: Each parameter by its own norm, as Keras' `clipnorm` and so Basenji since 2020 does;
            otherwise all by their joint norm, as the 2018 model does.
    """
    gradients: list[Tensor] = [each.grad for each in parameters if each.grad is not None]
    if not gradients:
        return
    norms = torch.stack([gradient.norm() for gradient in gradients])
    if not per_variable:
        norms = norms.norm().expand(len(gradients))
    scales = (max_norm / norms.clamp(min=1e-12)).clamp(max=1.0)
    for gradient, scale in zip(gradients, scales, strict=True):
        gradient.mul_(scale)


@torch.no_grad()
def limit_norms(parameters: Iterable[nn.Parameter], max_norm: float) -> None:
    """Scale weights down in place so that those into each filter or unit have a norm of at most `max_norm`.

    The constraint of Srivastava et al. 2014 (JMLR 15:1929) that Basset trains with. What has no matrix of inputs, such
    as a bias or the scale of a normalisation, stays.
    """
    for weight in parameters:
        if weight.dim() > 1:
            norm = weight.flatten(1).norm(dim=1)
            scale = (max_norm / norm.clamp(min=1e-12)).clamp(max=1.0)
            weight.mul_(scale.view(-1, *[1] * (weight.dim() - 1)))
