"""A config of several genomes: what each has for itself, and what they must share to share a model."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any, Protocol

from genograph.config.data import (
    BinsConfig,
    ContactsConfig,
    FilePath,
    GenomeConfig,
    SitesConfig,
    SplitsConfig,
    TfrecordsConfig,
    TracksConfig,
)
from genograph.config.graph_and_model import GraphConfig, Heads
from genograph.errors import InputError
from genograph.sections import Section

FROM_FILES = (
    " One without a contact map can have edges of the type hic from a file, in a graph of its own: "
    "{name: loops, file: pairs.bedpe, type: hic}."
)


class OwnConfig(Section):
    """The sections of one genome, each in place of the config's own; None leaves the config's."""

    store: FilePath | None = None  # None: a folder of the genome's name in the config's
    genome: GenomeConfig | None = None
    tracks: TracksConfig | None = None
    tfrecords: TfrecordsConfig | None = None
    contacts: ContactsConfig | None = None
    bins: BinsConfig | None = None
    sites: SitesConfig | None = None
    splits: SplitsConfig | None = None
    graph: GraphConfig | None = None
    heads: Heads | None = None  # in place of model.heads


class OfGenome(Protocol):
    """What `check_together` looks at of the config of one genome."""

    store: Path
    bins: BinsConfig
    sites: SitesConfig | None
    splits: SplitsConfig | None
    graph: GraphConfig


def sections_of(shared: Mapping[str, Any], genome: str) -> dict[str, Any]:
    """The sections of the config of one genome of several; `shared` are those of the whole config."""
    own: OwnConfig = shared["genomes"][genome]
    given = {key: value for key, value in own if value is not None and key != "heads"}
    sections = {**shared, "store": shared["store"] / genome, **given, "name": f"{shared['name']}-{genome}"}
    sections["genomes"] = {}
    if own.heads is not None:
        sections["model"] = shared["model"].model_copy(update={"heads": own.heads})
    splits: SplitsConfig | None = sections["splits"]
    if splits is not None and splits.groups is not None:
        others = {name: each.splits or shared["splits"] for name, each in shared["genomes"].items() if name != genome}
        elsewhere = {name: {"valid": each.valid, "test": each.test} if each else {} for name, each in others.items()}
        sections["splits"] = splits.model_copy(update={"genome": genome, "elsewhere": elsewhere})
    return sections


def check_together(configs: Mapping[str, OfGenome]) -> None:
    """Refuse genomes that cannot share a model: other bins, or edges with other attributes; or that share a store.

    Raises:
        InputError: With the first genome that does not go with the first of the config, and in what.
    """
    alike = {
        "bins.bin_size": lambda each: each.bins.bin_size,
        "sites": lambda each: "places" if each.sites else "none",
        "types of graph.edges": lambda each: [*each.graph.edge_types],
        "types of graph.coarse edges": lambda each: [[*types] for types in each.graph.coarse_edge_types],
        "splits.groups": lambda each: each.splits and each.splits.groups and each.splits.groups.name,
        "splits.resolve_groups": lambda each: each.splits and each.splits.resolve_groups,
    }
    for one, other in combinations(configs, 2):
        if configs[one].store == configs[other].store:
            raise InputError(f"genomes: {one} and {other} have one store, {configs[one].store}. Give each its own.")
    first, *others = configs
    for what, of in alike.items():
        for other in others:
            if of(configs[first]) != of(configs[other]):
                raise InputError(
                    f"genomes: {what} differ: {of(configs[first])} of {first}, {of(configs[other])} of {other}. "
                    f"Genomes share a model, so give both the same.{FROM_FILES if 'edges' in what else ''}"
                )
