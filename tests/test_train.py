from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from safetensors.torch import load_file

from genograph.checkpoint import load_run
from genograph.config import load_config
from genograph.errors import InputError
from genograph.nn.optimizer import clip_gradients, rate_share
from genograph.train import train
from genograph.trainer import TrainingModule
from tests.tiny import write_world

CLI = [str(Path(sys.executable).parent / "genograph")]  # a process of a distributed run starts itself anew


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return write_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def scores(monkeypatch):
    """Write the score of each epoch here; training goes on as ever."""
    scores = []

    def log_score(module):
        module.log_dict({"valid/pearsonr": scores[module.current_epoch], "valid/loss": -scores[module.current_epoch]})

    monkeypatch.setattr(TrainingModule, "on_validation_epoch_end", log_score)
    return scores


def rows(run):
    return list(csv.DictReader((run / "metrics.csv").open()))


def validate(run, *overrides):
    """The validation numbers of a finished run, from this process alone."""
    experiment, model = load_run(run, load_config(run, ["training.devices=1", *overrides]))
    config = experiment.config.training
    module = TrainingModule(model, config, train=None, valid=experiment.dataset("valid", model.halo), seed=0)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    (numbers,) = pl.Trainer(accelerator="cpu", devices=1, **quiet).validate(module, verbose=False)
    return numbers


def weights(run):
    return load_file(run / "model.safetensors")


def assert_equal_weights(run, other):
    ours, theirs = weights(run), weights(other)
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert torch.equal(ours[name], theirs[name]), name


@pytest.mark.parametrize(("partners", "is_told"), [(1, True), (100, False)])
def test_contacts_that_windows_do_not_show_are_told_of(world, tmp_path, caplog, partners, is_told):
    caplog.set_level("INFO", logger="genograph")
    train(load_config(world, [f"batch.partners={partners}", "training.max_epochs=1"]), tmp_path / "run")
    told = re.findall(r"A window shows (\d+) % of the contacts of its nodes: batch.partners=(\d+)", caplog.text)
    assert [(0 < int(share) < 100, number) for share, number in told] == ([(True, "1")] if is_told else [])


def test_a_run_folder_says_all_about_the_run(world, tmp_path):
    run = train(load_config(world), tmp_path / "run")
    assert load_config(run) == load_config(world)
    assert [row["epoch"] for row in rows(run)] == ["0", "1"]
    assert all(np.isfinite(float(row["valid_pearsonr"])) for row in rows(run))
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
    assert [row["valid_loss"] for row in rows(whole)] == [row["valid_loss"] for row in rows(resumed)]


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


class Killed(BaseException):
    pass


def test_a_kill_while_a_checkpoint_is_written_leaves_the_last_one(world, tmp_path, monkeypatch):
    whole = train(load_config(world, ["training.max_epochs=2"]), tmp_path / "whole")
    save = pl.Trainer.save_checkpoint

    def cut_short(trainer, path, weights_only=False):
        save(trainer, path, weights_only)
        if trainer.current_epoch == 1:
            Path(path).write_bytes(Path(path).read_bytes()[:1000])
            raise Killed

    monkeypatch.setattr(pl.Trainer, "save_checkpoint", cut_short)
    with pytest.raises(Killed):
        train(load_config(world, ["training.max_epochs=2"]), tmp_path / "killed")
    monkeypatch.undo()
    for name in ("best", "last"):
        torch.load(tmp_path / "killed" / "checkpoints" / f"{name}.ckpt", weights_only=True)
    resumed = train(load_config(world, ["training.max_epochs=2"]), tmp_path / "killed", resume=True)
    assert_equal_weights(whole, resumed)


@pytest.mark.parametrize("length", [0, 5000])
def test_a_run_whose_last_checkpoint_is_damaged_starts_over(world, tmp_path, caplog, length):
    run = train(load_config(world), tmp_path / "run")
    before, last = weights(run), run / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:length])
    train(load_config(world), run, resume=True)
    assert f"{last} is damaged" in caplog.text
    assert [row["epoch"] for row in rows(run)] == ["0", "1"]
    assert all(torch.equal(before[name], each) for name, each in weights(run).items())


