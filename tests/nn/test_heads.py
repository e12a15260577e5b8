from __future__ import annotations

import math

import pytest
import torch

from genograph.errors import InputError
from genograph.nn.heads import HEADS, CountHead, ExpLinear, MethylationHead, PeakOrCountHead, StatisticsHead


@pytest.mark.parametrize("name", HEADS)
def test_a_head_trains_every_parameter_and_predicts_every_track(name):
    head = HEADS[name](5, 3)
    raw = head(torch.randn(2, 4, 5))
    assert head.rate(raw).shape == (2, 4, 3)
    assert (head.rate(raw) > 0).all()
    head.loss(raw, torch.rand(2, 4, 3), torch.ones(2, 4, 3, dtype=torch.bool)).backward()
    assert all((parameter.grad != 0).all() for parameter in head.parameters())


def test_the_link_of_2018_is_exponential_below_zero_and_linear_above():
    out = ExpLinear()(torch.tensor([-2.0, 0.0, 3.0]))
    assert out.tolist() == pytest.approx([math.exp(-2), 1, 4])


def test_counts_come_out_of_a_softplus():
    raw = torch.tensor([[[-1.0, 2.0]]])
    assert CountHead(3, 2).rate(raw).flatten().tolist() == pytest.approx(
        [math.log1p(math.exp(-1)), math.log1p(math.exp(2))]
    )


@pytest.mark.parametrize("head", [PeakOrCountHead(3, 1, loss="bce"), MethylationHead(3, 1)])
def test_probabilities_come_out_of_a_logistic_function_and_train_by_their_logit(head):
    raw, mask = torch.full((1, 1, 1), 2.0), torch.ones(1, 1, 1, dtype=torch.bool)
    assert head.rate(raw).item() == pytest.approx(1 / (1 + math.exp(-2)))
    assert head.loss(raw, torch.zeros(1, 1, 1), mask).item() == pytest.approx(math.log(1 + math.exp(2)))


def test_the_link_of_peaks_may_not_be_chosen():
    with pytest.raises(InputError, match=r"the link of peaks .* is the logistic function; leave out softplus"):
        PeakOrCountHead(3, 1, loss="bce", link="softplus")


@pytest.mark.parametrize("options", [{}, {"loss": "poisson_multinomial"}, {"link": "exp_linear"}])
def test_accessibility_counts_like_any_other_coverage(options):
    raw, count = torch.randn(2, 4, 3), torch.rand(2, 4, 3)
    mask = torch.ones(2, 4, 3, dtype=torch.bool)
    assert torch.equal(
        PeakOrCountHead(5, 3, **options).loss(raw, count, mask), CountHead(5, 3, **options).loss(raw, count, mask)
    )


def test_statistics_train_by_squared_error_or_cross_entropy_and_losses_are_added():
    head = StatisticsHead(3, None, statistics=("mean", "var", "mode"))
    raw = torch.tensor([[[0.0, 0.0, 2.0], [1.0, 1.0, 1.0]]])
    target = torch.tensor([[[1.0, 0.1255, 0.0], [math.nan, 0.0255, math.nan]]])
    mask = torch.ones_like(target, dtype=torch.bool)
    assert head.rate(raw)[0, 0].tolist() == pytest.approx([0.5, 0.1255, 1 / (1 + math.exp(-2))])
    of_var = (0.251 / (1 + math.exp(-1)) - 0.0255) ** 2 / 2
    assert head.loss(raw, target, mask).item() == pytest.approx(0.25 + of_var + math.log(1 + math.exp(2)))
    assert head.loss(raw[:, 1:], target[:, 1:], mask[:, 1:]).item() == pytest.approx(2 * of_var)
    assert head.loss(raw, target * math.nan, mask) is None


def test_classes_of_variance_have_a_track_each_and_their_shares_add_up_to_one():
    head = StatisticsHead(3, None, statistics=("mean", "cat_var", "entropy"))
    raw = torch.tensor([[[0.0, 0.0, math.log(2), math.log(5), 0.0]]])
    target = torch.tensor([[[0.5, 0.0, 1.0, 0.0, 0.1]]])
    assert head.rate(raw).flatten().tolist() == pytest.approx([0.5, 1 / 8, 2 / 8, 5 / 8, 0.347])
    of_entropy = (0.347 - 0.1) ** 2
    loss = head.loss(raw, target, torch.ones_like(target, dtype=torch.bool))
    assert loss.item() == pytest.approx(math.log(4) + of_entropy)
    target[..., 1:4] = math.nan
    assert head.loss(raw, target, torch.ones_like(target, dtype=torch.bool)).item() == pytest.approx(of_entropy)


