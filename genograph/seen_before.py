"""Which bins parts of a model have learned from in other runs: what they were pre-trained on must not be held out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from safetensors import safe_open

from genograph.checkpoint import WEIGHTS
from genograph.config import Config, parse_config
from genograph.embeddings import Description, marked
from genograph.errors import InputError
from genograph.experiment import split_by
from genograph.genome.splits import SPLITS
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
    """What parts of a model have learned from before its own training: runs that it starts from, stored embeddings."""
    nothing = np.zeros(len(store.bins), dtype=bool)
    seen = Seen(nothing, nothing)
    for run in sorted({*config.training.start_from.values()}):
        seen |= _seen_by_run(run, store, Seen(nothing, nothing, (str(run),)))
    if config.model.embeddings is not None:
        known = Description.read(config.model.embeddings)
        unknown = (str(config.model.embeddings),) if known.trained is None else ()
        seen |= Seen(*(marked(each or (), len(store.bins)) for each in (known.trained, known.chosen)), unknown)
    return seen


def _seen_by_run(run: Path, store: Store, unknown: Seen) -> Seen:
    """What a run folder has learned from; `unknown` if its genome is another, or its splits are not of these bins."""
    with safe_open(run if run.name == WEIGHTS else run / WEIGHTS, "pt") as file:
        metadata = file.metadata()
    config = parse_config(yaml.safe_load(metadata["config"]))
    is_other = _genome(json.loads(metadata["store"])) != _genome(store.manifest["sources"])
    if is_other or (config.tfrecords is None) != (store.contigs is None):
        return unknown
    try:
        return seen_by(config, store)
    except InputError:  # a chromosome that is not there, say
        return unknown


def _genome(sources: Mapping[str, Any]) -> str | None:
    return sources.get("genome.fasta", {}).get("sha256")
