"""`genograph graph` and `genograph models`: what a config's graph holds, and what the known models are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pandas as pd
import torch

from genograph.assays.targets import read_targets
from genograph.assays.tfrecord_folder import RecordFolder
from genograph.config import Config, load_config
from genograph.errors import InputError
from genograph.experiment import Experiment
from genograph.graph import GenomeGraph
from genograph.graph.export import write_graph
from genograph.nn.model import build_model, count_parameters

# In a checkout the configs stand beside the package, in an installed wheel inside of it.
CONFIGS = next(
    folder for folder in (Path(__file__).parent / "configs", Path(__file__).parents[1] / "configs") if folder.is_dir()
)


def graph(config: Config, out: str | Path | None = None) -> list[GenomeGraph]:
    """Build the graph of a config on every level, the smallest nodes first, and write that of these if asked.

    Args:
        config: With `graph.edges`, and contacts if an edge type needs them.
        out: `.bedpe`, `.bedpe.gz` or `.graphml`; None writes nothing.

    Raises:
        InputError: If an input is wrong or the suffix is none of these.
    """
    levels = Experiment.open(config).levels
    if out is not None:
        write_graph(levels[0], Path(out))
    return levels


def models(configs: Iterable[Config] | None = None) -> pd.DataFrame:
    """Parameters, receptive field and source of the model of each config: one row each.

    `parameters` counts running means and variances of batch normalisation as Keras does; `trainable` leaves them
    out. `receptive_field` is in bp of sequence around a bin; contacts reach beyond it. `tracks` are those that the
    heads state, else those of the targets table; where that is not at hand, one per head.

    Args:
        configs: None for all that come with genograph. One of several genomes has a row for each.
    """
    shipped = (load_config(path) for path in sorted(CONFIGS.glob("*.yaml")))
    own = (config.of(genome) for config in configs or shipped for genome in config.genomes or [None])
    return pd.DataFrame([_describe(config) for config in own])


def _describe(config: Config) -> dict[str, object]:
    tracks = _tracks(config)
    with torch.device("meta"):  # counts need no values
        model = build_model(
            config.model,
            bin_size=config.bins.bin_size,
            edge_dim=config.graph.edge_dim,
            coarse_edge_dims=config.graph.coarse_edge_dims,
            tracks=tracks,
            whole_windows=config.whole_windows,
            masked=config.graph.candidates is not None,
        )
    parameters = count_parameters(model)
    parts = (config.model.encoder, config.model.neighbours, *config.model.processor)
    return {
        "name": config.name,
        "parameters": parameters.total,
        "trainable": parameters.trainable,
        "receptive_field": model.receptive_field,
        "tracks": sum(model.tracks.values()),
        "layers": " ".join(part.label for part in parts if part is not None),
        "source": config.source,
    }


def _tracks(config: Config) -> dict[str, int]:
    """How many tracks each head has."""
    listed: Counter[str] = Counter()
    with suppress(InputError):  # a model can be listed where its data are not at hand
        if config.tracks is not None:
            rows = read_targets(config.tracks.targets, config.tracks.folder)
            use = config.tracks.use
            listed.update(target.assay for target in rows if use is None or target.identifier in use)
        if config.tfrecords is not None:
            records = RecordFolder.open(config.tfrecords.folder, config.tfrecords.targets)
            listed.update(target.assay for target in records.targets)
    return {assay: options.get("tracks") or listed[assay] or 1 for assay, options in config.model.heads.items()}
