from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from genograph.checkpoint import load_run
from genograph.config import load_config
from genograph.errors import InputError
from genograph.nn.optimizer import clip_gradients, rate_share
from genograph.train import train
from tests.tiny import write_world

CLI = [str(Path(sys.executable).parent / "genograph")]  # a process of a distributed run starts itself anew


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return write_world(tmp_path_factory.mktemp("world"))


def weights(run):
    return load_file(run / "model.safetensors")


def assert_equal_weights(run, other):
    ours, theirs = weights(run), weights(other)
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert torch.equal(ours[name], theirs[name]), name


def test_a_run_folder_says_all_about_the_run(world, tmp_path):
    run = train(load_config(world), tmp_path / "run")
    assert load_config(run) == load_config(world)
    rows = list(csv.DictReader((run / "metrics.csv").open()))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert all(np.isfinite(float(row["valid_pearsonr"])) for row in rows)
    assert list(run.glob("tensorboard/events*"))
    experiment, model = load_run(run)
    assert model.tracks == {"coverage": 1, "expression": 2, "methylation": 1}
    assert experiment.config.name == "tiny"


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(world, tmp_path):
    first = train(load_config(world), tmp_path / "a")
    second = train(load_config(world), tmp_path / "b")
    assert_equal_weights(first, second)
    other = train(load_config(world, ["seed=1"]), tmp_path / "c")
    assert any(not torch.equal(weights(first)[name], weights(other)[name]) for name in weights(first))


def test_a_run_that_goes_on_after_a_stop_ends_with_the_weights_of_one_that_did_not(world, tmp_path):
    whole = train(load_config(world, ["training.max_epochs=4"]), tmp_path / "whole")
    train(load_config(world, ["training.max_epochs=2"]), tmp_path / "stopped")
    resumed = train(load_config(world, ["training.max_epochs=4"]), tmp_path / "stopped", resume=True)
    assert_equal_weights(whole, resumed)
    rows = [list(csv.DictReader((run / "metrics.csv").open())) for run in (whole, resumed)]
    assert [row["valid_loss"] for row in rows[0]] == [row["valid_loss"] for row in rows[1]]


def test_a_killed_run_resumes_to_the_same_weights(world, tmp_path):
    overrides = ["training.max_epochs=12", "training.schedule=cosine"]
    whole = train(load_config(world, overrides), tmp_path / "whole")
    run = tmp_path / "killed"
    process = subprocess.Popen([*CLI, "train", str(world), *overrides, "--out", str(run)], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (run / "checkpoints" / "last.ckpt").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert not (run / "model.safetensors").exists()
    resumed = train(load_config(world, overrides), run, resume=True)
    assert_equal_weights(whole, resumed)


def test_training_learns_what_is_in_the_sequence(world, tmp_path):
    run = train(load_config(world, ["training.max_epochs=25", "training.patience=25"]), tmp_path / "run")
    rows = list(csv.DictReader((run / "metrics.csv").open()))
    assert max(float(row["valid_pearsonr"]) for row in rows) > 0.5


def test_a_run_is_not_written_over(world, tmp_path):
    train(load_config(world, ["training.max_epochs=1"]), tmp_path / "run")
    before = weights(tmp_path / "run")
    with pytest.raises(InputError, match=r"already holds a run. Go on with it: --resume"):
        train(load_config(world, ["training.max_epochs=1"]), tmp_path / "run")
    assert all(torch.equal(before[name], weights(tmp_path / "run")[name]) for name in before)


def test_a_run_does_not_go_on_with_another_config(world, tmp_path):
    train(load_config(world, ["training.max_epochs=1"]), tmp_path / "run")
    with pytest.raises(InputError, match=r"begun with another config: training.learning_rate differ"):
        train(load_config(world, ["training.learning_rate=0.5"]), tmp_path / "run", resume=True)


def test_early_stopping_ends_a_run_that_does_not_get_better(world, tmp_path):
    config = load_config(world, ["training.max_epochs=50", "training.patience=2", "training.learning_rate=1.0e-9"])
    run = train(config, tmp_path / "run")
    assert len(list(csv.DictReader((run / "metrics.csv").open()))) < 50


def test_a_loss_that_is_not_finite_names_the_assay_and_the_way_out(world, tmp_path):
    config = load_config(world, ["training.optimizer=sgd", "training.learning_rate=1.0e+30", "training.max_epochs=5"])
    with pytest.raises(InputError, match=r"the loss is not finite at step .* Lower training.learning_rate"):
        train(config, tmp_path / "run")


@pytest.mark.parametrize("precision", ["bf16-mixed"])
def test_mixed_precision_trains(world, tmp_path, precision):
    run = train(load_config(world, [f"training.precision={precision}"]), tmp_path / "run")
    assert all(torch.isfinite(each).all() for each in weights(run).values())


def test_two_processes_train_one_model(world, tmp_path):
    overrides = ["training.devices=2", "batch.size=1", "training.max_epochs=2"]
    done = subprocess.run(
        [*CLI, "train", str(world), *overrides, "--out", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((tmp_path / "run" / "metrics.csv").open()))
    assert len(rows) == 2
    # Every bin of the validation split is counted once: the sums of both processes give the loss of one.
    alone = train(load_config(world, ["batch.size=1", "training.max_epochs=2"]), tmp_path / "alone")
    assert int(rows[0]["step"]) * 2 in range(_steps(alone), _steps(alone) + 2)


def _steps(run):
    return int(next(csv.DictReader((run / "metrics.csv").open()))["step"])


def test_clipping_per_variable_scales_each_gradient_by_its_own_norm():
    large, small = (torch.nn.Parameter(torch.zeros(2)) for _ in range(2))
    large.grad, small.grad = torch.tensor([3.0, 4.0]), torch.tensor([0.3, 0.4])
    clip_gradients([large, small], 1.0, per_variable=True)
    assert torch.allclose(large.grad, torch.tensor([0.6, 0.8]))
    assert torch.allclose(small.grad, torch.tensor([0.3, 0.4]))


def test_clipping_globally_scales_all_gradients_alike():
    large, small = (torch.nn.Parameter(torch.zeros(1)) for _ in range(2))
    large.grad, small.grad = torch.tensor([4.0]), torch.tensor([3.0])
    clip_gradients([large, small], 1.0, per_variable=False)
    assert torch.allclose(large.grad, torch.tensor([0.8]))
    assert torch.allclose(small.grad, torch.tensor([0.6]))


def test_the_learning_rate_warms_up_and_falls_as_a_cosine():
    assert [rate_share(step, warmup=3, steps=None) for step in (0, 1, 3, 100)] == [0.25, 0.5, 1.0, 1.0]
    assert rate_share(50, warmup=0, steps=100) == pytest.approx(0.5)
    assert rate_share(100, warmup=0, steps=100) == 0