def test_statistics_in_windows_stand_behind_those_of_the_site():
    head = StatisticsHead(3, None, statistics=("var", "cat_var"), windows=(1001, 5001))
    assert head.parts == {
        "var": slice(0, 1),
        "cat_var": slice(1, 4),
        "1001/var": slice(4, 5),
        "1001/cat_var": slice(5, 8),
        "5001/var": slice(8, 9),
        "5001/cat_var": slice(9, 12),
    }
    raw, target = torch.zeros(1, 1, 12), torch.full((1, 1, 12), math.nan)
    target[..., 8] = 0.0255
    loss = head.loss(raw, target, torch.ones_like(target, dtype=torch.bool))
    assert loss.item() == pytest.approx((0.1255 - 0.0255) ** 2)


def test_a_statistic_that_is_missing_has_no_gradient():
    head, raw = StatisticsHead(3, None), torch.zeros(1, 2, 3, requires_grad=True)
    target = torch.tensor([[[1.0, math.nan, 0.0], [math.nan, 0.1, math.nan]]])
    head.loss(raw, target, torch.ones_like(target, dtype=torch.bool)).backward()
    assert torch.equal(raw.grad == 0, target.isnan())


def test_a_statistic_is_not_asked_for_twice():
    with pytest.raises(InputError, match="statistics are to differ; got mean, mean"):
        StatisticsHead(3, None, statistics=("mean", "mean"))
    with pytest.raises(InputError, match="windows are to differ; got 1001, 1001"):
        StatisticsHead(3, None, windows=(1001, 1001))


def test_an_assay_that_was_not_measured_has_no_loss():
    head, raw = MethylationHead(3, 1), torch.zeros(1, 2, 1)
    measured = torch.ones(1, 2, 1, dtype=torch.bool)
    assert head.loss(raw, raw, ~measured) is None
    assert head.loss(raw, raw * math.nan, measured) is None
    assert head.loss(raw, raw, measured, torch.zeros(1, 2, 1)) is None


def test_the_number_of_tracks_is_the_datas_or_else_what_a_published_model_states():
    assert CountHead(3, 4).num_tracks == 4
    assert CountHead(3, None, tracks=5).num_tracks == 5
    with pytest.raises(InputError, match="states 5 tracks, the data has 4"):
        CountHead(3, 4, tracks=5)
    with pytest.raises(InputError, match="the head has no tracks"):
        CountHead(3, None)


@pytest.mark.parametrize(
    ("weighting", "expected"),
    [("balanced", [[1, 1, 1], [9, 1, 1]]), ("positives", [[1 / 9, 1, 1], [1, 1, 1]])],
)
def test_classes_weigh_by_the_share_of_positives_of_their_track(weighting, expected):
    head = PeakOrCountHead(2, 3, loss="bce", class_weights=weighting)
    head.weigh_classes(torch.tensor([0.1, 0.5, 0.0]))  # a track without positives keeps its weights
    torch.testing.assert_close(head.class_weights, torch.tensor(expected, dtype=torch.float32))


def test_class_weights_are_kept_with_the_weights_of_a_head_that_has_them():
    assert "class_weights" in MethylationHead(2, 3, class_weights="balanced").state_dict()
    assert "class_weights" not in MethylationHead(2, 3).state_dict()


def test_counts_have_no_classes():
    with pytest.raises(InputError, match=r"class_weights are of peaks \(loss: bce\), not of poisson"):
        PeakOrCountHead(2, 3, class_weights="balanced")


JUDGED = {  # of each loss and weighting: head, and whether it takes a coverage
    "poisson": (CountHead(3, 2), False),
    "poisson_multinomial": (CountHead(3, 2, loss="poisson_multinomial"), False),
    "bce": (PeakOrCountHead(3, 2, loss="bce"), False),
    "bce balanced": (PeakOrCountHead(3, 2, loss="bce", class_weights="balanced"), False),
    "methylation": (MethylationHead(3, 2), True),
    "methylation without reads": (MethylationHead(3, 2), False),
    "methylation by positives": (MethylationHead(3, 2, class_weights="positives"), True),
    "statistics": (StatisticsHead(3, None, statistics=("var", "mode")), False),
    "classes of variance": (StatisticsHead(3, None, statistics=("cat_var", "mode")), False),
}


