"""Engines finish the runs that they are given, whatever happens to the processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest
import torch

from genograph.ablate import launchers
from genograph.ablate.grid import Run, finish, locked
from genograph.ablate.launchers import ATTEMPTS, LAUNCHERS, Killed, local, slurm
from genograph.config import load_config
from genograph.errors import InputError

DEADLINE = 60  # seconds, on a machine however busy


@dataclass(frozen=True)
class Told(Run):
    """A run that is done at once, after what its label says."""

    @property
    def is_done(self) -> bool:
        self.note("begun", str(os.getpid()))
        getattr(self, self.arm)()
        return True

    def note(self, name: str, text: str) -> None:
        with (self.folder / name).open("a") as file:
            print(text, file=file)

    def noted(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text().split() if path.is_file() else []

    def quick(self) -> None:
        self.note("threads", str(torch.get_num_threads()))

    def killed(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def wrong(self) -> None:
        raise InputError("the value is wrong.")

    def broken(self) -> None:
        raise KeyError("x")

    def endless(self) -> None:
        time.sleep(10 * DEADLINE)

    def together(self) -> None:
        """Counts the runs that are at work in the same moment."""
        here = self.folder.parent / f"{self.seed}.busy"
        here.touch()
        time.sleep(0.3)
        self.note("busy", str(len(list(self.folder.parent.glob("*.busy")))))
        here.unlink()


@pytest.fixture
def told(world, tmp_path):
    config = load_config(world, ["training.threads=0"])
    return lambda *kinds: [Told(kind, 0, seed, tmp_path / str(seed), config) for seed, kind in enumerate(kinds)]


def worked_off(launcher, runs, folder, workers=2):
    return {run.seed: error for run, error in launcher(runs, workers, folder, {})}


def until(holds, what):
    """What `holds` returns, as soon as it is something."""
    deadline = time.monotonic() + DEADLINE
    while not (found := holds()):
        assert time.monotonic() < deadline, f"waited for {what} in vain"
        time.sleep(0.005)
    return found


def test_runs_are_trained_in_processes_as_they_are_in_this_one(world, tmp_path):
    config = load_config(world)
    runs = [Run("hic", 0, seed, tmp_path / f"seed{seed}", config) for seed in (0, 1)]
    assert worked_off(local, runs, tmp_path) == {0: None, 1: None}
    here = Run("hic", 0, 0, tmp_path / "here", config)
    finish(here)
    for run in runs:
        for assay, values in run.predictions().items():
            np.testing.assert_array_equal(values, here.predictions()[assay])


def test_every_run_has_a_process_of_its_own_and_as_many_work_as_may(told, tmp_path):
    runs = told(*["together"] * 5)
    assert worked_off(local, runs, tmp_path) == dict.fromkeys(range(5))
    assert len({pid for run in runs for pid in run.noted("begun")}) == 5
    assert max(int(count) for run in runs for count in run.noted("busy")) == 2


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(("asked", "threads"), [(0, "1"), (2, "2")])
def test_a_run_has_one_thread_or_as_many_as_its_config_says_however_many_runs_work(
    asked, threads, workers, world, tmp_path, monkeypatch
):
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    run = Told("quick", 0, 0, tmp_path / "run", load_config(world, [f"training.threads={asked}"]))
    worked_off(local, [run], tmp_path, workers)
    assert run.noted("threads") == [threads]


def test_a_run_that_another_command_is_at_comes_last(told, tmp_path):
    busy, free = told("quick", "quick")
    busy.folder.mkdir()
    working = local([busy, free], 1, tmp_path, {})
    with locked(busy.folder / "lock"):
        assert next(working) == (free, None)
    assert next(working) == (busy, None)


def test_a_run_that_is_killed_every_time_is_given_up_and_the_others_finish(told, tmp_path):
    runs = told("killed", "quick", "quick", "quick")
    errors = worked_off(local, runs, tmp_path)
    assert isinstance(errors.pop(0), Killed)
    assert errors == dict.fromkeys((1, 2, 3))
    assert [len(run.noted("begun")) for run in runs] == [ATTEMPTS, 1, 1, 1]


def test_what_is_wrong_is_handed_on_and_the_others_finish(told, tmp_path):
    errors = worked_off(local, told("wrong", "broken", "quick"), tmp_path)
    assert (type(errors[0]), str(errors[0])) == (InputError, "the value is wrong.")
    assert (type(errors[1]), str(errors[1])) == (RuntimeError, "KeyError: 'x'")
    assert errors[2] is None


def test_who_stops_ends_the_processes_too(told, tmp_path):
    quick, endless, waiting = runs = told("quick", "endless", "quick")
    working = local(runs[:2], 2, tmp_path, {})
    assert next(working) == (quick, None)
    (pid,) = until(lambda: endless.noted("begun"), "the second run")
    working.close()
    until(lambda: not Path(f"/proc/{pid}").exists() or _is_zombie(pid), "its end")
    assert waiting.noted("begun") == []


def test_a_run_whose_process_is_killed_goes_on_to_the_same_predictions(world, tmp_path):
    config = load_config(world, ["training.max_epochs=6"])
    run, never_killed = (Run("hic", 0, 0, tmp_path / name, config) for name in ("killed", "never"))
    killed = []

    def kill() -> None:
        until((run.folder / "checkpoints" / "last.ckpt").is_file, "the first epoch")
        (process,) = active_children()
        os.kill(process.pid, signal.SIGKILL)
        killed.append(run.is_done)

    killer = threading.Thread(target=kill)
    killer.start()
    assert worked_off(local, [run], tmp_path) == {0: None}
    killer.join()
    assert killed == [False]  # it was not done by then
    finish(never_killed)
    for assay, values in never_killed.predictions().items():
        np.testing.assert_array_equal(run.predictions()[assay], values)


def test_submitit_runs_the_grid_without_slurm(world, tmp_path):
    pytest.importorskip("submitit")
    config = load_config(world, ["training.max_epochs=1"])
    run, here = (Run("hic", 0, 0, tmp_path / name, config) for name in ("job", "here"))
    assert worked_off(slurm, [run], tmp_path) == {0: None}
    assert list((tmp_path / "slurm").glob("*_submitted.pkl"))
    finish(here)
    np.testing.assert_array_equal(run.predictions()["coverage"], here.predictions()["coverage"])


class Cluster:
    """A stand-in for submitit, whose jobs end in their order, and what was asked of it."""

    def __init__(self, cluster):
        self.cluster, self.parameters, self.batches, self.working, self.most = cluster, {}, [], [], 0
        self.cancelled = 0
        self.AutoExecutor = lambda folder: self
        self.update_parameters = self.parameters.update

    @contextmanager
    def batch(self):
        self.batches.append(0)
        yield

    def submit(self, function, run):
        job = Job(self)
        self.batches[-1] += 1
        self.working.append(job)
        self.most = max(self.most, len(self.working))
        return job


class Job:
    def __init__(self, cluster):
        self.cluster = cluster

    def done(self):
        return self.cluster.working[0] is self

    def exception(self):
        self.cluster.working.remove(self)

    def cancel(self, check):
        self.cluster.cancelled += 1


def test_slurm_gets_one_array_of_all_runs_and_what_the_config_says(told, tmp_path, monkeypatch):
    cluster = Cluster("slurm")
    monkeypatch.setattr(launchers, "_engine", lambda *_: cluster)
    found = [run.seed for run, _ in slurm(told(*["quick"] * 5), 2, tmp_path, {"slurm_partition": "gpu"})]
    assert sorted(found) == [0, 1, 2, 3, 4]
    assert cluster.batches == [5]
    assert cluster.parameters == {"timeout_min": 1440, "slurm_array_parallelism": 2, "slurm_partition": "gpu"}


def test_an_interrupted_ablation_leaves_no_jobs_in_the_queue(told, tmp_path, monkeypatch):
    cluster = Cluster("slurm")
    monkeypatch.setattr(launchers, "_engine", lambda *_: cluster)
    outcomes = slurm(told(*["quick"] * 5), 2, tmp_path, {})
    next(outcomes)
    outcomes.close()  # as Ctrl-C does
    assert cluster.cancelled == 4


def test_without_slurm_submitit_gets_as_many_jobs_as_may_work(told, tmp_path, monkeypatch):
    cluster = Cluster("local")
    monkeypatch.setattr(launchers, "_engine", lambda *_: cluster)
    found = [run.seed for run, _ in slurm(told(*["quick"] * 5), 2, tmp_path, {})]
    assert sorted(found) == [0, 1, 2, 3, 4]
    assert cluster.most == 2


def test_ray_runs_the_grid(world, tmp_path):
    pytest.importorskip("ray")
    run = Run("hic", 0, 0, tmp_path / "run", load_config(world, ["training.max_epochs=1"]))
    assert worked_off(LAUNCHERS["ray"], [run], tmp_path) == {0: None}
    assert run.is_done


@pytest.mark.parametrize(("launcher", "engine"), [("slurm", "submitit"), ("ray", "ray")])
def test_an_engine_that_is_not_installed_is_named_with_how_to_get_it(launcher, engine, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, engine, None)
    with pytest.raises(
        InputError, match=rf"--launcher {launcher} needs {engine}.*pip install 'genograph\[{launcher}\]'"
    ):
        list(LAUNCHERS[launcher]([], 1, tmp_path, {}))


BEGIN = """
import sys
from pathlib import Path
from genograph.ablate.launchers import local
from genograph.config import load_config
from tests.ablate.test_launchers import Told
run = Told("endless", 0, 0, Path(sys.argv[2]), load_config(sys.argv[1], ["training.threads=0"]))
list(local([run], 1, run.folder, {}))
"""


def test_trainings_end_with_who_began_them_however_that_ended(told, world, tmp_path):
    (endless,) = told("endless")
    endless.folder.mkdir()
    root = Path(__file__).parents[2]
    parent = subprocess.Popen([sys.executable, "-c", BEGIN, str(world), str(endless.folder)], cwd=root)
    (pid,) = until(lambda: endless.noted("begun"), "the run")
    parent.kill()
    parent.wait()
    until(lambda: not Path(f"/proc/{pid}").exists() or _is_zombie(pid), "its end")


def _is_zombie(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
