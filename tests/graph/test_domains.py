"""Edges within domains."""

from __future__ import annotations

import pytest

from genograph.errors import InputError
from genograph.genome.bins import Bins
from genograph.graph import DomainEdges, build_graph
from genograph.graph import placing as placing_module

NODES = Bins({"chr1": 10_000, "chr2": 5_000}, 1000)


def pairs(tmp_path, *lines: str, **options) -> set[tuple[int, int]]:
    path = tmp_path / "domains.bed"
    path.write_text("".join(f"{line}\n" for line in lines))
    graph = build_graph([DomainEdges(file=path, **options)], NODES)
    assert set(graph.weight.tolist()) == {1}
    return {(int(source), int(destination)) for source, destination in graph.edge_index.T if source < destination}


def test_the_nodes_of_a_domain_are_joined_to_each_other_and_to_no_others(tmp_path):
    assert pairs(tmp_path, "chr1 0 3000", "chr2 1000 3000") == {(0, 1), (0, 2), (1, 2), (11, 12)}


def test_a_node_is_of_the_domain_that_holds_its_midpoint(tmp_path):
    assert pairs(tmp_path, "chr1 500 2500") == {(0, 1)}
    assert pairs(tmp_path, "chr1 501 2501") == {(1, 2)}


def test_a_reach_bounds_how_far_nodes_of_a_domain_are_joined(tmp_path):
    assert pairs(tmp_path, "chr1 0 4000", "chr1 4000 6000", reach=1) == {(0, 1), (1, 2), (2, 3), (4, 5)}
    assert pairs(tmp_path, "chr1 0 4000", reach=2) == {(0, 1), (1, 2), (2, 3), (0, 2), (1, 3)}


def test_nested_domains_join_a_pair_once(tmp_path):
    assert pairs(tmp_path, "chr1 0 3000", "chr1 0 2000") == {(0, 1), (0, 2), (1, 2)}


@pytest.mark.parametrize(
    ("line", "options", "message"),
    [
        ("chr1 0 1400", {}, "no domain holds two nodes of 1,000 bp"),
        ("chr1 10000 12000", {}, "domains.bed, line 1: wrong assembly"),
        ("chr1 0 5000", {"reach": 0}, "domains: reach counts nodes and must be at least 1; got 0"),
    ],
)
def test_what_makes_no_edges_is_one_line(tmp_path, line, options, message):
    with pytest.raises(InputError, match=message):
        pairs(tmp_path, line, **options)


def test_more_pairs_of_nodes_than_memory_holds_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(placing_module, "MAX_PAIRS", 10)
    assert len(pairs(tmp_path, "chr1 0 5000")) == 10
    with pytest.raises(InputError, match=r"joins 11 pairs of nodes, more than 10\. Give a smaller reach"):
        pairs(tmp_path, "chr1 0 5000", "chr2 0 2000")
