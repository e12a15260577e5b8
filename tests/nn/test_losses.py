from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genograph.errors import InputError
from genograph.nn.losses import LOSSES, bce, binomial, categorical, poisson, poisson_multinomial


def column(*values: float) -> torch.Tensor:
    """One window of one track: (1, bins, 1)."""
    return torch.tensor(values, dtype=torch.float).view(1, -1, 1)


def everything(values: torch.Tensor) -> torch.Tensor:
    return torch.ones_like(values, dtype=torch.bool)


def evaluate(name: str, prediction: torch.Tensor, target: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    extra = (torch.full_like(target, 4),) if name == "binomial" else ()
    return LOSSES[name](prediction, target, mask, *extra)


def test_poisson_is_the_mean_of_rate_less_count_times_log_rate():
    loss = poisson(column(2, 4), column(3, 0), everything(column(1, 1)))
    assert loss.item() == pytest.approx((2 - 3 * math.log(2) + 4) / 2)


def test_a_rate_of_zero_is_finite():
    assert poisson(column(0), column(2), everything(column(1))).item() == pytest.approx(-2 * math.log(1e-7))


def test_amount_and_profile_of_a_window():
    loss = poisson_multinomial(column(1, 3), column(2, 6), everything(column(1, 1)), total_weight=0.5)
    multinomial = -(2 * math.log(1 / 4) + 6 * math.log(3 / 4))
    assert loss.item() == pytest.approx((multinomial + 0.5 * (4 - 8 * math.log(4))) / 2, rel=1e-5)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_amount_and_profile_with_weight_one_are_the_poisson_loss(seed):
    random = torch.Generator().manual_seed(seed)
    rate = torch.rand(2, 5, 3, generator=random) * 5 + 0.1
    count = torch.randint(0, 9, (2, 5, 3), generator=random).float()
    mask = everything(rate)
    mixed = poisson_multinomial(rate, count, mask, total_weight=1)
    torch.testing.assert_close(mixed, poisson(rate, count, mask), rtol=1e-4, atol=1e-4)


def test_a_track_without_measured_bins_in_a_window_does_not_count_in_it():
    rate, count = torch.rand(2, 4, 2) + 0.5, torch.rand(2, 4, 2)
    mask = everything(rate)
    mask[1, :, 0] = False
    both = torch.cat([rate[0].T, rate[1, :, 1:].T])[..., None], torch.cat([count[0].T, count[1, :, 1:].T])[..., None]
    torch.testing.assert_close(poisson_multinomial(rate, count, mask), poisson_multinomial(*both, everything(both[0])))


def test_cross_entropy_of_a_logit():
    loss = bce(column(0, 2), column(1, 0), everything(column(1, 1)))
    assert loss.item() == pytest.approx((math.log(2) + math.log(1 + math.exp(2))) / 2)


def test_a_methylation_site_counts_by_its_coverage():
    loss = binomial(column(0, 2, 9), column(0.5, 0, 1), everything(column(1, 1, 1)), column(3, 1, 0))
    assert loss.item() == pytest.approx((3 * math.log(2) + math.log(1 + math.exp(2))) / 4)


@pytest.mark.parametrize("name", LOSSES)
def test_masked_and_missing_values_have_exactly_no_gradient(name):
    prediction = column(0.5, 0.4, 0.3, 0.2).requires_grad_()
    target, mask = column(1, 0, math.nan, 1), everything(column(1, 1, 1, 1))
    mask[0, 3] = False
    loss = evaluate(name, prediction, target, mask)
    loss.backward()
    assert loss.isfinite()
    assert (prediction.grad[0, :2] != 0).all()
    assert prediction.grad[0, 2:].flatten().tolist() == [0, 0]


@pytest.mark.parametrize("name", LOSSES)
def test_what_stands_under_the_mask_does_not_move_the_loss(name):
    target, mask = column(1, 0, 1), everything(column(1, 1, 1))
    mask[0, 2] = False
    kept = evaluate(name, column(0.5, 0.4), column(1, 0), everything(column(1, 1)))
    for under in (0.0, 1e30, math.inf, math.nan):
        torch.testing.assert_close(evaluate(name, column(0.5, 0.4, under), target, mask), kept)


@pytest.mark.parametrize("name", LOSSES)
def test_a_fully_masked_window_is_an_error_not_nan(name):
    for target, mask in [(column(1, 1), column(0, 0).bool()), (column(math.nan, math.nan), column(1, 1).bool())]:
        with pytest.raises(InputError, match="nothing here was measured"):
            evaluate(name, column(0.5, 0.5), target, mask)


def test_methylation_without_a_read_is_an_error_not_nan():
    with pytest.raises(InputError, match="nothing here was measured"):
        binomial(column(0), column(0.5), column(1).bool(), column(0))


MISSING = {  # fraction, mask, coverage
    "fraction not measured": (math.nan, True, 7.0),
    "no reads": (0.3, True, 0.0),
    "coverage not known": (0.3, True, math.nan),
    "masked": (0.9, False, 5.0),
}


def binomial_gradients(fraction, mask, coverage, num_sites=3):
    """Gradients of raw outputs and of the weight and bias of a linear layer that makes them."""
    embedding = torch.randn(1, 4, 5, generator=torch.Generator().manual_seed(0))[:, :num_sites]
    linear = torch.nn.Linear(5, 1)
    torch.nn.init.constant_(linear.weight, 0.3)
    torch.nn.init.constant_(linear.bias, -0.2)
    raw = linear(embedding)
    raw.retain_grad()
    binomial(raw, fraction, mask, coverage).backward()
    return raw.grad, linear.weight.grad, linear.bias.grad


@pytest.mark.parametrize("missing", MISSING)
def test_a_missing_site_trains_nothing_as_if_it_were_left_out(missing):
    fraction, mask, coverage = MISSING[missing]
    raw, *parameters = binomial_gradients(
        column(0.5, 0, 1, fraction), column(1, 1, 1, mask).bool(), column(3, 1, 8, coverage), num_sites=4
    )
    raw_without, *parameters_without = binomial_gradients(column(0.5, 0, 1), column(1, 1, 1).bool(), column(3, 1, 8))
    assert raw[0, 3].item() == 0
    assert (raw_without != 0).all()
    # The processor may compute three sites otherwise than four, in the last bit.
    for gradient, without in zip([raw[:, :3], *parameters], [raw_without, *parameters_without], strict=True):
        torch.testing.assert_close(gradient, without, rtol=1e-6, atol=0)


def test_a_site_of_ten_reads_weighs_as_ten_sites_of_one():
    logits = torch.tensor([0.4, -1.2])
    deep, single = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    one = binomial(deep.view(1, 2, 1), column(0.7, 0.5), column(1, 1).bool(), column(10, 4))
    reads = torch.cat([single[:1].expand(10), single[1:].expand(4)]).view(1, 14, 1)
    each = binomial(reads, column(*[1] * 7, *[0] * 3, 1, 1, 0, 0), column(*[1] * 14).bool(), column(*[1] * 14))
    one.backward()
    each.backward()
    torch.testing.assert_close(one, each)
    torch.testing.assert_close(deep.grad, single.grad)


def test_a_class_weight_counts_as_so_many_values():
    logit = torch.tensor([0.4, -1.2, 0.3]).view(1, 3, 1)
    weights = torch.tensor([[1.0], [3.0]])
    weighted = bce(logit, column(1, 0, 0), column(1, 1, 1).bool(), weights)
    repeated = bce(logit[:, [0, 0, 0, 1, 2]], column(1, 1, 1, 0, 0), column(1, 1, 1, 1, 1).bool())
    torch.testing.assert_close(weighted, repeated)


def test_a_weighted_fraction_is_so_much_of_each_class():
    logit = torch.tensor([0.7]).view(1, 1, 1)
    weights = torch.tensor([[2.0], [6.0]])
    weighted = binomial(logit, column(0.25), column(1).bool(), column(4), weights)
    # One read methylated, three not: 1 x 6 and 3 x 2.
    each = bce(logit.expand(1, 2, 1), column(1, 0), column(1, 1).bool())
    torch.testing.assert_close(weighted, each)


def test_a_missing_label_has_no_gradient_under_class_weights():
    logit = torch.zeros(1, 3, 1, requires_grad=True)
    bce(logit, column(1, float("nan"), 0), column(1, 1, 0).bool(), torch.tensor([[1.0], [9.0]])).backward()
    assert logit.grad.flatten().tolist() == [pytest.approx(-0.5), 0, 0]


def test_cross_entropy_of_classes_is_the_mean_over_bins_of_the_log_share_of_their_class():
    logit = torch.tensor([[[0.0, 0.0, math.log(2)], [1.0, 5.0, 2.0], [0.0, math.log(3), 0.0]]], requires_grad=True)
    label = torch.tensor([[[0.0, 0.0, 1.0], [math.nan] * 3, [1.0, 0.0, 0.0]]])
    loss = categorical(logit, label, everything(label))
    assert loss.item() == pytest.approx((math.log(2) + math.log(5)) / 2)
    loss.backward()
    assert logit.grad[0, 1].tolist() == [0, 0, 0]
    assert logit.grad[0, 2].tolist() == pytest.approx([-2 / 5, 3 / 10, 1 / 10])
    with pytest.raises(InputError, match="nothing here was measured"):
        categorical(logit, label, ~everything(label))
