"""Each rule of the verdict, with arms whose truth is known; and that a world without an effect is told as one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from genograph.statistics import scores
from genograph.statistics.verdict import (
    ASKED,
    BOTH,
    DEGREE,
    DISTANCE,
    HELP,
    HURT,
    LAYOUT,
    MAPPABILITY,
    NO_DIFFERENCE,
    UNKNOWN,
    verdict,
)
from tests.ablated import ablation

DOCS = (Path(__file__).parents[2] / "docs" / "ablation.md").read_text()
ALL = {"hic": 1.6, "no_graph": 0.8, "rewired": 1.0, "distance_matched": 0.9}


def ruled(slopes, audit_values=(), *, ceiling=None, seed=0, blocks=10, seeds=5):
    rng = np.random.default_rng(seed)
    found = ablation(rng, slopes, folds=2, blocks=blocks, seeds=seeds, seed_sd=0.05)
    return verdict(found, dict(audit_values), score="r", ceiling=ceiling)


@pytest.mark.parametrize(
    ("change", "label"),
    [
        ({}, "contacts help"),
        ({"hic": 0.8, "rewired": 0.8, "distance_matched": 0.8}, "no difference found"),
        ({"hic": 0.4}, "contacts hurt"),
        ({"rewired": 1.6}, "degree explains it"),
        ({"distance_matched": 1.6}, "distance explains it"),
        ({"rewired": 1.6, "distance_matched": 1.6}, "degree explains it"),
    ],
)
def test_the_label_follows_from_which_arms_keep_the_gain(change, label):
    assert ruled(ALL | change).label == label


@pytest.mark.parametrize("control", ["rewired", "distance_matched"])
def test_without_a_control_a_gain_stays_unexplained(control):
    found = ruled({arm: slope for arm, slope in ALL.items() if arm != control})
    assert found.label == "not enough to tell"
    assert f"a gain, unexplained: run {control} with the same folds and seeds" in found.sentence


def test_both_missing_controls_are_named():
    sentence = ruled({"hic": 1.6, "no_graph": 0.8}).sentence
    same = "with the same folds and seeds"
    assert sentence.endswith(f"unexplained: run rewired {same} and run distance_matched {same}.")


def constant(comparison, arm, runs, value=np.nan):
    flat = {run: np.full_like(p, value) if run in runs else p for run, p in comparison.predictions[arm].items()}
    return replace(comparison, predictions=comparison.predictions | {arm: flat})


def test_a_control_that_failed_and_one_without_a_score_are_not_said_to_be_missing():
    found = ablation(np.random.default_rng(0), {"hic": 1.6, "no_graph": 0.8, "distance_matched": 0.9})
    said = verdict(constant(found, "distance_matched", found.predictions["hic"]), {}, score="r", failed={"rewired": 5})
    failed = "rewired failed, all 5 of its runs"
    undefined = "distance_matched has no defined score beside hic, as where nothing is predicted, in 5 runs"
    assert said.sentence.endswith(f"a gain, unexplained: {failed} and {undefined}.")
    assert said.reasons[1:3] == [failed, undefined]


@pytest.mark.parametrize(
    ("failed", "said"),
    [({}, "run no_graph"), ({"no_graph": 5}, "no_graph failed, all 5 of its runs")],
)
def test_arms_without_edges_that_failed_are_not_said_to_be_missing(failed, said):
    found = ablation(np.random.default_rng(0), {"hic": 1.6, "rewired": 0.8})
    assert verdict(found, {}, score="r", failed=failed).sentence.endswith(f"and no arm without edges: {said}.")


def test_a_reference_that_collapsed_with_some_seeds_is_not_judged_by_the_others():
    found = ablation(np.random.default_rng(0), ALL)
    assert verdict(found, {}, score="r").label == "contacts help"
    collapsed = verdict(constant(found, "hic", {(0, 1), (0, 4)}, value=0.7), {}, score="r")
    assert collapsed.label != "contacts help"
    assert "over 5 pairs of runs" in collapsed.reasons[0]


def test_runs_that_predict_nothing_or_failed_are_counted():
    found = constant(ablation(np.random.default_rng(0), ALL), "rewired", {(0, 1), (0, 4)})
    reasons = {each.split(":")[0]: each for each in verdict(found, {}, score="r", failed={"no_graph": 1}).reasons}
    assert reasons["hic - rewired"].endswith(
        "over 3 pairs of runs, pairs without a defined score, as where nothing is predicted, left out: 2"
    )
    assert reasons["hic - no_graph"].endswith("over 5 pairs of runs, runs of no_graph that failed: 1")


def test_degree_explains_a_gain_though_distance_was_not_tried():
    assert ruled({"hic": 1.6, "no_graph": 0.8, "rewired": 1.6}).label == "degree explains it"


def test_a_gain_is_one_over_every_arm_without_edges():
    found = ruled(ALL | {"features_only": 1.6})
    assert found.label == "no difference found"
    assert "features_only" in found.sentence
    assert ruled(ALL | {"features_only": 0.3}).label == "contacts help"


@pytest.mark.parametrize(("other", "outcome"), [(0.3, "ahead"), (0.8, "no difference found"), (1.6, "behind")])
def test_contacts_hurt_where_one_arm_without_edges_is_ahead_whatever_the_other_does(other, outcome):
    found = ruled(ALL | {"hic": 0.8, "features_only": other, "no_graph": 1.6})
    assert found.label == "contacts hurt"
    differences = found.sentence.removeprefix("contacts hurt: r ").split("; ")
    told = {each.split(", ")[1].split()[0]: each.rstrip(".").rpartition("], ")[2] for each in differences}
    assert told == {"no_graph": "behind", "features_only": outcome}
    assert outcome == "behind" or differences[0].endswith("behind")


def test_basenji_is_what_to_beat_where_nothing_simpler_was_run():
    found = ruled({"hic": 0.8, "basenji": 0.8})
    assert found.label == "no difference found"
    assert "basenji" in found.sentence
    assert "Beside dilated" not in found.sentence


@pytest.mark.parametrize(("slope", "outcome"), [(0.9, "ahead"), (2.6, "behind"), (1.6, "no difference found")])
def test_contacts_may_help_and_yet_lose_to_dilated_convolutions(slope, outcome):
    found = ruled(ALL | {"basenji": slope})
    assert found.label == "contacts help"
    assert " Beside dilated convolutions: hic ." in found.sentence
    assert found.sentence.endswith(f"], {outcome}.")


def test_an_arm_without_edges_is_needed():
    found = ruled({"hic": 1.6, "rewired": 0.8})
    assert found.label == "not enough to tell"
    assert found.sentence.endswith("and no arm without edges: run no_graph.")


@pytest.mark.parametrize("few", [{"seeds": 1}, {"blocks": 0}])
def test_one_seed_or_one_block_is_not_enough(few):
    if "blocks" in few:
        found = ablation(np.random.default_rng(0), ALL)
        points = [replace(fold, block=np.zeros(len(fold.block))) for fold in found.points]
        found = verdict(replace(found, points=points), {}, score="r")
    else:
        found = ruled(ALL, **few)
    assert found.label == "not enough to tell"
    assert "two held-out blocks of the genome and two seeds that all folds have" in found.sentence
    assert "[" not in found.sentence


def test_a_test_that_a_perfect_model_would_not_pass_finds_no_difference_neither():
    equal = dict.fromkeys(ALL, 0.8)
    found = ruled(equal, ceiling=0.58)
    assert found.label == "not enough to tell"
    assert "even a perfect model, .580, would have been missed" in found.sentence
    assert ruled(equal, ceiling=0.9).label == "no difference found"


def test_no_difference_comes_with_what_could_have_been_seen():
    found = ablation(np.random.default_rng(0), dict.fromkeys(ALL, 0.8))
    tested = [("hic", arm) for arm in ("no_graph", "rewired", "distance_matched")]
    seen = found.contrasts(tested)["detectable"][0]
    assert (
        f"; the test could have seen r >= {seen:.3f} of difference.".replace("0.", ".", 1)
        in verdict(found, {}, score="r").sentence
    )


def test_a_gain_that_is_gone_after_holms_correction_is_none():
    found = ablation(np.random.default_rng(0), ALL | {"hic": 1.1, "rewired": 0.8, "distance_matched": 0.8})
    assert found.differences().set_index("arm").loc["no_graph", "low"] > 0
    said = verdict(found, {}, score="r")
    assert said.label == "no difference found"
    assert "[.008, .127], p .074 after Holm's correction; the test could" in said.sentence


def test_a_control_that_is_not_beaten_but_keeps_little_explains_nothing():
    slopes = {"hic": 1.6, "no_graph": 0.3, "rewired": 1.0, "distance_matched": 0.5}
    found = verdict(ablation(np.random.default_rng(64), slopes, blocks=4, seeds=3), {}, score="r")
    assert found.label == "not enough to tell"
    assert "distance_matched keeps 17 % [-55, 169] of the gain over no_graph, and hic is not clear" in found.sentence


def controlled(rewired, *, seed, seeds):
    slopes = {"hic": 1.6, "no_graph": 0.8, "rewired": rewired, "distance_matched": 0.8}
    return verdict(ablation(np.random.default_rng(seed), slopes, seeds=seeds), {}, score="r")


def test_a_control_explains_a_gain_only_if_it_is_shown_to_keep_half_of_it():
    assert controlled(1.6, seed=0, seeds=3).label == "degree explains it"
    found = controlled(1.6, seed=3, seeds=3)
    assert found.label == "not enough to tell"
    assert "rewired keeps 87 % [38, 150] of the gain" in found.sentence


def test_a_control_does_not_explain_a_gain_that_only_holms_correction_takes_from_contacts():
    found = controlled(1.3, seed=5, seeds=3)
    assert found.label == "not enough to tell"
    assert "not clear of it: .079 [.002, .155], p .092 after Holm's correction" in found.sentence


def test_what_is_unclear_is_named_with_the_runs_that_would_tell():
    unclear = "unclear is whether hic adds to rewired or rewired keeps half of the gain"
    assert f"{unclear}; about 11 seeds would tell" in controlled(1.6, seed=3, seeds=3).sentence
    more_blocks = f"{unclear}; about 7 seeds and 2 times the held-out blocks would tell"
    assert more_blocks in controlled(1.6, seed=37, seeds=3).sentence


def test_where_training_may_not_be_finished_more_epochs_come_before_more_seeds():
    def said(label, *left_behind):
        found = ablation(np.random.default_rng(3 if label == UNKNOWN else 0), ALL | {"rewired": 1.6}, seeds=3)
        found = verdict(found, {}, score="r", left_behind=left_behind)
        assert found.label == label
        return found.sentence

    assert said(UNKNOWN, "drop_weight", "rewired", "hic").endswith(
        "11 seeds would tell. Training of hic and rewired may not be finished: more epochs come before more seeds."
    )
    assert "Training" not in said(UNKNOWN, "drop_weight")  # which the rules do not ask about
    assert "Training" not in said(DEGREE, "rewired")


def test_a_control_that_shares_no_run_with_the_baseline_explains_nothing():
    found = ablation(np.random.default_rng(0), ALL | {"rewired": 1.6}, seeds=6, seed_sd=0)
    some = {
        arm: {run: p for run, p in found.predictions[arm].items() if (run[1] < 3) == (arm == "rewired")}
        for arm in ("no_graph", "rewired")
    }
    said = verdict(replace(found, predictions=found.predictions | some), {}, score="r")
    assert said.label == "not enough to tell"
    assert "rewired keeps an unknown part of the gain" in said.sentence
    assert said.sentence.endswith("run hic, rewired and no_graph with the same folds and seeds.")


def test_a_control_that_keeps_half_of_a_gain_is_not_said_to_explain_it(monkeypatch):
    monkeypatch.setattr(scores, "RESAMPLES", 100)
    labels = [controlled(1.14, seed=seed, seeds=3).label for seed in range(60)]
    assert labels.count("degree explains it") <= 0.025 * len(labels)


def test_an_arm_that_predicts_the_same_as_the_reference_says_nothing():
    found = ablation(np.random.default_rng(0), {"hic": 1.0})
    copy = replace(found, predictions=found.predictions | {"no_graph": found.predictions["hic"]})
    said = verdict(copy, {}, score="r")
    assert said.label == "not enough to tell"
    assert "hic and no_graph predict the same to the digit: the arm changes nothing" in said.sentence


@pytest.mark.parametrize("control", ["rewired", "distance_matched"])
def test_a_control_that_changes_nothing_explains_nothing(control):
    found = ablation(np.random.default_rng(0), ALL, folds=2, seed_sd=0.05)
    copy = replace(found, predictions=found.predictions | {control: found.predictions["hic"]})
    said = verdict(copy, {}, score="r")
    assert said.label == "not enough to tell"
    assert f"hic and {control} predict the same to the digit: the arm changes nothing" in said.sentence


def test_a_baseline_at_the_ceiling_leaves_no_way_to_go():
    sentence = ruled(ALL, ceiling=0.3).sentence
    assert sentence.startswith("contacts help")
    assert "no_graph is at the ceiling .300 already" in sentence
    assert "of the way" not in sentence


def test_arms_that_the_rules_do_not_ask_about_do_not_weaken_the_test():
    found = ablation(np.random.default_rng(0), ALL)
    more = found.predictions | {f"downsampled_{share}": found.predictions["rewired"] for share in range(9)}
    assert verdict(replace(found, predictions=more), {}, score="r") == verdict(found, {}, score="r")


MASKED = {"masked_bins_scored": 1200, "mask_predicts": 0.7}


def test_a_mask_that_could_bring_most_of_the_gain_explains_it():
    found = ruled(ALL, MASKED)
    assert found.label == "mappability explains it"
    assert "1,200 masked bins are judged; the mask alone, r .700, could bring" in found.sentence


def test_a_mask_explains_nothing_if_no_masked_bin_is_judged():
    found = ruled(ALL, MASKED | {"masked_bins_scored": 0})
    assert found.label == "contacts help"
    assert "no bin that the contact map masks is judged" in found.reasons


def test_a_mask_that_predicts_little_is_a_reason_only():
    found = ruled(ALL, MASKED | {"mask_predicts": 0.05})
    assert found.label == "contacts help"
    assert any("the mask alone, r .050, could bring 1 % of the gain" in reason for reason in found.reasons)


def test_judged_masked_bins_of_unknown_worth_leave_a_gain_unexplained():
    found = ruled(ALL, {"masked_bins_scored": 5})
    assert found.label == "not enough to tell"
    assert "5 masked bins are judged; what the mask alone predicts is not known" in found.sentence


def test_a_mask_does_not_matter_where_there_is_no_gain():
    assert ruled(dict.fromkeys(ALL, 0.8), MASKED).label == "no difference found"


def test_what_degree_alone_could_bring_is_a_reason():
    assert any(
        "degree, strength and distance of contacts alone, r .300, could bring" in reason
        for reason in ruled(ALL, {"degree_predicts": 0.3}).reasons
    )


def test_contacts_whose_number_and_distance_tell_much_help_only_beside_a_control_that_keeps_both():
    telling = {"degree_predicts": 0.7}
    found = ruled(ALL, telling)
    assert found.label == "not enough to tell"
    assert found.sentence.endswith(
        "of the gain, and no control that ran keeps degree and distances both: run rewired_by_distance with the same "
        "folds and seeds."
    )
    assert ruled(ALL | {"rewired_by_distance": 1.0}, telling).label == "contacts help"
    assert ruled(ALL | {"rewired_by_distance": 1.6}, telling).label == "degree and distance explain it"
    assert ruled(ALL | {"rewired_by_distance": 1.6}).label == "degree and distance explain it"
    assert ruled(ALL, {"degree_predicts": 0.1}).label == "contacts help"


@pytest.mark.parametrize("rewired", [{"rewired": 1.6}, {"rewired": None}])
def test_a_layout_that_could_bring_most_of_the_gain_explains_it_where_rewired_does_not_do_worse(rewired):
    arms = {arm: slope for arm, slope in (ALL | rewired).items() if slope is not None}
    found = ruled(arms, {"layout_predicts": 0.7})
    assert found.label == "where sites lie explains it"
    assert "the layout alone, r .700, could bring" in found.sentence


def test_a_layout_explains_nothing_of_what_rewired_contacts_lose():
    found = ruled(ALL, {"layout_predicts": 0.7})
    assert found.label == "contacts help"
    assert any("the layout alone, r .700, could bring" in reason for reason in found.reasons)


def test_a_layout_that_predicts_little_leaves_the_verdict_to_the_controls():
    assert ruled(ALL | {"rewired": 1.6}, {"layout_predicts": 0.05}).label == "degree explains it"


def test_what_contacts_are_worth_is_stated_beside_what_degree_explains():
    found = ablation(np.random.default_rng(0), ALL)
    worth = found.contrasts([("hic", "rewired")])["delta"][0]
    share = found.shares("no_graph").set_index("arm")["share"]["rewired"]
    sentence = verdict(found, {}, score="r", ceiling=0.9).sentence
    assert f"degree and loop strength explain {100 * share:.0f} % [" in sentence
    assert f"contacts are worth what hic adds over rewired: {worth:.3f}".replace("0.", ".", 1) in sentence
    assert "of the way from no_graph to the ceiling .900" in sentence


def test_every_comparison_is_a_reason_with_its_figures():
    assert [reason.split(":")[0] for reason in ruled(ALL).reasons[:3]] == [
        "hic - no_graph",
        "hic - rewired",
        "hic - distance_matched",
    ]


def test_runs_without_a_counterpart_are_counted():
    found = ablation(np.random.default_rng(0), ALL)
    less = found.predictions | {"rewired": {run: p for run, p in found.predictions["rewired"].items() if run[1]}}
    reasons = verdict(replace(found, predictions=less), {}, score="r").reasons
    assert any("over 4 pairs of runs, runs without a counterpart left out: 1" in reason for reason in reasons)


def test_points_that_a_run_does_not_predict_are_counted():
    found = ablation(np.random.default_rng(0), ALL)
    holes = found.predictions["rewired"][0, 3].copy()
    holes[[4, 9]] = np.nan
    found = replace(found, predictions=found.predictions | {"rewired": found.predictions["rewired"] | {(0, 3): holes}})
    said = {reason.split(":")[0]: reason for reason in verdict(found, {}, score="r").reasons}
    assert said["hic - rewired"].endswith("over 5 pairs of runs, points left out that some of them do not predict: 2")
    assert said["hic - no_graph"].endswith("over 5 pairs of runs")


def test_the_sentence_has_the_scores_of_the_runs_that_are_compared():
    found = ablation(np.random.default_rng(0), {"hic": 1.6, "no_graph": 0.8})
    noise = np.random.default_rng(1).normal(size=found.points[0].target.shape)
    lucky = {run: p if run[1] < 4 else noise for run, p in found.predictions["hic"].items()}
    less = {run: p for run, p in found.predictions["no_graph"].items() if run[1] < 4}
    both = replace(found, predictions={"hic": lucky, "no_graph": less})
    four = replace(found, predictions={"hic": {run: lucky[run] for run in less}, "no_graph": less})
    assert verdict(both, {}, score="r").sentence == verdict(four, {}, score="r").sentence


@pytest.mark.parametrize("seeds", [2, 5])
def test_a_world_without_an_effect_shows_no_difference_in_95_percent_of_ablations(seeds, monkeypatch):
    monkeypatch.setattr(scores, "RESAMPLES", 100)
    rng = np.random.default_rng(seeds)
    arms = dict.fromkeys(("hic", "no_graph", "rewired"), 0.8)
    labels = [verdict(ablation(rng, arms, blocks=8, seeds=seeds), {}, score="r").label for _ in range(200)]
    found = labels.count("no difference found")
    assert found + labels.count("not enough to tell") >= 0.95 * len(labels)
    assert found >= 0.95 * len(labels) or seeds == 2  # two seeds often could not have told a perfect model


@pytest.mark.parametrize("label", [HELP, HURT, NO_DIFFERENCE, DEGREE, DISTANCE, BOTH, MAPPABILITY, LAYOUT, UNKNOWN])
def test_the_docs_have_a_rule_for_every_label(label):
    assert f"**{label}**" in DOCS


@pytest.mark.parametrize("name", [*ASKED, "masked_bins_scored", "mask_predicts", "degree_predicts", "layout_predicts"])
def test_the_docs_name_what_the_rules_read(name):
    assert f"`{name}`" in DOCS
