"""A genome's graph as a file: BEDPE and GraphML."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from genograph.atomic import replacing
from genograph.errors import InputError
from genograph.graph.batch import EDGE_MEASURES
from genograph.graph.checking import check_folder
from genograph.graph.genome_graph import GenomeGraph
from genograph.graph.interchange import to_networkx

ROWS = 500_000  # edges written at once


def write_graph(graph: GenomeGraph, path: str | Path) -> None:
    """Write each edge once: as BEDPE (`.bedpe`, `.bedpe.gz`) or GraphML (`.graphml`).

    BEDPE has a header line and the columns chrom1, start1, end1, chrom2, start2, end2, type, weight and
    log10_distance, then the graph's own attributes, sorted by the second place.

    Raises:
        InputError: If the file's suffix is another, or its folder is not there.

    >>> from genograph import Bins
    >>> write_graph(GenomeGraph.from_edges(Bins({"chr1": 5000}, 1000), [0], [3], kind="loop"), "graph.bedpe")
    >>> Path("graph.bedpe").read_text().splitlines()[1].split()[:7]
    ['chr1', '0', '1000', 'chr1', '3000', '4000', 'loop']
    """
    path = Path(path)
    if not path.name.endswith((".bedpe", ".bedpe.gz", ".graphml")):
        raise InputError(f"Cannot write a graph to '{path}': name it .bedpe, .bedpe.gz or .graphml.")
    check_folder(path)
    with replacing(path) as written:
        if path.suffix == ".graphml":
            import networkx

            networkx.write_graphml(to_networkx(graph), written)
        else:
            _write_bedpe(graph, written, is_gzipped=path.suffix == ".gz")


def _write_bedpe(graph: GenomeGraph, path: Path, *, is_gzipped: bool) -> None:
    # Without a fixed time in its header a gzip file differs every time it is written.
    compression = {"method": "gzip", "mtime": 0} if is_gzipped else None
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
        for name in (*EDGE_MEASURES, *graph.attributes):
            columns[name] = graph.edge_attr[part, graph.attribute_names.index(name)]
        yield pd.DataFrame(columns)
