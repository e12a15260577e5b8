"""Simple predictors are judged on the points that arms are judged on, and fitted once."""

from __future__ import annotations

import numpy as np
import pytest

from genograph.ablate import simple_predictors
from genograph.ablate.judged import Judged
from genograph.ablate.simple_predictors import simple_scores
from genograph.baselines import baseline_predictions
from genograph.config import load_config
from genograph.experiment import Experiment


def judged(world, *changes, over="genes"):
    return Judged(Experiment.open(load_config(world, changes)), "coverage", over)


@pytest.mark.parametrize("over", ["genes", "bins"])
def test_the_ridge_is_scored_on_the_points_that_are_judged(over, world, tmp_path):
    fold = judged(world, over=over)
    table = simple_scores(tmp_path, [fold])
    assert table["baseline"].tolist() == ["4-mer ridge"]
    predicted = fold.of_predictions(
        dict(baseline_predictions(fold.experiment, "coverage", fold.bins, tmp_path))["4-mer ridge"]
    )
    kept, target = np.isfinite(fold.points.target[:, 0]), fold.points.target[:, 0]
    assert table["r"][0] == pytest.approx(np.corrcoef(predicted[kept, 0], target[kept])[0, 1], abs=1e-6)


def test_the_score_is_the_mean_over_folds(world, tmp_path):
    folds = [judged(world), judged(world, "splits.valid=[chrC]", "splits.test=[chrB]")]
    alone = [simple_scores(tmp_path / str(number), [fold])["r"][0] for number, fold in enumerate(folds)]
    assert alone[0] != alone[1]
    assert simple_scores(tmp_path, folds)["r"][0] == pytest.approx(np.mean(alone))


def test_what_was_fitted_is_not_fitted_again(world, tmp_path, monkeypatch):
    first = simple_scores(tmp_path, [judged(world)])
    monkeypatch.setattr(simple_predictors, "baseline_predictions", None)
    assert simple_scores(tmp_path, [judged(world)]).equals(first)
    assert [path.name for path in (tmp_path / "baselines").iterdir()] == ["fold0-coverage.npz"]


def test_without_a_ridge_there_is_nothing(world, tmp_path):
    assert simple_scores(tmp_path, [judged(world, "evaluation.kmer_ridge=null")]).empty
