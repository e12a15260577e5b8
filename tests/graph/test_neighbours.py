"""Partners and subgraphs, against brute force."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.utils import subgraph

from genograph.genome.bins import Bins
from genograph.graph import GenomeGraph, HiCEdges, LinearEdges, TransEdges, build_graph
from genograph.graph.neighbours import induced_edges, strongest_partners
from tests.maps import open_map

NODES = Bins({"chr1": 12_000, "chr2": 8_000}, 1000)


@pytest.fixture(scope="module")
def graph(tmp_path_factory) -> GenomeGraph:
    rng = np.random.default_rng(0)
    weight = np.ones(20)
    weight[[3, 15]] = np.nan
    contacts = open_map(tmp_path_factory.mktemp("map"), NODES, rng.poisson(2.0, (20, 20)), weight, trans=True)
    return build_graph([LinearEdges(), HiCEdges(top_k=3, min_distance=2000), TransEdges(top_k=3)], NODES, contacts)


seeds = st.lists(st.integers(0, 19), min_size=1, max_size=8, unique=True)


@given(seeds=seeds, k=st.integers(0, 20), forbidden=st.sets(st.integers(0, 19), max_size=10))
def test_partners_have_the_greatest_summed_weight_to_the_seeds(graph, seeds, k, forbidden):
    allowed = ~np.isin(np.arange(20), list(forbidden))
    total = dict.fromkeys(range(20), 0.0)
    for (source, destination), kind, weight in zip(graph.edge_index.T, graph.edge_type, graph.weight, strict=True):
        if graph.edge_types[kind] != "linear" and destination in seeds and source not in seeds and allowed[source]:
            total[int(source)] += float(weight)
    best = sorted((node for node in total if total[node] > 0), key=lambda node: (-total[node], node))
    found = strongest_partners(graph, np.array(seeds), k, allowed)
    assert [total[node] for node in found.tolist()] == pytest.approx([total[node] for node in best[:k]])
    assert set(found.tolist()) <= set(best)


def test_ties_go_to_the_lower_node(tmp_path):
    nodes = Bins({"chr1": 6000}, 1000, circular=frozenset({"chr1"}))
    contacts = open_map(tmp_path, nodes, np.full((6, 6), 4))
    graph = build_graph([HiCEdges(min_distance=2000)], nodes, contacts)
    assert strongest_partners(graph, np.array([5]), 2).tolist() == [1, 2]


def test_masked_nodes_are_never_partners():
    """Also where an edge leads to one, as a linear edge does here under another name."""

    class Loops(LinearEdges):
        name = "loops"

    graph = build_graph([Loops(reach=2)], Bins({"chr1": 5000}, 1000))
    graph.masked[1] = True
    assert strongest_partners(graph, np.array([0]), 5).tolist() == [2]


def test_linear_edges_give_no_partners():
    graph = build_graph([LinearEdges(reach=3)], NODES)
    assert strongest_partners(graph, np.array([4, 5]), 5).tolist() == []


def test_a_graph_without_edges_has_no_partners():
    assert strongest_partners(build_graph([], NODES), np.array([4]), 5).tolist() == []


@given(seeds)
def test_induced_edges_equal_those_of_torch_geometric(graph, nodes):
    lookup = np.full(20, -1)
    edge_index, edge_attr = induced_edges(graph, np.array(nodes), lookup)
    attributes = torch.from_numpy(graph.edge_attr)
    whole = torch.from_numpy(graph.edge_index)
    expected, expected_attr = subgraph(torch.tensor(nodes), whole, attributes, num_nodes=20)
    found = [(nodes[s], nodes[d], *attr) for s, d, attr in zip(*edge_index.tolist(), edge_attr.tolist(), strict=True)]
    assert sorted(found) == sorted(
        (s, d, *attr) for s, d, attr in zip(*expected.tolist(), expected_attr.tolist(), strict=True)
    )
    assert (np.diff(edge_index[1]) >= 0).all()
    assert (lookup == -1).all()


def test_all_nodes_induce_the_whole_graph(graph):
    edge_index, edge_attr = induced_edges(graph, np.arange(20), np.full(20, -1))
    np.testing.assert_array_equal(edge_index, graph.edge_index)
    np.testing.assert_array_equal(edge_attr, graph.edge_attr)
