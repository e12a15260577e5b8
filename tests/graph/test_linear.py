"""Edges along the chromosome."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genograph.errors import InputError
from genograph.genome.bins import Bins
from genograph.graph import LinearEdges, build_graph


def pairs(nodes: Bins, reach: int) -> set[tuple[int, int]]:
    graph = build_graph([LinearEdges(reach=reach)], nodes)
    return {(int(source), int(destination)) for source, destination in graph.edge_index.T if source < destination}


def test_neighbours_are_joined_and_chromosomes_are_not():
    assert pairs(Bins({"chr1": 30, "chr2": 20}, 10), reach=1) == {(0, 1), (1, 2), (3, 4)}


def test_reach_counts_nodes():
    assert pairs(Bins({"chr1": 40}, 10), reach=2) == {(0, 1), (0, 2), (1, 2), (1, 3), (2, 3)}


def test_a_circular_chromosome_closes():
    nodes = Bins({"chr1": 30, "plasmid": 40}, 10, circular=frozenset({"plasmid"}))
    assert pairs(nodes, reach=1) == {(0, 1), (1, 2), (3, 4), (4, 5), (5, 6), (3, 6)}


def test_a_chromosome_of_one_node_has_no_edges():
    nodes = Bins({"chr1": 10, "plasmid": 10}, 10, circular=frozenset({"plasmid"}))
    assert pairs(nodes, reach=3) == set()


def test_every_weight_is_one():
    assert build_graph([LinearEdges(reach=2)], Bins({"chr1": 40}, 10)).weight.tolist() == [1.0] * 10


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(1, 10), st.booleans())
def test_exactly_the_nodes_within_reach_are_joined(counts, reach, circular):
    sizes = {f"chr{number}": 10 * count for number, count in enumerate(counts)}
    nodes = Bins(sizes, 10, circular=frozenset(sizes) if circular else frozenset())
    within = {
        (first, second)
        for first in range(len(nodes))
        for second in range(first + 1, len(nodes))
        if 0 < nodes.distance(first, second) <= reach
    }
    assert pairs(nodes, reach) == within


def test_a_reach_of_none_is_refused():
    with pytest.raises(InputError, match=r"reach counts nodes and must be at least 1; got 0.*edges: \[\]"):
        LinearEdges(reach=0)
