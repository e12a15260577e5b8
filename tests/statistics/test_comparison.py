"""Arms are compared on the same points, tracks, folds and seeds, with blocks of the genome drawn anew."""

from __future__ import annotations

import weakref
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from genograph.errors import InputError
from genograph.statistics import scores
from genograph.statistics.comparison import Comparison, OnDisk
from genograph.statistics.scores import Points
from tests.ablated import ablation


def column(*values):
    return np.array(values, dtype=np.float64)[:, None]


TARGET = column(1, 2, 3, 4)
UP, DOWN, BENT = column(1, 2, 3, 4), column(4, 3, 2, 1), column(1, 3, 2, 4)  # r of 1, -1 and .8


def compared(arms, *, target=TARGET, block=(0, 0, 1, 1), strata=None, reference="hic"):
    """Folds all hold out the same points."""
    num_folds = 1 + max(fold for runs in arms.values() for fold, _ in runs)
    points = Points(target, np.array(block), {} if strata is None else strata)
    return Comparison([points] * num_folds, arms, reference)


def row(table, arm):
    return table.set_index("arm").loc[arm]


def test_the_score_of_an_arm_is_the_mean_over_folds_of_the_mean_over_seeds():
    found = compared({"hic": {(0, 0): UP, (0, 1): DOWN, (1, 0): BENT}}).arms()
    assert row(found, "hic")["r"] == pytest.approx((0 + 0.8) / 2)
    assert row(found, "hic")["runs"] == 3


def test_what_is_judged_is_told_without_points_and_blocks_that_have_no_target():
    hic = {(0, 0): UP, (0, 1): DOWN, (1, 0): BENT}
    found = compared({"hic": hic, "rewired": {(1, 7): UP}}, target=column(1, 2, np.nan, 4), block=(0, 0, 1, 2))
    assert found.judged("genes") == "6 genes in 4 blocks of 2 folds, 2 seeds"
    assert compared({"hic": {(0, 0): UP}}, block=[5] * 4).judged("bins") == "4 bins in 1 block of 1 fold, 1 seed"


def test_the_spread_of_an_arm_is_over_seeds():
    found = compared({"hic": {(0, 0): UP, (0, 1): BENT, (1, 0): UP, (1, 1): BENT}}).arms()
    assert row(found, "hic")["sd"] == pytest.approx(np.std([1, 0.8], ddof=1))


def test_one_seed_shows_no_spread():
    assert np.isnan(row(compared({"hic": {(0, 0): UP}}).arms(), "hic")[["sd", "low", "high"]].astype(float)).all()


def test_tracks_count_the_same():
    arms = {"hic": {(0, 0): np.hstack([UP, DOWN])}}
    assert compared(arms, target=np.hstack([TARGET, TARGET])).arms()["r"][0] == pytest.approx(0)


def test_missing_targets_and_predictions_count_in_nothing():
    target, predicted = column(1, 2, 3, 4, np.nan, 0), column(1, 3, 2, 4, 99, np.nan)
    found = compared({"hic": {(0, 0): predicted}}, target=target, block=(0, 0, 0, 1, 1, 1))
    assert found.arms()["r"][0] == pytest.approx(0.8)


def test_a_track_without_variance_is_left_out_of_the_mean():
    flat = np.hstack([TARGET, column(0.1, 0.1, 0.1, 0.1)])
    assert compared({"hic": {(0, 0): np.hstack([BENT, UP])}}, target=flat).arms()["r"][0] == pytest.approx(0.8)


def test_an_arm_that_predicts_a_constant_scores_0_and_one_that_predicts_nothing_has_no_score():
    runs = {"hic": {(0, 0): UP}, "dead": {(0, 0): column(3, 3, 3, 3)}, "none": {(0, 0): column(*[np.nan] * 4)}}
    found = compared(runs)
    assert row(found.arms(), "dead")["r"] == 0
    assert row(found.differences(), "dead")[["delta", "pairs", "left_out"]].tolist() == [pytest.approx(1), 1, 0]
    assert np.isnan(row(found.arms(), "none")["r"])
    assert row(found.differences(), "none")[["pairs", "left_out"]].tolist() == [0, 1]


