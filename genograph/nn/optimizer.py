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


def rate_share(
    step: int, *, warmup: int, steps: int | None = None, decay: float = 1.0, steps_of_epoch: int = 1
) -> float:
    """The share of the learning rate that a step takes, 0 to 1.

    Args:
        step: From 0 on.
        warmup: Steps in which it rises linearly.
        steps: Of the whole training, over which it falls as half a cosine (Loshchilov & Hutter 2017, ICLR); None
            leaves that out.
        decay: What is left of it after each epoch.
        steps_of_epoch: Steps in an epoch.
    """
    share = min(1.0, (step + 1) / (warmup + 1)) * decay ** (step // steps_of_epoch)
    return share if steps is None else share * (1 + math.cos(math.pi * min(1.0, step / steps))) / 2


def weight_penalty(parameters: Iterable[nn.Parameter], *, l1: float, l2: float) -> Tensor:
    """`l1` times the sum of absolute weights and `l2` times that of their squares, as Keras' regularisers have them.

    What has no matrix of inputs, such as a bias or the scale of a normalisation, does not count.
    """
    matrices = [each for each in parameters if each.dim() > 1]
    return sum((l1 * each.abs().sum() + l2 * each.square().sum() for each in matrices), torch.zeros(()))


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
