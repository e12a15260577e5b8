"""The graph as a file for other tools."""

from __future__ import annotations

import networkx
import numpy as np
import pandas as pd
import pytest

from genograph.errors import InputError
from genograph.genome.bins import Bins
from genograph.graph import GenomeGraph, HiCEdges, LinearEdges, TransEdges, build_graph
from genograph.graph import export as export_module
from genograph.graph.export import write_graph
from genograph.graph.interchange import to_networkx
from tests.maps import open_map


@pytest.fixture
def graph(tmp_path) -> GenomeGraph:
    """Three nodes of chr1, the last of them short, and two of chr2, the first of them masked."""
    nodes = Bins({"chr1": 2500, "chr2": 2000}, 1000, partial=True)
    counts = np.zeros((5, 5), int)
    counts[0, 2] = counts[1, 4] = 5
    contacts = open_map(tmp_path / "map", nodes, counts, np.array([1, 1, 1, np.nan, 1]), trans=True)
    edges = [HiCEdges(min_distance=2000, pseudocount=0), TransEdges(pseudocount=0)]
    return build_graph([LinearEdges(), *edges], nodes, contacts)


ROWS = [
    ("chr1", 0, 1000, "chr1", 1000, 2000, "linear", 1.0, 3.0),
    ("chr1", 0, 1000, "chr1", 2000, 2500, "hic", 1.0, np.log10(2000)),
    ("chr1", 1000, 2000, "chr1", 2000, 2500, "linear", 1.0, 3.0),
    ("chr2", 0, 1000, "chr2", 1000, 2000, "linear", 1.0, 3.0),
    ("chr1", 1000, 2000, "chr2", 1000, 2000, "trans", 2.0, np.log10(2500)),
]


@pytest.mark.parametrize("name", ["graph.bedpe", "graph.bedpe.gz"])
@pytest.mark.parametrize("rows", [2, 500_000])
def test_bedpe_has_every_edge_once(graph, tmp_path, monkeypatch, name, rows):
    monkeypatch.setattr(export_module, "ROWS", rows)
    write_graph(graph, tmp_path / name)
    table = pd.read_csv(tmp_path / name, sep="\t")
    assert " ".join(table) == "#chrom1 start1 end1 chrom2 start2 end2 type weight log10_distance"
    found = sorted(table.itertuples(index=False, name=None))
    for row, expected in zip(found, sorted(ROWS), strict=True):
        assert row[:7] == expected[:7]
        assert row[7:] == pytest.approx(expected[7:])


def test_a_compressed_file_holds_no_time_so_that_it_can_be_compared(graph, tmp_path):
    write_graph(graph, tmp_path / "graph.bedpe.gz")
    assert (tmp_path / "graph.bedpe.gz").read_bytes()[4:8] == bytes(4)


def test_a_graph_without_edges_has_a_header(tmp_path):
    write_graph(build_graph([], Bins({"chr1": 2000}, 1000)), tmp_path / "empty.bedpe")
    assert (tmp_path / "empty.bedpe").read_text().startswith("#chrom1\tstart1\tend1")
    assert (tmp_path / "empty.bedpe").read_text().count("\n") == 1


def test_graphml_is_read_back_by_networkx(graph, tmp_path):
    write_graph(graph, tmp_path / "graph.graphml")
    result, expected = networkx.read_graphml(tmp_path / "graph.graphml", force_multigraph=True), to_networkx(graph)
    assert dict(result.nodes(data=True)) == dict(expected.nodes(data=True))
    assert networkx.utils.edges_equal(result.edges(data=True), expected.edges(data=True))


def test_an_unknown_suffix_is_refused(graph, tmp_path):
    with pytest.raises(InputError, match=r"graph\.txt'.*\.bedpe, \.bedpe\.gz or \.graphml"):
        write_graph(graph, tmp_path / "graph.txt")


@pytest.mark.parametrize("name", ["graph.bedpe", "graph.graphml"])
def test_a_folder_that_is_not_there_is_told(graph, tmp_path, name):
    with pytest.raises(InputError, match=r"cannot write .*nowhere.*: there is no folder .*nowhere\. Make it first"):
        write_graph(graph, tmp_path / "nowhere" / name)


@pytest.mark.parametrize("name", ["graph.bedpe", "graph.bedpe.gz", "graph.graphml"])
def test_a_file_that_is_half_written_does_not_take_the_place_of_a_whole_one(graph, tmp_path, name, monkeypatch):
    (tmp_path / name).write_text("whole")

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(export_module, "_bedpe_tables", interrupted)
    monkeypatch.setattr(export_module, "to_networkx", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_graph(graph, tmp_path / name)
    assert {each.name for each in tmp_path.iterdir()} == {"map", name}
    assert (tmp_path / name).read_text() == "whole"
