"""Large graphs are kept in the store that they were built from, and mapped into memory.

Built once, such a graph is no process's own memory: many read the same pages, and the system takes back those that
nobody reads.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from genograph.atomic import new_folder
from genograph.errors import InputError
from genograph.genome.bins import Bins
from genograph.graph.building import EdgeBuilder, Known
from genograph.graph.genome_graph import GenomeGraph
from genograph.rebuild import sha256

FORMAT_VERSION = 2  # raise it when a builder makes other edges of the same options: no test can tell
LARGE = 100_000  # edges; fewer are built in the time that it takes to read them
ARRAYS = ("edge_index", "edge_attr", "edge_type", "indptr", "masked")
NAMES = ("edge_types", "attributes")

log = logging.getLogger("genograph")


def stored_graph(folder: Path, nodes: Bins, build: Callable[[], GenomeGraph]) -> GenomeGraph:
    """The graph that is kept in a folder; else what `build` makes, which is kept if it is large.

    Where nothing may be written the graph stays in memory.

    Args:
        folder: Of this graph alone, see `graph_key`.
        nodes: Its nodes.
        build: Makes the graph anew.
    """
    if not folder.is_dir():
        graph = build()
        if graph.num_edges < LARGE:
            return graph
        try:
            _write(graph, folder)
        except OSError:
            log.warning("A graph of %d edges stays in memory: %s cannot be written.", graph.num_edges, folder)
            return graph
    try:
        names = {key: tuple(each) for key, each in json.loads((folder / "names.json").read_text()).items()}
        arrays = {name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r")) for name in ARRAYS}
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} is no whole graph ({error}). Remove it: it is built anew.") from None
    return GenomeGraph(nodes=nodes, **names, **arrays)


def _write(graph: GenomeGraph, folder: Path) -> None:
    """Write the arrays, unless another process has done so meanwhile; what a killed one left of them goes."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.is_dir():
            return
        for leftover in folder.parent.glob(f".{folder.name}-*"):
            shutil.rmtree(leftover)
        with new_folder(folder) as partial:
            for name in ARRAYS:
                np.save(partial / f"{name}.npy", getattr(graph, name))
            (partial / "names.json").write_text(json.dumps({name: getattr(graph, name) for name in NAMES}))


def graph_key(builders: Sequence[EdgeBuilder], known: Known, size: int | None) -> str | None:
    """What tells a graph of a store apart from its others: builders, their options, the files that they read.

    None for one that is not kept: a builder is not genograph's own, and nothing tells whether it would do the same
    again, or thins the map by a seed, and no other run may ask for that again.

    Args:
        builders: Of the edges.
        known: What they know besides nodes; contacts and genes are the store's.
        size: bp of the level's nodes, None for the smallest.
    """
    parts = [f"{FORMAT_VERSION} {size} {sorted(known.aliases.items())} {known.whole_genome}"]
    for builder in builders:
        if not type(builder).__module__.startswith("genograph.") or getattr(builder, "downsample", 1) < 1:
            return None
        files = [value for value in vars(builder).values() if isinstance(value, Path)]
        parts += [repr(builder), *(sha256(file) for file in files if file.is_file())]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