def values_with_gaps(has_coverage, tracks):
    """Raw outputs, values, mask and coverage of six windows; one is masked, one missing, one without reads."""
    draw = torch.Generator().manual_seed(3)
    shape = 6, 4, tracks
    raw, target = torch.randn(shape, generator=draw), torch.rand(shape, generator=draw)
    mask, coverage = torch.rand(shape, generator=draw) > 0.3, torch.randint(0, 9, shape, generator=draw).float()
    target[0, 1], target[1], mask[2], mask[1], mask[5] = math.nan, math.nan, False, True, True
    target[4, :, 0], coverage[3], coverage[5, 2] = math.nan, 0, math.nan
    return raw, target, mask, coverage if has_coverage else None


@pytest.mark.parametrize("name", JUDGED)
def test_means_of_windows_give_by_their_amounts_the_loss_of_all_in_one_batch(name):
    head, has_coverage = JUDGED[name]
    if head.weighting is not None:
        head.weigh_classes(torch.tensor([0.1, 0.7]))
    given = values_with_gaps(has_coverage, head.num_tracks)
    windows = zip(*([None] * 6 if each is None else each.split(1) for each in given), strict=True)
    mean, amount = torch.stack([head.means(*window) for window in windows]).unbind(dim=-1)
    unmeasured = [1, 2, 3] if has_coverage else [1, 2]
    assert [window for window, of in enumerate(amount) if not of.any()] == unmeasured
    assert mean.shape == (6, head.num_means)
    torch.testing.assert_close(((mean * amount).sum(dim=0) / amount.sum(dim=0)).sum(), head.loss(*given))


@pytest.mark.parametrize("name", JUDGED)
def test_where_nothing_was_measured_means_and_amounts_are_0(name):
    head, _ = JUDGED[name]
    values = torch.zeros(2, 3, head.num_tracks)
    assert head.loss(values, values, values.bool()) is None
    assert torch.equal(head.means(values, values, values.bool()), torch.zeros(head.num_means, 2))


def test_a_loss_that_is_not_a_number_is_not_taken_for_a_missing_statistic():
    head, mask = StatisticsHead(3, None, statistics=("mean", "mode")), torch.ones(1, 1, 2, dtype=torch.bool)
    raw, target = torch.tensor([[[math.nan, 0.0]]]), torch.tensor([[[0.5, 1.0]]])
    assert head.loss(raw, target, mask).isnan()
    assert head.means(raw, target, mask)[:, 0].isnan().tolist() == [True, False]


AMOUNTS = {
    "counts": ("coverage", {}),
    "profiles": ("expression", {"loss": "poisson_multinomial"}),
    "peaks": ("accessibility", {"loss": "bce", "class_weights": "positives"}),
    "reads": ("methylation", {"class_weights": "balanced"}),
    "statistics": ("methylation_statistics", {}),
}


@pytest.mark.parametrize("case", AMOUNTS)
def test_losses_of_parts_add_up_to_that_of_the_whole_by_their_amounts(case):
    torch.manual_seed(1)
    assay, options = AMOUNTS[case]
    head = HEADS[assay](4, 3, **options)
    if head.weighting is not None:
        head.weigh_classes(torch.tensor([0.1, 0.5, 0.8]))
    raw, target = torch.randn(3, 6, 3), torch.rand(3, 6, 3)
    mask = torch.rand(3, 6, 1).gt(0.4).expand(3, 6, 3).clone()
    mask[0, :5], mask[:, 5] = False, True
    coverage = torch.randint(0, 9, (3, 6, 3)).float() if assay == "methylation" else None
    target[2, 3] = torch.nan

    def of(part):
        given = (target[part], mask[part], None if coverage is None else coverage[part])
        return head.loss(raw[part], *given), head.amount(*given)

    (first, some), (second, others), (whole, all_of_it) = of(slice(0, 1)), of(slice(1, 3)), of(slice(0, 3))
    assert some != others
    torch.testing.assert_close(float(some + others), float(all_of_it))
    torch.testing.assert_close((first * some + second * others) / all_of_it, whole)


def test_where_nothing_was_measured_the_amount_is_0():
    head = HEADS["methylation"](4, 1)
    target, mask = torch.full((1, 2, 1), torch.nan), torch.ones(1, 2, 1, dtype=torch.bool)
    assert head.amount(target, mask, torch.ones(1, 2, 1)) == 0
    assert head.amount(torch.ones(1, 2, 1), mask, torch.zeros(1, 2, 1)) == 0
