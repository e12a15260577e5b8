"""A run of an ablation: trained once, predicted once, whole or not at all."""

from __future__ import annotations

import fcntl
import json
import sys
import threading

import cooler
import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from genograph.ablate import grid
from genograph.ablate.grid import Run, finish, locked
from genograph.checkpoint import load_run
from genograph.config import load_config
from genograph.errors import InputError
from genograph.evaluate import evaluate
from genograph.nn.model import count_parameters
from tests.maps import write_map
from tests.tiny import NODE, SIZES


def run_at(world, folder, *changes):
    return Run("hic", 0, 0, folder, load_config(world, changes))


@pytest.fixture(scope="module")
def finished(world, tmp_path_factory):
    run = run_at(world, tmp_path_factory.mktemp("ablation") / "runs" / "run")
    finish(run)
    return run


def test_a_run_predicts_the_held_out_bins_as_evaluate_does(finished, tmp_path):
    table = evaluate(finished.folder, tmp_path)
    predictions = finished.predictions()
    assert {assay: values.shape for assay, values in predictions.items()} == {
        "coverage": (1, 125),
        "expression": (2, 125),
        "methylation": (1, 125),
    }
    experiment, _ = load_run(finished.folder)
    held_out = slice(*np.flatnonzero(experiment.split_of_bin == 2)[[0, -1]] + [0, 1])
    target = experiment.store.signals("coverage")[held_out, 0]
    r = np.corrcoef(predictions["coverage"][0], target)[0, 1]
    assert r == pytest.approx(table.loc[table["identifier"] == "gc", "pearsonr"].item(), abs=1e-5)


def test_every_held_out_bin_is_predicted_whatever_the_runs_own_mask(world, tmp_path):
    """A map may see nothing of most of the held-out chromosome, where others are judged."""
    bins = cooler.binnify(pd.Series(SIZES), NODE)
    weight = np.where((bins["chrom"] == "chrC") & (bins["start"] < 12_000), np.nan, 1.0)
    write_map(tmp_path / "half.cool", SIZES, NODE, np.ones((len(weight), len(weight)), dtype=int), weight)
    changes = [f"contacts.file={tmp_path / 'half.cool'}", f"store={tmp_path / 'store'}", "batch.window=16"]
    run = run_at(world, tmp_path / "run", *changes, "batch.crop=0", "training.max_epochs=1")
    finish(run)
    assert all(np.isfinite(values).all() for values in run.predictions().values())


def test_a_run_tells_its_cost(finished):
    cost = finished.cost()
    _, model = load_run(finished.folder)
    assert cost["parameters"] == count_parameters(model).trainable
    assert 0 < cost["seconds"] < 60
    assert 50 < cost["peak_mb"] < 100_000


def test_a_finished_run_is_not_touched_again(finished):
    before = {path: path.stat().st_mtime_ns for path in finished.folder.rglob("*") if path.name != "lock"}
    finish(finished)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_what_a_run_prints_goes_to_its_log_alone(world, tmp_path, capfd):
    run = run_at(world, tmp_path / "run", "training.max_epochs=1")
    with capfd.disabled(), grid._printed_to(tmp_path / "outside"):
        finish(run)
        print("after", file=sys.stderr)
    assert (run.folder / "train.log").read_text().startswith("epoch   0  train loss")
    assert (tmp_path / "outside").read_text() == "after\n"


def test_a_run_that_lost_its_predictions_predicts_the_same_without_training(world, tmp_path):
    run = run_at(world, tmp_path / "run")
    finish(run)
    before, trained = run.predictions(), (run.folder / "metrics.csv").stat().st_mtime_ns
    (run.folder / grid.PREDICTIONS).unlink()
    assert not run.is_done
    finish(run)
    assert (run.folder / "metrics.csv").stat().st_mtime_ns == trained
    for assay, values in run.predictions().items():
        np.testing.assert_array_equal(values, before[assay])


def test_a_run_that_stopped_after_an_epoch_goes_on_to_the_same_weights(world, tmp_path, finished):
    run = run_at(world, tmp_path / "run", "training.max_epochs=1")
    finish(run)
    (run.folder / grid.PREDICTIONS).unlink()
    longer = run_at(world, run.folder)
    (run.folder / "config.yaml").write_text(longer.config.to_yaml())  # as if it had been begun so
    finish(longer)
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (run.folder, finished.folder))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_what_a_killed_prediction_left_is_removed(finished):
    (finished.folder / grid.PREDICTIONS).unlink()
    left = finished.folder / f"{grid.SCRATCH}killed"
    left.mkdir()
    (left / "coverage-prediction.npy").write_bytes(b"half")
    finish(finished)
    assert list(finished.folder.glob(f"{grid.SCRATCH}*")) == []


def test_predictions_that_fail_leave_a_run_undone(world, tmp_path, monkeypatch, capfd):
    run = run_at(world, tmp_path / "run", "training.max_epochs=1")
    monkeypatch.setattr(grid.np, "savez", lambda *_, **__: (_ for _ in ()).throw(OSError("disk is full")))
    with pytest.raises(OSError, match="disk is full"), capfd.disabled():
        finish(run)
    assert not run.is_done
    assert "OSError: disk is full" in (run.folder / "train.log").read_text()  # with its traceback


def test_a_loss_that_is_not_finite_is_an_error_that_the_log_has_too(world, tmp_path, capfd):
    run = run_at(world, tmp_path / "run", "training.learning_rate=1e30")
    with pytest.raises(InputError, match=r"the loss is not finite at step"), capfd.disabled():
        finish(run)
    assert "the loss is not finite" in (run.folder / "train.log").read_text()


@pytest.mark.parametrize("is_done", [True, False])
def test_a_folder_of_another_run_is_refused(finished, world, is_done):
    if not is_done:
        (finished.folder / grid.PREDICTIONS).rename(finished.folder / "aside.npz")
    with pytest.raises(InputError, match=r"seed 0 was trained with another config: training\.learning_rate"):
        finish(run_at(world, finished.folder, "training.learning_rate=0.5"))
    if not is_done:
        (finished.folder / "aside.npz").rename(finished.folder / grid.PREDICTIONS)


def test_who_comes_second_waits_for_the_first_and_trains_nothing(world, tmp_path, monkeypatch):
    run, trained = run_at(world, tmp_path / "run"), []
    run.folder.mkdir()
    monkeypatch.setattr(grid, "train", lambda *_, **__: trained.append(1))
    second = threading.Thread(target=finish, args=(run,), daemon=True)
    with locked(run.folder / "lock"):
        second.start()
        second.join(0.2)
        assert second.is_alive()
        (run.folder / grid.PREDICTIONS).write_bytes(b"")  # the first is done
    second.join(10)
    assert not second.is_alive()
    assert trained == []


def test_a_lock_ends_with_its_block(tmp_path):
    with locked(tmp_path / "lock"), (tmp_path / "lock").open("w") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with (tmp_path / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_costs_are_plain_json(finished):
    assert set(json.loads((finished.folder / grid.COST).read_text())) == {
        "parameters",
        "contacts",
        "contacts_trained",
        "seconds",
        "peak_mb",
    }