def test_a_track_by_itself_is_scored_as_if_it_were_the_only_one():
    both = ablation(np.random.default_rng(0), {"hic": 1.0, "no_graph": 0.5}, tracks=2)
    found = both.tracks()
    assert found[["track", "arm"]].to_numpy().tolist() == [[0, "hic"], [0, "no_graph"], [1, "hic"], [1, "no_graph"]]
    points = [replace(each, target=each.target[:, 1:]) for each in both.points]
    runs = {arm: {run: p[:, 1:] for run, p in each.items()} for arm, each in both.predictions.items()}
    alone = Comparison(points, runs, "hic")
    assert found["r"][2:].tolist() == pytest.approx(alone.arms()["r"].tolist())
    told = found.loc[3, ["delta", "low", "high"]].tolist()
    assert told == pytest.approx(alone.differences().loc[0, ["delta", "low", "high"]].tolist())


def test_an_arm_that_learned_nothing_of_one_track_is_not_judged_on_the_others_alone():
    both = np.hstack([TARGET, TARGET])
    arms = {"hic": {(0, 0): np.hstack([UP, column(3, 3, 3, 3)])}, "no_graph": {(0, 0): np.hstack([BENT, BENT])}}
    assert row(compared(arms, target=both).differences(), "no_graph")["delta"] == pytest.approx(0.5 - 0.8)


def test_differences_are_the_reference_less_the_arm():
    runs = {(0, 0): BENT, (0, 1): BENT}
    found = compared({"no_graph": {(0, 0): DOWN, (0, 1): UP}, "hic": runs}).differences()
    assert found["arm"].tolist() == ["no_graph"]
    assert found["delta"][0] == pytest.approx(0.8 - 0)


def test_differences_are_paired_by_fold_and_seed():
    arms = {"hic": {(0, 0): UP, (0, 1): DOWN}, "no_graph": {(0, 1): BENT, (0, 2): UP}}
    found = row(compared(arms).differences(), "no_graph")
    assert found["delta"] == pytest.approx(-1 - 0.8)
    assert found[["pairs", "left_out"]].tolist() == [1, 2]


def test_a_value_that_one_run_does_not_predict_is_left_out_of_those_it_is_compared_with():
    half = column(np.nan, 3, 2, 4)
    arms = {"hic": {(0, 0): BENT, (0, 1): BENT, (1, 0): UP}, "no_graph": {(0, 0): DOWN, (1, 0): DOWN}}
    found = compared(arms | {"other": {(0, 1): half, (0, 2): half}})
    assert row(found.arms(), "hic")["r"] == pytest.approx((0.8 + 1) / 2)
    assert row(found.arms(), "other")["r"] == pytest.approx(0.5)
    differences = found.differences()
    assert row(differences, "other")["delta"] == pytest.approx(0)  # on the last three points
    assert row(differences, "no_graph")["delta"] == pytest.approx((1.8 + 2) / 2)
    assert row(differences, "no_graph").equals(row(compared(arms).differences(), "no_graph"))
    assert [found.unpredicted("hic", arm) for arm in ("no_graph", "other")] == [0, 1]


def test_a_run_without_a_counterpart_costs_the_others_no_point():
    holes = column(1, np.nan, 2, 4)
    found = compared({"hic": {(0, 0): UP, (0, 1): holes}, "no_graph": {(0, 0): BENT}})
    assert row(found.differences(), "no_graph")["delta"] == pytest.approx(0.2)
    assert found.unpredicted("hic", "no_graph") == 0
    assert found.unpredicted("hic") == 1


def test_a_run_that_predicts_nothing_costs_the_others_nothing():
    found = compared({"hic": {(0, 0): UP}, "no_graph": {(0, 0): BENT}, "dead": {(0, 0): UP * np.nan}})
    assert row(found.differences(), "no_graph")["delta"] == pytest.approx(0.2)
    assert row(found.differences(), "dead")[["pairs", "left_out"]].tolist() == [0, 1]
    assert found.unpredicted("hic", "dead") == 0


def test_what_has_no_target_need_not_be_predicted():
    found = compared({"hic": {(0, 0): column(1, 2, 3, np.nan)}}, target=column(1, 2, 3, np.nan))
    assert found.unpredicted("hic") == 0


def test_predictions_on_disk_are_held_one_at_a_time():
    whole = ablation(np.random.default_rng(0), {"hic": 1.0, "no_graph": 0.9}, folds=2)
    alive, most = [], 0

    def read(values):
        nonlocal most
        copy = values.copy()
        alive[:] = [each for each in alive if each() is not None] + [weakref.ref(copy)]
        most = max(most, len(alive))
        return copy

    arms = {arm: OnDisk({run: partial(read, p) for run, p in runs.items()}) for arm, runs in whole.predictions.items()}
    assert Comparison(whole.points, arms, "hic").differences().equals(whole.differences())
    assert most <= 2  # the next is read before the last is let go


