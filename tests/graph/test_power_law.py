"""Edges by distance alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genograph.errors import InputError
from genograph.genome.bins import Bins
from genograph.graph import PowerLawEdges, build_graph
from tests.maps import open_map


def pairs_of(graph) -> list[tuple[int, int]]:
    return sorted((int(s), int(d)) for s, d in graph.edge_index.T if s < d)


def test_a_node_is_joined_to_the_nearest_on_both_sides():
    """Both count, also where only one is asked for; the two nodes at either end have one side alone."""
    graph = build_graph([PowerLawEdges(top_k=1, min_distance=2000)], Bins({"chr1": 8000}, 1000))
    assert pairs_of(graph) == [(0, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7)]


def test_nodes_at_the_end_reach_farther_for_as_many_partners():
    graph = build_graph([PowerLawEdges(top_k=2, min_distance=1000)], Bins({"chr1": 6000}, 1000))
    assert pairs_of(graph) == [(0, 1), (0, 2), (1, 2), (2, 3), (3, 4), (3, 5), (4, 5)]


def test_closer_pairs_than_the_least_distance_are_left_out():
    graph = build_graph([PowerLawEdges(min_distance=2500)], Bins({"chr1": 9000}, 1000))
    assert graph.nodes.distance(*graph.edge_index).min() == 3


def test_every_weight_is_that_of_a_pair_that_meets_as_often_as_expected():
    graph = build_graph([PowerLawEdges(min_distance=1000)], Bins({"chr1": 9000}, 1000))
    assert set(graph.weight.tolist()) == {np.log2(1 + 1.0)}


def test_masked_nodes_are_passed_over(tmp_path):
    nodes = Bins({"chr1": 6000}, 1000)
    weight = np.array([1, 1, np.nan, 1, 1, 1])
    contacts = open_map(tmp_path, nodes, np.ones((6, 6), int), weight)
    graph = build_graph([PowerLawEdges(top_k=1, min_distance=2000)], nodes, contacts)
    assert pairs_of(graph) == [(0, 3), (1, 3), (1, 4), (3, 5)]


def test_contacts_are_of_no_consequence_but_for_the_mask(tmp_path):
    nodes = Bins({"chr1": 30_000}, 1000)
    contacts = open_map(tmp_path, nodes, np.random.default_rng(0).poisson(3.0, (30, 30)))
    builder = PowerLawEdges(min_distance=3000)
    assert pairs_of(build_graph([builder], nodes, contacts)) == pairs_of(build_graph([builder], nodes))


@given(
    size=st.integers(1, 14),
    circular=st.booleans(),
    top_k=st.integers(1, 5),
    least=st.integers(0, 4),
)
def test_edges_equal_a_ranking_of_each_nodes_partners(size, circular, top_k, least):
    nodes = Bins({"a": size * 1000, "b": 3000}, 1000, circular=frozenset({"a"} if circular else ()))
    expected = set()
    for node in range(len(nodes)):
        distance = nodes.distance(np.full(len(nodes), node), np.arange(len(nodes)))
        usable = np.flatnonzero(distance >= max(least, 1))
        farthest = np.sort(distance[usable])[:top_k][-1:]
        expected |= {(min(node, int(other)), max(node, int(other))) for other in usable if distance[other] <= farthest}
    assert pairs_of(build_graph([PowerLawEdges(top_k=top_k, min_distance=least * 1000)], nodes)) == sorted(expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top_k": 0}, "power_law: top_k must be at least 1; got 0"),
        ({"min_distance": -1}, "power_law: min_distance must not be negative; got -1"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        PowerLawEdges(**options)
