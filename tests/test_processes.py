"""Two processes train as one does with their batches together: same losses, weights and scores."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from genograph.config import load_config
from genograph.errors import InputError
from genograph.evaluate import evaluate
from genograph.predict import predict
from genograph.processes import Launched, is_first, launched
from genograph.train import train
from tests.tiny import write_world
from tests.two_genomes import write_genomes

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
# Half of each chromosome has no methylation, so that windows measure unequally much.
SHORT = (
    *("batch.chunk=null", "batch.partners=0", "training.max_epochs=3", "training.learning_rate=0.01"),
    *("augment.reverse_complement=false", "augment.shift=0", "seed=3"),
)
# 20 windows. Each is one piece, as normalisation counts a piece that two windows share once in one process, twice in
# two; SGD, as Adam makes much of rounding errors where gradients are 0.
NORMALISED = (
    *SHORT,
    *("batch.window=24", "batch.crop=4", "training.optimizer=sgd", "training.sync_norm=true"),
    *("model.processor.0.dropout=0.0", "model.processor.1.dropout=0.0"),
)
# 21 windows, so that one is left over: what fills up its step counts in no loss, though a normalisation would see it.
ODD = (
    *SHORT,
    *("batch.window=23", "batch.crop=4", "graph.edges=[]", "model.processor=[]", "model.trunk=null"),
    f"model.encoder={{name: {Path(__file__).with_name('own_parts.py')}:BaseShares}}",
)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return write_world(tmp_path_factory.mktemp("world"))


def train_alone(world, overrides, run):
    """One process whose batches are those of two."""
    return train(load_config(world, [*overrides, "batch.size=2"]), run)


def in_two(world, overrides, run):
    options = [*overrides, "batch.size=1", "training.devices=2", "--out", run]
    return ["-m", "genograph", "train", str(world), *options]


def begin(command):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(list(map(str, command)), env=environment, **pipe)


def finish(command):
    process = begin(command)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return output


def rows(run):
    return list(csv.DictReader((run / "metrics.csv").open()))


def assert_alike(run, other):
    for ours, theirs in zip(rows(run), rows(other), strict=True):
        ours, theirs = ({name: float(row[name]) for name in row if name != "seconds"} for row in (ours, theirs))
        assert ours == pytest.approx(theirs, rel=1e-3)
    ours, theirs = (load_file(each / "model.safetensors") for each in (run, other))
    assert ours.keys() == theirs.keys()
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-3, atol=1e-5, msg=name)


def losses(run):
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    return {each.step: each.value for each in events.Scalars("train/loss_step")}


def test_two_processes_of_lightning_train_as_one(world, tmp_path):
    finish([sys.executable, *in_two(world, NORMALISED, tmp_path / "run")])
    alone = train_alone(world, NORMALISED, tmp_path / "alone")
    assert_alike(tmp_path / "run", alone)
    assert len(losses(alone)) >= 3
    assert losses(tmp_path / "run") == pytest.approx(losses(alone), rel=1e-3)


def test_two_processes_of_torchrun_that_were_killed_go_on_as_one(world, tmp_path):
    command = [*TORCHRUN, *in_two(world, ODD, tmp_path / "run")]
    process, last = begin(command), tmp_path / "run" / "checkpoints" / "last.ckpt"
    deadline = time.monotonic() + 120
    while not last.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    for worker in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        os.kill(int(worker), signal.SIGKILL)
    process.kill()
    process.communicate()
    assert not (tmp_path / "run" / "model.safetensors").exists()
    output = finish([*command, "--resume"])
    assert output.count("model ") == 1
    assert_alike(tmp_path / "run", train_alone(world, ODD, tmp_path / "alone"))


def test_a_step_whose_loss_is_not_finite_in_one_process_ends_all(world, tmp_path):
    process = begin([sys.executable, *in_two(world, [*ODD, "training.learning_rate=1.0e+30"], tmp_path / "run")])
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "the loss is not finite at step" in errors
    assert "Traceback" not in errors


TORCHRUNS = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}
SRUNS = {"SLURM_PROCID": "5", "SLURM_STEP_NUM_TASKS": "8", "SLURM_LOCALID": "1", "SLURM_NTASKS_PER_NODE": "4"}


@pytest.mark.parametrize("variables", [TORCHRUNS, SRUNS], ids=["torchrun", "srun"])
def test_a_launched_process_knows_its_place(variables, monkeypatch):
    assert launched() is None
    assert is_first()
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert launched() == Launched(rank=5, count=8, local_rank=1, local_count=4)
    assert not is_first()


def test_a_batch_script_is_one_process_whatever_its_job_asked_for(monkeypatch):
    for name in ("SLURM_PROCID", "SLURM_LOCALID", "SLURM_NTASKS_PER_NODE"):
        monkeypatch.setenv(name, "1")
    assert launched() is None


def test_srun_that_does_not_say_how_many_processes_a_machine_has_is_an_error(monkeypatch):
    for name, value in SRUNS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("SLURM_NTASKS_PER_NODE")
    with pytest.raises(InputError, match="give --ntasks-per-node"):
        launched()


def test_other_devices_than_were_started_are_an_input_error(world, tmp_path, monkeypatch):
    for name, value in TORCHRUNS.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=r"training.devices=1, but 4 processes were started on this machine"):
        train(load_config(world), tmp_path / "run")


def test_normalisation_over_processes_needs_something_to_read_in_all(world, tmp_path):
    (tmp_path / "few.bed").write_text("chrA\t0\t4000\n")
    overrides = ["training.sync_norm=true", "training.devices=2", f"graph.candidates={tmp_path}/few.bed"]
    with pytest.raises(InputError, match=r"training.sync_norm: with graph.candidates"):
        train(load_config(world, overrides), tmp_path / "run")


def test_fewer_windows_than_processes_are_one_clear_line(world, tmp_path):
    short = [*ODD, "splits.valid=['chrB:0-1500']"]
    process = begin([sys.executable, *in_two(world, short, tmp_path / "run")])
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "a split of 1 windows for 2 processes: each needs one" in errors
    assert "Traceback" not in errors


def test_two_processes_of_torchrun_predict_and_score_every_genome(tmp_path):
    both = write_genomes(tmp_path)
    run = train(load_config(both, ["training.max_epochs=1"]), tmp_path / "run")
    for verb in (predict, evaluate):
        finish([*TORCHRUN, "-m", "genograph", verb.__name__, str(run), "--out", str(tmp_path / "two")])
        verb(run, tmp_path / "one")
    one, two = (
        {str(path.relative_to(tmp_path / each)): path.read_bytes() for path in (tmp_path / each).rglob("*.*")}
        for each in ("one", "two")
    )
    assert one.keys() == two.keys()
    ridges = {name for name in one if name.endswith("baselines.tsv")}  # whose last bit may be another in any process
    assert {name for name in one if one[name] != two[name]} <= ridges
    assert {"human/gc.bw", "mouse/gc.bw", "human/accuracy.tsv", "mouse/accuracy.tsv"} < {*one}


def test_a_process_without_validation_windows_of_a_genome_scores_it_too(tmp_path):
    both = write_genomes(tmp_path)
    few = ["training.monitor=auroc", "genomes.human.splits.valid=['chrB:0-5000']", "training.max_epochs=2"]
    process = begin([sys.executable, *in_two(both, few, tmp_path / "run")])
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert len(rows(tmp_path / "run")) == 2