def test_training_learns_what_is_in_the_sequence(world, tmp_path):
    run = train(load_config(world, ["training.max_epochs=25", "training.patience=25"]), tmp_path / "run")
    assert max(float(row["valid_pearsonr"]) for row in rows(run)) > 0.5


def test_a_run_is_not_written_over(world, tmp_path):
    train(load_config(world, ["training.max_epochs=1"]), tmp_path / "run")
    before = weights(tmp_path / "run")
    with pytest.raises(InputError, match=r"already holds a run. Go on with it: --resume"):
        train(load_config(world, ["training.max_epochs=1"]), tmp_path / "run")
    assert all(torch.equal(before[name], weights(tmp_path / "run")[name]) for name in before)


def test_a_run_does_not_go_on_with_another_config(world, tmp_path):
    train(load_config(world, ["training.max_epochs=1"]), tmp_path / "run")
    with pytest.raises(InputError, match=r"config: training.learning_rate differs\. On the way downloads, store, "):
        train(load_config(world, ["training.learning_rate=0.5"]), tmp_path / "run", resume=True)


def test_a_run_ends_after_so_many_epochs_without_a_better_score_with_the_weights_of_the_best(world, tmp_path, scores):
    scores += [0.1, 0.3, 0.2, 0.3, 0.9]
    run = train(load_config(world, ["training.max_epochs=50", "training.patience=2"]), tmp_path / "run")
    assert len(rows(run)) == 4
    assert_equal_weights(run, train(load_config(world, ["training.max_epochs=2"]), tmp_path / "best"))


def test_the_lowest_loss_is_the_best(world, tmp_path, scores):
    scores += [-0.3, -0.1, -0.2]
    run = train(load_config(world, ["training.max_epochs=3", "training.monitor=loss"]), tmp_path / "run")
    assert_equal_weights(run, train(load_config(world, ["training.max_epochs=2"]), tmp_path / "best"))


def test_min_epochs_are_trained_whatever_the_score(world, tmp_path, scores):
    scores += [0.5, 0.4, 0.3, 0.2, 0.1]
    overrides = ["training.max_epochs=5", "training.patience=1", "training.min_epochs=4"]
    assert len(rows(train(load_config(world, overrides), tmp_path / "run"))) == 4


def test_a_stopped_run_that_is_resumed_trains_nothing(world, tmp_path, scores):
    scores += [0.3, 0.1, 0.2, 0.9]
    config = load_config(world, ["training.max_epochs=4", "training.patience=2"])
    run = train(config, tmp_path / "run")
    files = [run / "metrics.csv", *(run / "checkpoints").iterdir()]
    before, first = [file.read_bytes() for file in files], weights(run)
    (run / "model.safetensors").unlink()
    train(config, run, resume=True)
    assert before == [file.read_bytes() for file in files]
    assert all(torch.equal(first[name], each) for name, each in weights(run).items())


def test_a_stopped_run_goes_on_with_more_patience(world, tmp_path, scores):
    scores += [0.3, 0.1, 0.2, 0.9]
    config, patient = (load_config(world, ["training.max_epochs=4", f"training.patience={each}"]) for each in (2, 3))
    run = train(config, tmp_path / "run")
    train(patient, run, resume=True)
    assert len(rows(run)) == 4
    assert_equal_weights(run, train(patient, tmp_path / "whole"))


def test_a_run_ends_at_once_with_fewer_epochs_than_it_has(world, tmp_path, scores):
    scores += [0.1, 0.2, 0.3]
    run = train(load_config(world, ["training.max_epochs=3"]), tmp_path / "run")
    first = weights(run)
    train(load_config(world, ["training.max_epochs=2"]), run, resume=True)
    assert all(torch.equal(first[name], each) for name, each in weights(run).items())


@pytest.mark.parametrize("epochs", [2, 3])
def test_a_renamed_run_goes_on_as_if_it_had_stayed(epochs, world, tmp_path, scores):
    scores += [0.3, 0.1, 0.2]
    whole = train(load_config(world, ["training.max_epochs=3"]), tmp_path / "whole")
    train(load_config(world, ["training.max_epochs=2"]), tmp_path / "before").rename(tmp_path / "after")
    after = train(load_config(world, [f"training.max_epochs={epochs}"]), tmp_path / "after", resume=True)
    assert_equal_weights(whole, after)
    assert not (tmp_path / "before").exists()


