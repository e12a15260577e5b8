"""One folder holds one ablation or study, of one config and the same data, whoever calls it and how often."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from genograph.ablate.arms import Arm
from genograph.ablate.grid import Run, changed_since, locked
from genograph.ablate.summary import write
from genograph.config import Config
from genograph.errors import InputError
from genograph.experiment import Experiment

CONFIG, SOURCES, RUNS = "config.yaml", "sources.json", "runs"  # with a folder of runs an ablation is taken


@contextmanager
def claimed(folder: Path, config: Config, sources: Mapping[str, str], runs: Sequence[Run]) -> Iterator[None]:
    """Alone in a folder, which is this config's when the block ends without an error, and as before otherwise.

    Who comes second waits, and finds what the first has written.

    Args:
        folder: It is there.
        config: The reference of an ablation, or a study's.
        sources: SHA-256 of the files that the data are made of.
        runs: All that there are to be.

    Raises:
        InputError: If the folder holds runs of another config, of other data, or of other folds or arms.
    """
    with locked(folder / "lock"):
        check_folder(folder, config)
        known = _check_sources(folder, sources)
        for run in runs:
            run.check()
        yield
        write(folder / SOURCES, json.dumps(known, indent=2))
        write(folder / CONFIG, config.to_yaml())
        (folder / RUNS).mkdir(exist_ok=True)


def check_folder(folder: Path, config: Config) -> None:
    """Refuse a folder that holds something else, or an ablation of another config, or cannot be written."""
    _check_place(folder)
    written = folder / CONFIG
    if not (written.is_file() and (folder / RUNS).is_dir()):
        if (folder / "checkpoints").exists():
            raise InputError(f"{folder} is a single run, not a folder of several. Name another: --out FOLDER")
        return
    if changed := changed_since(written, config):
        raise InputError(f"{folder} holds runs of another config: {changed} differ. Name another: --out FOLDER")


def _check_place(folder: Path) -> None:
    """Refuse a place that cannot be written, before there is anything to write."""
    try:
        there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    except OSError as error:  # a folder that may not be looked into
        raise InputError(f"--out: {folder} cannot be written: {error.strerror}. Name another: --out FOLDER") from None
    if not there.is_dir():
        raise InputError(f"--out: {folder} cannot be written: {there} is a file. Name another: --out FOLDER")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"--out: {folder} cannot be written: no permission in {there}. Name another: --out FOLDER")


def sources_of(arms: Sequence[Arm]) -> dict[str, str]:
    """SHA-256 of the files that the reference's data are made of, and of those that other arms read in their place."""
    reference = arms[0].config
    digests = _digests(reference)
    for arm in arms[1:]:
        if not _read_by(arm.config) <= _read_by(reference):
            digests |= {f"{arm.name}: {key}": digest for key, digest in _digests(arm.config).items()}
    return digests


def _read_by(config: Config) -> set[Path]:
    """Where what a config reads lies: its store, and the files of graph and model."""
    return {config.store, *config.graph.files.values(), *config.model.files.values()}


def _digests(config: Config) -> dict[str, str]:
    return {name: each["sha256"] for name, each in Experiment.open(config).sources.items()}


def _check_sources(folder: Path, sources: Mapping[str, str]) -> dict[str, str]:
    """Refuse to compare runs on other data than those that are there were trained on; returns all that is known."""
    written = folder / SOURCES
    before = json.loads(written.read_text()) if written.is_file() and (folder / RUNS).is_dir() else {}
    if other := sorted(key for key in before.keys() & sources.keys() if before[key] != sources[key]):
        raise InputError(
            f"{folder} holds runs of other data: {', '.join(other)} changed since. Name another: --out FOLDER"
        )
    return {**before, **sources}
