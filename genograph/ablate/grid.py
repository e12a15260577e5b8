"""The runs of an ablation: arms x folds x seeds, each a run folder of its own that can be stopped at any moment."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import resource
import shutil
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import torch
import yaml

from genograph.atomic import replacing
from genograph.checkpoint import load_run
from genograph.config import Config, changed_keys
from genograph.errors import InputError
from genograph.evaluate import predict_split
from genograph.nn.model import count_parameters
from genograph.processes import Crew
from genograph.train import train

PREDICTIONS, COST, LOCK = "held_out.npz", "cost.json", "lock"
SCRATCH = ".predicting-"
FREE = {"ablation", "study", "downloads", "store"}  # what may change from one call to the next in one folder


@dataclass(frozen=True)
class Run:
    """One training and what it predicts on what its fold holds out.

    Attributes:
        arm: Its name.
        fold: Number of the fold.
        seed: Of initial weights, order, augmentation, dropout and controls.
        folder: The run folder.
        config: What is trained.
    """

    arm: str
    fold: int
    seed: int
    folder: Path
    config: Config

    @property
    def label(self) -> str:
        return f"{self.arm}, fold {self.fold}, seed {self.seed}"

    @property
    def is_done(self) -> bool:
        """The predictions are written last."""
        return (self.folder / PREDICTIONS).is_file()

    @property
    def is_busy(self) -> bool:
        """Whether a process is at it now."""
        try:
            with (self.folder / LOCK).open("r+") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def check(self) -> None:
        """Refuse to take for this run one that was trained otherwise, as with other folds or another arm of its name.

        Raises:
            InputError: If the folder holds the run of another config.
        """
        written = self.folder / "config.yaml"
        if written.is_file() and (changed := changed_since(written, self.config)):
            raise InputError(
                f"{self.label} was trained with another config: {changed} differ. "
                "Name another arm, or another folder: --out FOLDER"
            )

    def predictions(self) -> dict[str, np.ndarray]:
        """What was predicted for the held-out bins, in their order, of each assay: (tracks, bins) float32."""
        with np.load(self.folder / PREDICTIONS) as arrays:
            return dict(arrays)

    def cost(self) -> dict[str, float]:
        """What a run took.

        `parameters`; `contacts` of a node that a held-out window shows, and `contacts_trained` that one of training
        does; `seconds` of training and `peak_mb` of memory.
        """
        return json.loads((self.folder / COST).read_text())


def finish(run: Run) -> None:
    """Train a run, or go on with it, and predict; nothing is done twice.

    Whoever comes second waits for the first, so that two ablations may share a folder. A run that was killed goes on
    from its last epoch to the weights of one that was not. What it prints goes to `train.log`. It has one thread, if
    `training.threads` does not say otherwise, so that its numbers do not depend on how many runs share a machine.

    Raises:
        InputError: As `train` does, or if the folder holds the run of another config.
    """
    run.folder.mkdir(parents=True, exist_ok=True)
    with locked(run.folder / LOCK):
        run.check()
        torch.set_num_threads(run.config.training.threads or 1)
        if not run.is_done:
            with _printed_to(run.folder / "train.log"):
                try:
                    train(run.config, run.folder, resume=(run.folder / "config.yaml").is_file())
                    _predict(run)
                except Exception:
                    traceback.print_exc()
                    raise


def _predict(run: Run) -> None:
    experiment, model = load_run(run.folder)
    windows = experiment.dataset("test", model.halo, keep_empty=True)  # what counts is for the reference to say
    bins = np.concatenate([np.arange(first, end) for first, end in windows.runs])
    for killed in run.folder.glob(f"{SCRATCH}*"):
        shutil.rmtree(killed)
    with TemporaryDirectory(dir=run.folder, prefix=SCRATCH) as scratch:
        held = predict_split(experiment, model, windows, bins, Crew(Path(scratch)))
        predicted = {assay: np.array(each.prediction) for assay, each in held}
    cost = {
        "parameters": count_parameters(model).trainable,
        "contacts": windows.contacts_shown()[0],
        "contacts_trained": experiment.dataset("train", model.halo).contacts_shown()[0],
        "seconds": float(pd.read_csv(run.folder / "metrics.csv")["seconds"].sum()),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    (run.folder / COST).write_text(json.dumps(cost))
    with replacing(run.folder / PREDICTIONS) as written, written.open("wb") as file:
        np.savez(file, **predicted)


def changed_since(written: Path, config: Config) -> str:
    """The keys, but for those of `FREE`, in which a config differs from one that was written."""
    before, now = written.read_text(), config.to_yaml()
    changed = changed_keys(yaml.safe_load(before), yaml.safe_load(now)) if before != now else set()
    return ", ".join(sorted(key for key in changed if key.split(".")[0] not in FREE))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock that ends with its process, however that ends."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _printed_to(path: Path) -> Iterator[None]:
    """Send what the process prints and logs to the end of a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    logging.getLogger("genograph").setLevel(logging.INFO)
    kept = os.dup(1), os.dup(2)
    with path.open("a") as file:
        try:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, each in zip((1, 2), kept, strict=True):
                os.dup2(each, number)
                os.close(each)
