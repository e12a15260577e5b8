"""Losses with exact masks: a masked value, NaN included, moves neither the loss nor any gradient.

All take (windows, bins, tracks) and average over what the mask keeps and what is not NaN.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from genograph.errors import InputError

_EPSILON = 1e-7  # Basenji's


def poisson(rate: Tensor, count: Tensor, mask: Tensor) -> Tensor:
    """Poisson negative log-likelihood of read counts, without the constant log(count!).

    This is the loss of Basenji (Kelley et al. 2018, Genome Research 28:739).

    Args:
        rate: Predicted mean count per bin, positive.
        count: Observed reads per bin.
        mask: False where the bin does not count.

    Raises:
        InputError: If nothing is kept; a mean over no bins would be NaN.
    """
    keep = _kept(count, mask)
    rate, count = torch.where(keep, rate, 1.0), torch.where(keep, count, 0.0)
    return _mean(rate - count * torch.log(rate + _EPSILON), keep)


def poisson_multinomial(rate: Tensor, count: Tensor, mask: Tensor, total_weight: float = 0.2) -> Tensor:
    """How much is in a window by a Poisson likelihood, and where in it by a multinomial; both per bin.

    Basenji's `poisson_mn`. With weight 1 the two add up to `poisson`; with less, 0.2 as in Borzoi (Linder et
    al. 2025, Nature Genetics 57:949), the profile outweighs the amount.

    Args:
        rate: Predicted mean count per bin, positive.
        count: Observed reads per bin.
        mask: False where the bin does not count; a window's sums and length run over the others.
        total_weight: Of the Poisson likelihood of the window's sum.

    Raises:
        InputError: If nothing is kept; a mean over no bins would be NaN.
    """
    keep = _kept(count, mask)
    num_bins = keep.sum(dim=1, keepdim=True)  # (windows, 1, tracks)
    has_bins = num_bins > 0
    rate, count = (torch.where(keep, each + _EPSILON, 0.0) for each in (rate, count))
    total_count = count.sum(dim=1, keepdim=True)
    total_rate = torch.where(has_bins, rate.sum(dim=1, keepdim=True), 1.0)
    share = torch.where(keep, rate / total_rate, 1.0)
    multinomial = -(count * torch.log(share)).sum(dim=1, keepdim=True)
    total = total_rate - total_count * torch.log(total_rate + _EPSILON)
    return _mean((multinomial + total_weight * total) / num_bins.clamp(min=1), has_bins)


def bce(logit: Tensor, label: Tensor, mask: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Binary cross-entropy of labels, or of fractions, in [0, 1] given the logit of their probability.

    Args:
        logit: Of the probability of a positive.
        label: 0 to 1.
        mask: False where the bin does not count.
        class_weights: (2, tracks) of a negative and of a positive; the loss is a mean by weight. None: 1.

    Raises:
        InputError: If nothing is kept; a mean over no bins would be NaN.
    """
    return binomial(logit, label, mask, torch.ones_like(label), class_weights)


def binomial(
    logit: Tensor,
    fraction: Tensor,
    mask: Tensor,
    coverage: Tensor,
    class_weights: Tensor | None = None,
) -> Tensor:
    """Binomial negative log-likelihood per read, without the constant: a site counts by its coverage.

    Args:
        logit: Of the probability that a read is methylated.
        fraction: Observed methylated reads of all reads, in [0, 1].
        mask: False where the site does not count.
        coverage: Reads at the site; none, or NaN, does not count.
        class_weights: (2, tracks) of an unmethylated read and of a methylated one; None: 1.

    Raises:
        InputError: If nothing is kept; a mean over no reads would be NaN.
    """
    keep = _kept(fraction, mask & (coverage > 0))
    logit, fraction = torch.where(keep, logit, 0.0), torch.where(keep, fraction, 0.0)
    weight = torch.where(keep, coverage, 0.0)
    if class_weights is not None:
        negative, positive = class_weights
        weight, fraction = weigh(weight, fraction, negative, positive)
    nll = F.binary_cross_entropy_with_logits(logit, fraction, reduction="none")
    return (weight * nll).sum() / weight.sum()


def mse(prediction: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error.

    Raises:
        InputError: If nothing is kept; a mean over no bins would be NaN.
    """
    keep = _kept(value, mask)
    return _mean((torch.where(keep, prediction, 0.0) - torch.where(keep, value, 0.0)).square(), keep)


def categorical(logit: Tensor, label: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy of classes, one track each, given their logits: a mean over bins.

    Args:
        logit: Of the class of each track.
        label: 1 for the class that it is, 0 for the others.
        mask: False where the bin does not count; it counts if all tracks do.

    Raises:
        InputError: If nothing is kept; a mean over no bins would be NaN.
    """
    keep = _kept(label, mask).all(dim=-1, keepdim=True)
    logit, label = torch.where(keep, logit, 0.0), torch.where(keep, label, 0.0)
    return _mean(-(label * logit.log_softmax(dim=-1)).sum(dim=-1, keepdim=True), keep)


LOSSES = {
    "poisson": poisson,
    "poisson_multinomial": poisson_multinomial,
    "bce": bce,
    "binomial": binomial,
    "mse": mse,
}


def weigh(reads: Tensor, fraction: Tensor, negative: Tensor, positive: Tensor) -> tuple[Tensor, Tensor]:
    """Reads and the positive fraction of them if each counts by the weight of its class."""
    weight = (1 - fraction) * negative + fraction * positive
    return reads * weight, torch.where(weight > 0, fraction * positive / weight.clamp(min=1e-12), 0.0)


def _kept(target: Tensor, mask: Tensor) -> Tensor:
    keep = mask & torch.isfinite(target)
    if not keep.any():
        raise InputError(
            "nothing here was measured: the mask, or NaN, leaves no value to compare a prediction with. "
            "Leave out windows and tracks that hold nothing."
        )
    return keep


def _mean(values: Tensor, keep: Tensor) -> Tensor:
    return torch.where(keep, values, 0.0).sum() / keep.sum()
