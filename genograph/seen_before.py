"""Which bins parts of a model have learned from in other runs: what they were pre-trained on must not be held out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from safetensors import SafetensorError, safe_open

from genograph.checkpoint import WEIGHTS, entries_of
from genograph.config import Config, parse_config
from genograph.embeddings import Description, marked
from genograph.errors import InputError
from genograph.genome.splits import SPLITS
from genograph.splits import split_by
from genograph.store import Store


@dataclass(frozen=True)
class Seen:
    """What was learned from.

    Attributes:
        trained: (bins,) True for bins that something was trained on.
        chosen: (bins,) True for those by which an epoch was chosen.
        unknown: Runs and embeddings of which that cannot be told.
    """

    trained: np.ndarray
    chosen: np.ndarray
    unknown: tuple[str, ...] = ()

    def __or__(self, other: Seen) -> Seen:
        return Seen(self.trained | other.trained, self.chosen | other.chosen, self.unknown + other.unknown)


def seen_by(config: Config, store: Store) -> Seen:
    """What a run of a config has learned from, in its own training and before."""
    split = split_by(config, store)
    return seen_before(config, store) | Seen(split == SPLITS["train"], split == SPLITS["valid"])


def seen_before(config: Config, store: Store) -> Seen:
    """What parts of a model have learned from before its own training.

    That is in runs that it starts from and in stored embeddings; of files that its parts are built from, such as
    weights of others, nothing is known.
    """
    nothing, stored = np.zeros(len(store.bins), dtype=bool), config.model.embeddings
    told = ("model.encoder.file", "model.encoder.array") if stored is not None else ()
    of_parts = {str(path) for key, path in config.model.files.items() if not key.endswith((".name", *told))}
    seen = Seen(nothing, nothing, tuple(sorted(of_parts)))
    for run in sorted({*config.training.start_from.values()}):
        seen |= seen_by_run(run, store)
    if stored is not None:
        known = Description.read(stored)
        unknown = (str(stored),) if known.trained is None else ()
        seen |= Seen(*(marked(each or (), len(store.bins)) for each in (known.trained, known.chosen)), unknown)
    return seen


def seen_by_run(run: Path, store: Store) -> Seen:
    """What a run folder has learned from, in its training and before, by the config that it was trained with.

    It is unknown if the run is gone or damaged, its sequence is another, or its splits are not of these bins.
    """
    nothing = np.zeros(len(store.bins), dtype=bool)
    unknown = Seen(nothing, nothing, (str(run),))
    try:
        with safe_open(run if run.name == WEIGHTS else run / WEIGHTS, "pt") as file:
            metadata = file.metadata()
        config, sources = parse_config(yaml.safe_load(metadata["config"])), json.loads(metadata["store"])
        here = _sequence(store.manifest["sources"])
        same = [each for each in config.genomes or [None] if _sequence(entries_of(sources, each)) == here]
        return seen_by(config.of(same[0]), store) if here and same else unknown
    except (OSError, SafetensorError, InputError):  # a file or a chromosome that is not there, an option of old
        return unknown


def _sequence(sources: Mapping[str, Any]) -> dict[str, str]:
    """Digests of the files that the sequence comes from, and with TFRecords the windows; empty if there are none."""
    return {
        key: each["sha256"] for key, each in sources.items() if key == "genome.fasta" or key.startswith("tfrecords ")
    }