def test_an_epoch_without_a_defined_score_is_never_the_best(world, tmp_path, scores):
    scores += [np.nan, 0.1, np.nan]
    run = train(load_config(world, ["training.max_epochs=3"]), tmp_path / "run")
    assert_equal_weights(run, train(load_config(world, ["training.max_epochs=2"]), tmp_path / "best"))


def test_a_run_without_any_defined_score_is_an_input_error(world, tmp_path, scores):
    scores += [np.nan, np.nan]
    with pytest.raises(InputError, match="valid/pearsonr was undefined in every epoch"):
        train(load_config(world), tmp_path / "run")
    assert not (tmp_path / "run" / "model.safetensors").exists()


MISTAKES = [
    ("training.accelerator=gpu", "training.accelerator=gpu with training.devices=1 is not to be had here"),
    ("training.precision=16-mixed", "training.precision=16-mixed needs a CUDA device. Without one choose bf16-mixed"),
    ("batch.chunk=null", "batch.chunk: contact partners"),
]


@pytest.mark.parametrize(("override", "message"), MISTAKES)
def test_a_mistake_leaves_no_run_folder(override, message, world, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(InputError, match=message):
        train(load_config(world, [override]), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_folder_does_not_lie_at_or_below_a_file(world, tmp_path):
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(InputError, match=r"file is a file, and .* would be a folder"):
            train(load_config(world), out)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["training.devices=0"], "training.devices: at least 1, or auto; got 0"),
        (["training.min_epochs=3", "training.max_epochs=2"], "training: min_epochs 3 is more than max_epochs 2"),
    ],
)
def test_a_training_that_cannot_be_is_an_input_error(overrides, message, world):
    with pytest.raises(InputError, match=message):
        load_config(world, overrides)


def test_a_loss_that_is_not_finite_names_the_assay_and_the_way_out(world, tmp_path):
    config = load_config(world, ["training.optimizer=sgd", "training.learning_rate=1.0e+30", "training.max_epochs=5"])
    with pytest.raises(InputError, match=r"the loss is not finite at step .* Lower training.learning_rate"):
        train(config, tmp_path / "run")


@pytest.mark.parametrize("precision", ["bf16-mixed"])
def test_mixed_precision_trains(world, tmp_path, precision):
    run = train(load_config(world, [f"training.precision={precision}"]), tmp_path / "run")
    assert all(torch.isfinite(each).all() for each in weights(run).values())


def test_two_processes_train_one_model(world, tmp_path):
    """On three windows to validate, and with candidates that leave most batches nothing to read."""
    (tmp_path / "candidates.bed").write_text("chrA\t0\t4000\nchrB\t0\t20000\n")
    overrides = ["training.devices=2", "splits.valid=[chrB:0-18432]", f"graph.candidates={tmp_path}/candidates.bed"]
    done = subprocess.run(
        [*CLI, "train", str(world), *overrides, "batch.size=1", "batch.partners=0", "--out", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert [row["step"] for row in rows(tmp_path / "run")] == ["4", "8"]  # 7 windows, 2 at a time
    best = max(rows(tmp_path / "run"), key=lambda row: float(row["valid_pearsonr"]))
    # Every bin was counted once, by the weights that are kept: one process finds the same.
    for numbers in (validate(tmp_path / "run"), validate(tmp_path / "run", "batch.size=2")):
        assert float(best["valid_pearsonr"]) == pytest.approx(numbers["valid/pearsonr"], rel=1e-4)
        assert float(best["valid_loss"]) == pytest.approx(numbers["valid/loss"], rel=1e-4)


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
    assert [rate_share(step, warmup=3) for step in (0, 1, 3, 100)] == [0.25, 0.5, 1.0, 1.0]
    assert rate_share(50, warmup=0, steps=100) == pytest.approx(0.5)
    assert rate_share(100, warmup=0, steps=100) == 0


def test_the_learning_rate_falls_by_a_factor_after_each_epoch():
    rates = [rate_share(step, warmup=1, decay=0.5, steps_of_epoch=3) for step in range(7)]
    assert rates == [0.5, 1, 1, 0.5, 0.5, 0.5, 0.25]
