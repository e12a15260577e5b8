"""Runs that had not yet learnt what the other seeds of their arm had are told of."""

from __future__ import annotations

import pytest

from genograph.ablate.grid import Run
from genograph.ablate.left_behind import best_scores, training_warning
from genograph.config import load_config

# Validation scores by epoch, of five seeds of two arms, as a world with 4 epochs gave them.
FINISHED = [(0.6, 0.65, 0.7, best) for best in (0.7165, 0.7174, 0.7180, 0.7196, 0.7169)]
LATE_ONE = [(0.6, 0.65, 0.7, best) for best in (0.7064, 0.7177, 0.7140, 0.7184, 0.7166)]


@pytest.fixture
def trained(world, tmp_path):
    """Runs of these scores by epoch, those of each seed of each arm."""

    def make(arms, *changes, column="valid_pearsonr"):
        config, runs = load_config(world, ["training.max_epochs=4", *changes]), []
        for arm, seeds in arms.items():
            for seed, scores in enumerate(seeds):
                run = Run(arm, 0, seed, tmp_path / arm / str(seed), config)
                run.folder.mkdir(parents=True)
                (run.folder / "metrics.csv").write_text("\n".join([column, *map(str, scores)]))
                runs.append(run)
        return runs

    return make


def behind(runs):
    found = best_scores(runs)
    return [(row.arm, row.seed) for row in found[found["is_behind"]].itertuples()]


def test_a_run_that_was_best_in_its_last_epoch_and_far_behind_the_other_seeds_is_told_of(trained):
    runs = trained({"hic": FINISHED, "rewired": LATE_ONE})
    assert behind(runs) == [("rewired", 0)]
    assert training_warning(best_scores(runs)) == [
        "training may not be finished: 10 of 10 runs had their best validation score in the last epochs, and rewired, "
        "fold 0, seed 0 reached 0.706 where the other seeds reached 0.717. Raise training.max_epochs, in a new folder."
    ]


def test_seeds_that_agree_are_none_though_all_were_best_in_their_last_epoch(trained):
    runs = trained({"hic": FINISHED, "rewired": [*FINISHED[:4], (0.6, 0.65, 0.7, 0.714)]})
    assert behind(runs) == []
    assert training_warning(best_scores(runs)) == []


def test_an_arm_whose_seeds_scatter_more_than_those_of_the_others_is_none(trained):
    """.7064 is 5 times as far from the other seeds as runs usually are, yet .712 and .722 say that those lie apart."""
    apart = [*LATE_ONE[:3], (0.6, 0.65, 0.7, 0.722), (0.6, 0.65, 0.7, 0.712)]
    assert behind(trained({"hic": FINISHED, "no_graph": FINISHED, "rewired": apart})) == []


def test_three_seeds_have_to_differ_more_than_five(trained):
    """Of two others t has one degree of freedom: a run lies beyond them at 23 times their standard deviation."""
    near = {arm: FINISHED[:3] for arm in ("hic", "no_graph", "basenji")}
    near["rewired"] = [LATE_ONE[0], LATE_ONE[1], LATE_ONE[4]]
    assert behind(trained(near)) == []
    near["rewired"] = [(0.1, 0.1, 0.1, 0.69), *near["rewired"][1:]]
    assert behind(trained({f"far_{arm}": scores for arm, scores in near.items()})) == [("far_rewired", 0)]


def test_negative_scores_are_told_with_their_sign(trained):
    def to(*best):
        return [(-0.9, -0.8, -0.7, each) for each in best]

    runs = trained({"hic": to(0.1, 0.101, 0.102, 0.1, 0.099), "rewired": to(-0.2, 0.1, 0.101, 0.099, 0.1)})
    (told,) = training_warning(best_scores(runs))
    assert "rewired, fold 0, seed 0 reached -0.200 where the other seeds reached 0.100." in told


def test_a_run_that_was_best_before_its_last_epoch_would_not_gain_from_more(trained):
    stuck = (0.6, 0.706, 0.65, 0.65)
    assert behind(trained({"hic": FINISHED, "rewired": [stuck, *LATE_ONE[1:]]})) == []


def test_a_run_that_is_ahead_of_the_others_is_none(trained):
    assert behind(trained({"hic": FINISHED, "rewired": [(0.6, 0.65, 0.7, 0.74), *LATE_ONE[1:]]})) == []


def test_two_seeds_tell_nothing(trained):
    assert behind(trained({"hic": FINISHED, "rewired": LATE_ONE[:2]})) == []


def test_of_a_loss_the_least_is_best(trained):
    losses = {
        arm: [[1 - each for each in scores] for scores in seeds]
        for arm, seeds in (("hic", FINISHED), ("rewired", LATE_ONE))
    }
    runs = trained(losses, "training.monitor=loss", column="valid_loss")
    assert behind(runs) == [("rewired", 0)]
    assert "seed 0 reached 0.294 where the other seeds reached 0.283." in training_warning(best_scores(runs))[0]


def test_the_last_epochs_are_the_last_tenth(trained):
    def best_in(epoch):
        return [[0.1] * epoch + [score[-1]] + [0.1] * (29 - epoch) for score in LATE_ONE]

    finished = [[0.1] * 10 + [score[-1]] for score in FINISHED]
    assert behind(trained({"hic": finished, "rewired": best_in(27)}, "training.max_epochs=30")) == [("rewired", 0)]
    assert behind(trained({"no_graph": finished, "basenji": best_in(26)}, "training.max_epochs=30")) == []


def test_an_epoch_without_a_score_is_not_the_best(trained):
    runs = trained({"hic": [("nan", 0.5, "nan", 0.4), ("nan", "nan", "nan", "nan")]})
    found = best_scores(runs)
    assert found["best"].tolist()[0] == 0.5
    assert not found["is_late"].any()