def test_differences_are_over_the_tracks_that_both_arms_predict():
    target = np.hstack([TARGET, TARGET])
    arms = {"hic": {(0, 0): np.hstack([UP, DOWN])}, "no_graph": {(0, 0): np.hstack([BENT, column(*[np.nan] * 4)])}}
    assert compared(arms, target=target).differences()["delta"][0] == pytest.approx(1 - 0.8)


def test_an_arm_that_predicts_the_same_differs_by_nothing():
    runs = ablation(np.random.default_rng(0), {"hic": 1.0}).predictions["hic"]
    points = ablation(np.random.default_rng(0), {"hic": 1.0}).points
    found = row(Comparison(points, {"hic": runs, "copy": runs}, "hic").differences(), "copy")
    assert found[["delta", "low", "high", "p"]].tolist() == [0, 0, 0, 1]
    assert np.isnan(found["detectable"])


def test_pairing_takes_out_what_arms_have_in_common():
    both = ablation(np.random.default_rng(0), {"hic": 1.0, "no_graph": 1.0}, seed_sd=0)
    arms, found = both.arms(), row(both.differences(), "no_graph")
    alone = (arms["high"] - arms["low"]).to_numpy()
    assert found["high"] - found["low"] < np.hypot(*alone)


def test_the_same_runs_give_the_same_table():
    one, other = (ablation(np.random.default_rng(0), {"hic": 1.0, "no_graph": 0.9}) for _ in range(2))
    assert one.differences().equals(other.differences())


def test_holm_and_power_reckon_with_every_pair():
    found = ablation(np.random.default_rng(0), {"hic": 1.0, "a": 0.8, "b": 0.8})
    alone, both = found.contrasts([("hic", "a")]), found.contrasts([("hic", "a"), ("hic", "b")])
    assert alone["p_holm"][0] == alone["p"][0]
    assert both["p_holm"].min() == pytest.approx(2 * both["p"].min())
    assert both["detectable"][0] > alone["detectable"][0]


def test_any_two_arms_can_be_contrasted():
    found = compared({"hic": {(0, 0): UP}, "rewired": {(0, 0): BENT}, "no_graph": {(0, 0): DOWN}})
    table = found.contrasts([("rewired", "no_graph")])
    assert table.loc[0, ["first", "second"]].tolist() == ["rewired", "no_graph"]
    assert table["delta"][0] == pytest.approx(0.8 + 1)


def test_a_contrast_weighs_the_scores_of_arms():
    found = compared({"hic": {(0, 0): UP}, "rewired": {(0, 0): BENT}, "no_graph": {(0, 0): DOWN}})
    assert found.contrast({"rewired": 1, "hic": -0.5, "no_graph": -0.5}).value == pytest.approx(0.8)


def test_shares_are_of_the_gain_over_the_base():
    found = compared({"hic": {(0, 0): UP}, "rewired": {(0, 0): BENT}, "no_graph": {(0, 0): DOWN}}).shares("no_graph")
    assert found["arm"].tolist() == ["rewired"]
    assert found["share"][0] == pytest.approx(1.8 / 2)


def test_the_interval_of_a_share_holds_it():
    found = ablation(np.random.default_rng(0), {"hic": 1.6, "rewired": 1.2, "no_graph": 0.8}, blocks=30)
    share, low, high = found.shares("no_graph").loc[0, ["share", "low", "high"]]
    assert 0 < low < share < high < 1


def test_strata_score_the_points_of_a_level():
    strata = {"contacts": np.array([0, 0, 0, 1, 1, 1, -1])}
    arms = {"hic": {(0, 0): column(1, 2, 3, 1, 2, 3, 50)}, "no_graph": {(0, 0): column(3, 2, 1, 1, 2, 3, 50)}}
    target = column(1, 2, 3, 1, 2, 3, np.nan)
    found = compared(arms, target=target, block=(0, 0, 1, 0, 1, 1, 1), strata=strata).strata()
    assert list(found) == ["stratum", "level", "arm", "n", "r", "delta", "low", "high"]
    assert found[["stratum", "level", "arm", "n"]].to_numpy().tolist() == [
        ["contacts", 0, "hic", 3],
        ["contacts", 0, "no_graph", 3],
        ["contacts", 1, "hic", 3],
        ["contacts", 1, "no_graph", 3],
    ]
    assert found["r"].tolist() == pytest.approx([1, -1, 1, 1])
    assert found["delta"].tolist() == pytest.approx([np.nan, 2, np.nan, 0], nan_ok=True)


def test_without_strata_the_table_is_empty():
    assert compared({"hic": {(0, 0): UP}}).strata().empty


