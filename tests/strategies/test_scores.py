"""Scores of tasks on the test split, and their intervals over seeds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from genograph.config import load_config
from genograph.errors import InputError
from genograph.strategies.scores import MEAN, TOGETHER, Judge, score, summarise, t_interval

NAN = np.nan


def test_the_interval_over_seeds_is_student_s():
    mean, low, high = t_interval(np.array([1.0, 2.0, 3.0]))
    assert mean == 2
    assert (high - low) / 2 == pytest.approx(4.302653 / np.sqrt(3), rel=1e-6)


def test_one_seed_has_no_interval():
    mean, low, high = t_interval(np.array([0.5]))
    assert mean == 0.5
    assert np.isnan([low, high]).all()


def test_tasks_their_mean_and_all_together_have_rows():
    label = np.array([[1, 0, 0, NAN], [1, 1, 0, 0]])
    prediction = np.array([[0.9, 0.2, 0.1, 0.8], [0.3, 0.1, 0.2, 0.0]])
    table = score(label, prediction, ["a", "b"]).set_index("task")
    assert table.index.tolist() == ["a", "b", MEAN, TOGETHER]
    assert table.loc["a"].tolist() == [3, 1, 1, 1, 1, 1]
    # b ranks 1 0 1 0: of four pairs three are right; precision 1 and 2/3 at its positives, 1/2 before the second.
    lines = 0.5 + (1 / 2 + 2 / 3) / 4
    assert table.loc["b"].tolist() == pytest.approx([4, 2, 0.75, (1 + 2 / 3) / 2, lines, 0.5])
    assert table.loc[MEAN].tolist() == pytest.approx([3.5, 1.5, 0.875, 11 / 12, (1 + lines) / 2, 0.75])
    # Of twelve pairs .9 and .3 win four each, .1 wins one and ties with one.
    assert table.loc[TOGETHER, ["sites", "positives", "recall"]].tolist() == pytest.approx([7, 3, 2 / 3])
    assert table.loc[TOGETHER, "auroc"] == pytest.approx((4 + 4 + 1.5) / 12)


def test_recall_is_the_largest_with_19_of_20_right():
    label = np.array([[1] * 19 + [0] + [1] * 10 + [0] * 10])
    table = score(label, -np.arange(40.0)[None], ["a"])
    assert table.loc[0, "recall"] == 1
    assert score(label, np.arange(40.0)[None], ["a"]).loc[0, "recall"] == 0


def test_a_task_without_positives_is_nan_and_no_part_of_the_mean():
    label = np.array([[1, 0], [0, 0]])
    table = score(label, np.array([[0.9, 0.1], [0.5, 0.4]]), ["a", "b"]).set_index("task")
    assert np.isnan(table.loc["b", ["auroc", "auprc", "recall"]].astype(float)).all()
    assert table.loc[MEAN, "auprc"] == 1


def test_a_task_that_was_not_predicted_makes_the_mean_undefined():
    judge = Judge(["a", "b"], np.array([[1.0, 0.0], [1.0, 0.0]]))
    table = judge.score({"a": np.array([0.9, 0.1])}).set_index("task")
    assert table.loc["a", "auroc"] == 1
    assert np.isnan(table.loc[[MEAN, TOGETHER], "auprc"]).all()


def test_a_summary_has_the_mean_and_interval_of_every_measure():
    rows = [
        {
            "variant": "x",
            "test": "",
            "task": "a",
            "seed": seed,
            "sites": 9,
            "positives": 2,
            "models": 1,
            "parameters": 5,
        }
        | {"auroc": seed, "auprc": 0.5, "auprc_trapezoid": 0.6, "recall": 0.0, "epoch": 2 * seed}
        for seed in (0, 1)
    ]
    (row,) = summarise(pd.DataFrame(rows)).to_dict("records")
    half = 12.706205 * np.sqrt(0.5) / np.sqrt(2)
    assert (row["seeds"], row["sites"], row["parameters"]) == (2, 9, 5)
    assert [row["auroc"], row["auroc_low"], row["auroc_high"]] == pytest.approx([0.5, 0.5 - half, 0.5 + half])
    assert [row["auprc"], row["auprc_low"], row["auprc_high"]] == [0.5, 0.5, 0.5]
    assert row["epoch"] == 1


def test_kinds_that_do_not_count_have_no_label(peaks):
    judge = Judge.of(load_config(peaks, ["sites.test=[source, random]"]))
    everything = Judge.of(load_config(peaks))
    assert judge.names == ["one", "two"]
    assert judge.label.shape == everything.label.shape
    assert np.nansum(judge.label) == np.nansum(everything.label)
    assert np.isnan(judge.label).sum() > 0 == np.isnan(everything.label).sum()


def test_a_track_that_cannot_be_judged_is_named(peaks, caplog):
    split = ["splits.valid=[chr2]", "splits.test=['chr3:200-400']"]  # a peak of one, with what lies beside it
    judge = Judge.of(load_config(peaks, split))
    assert (np.nansum(judge.label, axis=1) > 0).tolist() == [True, False]
    assert "Without a positive or a negative site to test on, and NaN: two." in caplog.text
    with pytest.raises(InputError, match=r"splits\.test: no track has both"):
        Judge.of(load_config(peaks, [*split, "tracks.use=[two]"]))
