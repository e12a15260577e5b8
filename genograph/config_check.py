"""Whether the parts of a config fit each other, as far as the config alone shows it: before a store is built."""

from __future__ import annotations

from itertools import chain

import torch

from genograph.config import Config
from genograph.embeddings import Description
from genograph.errors import InputError
from genograph.graph.genome_graph import LINEAR
from genograph.nn.layers import LAYERS
from genograph.nn.layers.graph_block import GraphBlock
from genograph.nn.model import build_model


def check_parts(config: Config) -> None:
    """Refuse, before a store is built, what the config alone shows not to fit.

    Raises:
        InputError: If encoder, processor or heads do not fit the bins or each other, an edge type needs contacts that
            are not given, what is to be read is not there, or a file of edges or candidates is missing.
    """
    check_contacts(config)
    _check_partners(config)
    _check_what_is_read(config)
    if config.model.embeddings:
        _check_views(config, Description.read(config.model.embeddings))
    for key, file in config.files.items():
        if not file.is_file():
            raise InputError(f"{key}: no such file: {file}")
    with torch.device("meta"):  # no values: only whether it can be built
        build_model(
            config.model,
            bin_size=config.bins.bin_size,
            edge_dim=config.graph.edge_dim,
            coarse_edge_dims=config.graph.coarse_edge_dims,
            tracks={assay: options.get("tracks", 1) for assay, options in config.model.heads.items()},
            whole_windows=config.whole_windows,
        )


def what_is_idle(config: Config) -> list[str]:
    """What a config asks for and no training feels, a line each: most likely something was left out."""
    told, types = [], {*config.graph.edge_types, *chain.from_iterable(config.graph.coarse_edge_types)}
    layers = [layer.label for layer in config.model.processor if issubclass(layer.kind, GraphBlock)]
    has_own = any(layer.kind not in LAYERS.values() for layer in config.model.processor)
    if layers and not types:
        told.append(f"model.processor: '{layers[0]}' passes messages over edges, and graph.edges is empty.")
    elif layers and config.batch.window == 1 and (types == {LINEAR} or not config.batch.partners):
        told.append(
            f"batch.window: 1 bin without partners has no edge, so that '{layers[0]}' passes no message. Take longer "
            "windows, or edges of contacts and batch.partners."
        )
    elif types and not layers and not has_own:
        told.append("graph.edges: no layer of model.processor passes messages over them, as 'gat' would.")
    random = [part for part in config.training.freeze if part not in config.training.start_from]
    if random:
        told.append(
            f"training.freeze: {', '.join(random)} as random as at the start. Weights of a run come from "
            f"training.start_from={{{', '.join(f'{part}: runs/NAME' for part in random)}}}"
        )
    return told


def check_contacts(config: Config) -> None:
    """Refuse edges of a contact map, with an `InputError`, where none is given."""
    for builder in (edge.build() for level in config.graph.levels for edge in level):
        if builder.needs_contacts and config.contacts is None:
            raise InputError(f"'{builder.name}' edges need a contact map; set contacts.file in the config.")


def _check_partners(config: Config) -> None:
    """That windows bring partners along where larger nodes have contacts, for these reach no farther than partners."""
    types = [config.graph.edge_types, *config.graph.coarse_edge_types]
    has_contacts, *coarse_has = (any(name != LINEAR for name in each) for each in types)
    if any(coarse_has) and not has_contacts and config.batch.partners:
        raise InputError(
            "graph.coarse has contact edges, but graph.edges has none, which say what partners a window brings along. "
            "Give it some, such as hic, or set batch.partners=0."
        )


def _check_what_is_read(config: Config) -> None:
    """That sequence is given, and bins are covered sites, where something reads them."""
    if config.model.neighbours is not None and (config.sites is None or config.sites.source != "covered"):
        raise InputError("model.neighbours: bins need to be CpGs that cells cover; set sites: {source: covered}.")
    if config.model.encoder is None and config.graph.candidates is not None:
        raise InputError("graph.candidates: without an encoder nothing is read from sequence; leave it out.")
    encoder = None if config.model.embeddings else config.model.encoder
    readers = {"model.encoder": encoder, "evaluation.kmer_ridge": config.evaluation.kmer_ridge}
    reading = [key for key, value in readers.items() if value is not None]
    if config.genome is not None and config.genome.fasta is None and reading:
        raise InputError(f"genome.fasta: {reading[0]} reads sequence; give the FASTA, or set {reading[0]}=null.")


def _check_views(config: Config, stored: Description) -> None:
    """That stored embeddings are asked for no view of the sequence of which they are none."""
    shifts = {"augment.shift": (config.augment.shift, 0), "prediction.shifts": (config.prediction.shifts, [0])}
    for key, (value, only) in shifts.items():
        if value != only:
            raise InputError(f"{key}: {value}, but stored embeddings cannot be shifted; set {key}={only}.")
    for name in ("augment", "prediction"):
        if getattr(config, name).reverse_complement and not stored.both_strands:
            key = f"{name}.reverse_complement"
            raise InputError(
                f"{key}: {config.model.embeddings} has the embeddings of one strand alone; set {key}=false, or embed a "
                "run with model.both_strands=true."
            )
