"""Heads: from a bin's embedding to the tracks of one assay, and how these are judged."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from genograph.errors import InputError
from genograph.nn.blocks import Count, initialise
from genograph.nn.losses import LOSSES, bce, categorical, mse, weigh

Weight = Annotated[float, Field(gt=0)]
Link = Literal["softplus", "exp_linear"]
ClassWeights = Literal["balanced", "positives"]
Statistic = Literal["mean", "var", "mode", "cat_var", "cat2_var", "diff", "entropy"]
_LARGEST = {"var": 0.251, "entropy": 0.694}  # DeepCpG's of the variance, which is at most .25; entropy is at most log 2
_CLASSES = {"cat_var": 3}  # of each, with a track for each class
_LOSSES = {**dict.fromkeys(("mean", "var", "entropy"), mse), "cat_var": categorical}  # of others: bce


class ExpLinear(nn.Module):
    """`x + 1` above zero and `exp(x)` below: the link of Basenji in 2018."""

    def __init__(self) -> None:
        super().__init__()
        self.elu = nn.ELU()

    def forward(self, x: Tensor) -> Tensor:
        return self.elu(x) + 1


LINKS = {"softplus": nn.Softplus, "exp_linear": ExpLinear, "sigmoid": nn.Sigmoid}


class Head(nn.Module):
    """A linear layer per bin, the link that gives its output a unit, and the loss that it trains by.

    Args:
        channels: Of the bins.
        num_tracks: Tracks in the data; None to take what `tracks` states.
        tracks: Tracks that a published model has, if the config states them.
        loss: A name in `LOSSES`.
        link: A name in `LINKS`; with `sigmoid` the loss takes the raw output, which is a logit.
        weight: Of the loss beside those of other assays.
        class_weights: How positives and negatives of each track weigh in the loss, see `weigh_classes`.

    Attributes:
        num_means: How many means the loss adds up, see `means`.

    Raises:
        InputError: If data and config state different numbers of tracks, or neither states one.

    >>> Head(8, 2, tracks=None, loss="poisson", link="softplus", weight=1.0)(torch.zeros(5, 8)).shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        channels: int,
        num_tracks: int | None,
        *,
        tracks: int | None,
        loss: str,
        link: str,
        weight: float,
        class_weights: ClassWeights | None = None,
    ) -> None:
        super().__init__()
        if num_tracks and tracks and num_tracks != tracks:
            raise InputError(
                f"the head states {tracks} tracks, the data has {num_tracks}. Leave out the head's `tracks`."
            )
        self.num_tracks = num_tracks or tracks or 0
        if not self.num_tracks:
            raise InputError("the head has no tracks: give it data, or state `tracks`.")
        self.loss_name, self.weight, self.num_means = loss, weight, 1
        self.linear = nn.Linear(channels, self.num_tracks)
        self.link = LINKS[link]()
        initialise(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        self.weighting = class_weights
        if class_weights is not None:
            self.register_buffer("class_weights", torch.ones(2, self.num_tracks))

    def weigh_classes(self, positive: Tensor) -> None:
        """Set the weights of negatives and positives from the share of positives of each track: (tracks,).

        `balanced`: a positive weighs as many times a negative as there are negatives for each of them, so that both
        classes weigh the same within a track. `positives`: a positive weighs 1 in every track, and its negatives
        together as much as its positives, so that tracks count by their positives. One of one class keeps weights of 1.
        """
        share = positive.clamp(min=1e-6, max=1 - 1e-6)
        odds = torch.where((positive > 0) & (positive < 1), share / (1 - share), 1.0)
        one = torch.ones_like(odds)
        self.class_weights.copy_(torch.stack([one, 1 / odds] if self.weighting == "balanced" else [odds, one]))

    def forward(self, x: Tensor) -> Tensor:
        """Raw outputs (..., tracks) of bins (..., channels), before the link."""
        return self.linear(x).float()

    def rate(self, raw: Tensor) -> Tensor:
        """Predictions in units: mean counts, or probabilities."""
        return self.link(raw)

    def observed(self, target: Tensor, mask: Tensor, coverage: Tensor | None = None) -> Tensor:
        """True for what the loss looks at: measured, not masked and, where reads are counted, with one."""
        is_observed = mask & torch.isfinite(target)
        if self.loss_name == "binomial" and coverage is not None:
            is_observed = is_observed & (coverage > 0)
        return is_observed

    def loss(self, raw: Tensor, target: Tensor, mask: Tensor, coverage: Tensor | None = None) -> Tensor | None:
        """The loss of raw outputs (windows, bins, tracks), or None where nothing of this assay was measured.

        Without a coverage every site of a binomial loss counts as one read.
        """
        is_observed = self.observed(target, mask, coverage)
        if not is_observed.any():
            return None
        prediction = raw if isinstance(self.link, nn.Sigmoid) else self.rate(raw)
        weights = ()
        if self.loss_name == "binomial":
            weights = (torch.ones_like(target) if coverage is None else coverage,)
        if self.weighting is not None:
            weights = (*weights, self.class_weights)
        return LOSSES[self.loss_name](prediction, target, is_observed, *weights)

    def amount(self, target: Tensor, mask: Tensor, coverage: Tensor | None = None) -> Tensor:
        """What the loss of these is a mean over: values, reads or windows, by weight; 0 where the loss is None.

        Losses of parts of a batch, each times its amount, add up to that of the whole. Those of statistics, which are
        sums of means, do so where all of them were measured at the same sites.
        """
        is_observed = mask & torch.isfinite(target)
        if self.loss_name == "poisson_multinomial":
            return is_observed.any(dim=1).sum()
        reads = coverage if self.loss_name == "binomial" and coverage is not None else torch.ones_like(target)
        weight = torch.where(is_observed & (reads > 0), reads, 0.0)
        if self.weighting is not None:
            weight, _ = weigh(weight, torch.where(is_observed, target, 0.0), *self.class_weights)
        return weight.sum()

    def means(self, raw: Tensor, target: Tensor, mask: Tensor, coverage: Tensor | None = None) -> Tensor:
        """Each mean that the loss adds up, and its amount: (`num_means`, 2), 0 where nothing was measured.

        By their amounts, those of batches give the loss of all their values in one batch.
        """
        loss = self.loss(raw, target, mask, coverage)
        if loss is None:
            return raw.new_zeros(1, 2)
        return torch.stack([loss, self.amount(target, mask, coverage)])[None]


class CountHead(Head):
    """Read counts that are never peaks: expression (CAGE, RNA-seq).

    Args:
        channels: Of the bins.
        num_tracks: Tracks in the data; None to take what `tracks` states.
        tracks: Tracks that a published model has.
        loss: `poisson` judges each bin, `poisson_multinomial` amount and profile of a window.
        link: `softplus`, or `exp_linear` as in Basenji 2018.
        weight: Of the loss beside those of other assays.
    """

    def __init__(
        self,
        channels: int,
        num_tracks: int | None,
        *,
        tracks: Count | None = None,
        loss: Literal["poisson", "poisson_multinomial"] = "poisson",
        link: Link = "softplus",
        weight: Weight = 1.0,
    ) -> None:
        super().__init__(channels, num_tracks, tracks=tracks, loss=loss, link=link, weight=weight)


class PeakOrCountHead(Head):
    """Accessibility and other coverage, as read counts or as peaks (`bce`, which predicts a probability).

    Args:
        channels: Of the bins.
        num_tracks: Tracks in the data; None to take what `tracks` states.
        tracks: Tracks that a published model has.
        loss: `poisson` or `poisson_multinomial` for counts, as in `CountHead`; `bce` for peaks.
        link: Of counts, by default `softplus`; that of peaks is the logistic function.
        weight: Of the loss beside those of other assays.
        class_weights: Of peaks: see `Head.weigh_classes`.
    """

    def __init__(
        self,
        channels: int,
        num_tracks: int | None,
        *,
        tracks: Count | None = None,
        loss: Literal["poisson", "poisson_multinomial", "bce"] = "poisson",
        link: Link | None = None,
        weight: Weight = 1.0,
        class_weights: ClassWeights | None = None,
    ) -> None:
        if class_weights is not None and loss != "bce":
            raise InputError(f"class_weights are of peaks (loss: bce), not of {loss}; leave them out.")
        if loss == "bce" and link is not None:
            raise InputError(f"the link of peaks (loss: bce) is the logistic function; leave out {link}.")
        used = "sigmoid" if loss == "bce" else link or "softplus"
        super().__init__(
            channels, num_tracks, tracks=tracks, loss=loss, link=used, weight=weight, class_weights=class_weights
        )


class MethylationHead(Head):
    """The probability that a read is methylated, by the binomial likelihood of the reads at a site.

    Args:
        channels: Of the bins.
        num_tracks: Tracks in the data; None to take what `tracks` states.
        tracks: Tracks that a published model has.
        weight: Of the loss beside those of other assays.
        class_weights: Of methylated and other reads: see `Head.weigh_classes`.
    """

    def __init__(
        self,
        channels: int,
        num_tracks: int | None,
        *,
        tracks: Count | None = None,
        weight: Weight = 1.0,
        class_weights: ClassWeights | None = None,
    ) -> None:
        options = {"loss": "binomial", "link": "sigmoid", "weight": weight, "class_weights": class_weights}
        super().__init__(channels, num_tracks, tracks=tracks, **options)


class StatisticsLink(nn.Module):
    """The logistic function times the largest value of each track; of classes the share of each: (..., tracks)."""

    def __init__(self, largest: Sequence[float], classes: Sequence[slice]) -> None:
        super().__init__()
        self.register_buffer("largest", torch.tensor(largest), persistent=False)
        self.classes = classes

    def forward(self, x: Tensor) -> Tensor:
        rate = self.largest * x.sigmoid()
        for each in self.classes:
            rate[..., each] = x[..., each].softmax(dim=-1)
        return rate


class StatisticsHead(Head):
    """Statistics of methylation across cells, as DeepCpG predicts them (Angermueller et al. 2017).

    Mean, variance and entropy train by their squared error; `mode`, `cat2_var` and `diff`, which are 0 or 1, and
    `cat_var`, which has a track for each of its three classes, by cross-entropy. The losses are added.

    Args:
        channels: Of the bins.
        num_tracks: Tracks in the data: those that are asked for, so that it is not looked at.
        statistics: Which; see `genograph.assays.cpg_statistics.statistics`.
        windows: Widths in bp of windows about the site whose statistics come too, behind those of the site.
        weight: Of the loss beside those of other assays.

    Attributes:
        parts: Name and tracks of each statistic, `mean` of the site and `1001/mean` of a window.

    Raises:
        InputError: If a statistic or a window comes twice.
    """

    def __init__(
        self,
        channels: int,
        num_tracks: int | None,
        *,
        statistics: tuple[Statistic, ...] = ("mean", "var", "diff"),
        windows: tuple[Count, ...] = (),
        weight: Weight = 1.0,
    ) -> None:
        for what, given in ("statistics", statistics), ("windows", windows):
            if len({*given}) < len(given):
                raise InputError(f"{what} are to differ; got {', '.join(map(str, given))}.")
        kinds = [*statistics] * (1 + len(windows))
        end = [*accumulate(_CLASSES.get(kind, 1) for kind in kinds)]
        super().__init__(channels, None, tracks=end[-1], loss="mse", link="sigmoid", weight=weight)
        tracks = [slice(each - _CLASSES.get(kind, 1), each) for kind, each in zip(kinds, end, strict=True)]
        names = [*statistics, *(f"{width}/{each}" for width in windows for each in statistics)]
        self.parts = dict(zip(names, tracks, strict=True))
        self.num_means = len(self.parts)
        largest = [_LARGEST.get(kind, 1.0) for kind in kinds for _ in range(_CLASSES.get(kind, 1))]
        self.link = StatisticsLink(largest, [each for each in tracks if each.stop - each.start > 1])

    def observed(self, target: Tensor, mask: Tensor, coverage: Tensor | None = None) -> Tensor:
        is_observed = super().observed(target, mask, coverage)
        for tracks in self.link.classes:  # all of them, or none
            is_observed[..., tracks] &= is_observed[..., tracks].all(dim=-1, keepdim=True)
        return is_observed

    def loss(self, raw: Tensor, target: Tensor, mask: Tensor, coverage: Tensor | None = None) -> Tensor | None:
        """The sum of the losses of those that were measured, or None where nothing was; see `Head.loss`."""
        loss, amount = self.means(raw, target, mask, coverage).T
        return loss.sum() if amount.any() else None

    def means(self, raw: Tensor, target: Tensor, mask: Tensor, coverage: Tensor | None = None) -> Tensor:
        """The loss of each statistic, and at how many values it was measured; see `Head.means`."""
        is_observed, rate, means = self.observed(target, mask), self.rate(raw), []
        for name, tracks in self.parts.items():
            each, loss = (..., tracks), _LOSSES.get(name.rpartition("/")[2], bce)
            amount, value = is_observed[each].sum(), raw.new_zeros(())
            if amount:
                value = loss((rate if loss is mse else raw)[each], target[each], is_observed[each])
            means.append(torch.stack([value, amount.to(value.dtype)]))
        return torch.stack(means)


HEADS = {
    "expression": CountHead,
    "coverage": PeakOrCountHead,
    "accessibility": PeakOrCountHead,
    "methylation": MethylationHead,
    "methylation_statistics": StatisticsHead,
}
