"""Graphs over larger nodes, and controls that change every level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from genograph.errors import InputError
from genograph.genome.bins import Bins
from genograph.genome.splits import NONE, TEST, TRAIN
from genograph.graph import CONTROLS, Edges, HiCEdges, Known, LinearEdges, build_graph
from genograph.graph.controls import DropType, Isolated, LinearMatched, NothingToChange, Rewired
from genograph.graph.genome_graph import Pairs
from genograph.graph.levels import build_levels, control_levels, larger_nodes
from tests.maps import open_map, read

SIZES = {"chr1": 90_500, "chr2": 30_000}
NODES, LARGER = (Bins(SIZES, size, partial=True) for size in (1000, 3000))  # 91 + 30 and 31 + 10 nodes
OPTIONS = {"drop_type": {"type": "hic"}, "drop_attribute": {"attribute": "weight"}}
SPLITS = np.repeat([TRAIN, TEST, NONE, TRAIN], [50, 40, 1, 30])  # of the nodes, each of which is a bin


@dataclass(frozen=True)
class Given:
    """Pairs as they are given: (source, destination, weight)."""

    pairs: tuple[tuple[int, int, float], ...]
    name: ClassVar[str] = "loop"

    def __call__(self, nodes: Bins, known: Known) -> Edges:
        first, second, weight = np.array(self.pairs, dtype=float).T
        return Edges(first.astype(int), second.astype(int), weight)


@pytest.fixture(scope="module")
def contacts(tmp_path_factory):
    """A map with one masked node, and a larger one of which all parts are."""
    rng, weight = np.random.default_rng(0), np.ones(len(NODES))
    weight[[4, 9, 10, 11]] = np.nan
    return open_map(tmp_path_factory.mktemp("map"), NODES, rng.poisson(4.0, (121, 121)), weight)


@pytest.fixture(scope="module")
def levels(contacts):
    builders = [LinearEdges(), HiCEdges(top_k=2, min_distance=2000)]
    return build_levels([builders, builders], NODES, [3000], Known(contacts=contacts))


def pairs(graph):
    return {
        (int(a), int(b), graph.edge_types[kind], float(weight))
        for a, b, kind, (weight, *_) in zip(*graph.pairs(), strict=True)
    }


def controlled(levels, *controls, seed=0):
    return control_levels(levels, controls, np.arange(len(NODES)), SPLITS, seed)


def test_larger_nodes_have_the_edges_that_their_map_gives(levels, contacts, tmp_path):
    direct = read(contacts.folder / "map.cool", tmp_path / "larger", LARGER)
    expected = build_graph([LinearEdges(), HiCEdges(top_k=2, min_distance=2000)], LARGER, direct)
    assert levels[1].nodes == LARGER
    assert np.array_equal(levels[1].edge_index, expected.edge_index)
    np.testing.assert_allclose(levels[1].edge_attr, expected.edge_attr, rtol=1e-5)
    assert len(pairs(levels[1])) > 20


def test_a_larger_node_is_masked_when_all_of_its_parts_are(levels):
    assert np.flatnonzero(levels[0].masked).tolist() == [4, 9, 10, 11]
    assert np.flatnonzero(levels[1].masked).tolist() == [3]


def test_larger_nodes_need_no_map():
    (_, larger) = build_levels([[], [LinearEdges()]], NODES, [3000], Known())
    assert larger.num_edges == 2 * (30 + 9)
    assert not larger.masked.any()


def test_a_node_lies_in_the_larger_node_that_holds_it(levels):
    assert larger_nodes(np.array([0, 2, 3, 90, 91, 120, -1]), NODES, levels[1]).tolist() == [0, 0, 1, 30, 31, 40, -1]
    assert np.array_equal(larger_nodes(np.arange(121), NODES, levels[0]), np.arange(121))


@pytest.mark.parametrize("name", CONTROLS)
def test_a_control_changes_every_level_and_keeps_its_nodes_and_columns(name, levels):
    changed = controlled(levels, CONTROLS[name](**OPTIONS.get(name, {})))
    for before, after in zip(levels, changed, strict=True):
        assert pairs(before) != pairs(after)
        assert (after.nodes, after.attribute_names) == (before.nodes, before.attribute_names)


def test_contacts_of_larger_nodes_are_rewired_too(levels):
    changed = controlled(levels, Rewired())
    for before, after in zip(levels, changed, strict=True):
        assert np.array_equal(before.degree("hic"), after.degree("hic"))
        ends = [{(a, b) for a, b, kind, _ in pairs(each) if kind == "hic"} for each in (before, after)]
        assert len(ends[0] & ends[1]) < 0.6 * len(ends[0])  # few have others of their class and group to swap with


def test_no_edge_of_larger_nodes_gives_way_to_one_between_other_splits(levels):
    def crossing(graph):
        number = np.repeat([0, 1, 2, 3, 4], [16, 1, 13, 1, 10])  # train, divided, test, unused, train
        return sorted(zip(*np.sort(number[np.stack(graph.pairs()[:2])], axis=0).tolist(), strict=True))

    assert crossing(controlled(levels, Rewired())[1]) == crossing(levels[1])


def test_the_smallest_nodes_change_as_without_larger_ones_and_each_level_has_its_own_chance(levels):
    alone, both = controlled(levels[:1], Rewired(), seed=5), controlled(levels, Rewired(), seed=5)
    assert pairs(alone[0]) == pairs(both[0])
    same = controlled([levels[0], levels[0]], Rewired(), seed=5)
    assert pairs(same[0]) != pairs(same[1])


def test_a_level_in_which_a_control_finds_nothing_stays_as_it_is():
    levels = build_levels(
        [[LinearEdges(), Given(((0, 9, 1.0), (1, 12, 2.0)))], [LinearEdges()]], NODES, [3000], Known()
    )
    changed = controlled(levels, DropType(type="loop"))
    assert pairs(changed[1]) == pairs(levels[1])
    assert changed[0].degree("loop").sum() == 0


def test_contacts_that_only_larger_nodes_have_are_changed_alone(levels):
    changed = controlled([build_graph([LinearEdges()], NODES), levels[1]], Rewired())
    assert changed[0].num_edges == 2 * (90 + 29)
    assert pairs(changed[1]) != pairs(levels[1])


def test_a_control_that_finds_nothing_on_any_level_is_refused(levels):
    with pytest.raises(NothingToChange, match=r"drop_type: the graph has no 'loop' edges"):
        controlled(levels, DropType(type="loop"))


def test_a_control_that_refuses_a_level_says_which(levels):
    first, second = np.triu_indices(16, 1)  # every two of the training split of chr1
    attr = np.ones((len(first), len(levels[1].attribute_names)), dtype=np.float32)
    crowded = levels[1].with_pairs(Pairs(first, second, np.ones(len(first), dtype=int), attr))
    with pytest.raises(InputError, match=r"^graph\.coarse\[0\]: linear_matched: chr1 has room for"):
        controlled([levels[0], crowded], LinearMatched())


def test_controls_come_one_after_the_other_on_every_level(levels):
    changed = controlled(levels, DropType(type="linear"), Isolated())
    assert [graph.num_edges for graph in changed] == [0, 0]
