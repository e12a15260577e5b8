"""Graphs of a list of edges, and on disk."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from genograph.errors import InputError
from genograph.genome.bins import Bins
from genograph.genome.sites import Sites
from genograph.graph import CONTROLS, GenomeGraph, SavedEdges, build_graph

NODES = Bins({"chr1": 4000, "chr2": 3000}, 1000)


def test_edges_run_both_ways_with_weights_and_types():
    graph = GenomeGraph.from_edges(NODES, [0, 5], [2, 1], weight=[0.5, 2], kind=["loop", "linear"])
    assert graph.edge_index.tolist() == [[2, 5, 0, 1], [0, 1, 2, 5]]
    assert graph.edge_types == ("loop", "linear")
    assert graph.edge_attr.tolist() == [
        [0.5, np.float32(np.log10(2000)), 1, 0],
        [2, np.float32(np.log10(4000)), 0, 1],
        [0.5, np.float32(np.log10(2000)), 1, 0],
        [2, np.float32(np.log10(4000)), 0, 1],
    ]
    assert graph.contact_types == ("loop",)
    assert not graph.masked.any()


def test_an_edge_of_a_node_to_itself_is_left_out_and_counted(caplog):
    caplog.set_level(logging.INFO, logger="genograph")
    assert GenomeGraph.from_edges(NODES, [0, 1, 1], [0, 2, 1]).num_edges == 2
    assert "2 of 3 edges join a node to itself and are left out." in caplog.text


def test_of_edges_that_come_twice_either_way_round_the_largest_weight_stays():
    assert GenomeGraph.from_edges(NODES, [0, 2, 0], [2, 0, 2], weight=[1, 3, 2]).weight.tolist() == [3, 3]


def test_without_edges_there_is_a_graph_without_edges():
    graph = GenomeGraph.from_edges(NODES, [], [])
    assert (graph.num_nodes, graph.num_edges, graph.edge_types) == (7, 0, ("contact",))
    assert GenomeGraph.from_edges(NODES, [], [], kind=[]).edge_types == ()


@pytest.mark.parametrize(
    ("source", "destination", "options", "message"),
    [
        ([0, 7], [1, 2], {}, "edge 1 ends in node 7, but the 7 nodes are numbered from 0"),
        ([0], [-1], {}, "edge 0 ends in node -1"),
        ([0.0], [1.0], {}, r"edges are between nodes by number, a list of whole numbers; got float64, shape \(1,\)"),
        ([[0, 1]], [[1, 2]], {}, r"got int64, shape \(1, 2\)"),
        (["chr1:0-1000"], [1], {}, "a list of whole numbers; got <U11"),
        ([0, 1], [1], {}, "every edge has two ends; got 2 sources and 1 destinations"),
        ([0], [1], {"weight": [np.nan]}, "edge 0 has a weight of nan; a weight is a number of 0 or more"),
        ([0], [1], {"weight": -1}, "edge 0 has a weight of -1.0"),
        ([0], [1], {"weight": np.inf}, "edge 0 has a weight of inf"),
        ([0], [1], {"weight": [1, 2]}, r"1 edges have 1 weights, or one for all; got an array of shape \(2,\)"),
        ([0], [1], {"weight": "much"}, "a weight is a number of 0 or more: could not convert"),
        ([0], [1], {"kind": ["a", "b"]}, "1 edges have 1 types, or one for all, as text; got 2 types"),
        ([0], [1], {"kind": 3}, "1 edges have 1 types, or one for all, as text; got '3', which is no text"),
        ([0], [1], {"attributes": ["b"]}, r"attributes are numbers by name, such as .*; got \['b'\]\."),
        ([0], [1], {"kind": "log10_distance"}, "edges cannot be of type 'log10_distance': that is an attribute"),
        ([0], [1], {"kind": [""]}, "edges cannot be of type '': that is nothing"),
    ],
)
def test_what_is_no_edge_is_one_line(source, destination, options, message):
    with pytest.raises(InputError, match=message):
        GenomeGraph.from_edges(NODES, source, destination, **options)


def saved(tmp_path, nodes=NODES) -> tuple[GenomeGraph, list[dict]]:
    graph = GenomeGraph.from_edges(nodes, [0, 0, 1], [2, 1, 2], weight=[0.5, 1, 2], kind=["loop", "linear", "loop"])
    return graph, graph.save(tmp_path / "graph.npz")


def built(edges: list[dict], nodes=NODES) -> GenomeGraph:
    return build_graph([SavedEdges(file=edge["file"], type=edge["type"]) for edge in edges], nodes)


SITES = Sites({"chr1": 4000}, 100, chrom=np.zeros(3, int), start=np.array([0, 150, 900]))


@pytest.mark.parametrize("nodes", [NODES, Bins({"chr1": 3500}, 1000, True, frozenset({"chr1"})), SITES])
def test_a_saved_graph_is_built_again_from_what_the_config_says(tmp_path, nodes):
    graph, edges = saved(tmp_path, nodes)
    assert edges == [
        {"name": "saved", "file": str(tmp_path / "graph.npz"), "type": "loop"},
        {"name": "saved", "file": str(tmp_path / "graph.npz"), "type": "linear"},
    ]
    again = built(edges, nodes)
    assert again.edge_types == graph.edge_types
    np.testing.assert_array_equal(again.edge_index, graph.edge_index)
    np.testing.assert_array_equal(again.edge_attr, graph.edge_attr)


@pytest.mark.parametrize(
    ("nodes", "differs"),
    [
        (Bins({"chr1": 4000, "chr2": 3000}, 500), "bin_size"),
        (Bins({"chr1": 4000, "chr2": 3001}, 1000), "sizes"),
        (Bins({"chr1": 4000, "chr3": 3000}, 1000), "chroms"),
        (Bins({"chr1": 4000, "chr2": 3000}, 1000, partial=True), "partial"),
        (Bins({"chr1": 4000, "chr2": 3000}, 1000, circular=frozenset({"chr2"})), "circular"),
        (Sites(NODES.sizes, 1000, chrom=np.zeros(3, int), start=np.array([0, 1000, 2000])), "chrom"),
    ],
)
def test_a_saved_graph_of_other_nodes_is_refused(tmp_path, nodes, differs):
    _, edges = saved(tmp_path)
    with pytest.raises(InputError, match=rf"over other nodes than this config's, which differ in {differs}\. Make it"):
        built(edges, nodes)


def test_sites_in_other_places_are_other_nodes(tmp_path):
    _, edges = saved(tmp_path, SITES)
    moved = Sites({"chr1": 4000}, 100, chrom=np.zeros(3, int), start=np.array([0, 150, 901]))
    with pytest.raises(InputError, match="which differ in start"):
        built(edges, moved)


def test_a_type_that_was_not_saved_names_the_nearest(tmp_path):
    _, edges = saved(tmp_path)
    with pytest.raises(InputError, match=r"has no 'loops' edges\. Did you mean 'loop'\?"):
        built([edges[0] | {"type": "loops"}])


@pytest.mark.parametrize("content", [b"", b"chr1\t0\n", b"PK\x03\x04"])
def test_a_file_that_is_no_saved_graph_is_one_line(tmp_path, content):
    (tmp_path / "graph.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"is no saved graph .* Write it anew: GenomeGraph\.save"):
        built([{"file": tmp_path / "graph.npz", "type": "loop"}])


def test_other_arrays_are_no_saved_graph(tmp_path):
    np.savez(tmp_path / "graph.npz", first=[0])
    with pytest.raises(InputError, match="is no saved graph"):
        built([{"file": tmp_path / "graph.npz", "type": "loop"}])
    GenomeGraph.from_edges(NODES, [0], [1], kind="loop").save(tmp_path / "graph.npz")
    with np.load(tmp_path / "graph.npz") as file:
        np.savez(tmp_path / "graph.npz", **{name: each for name, each in file.items() if name != "nodes.chroms"})
    with pytest.raises(InputError, match="over other nodes"):
        built([{"file": tmp_path / "graph.npz", "type": "loop"}])


def test_a_graph_is_saved_only_to_a_folder_that_is_there(tmp_path):
    with pytest.raises(InputError, match=r"cannot write .*graph\.npz: there is no folder .*nowhere\. Make it first"):
        GenomeGraph.from_edges(NODES, [0], [1]).save(tmp_path / "nowhere" / "graph.npz")


def test_the_same_graph_gives_the_same_bytes(tmp_path):
    saved(tmp_path)
    before = (tmp_path / "graph.npz").read_bytes()
    saved(tmp_path)
    assert (tmp_path / "graph.npz").read_bytes() == before


def test_a_graph_whose_partners_are_anothers_is_not_saved(tmp_path):
    graph, _ = saved(tmp_path)
    emptied = CONTROLS["isolated"]()(graph, np.zeros(7, int), np.random.default_rng(0))
    with pytest.raises(InputError, match="a graph whose partners are those of another graph is not saved"):
        emptied.save(tmp_path / "other.npz")
    assert not (tmp_path / "other.npz").exists()
