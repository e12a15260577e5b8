"""Predictions and scores by several processes are, byte for byte, those of one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest

from genograph.checkpoint import load_run
from genograph.config import load_config
from genograph.errors import InputError
from genograph.evaluate import evaluate
from genograph.predict import predict, predictions, share_predictions
from genograph.processes import Crew, crew
from genograph.train import train
from tests.tiny import write_world

CLI = [sys.executable, "-m", "genograph"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "genograph"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Of a graph model; chrC is a circle, whose last window goes on into the first."""
    folder = tmp_path_factory.mktemp("world")
    overrides = ["training.max_epochs=1", "genome.circular=[chrC]", "prediction.reverse_complement=true"]
    return train(load_config(write_world(folder), overrides), folder / "run")


@pytest.fixture(scope="module")
def by_one(run):
    predict(run)
    evaluate(run)
    return contents(run / "predictions") | contents(run, "*.tsv")


def contents(folder, pattern="*"):
    return {path.name: path.read_bytes() for path in folder.glob(pattern)}


def told(*command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300, env=environment())
    assert done.returncode == 0, done.stderr
    return done.stdout


def environment():
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def test_workers_predict_the_bytes_of_one_process(run, by_one, tmp_path):
    found = contents(predict(run, tmp_path / "bw", workers=3))
    assert set(found) == {"gc.bw", "fwd.bw", "rev.bw", "meth.bw"}  # and nothing else is left
    assert found == {name: by_one[name] for name in found}


def test_workers_write_the_tables_of_one_process(run, by_one, tmp_path):
    evaluate(run, tmp_path / "tables", workers=2)
    found = contents(tmp_path / "tables")
    assert len(found) == 5
    assert found == {name: by_one[name] for name in found}


def test_processes_of_torchrun_predict_the_bytes_of_one_process_and_speak_once(run, by_one, tmp_path):
    output = told(*TORCHRUN, "predict", run, "--out", tmp_path / "bw")
    assert output.count("gc.bw") == 1
    found = contents(tmp_path / "bw")
    assert found == {name: by_one[name] for name in found}
    assert len(found) == 4


def test_a_process_without_a_batch_has_nothing_to_do(run, tmp_path):
    """Three share out the two batches of a split, one after another in this process."""
    experiment, model = load_run(run, load_config(run, ["batch.size=2"]))
    windows = experiment.dataset("valid", model.halo)
    members = [Crew(tmp_path, rank, count=3) for rank in range(3)]
    for member in members[1:]:
        share_predictions(model, windows, experiment.config, member)
    given = {"title": "", "member": members[0]}
    shared, alone = (
        list(predictions(model, windows, experiment.config, **{"title": ""} | each)) for each in (given, {})
    )
    assert len(shared) == 2
    for (ours, rates), (theirs, expected) in zip(shared, alone, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        for assay in expected:
            np.testing.assert_array_equal(rates[assay], expected[assay])


def test_a_prediction_that_is_told_to_end_leaves_nothing(run, tmp_path):
    command = [*CLI, "predict", run, "--out", tmp_path / "bw", "--workers", "2", "batch.size=1"]
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.DEVNULL, env=environment())
    deadline = time.monotonic() + 120
    while not list((tmp_path / "bw").glob(".scratch-*/0-*.npy")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
    assert not (tmp_path / "bw").exists()


def _end(code, member):
    os._exit(code)


def test_a_worker_that_dies_ends_all_and_leaves_nothing(tmp_path):
    with (
        pytest.raises(InputError, match=r"worker 1 of 2 ended with code 9. Is there enough memory"),
        crew(tmp_path, 2, partial(_end, 9)) as member,
    ):
        member.wait()
    assert list(tmp_path.iterdir()) == []


def test_workers_of_one_of_several_processes_are_an_input_error(tmp_path, monkeypatch):
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    with (
        pytest.raises(InputError, match="--workers 2: torchrun or srun already started 2 processes"),
        crew(tmp_path, 2, partial(_end, 9)),
    ):
        pass