def test_a_level_that_one_fold_lacks_is_told_from_the_others():
    found = ablation(np.random.default_rng(0), {"hic": 1.6, "no_graph": 0.8}, folds=2)
    levels = [np.zeros(len(found.points[0].block)), np.ones(len(found.points[1].block))]
    points = [replace(fold, strata={"contacts": level}) for fold, level in zip(found.points, levels, strict=True)]
    table = replace(found, points=points).strata()
    alone = replace(found, points=[found.points[0], replace(found.points[1], target=found.points[1].target * np.nan)])
    assert table["n"].tolist() == [300] * 4
    assert (
        table.loc[1, ["delta", "low", "high"]].tolist() == alone.differences().loc[0, ["delta", "low", "high"]].tolist()
    )


def test_a_fold_without_targets_leaves_the_others_as_they_are():
    found = ablation(np.random.default_rng(0), {"hic": 1.6, "no_graph": 0.8}, folds=2)
    empty = replace(found.points[1], target=np.full_like(found.points[1].target, np.nan))
    table = replace(found, points=[found.points[0], empty]).differences()
    first = {arm: {run: p for run, p in runs.items() if run[0] == 0} for arm, runs in found.predictions.items()}
    alone = Comparison(found.points[:1], first, "hic").differences()
    assert table[["pairs", "left_out"]].to_numpy().tolist() == [[5, 5]]
    assert table[["delta", "low", "high", "p"]].equals(alone[["delta", "low", "high", "p"]])


def test_without_any_target_there_is_no_score():
    found = compared({"hic": {(0, 0): UP}, "no_graph": {(0, 0): BENT}}, target=TARGET * np.nan)
    assert found.arms()["r"].isna().all()
    assert found.differences()[["delta", "low", "p_holm"]].isna().all(axis=None)
    assert found.shares("no_graph").empty


def test_one_block_has_a_score_and_no_interval():
    found = row(compared({"hic": {(0, 0): UP, (0, 1): BENT}}, block=(0, 0, 0, 0)).arms(), "hic")
    assert found["r"] == pytest.approx(0.9)
    assert np.isnan([found["low"], found["high"]]).all()


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match=r"no run of arm 'hic'\. Did you mean 'hicc'"):
        compared({"hicc": {(0, 0): UP}})
    with pytest.raises(InputError, match=r"'hic' predicts \(3, 1\) for fold 0 and seed 2, where \(4, 1\)"):
        compared({"hic": {(0, 2): UP[:3]}})
    with pytest.raises(InputError, match="a run of fold 1; folds are 0 to 0"):
        Comparison([Points(TARGET, np.zeros(4))], {"hic": {(1, 0): UP}}, "hic")


@pytest.mark.parametrize(("blocks", "seeds"), [(3, 5), (10, 2), (10, 5)])
def test_intervals_hold_the_truth_in_95_percent_of_ablations(blocks, seeds, monkeypatch):
    monkeypatch.setattr(scores, "RESAMPLES", 200)
    rng = np.random.default_rng(blocks)
    held = []
    for _ in range(200):
        found = ablation(rng, {"hic": 0.8, "no_graph": 0.8}, blocks=blocks, seeds=seeds).differences()
        held.append(found["low"][0] <= 0 <= found["high"][0])
    assert np.mean(held) >= 0.95


@pytest.mark.parametrize("is_there", [lambda fold, seed: fold == 0 or seed < 2, lambda fold, seed: fold != seed])
def test_intervals_hold_the_truth_where_runs_are_missing(is_there, monkeypatch):
    monkeypatch.setattr(scores, "RESAMPLES", 100)
    rng, held = np.random.default_rng(3), []
    for _ in range(60):
        whole = ablation(rng, {"hic": 0.8, "no_graph": 0.8}, folds=3, blocks=4, seeds=5, points=15, seed_sd=0.2)
        arms = {arm: {run: p for run, p in runs.items() if is_there(*run)} for arm, runs in whole.predictions.items()}
        found = replace(whole, predictions=arms).differences()
        held.append(found["low"][0] <= 0 <= found["high"][0])
    assert np.mean(held) >= 0.95


def test_intervals_are_too_narrow_where_neighbouring_blocks_are_alike(monkeypatch):
    monkeypatch.setattr(scores, "RESAMPLES", 100)
    rng, held = np.random.default_rng(4), []
    for _ in range(60):
        found = ablation(rng, {"hic": 0.8, "no_graph": 0.8}, folds=5, blocks=9, points=10, seed_sd=0.02, alike=3)
        low, high = found.contrast({"hic": 1, "no_graph": -1}).interval
        held.append(low <= 0 <= high)
    assert np.mean(held) < 0.92
