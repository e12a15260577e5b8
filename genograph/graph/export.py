"""A genome's graph for other tools: networkx, PyTorch Geometric, BEDPE and GraphML."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from genograph.errors import InputError
from genograph.graph.genome_graph import GenomeGraph

if TYPE_CHECKING:
    import networkx
    from torch_geometric.data import Data

ROWS = 500_000  # edges written at once


def to_networkx(graph: GenomeGraph) -> networkx.MultiGraph:
    """An undirected networkx graph whose nodes are named `chrom:start-end`.

    A node has `chrom`, `start`, `end` and `masked`; an edge's key is its type and it has `weight` and
    `log10_distance`. Meant for parts of a genome: a million edges take seconds and a gigabyte.
    """
    import networkx

    result = networkx.MultiGraph()
    names = []
    for number in range(graph.num_nodes):
        place = graph.nodes.interval(number)
        names.append(str(place))
        masked = bool(graph.masked[number])
        result.add_node(names[-1], chrom=place.chrom, start=place.start, end=place.end, masked=masked)
    for edge in np.flatnonzero(graph.edge_index[0] < graph.edge_index[1]):
        source, destination = graph.edge_index[:, edge]
        weight, log10_distance = (float(value) for value in graph.edge_attr[edge, :2])
        kind = graph.edge_types[graph.edge_type[edge]]
        result.add_edge(
            names[source],
            names[destination],
            key=kind,
            type=kind,
            weight=weight,
            log10_distance=log10_distance,
        )
    return result


def to_pyg(graph: GenomeGraph) -> Data:
    """A PyTorch Geometric `Data` with the graph's `edge_index`, `edge_attr`, `edge_type` and `masked`."""
    import torch
    from torch_geometric.data import Data

    arrays = {name: getattr(graph, name) for name in ("edge_index", "edge_attr", "edge_type", "masked")}
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
    return Data(num_nodes=graph.num_nodes, **tensors)


def write_graph(graph: GenomeGraph, path: str | Path) -> None:
    """Write each edge once: as BEDPE (`.bedpe`, `.bedpe.gz`) or GraphML (`.graphml`).

    BEDPE has a header line and the columns chrom1, start1, end1, chrom2, start2, end2, type, weight and
    log10_distance, sorted by the second place.

    Raises:
        InputError: If the file's suffix is another.
    """
    path = Path(path)
    if path.name.endswith((".bedpe", ".bedpe.gz")):
        _write_bedpe(graph, path)
    elif path.suffix == ".graphml":
        import networkx

        networkx.write_graphml(to_networkx(graph), path)
    else:
        raise InputError(f"Cannot write a graph to '{path}': name it .bedpe, .bedpe.gz or .graphml.")


def _write_bedpe(graph: GenomeGraph, path: Path) -> None:
    # Without a fixed time in its header a gzip file differs every time it is written.
    compression = {"method": "gzip", "mtime": 0} if path.suffix == ".gz" else None
    for number, table in enumerate(_bedpe_tables(graph)):
        mode = "w" if number == 0 else "a"
        table.to_csv(path, sep="\t", index=False, header=number == 0, mode=mode, compression=compression)


def _bedpe_tables(graph: GenomeGraph) -> Iterator[pd.DataFrame]:
    edges = np.flatnonzero(graph.edge_index[0] < graph.edge_index[1])
    chroms, types = np.asarray(graph.nodes.chroms), np.asarray(graph.edge_types)
    for start in range(0, max(len(edges), 1), ROWS):
        part = edges[start : start + ROWS]
        columns = {}
        for end, nodes in (("1", graph.edge_index[0, part]), ("2", graph.edge_index[1, part])):
            columns[f"{'#' if end == '1' else ''}chrom{end}"] = chroms[graph.nodes.chrom_index(nodes)]
            columns[f"start{end}"] = graph.nodes.starts(nodes)
            columns[f"end{end}"] = graph.nodes.ends(nodes)
        columns["type"] = types[graph.edge_type[part]]
        columns["weight"], columns["log10_distance"] = graph.edge_attr[part, :2].T
        yield pd.DataFrame(columns)
