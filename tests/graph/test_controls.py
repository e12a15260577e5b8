"""What each control keeps, exactly, and what it loses."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genograph.config import load_config, parse_config
from genograph.errors import InputError
from genograph.experiment import Experiment
from genograph.genome.bins import Bins
from genograph.genome.interval import Interval
from genograph.genome.regions import Regions
from genograph.genome.splits import NONE, TEST, TRAIN, VALID
from genograph.graph import CONTROLS, Edges, GenomeGraph, Known, LinearEdges, build_graph, node_groups, rewiring
from genograph.graph.controls import DropAttribute, DropType, LinearMatched, Rewired
from genograph.graph.genome_graph import Pairs, log10_distance
from genograph.graph.matching import _candidates, distance_class
from genograph.graph.neighbours import strongest_partners
from genograph.graph.rewiring import part_again, swap_partners, weight_class
from tests.tiny import config_tree, write_world

NODES = Bins({"chr1": 40_000, "plasmid": 20_000}, 1000, circular=frozenset({"plasmid"}))
GROUPS = np.repeat([0, 1, 2], [25, 15, 20])  # two splits of chr1, and the plasmid
OPTIONS = {"drop_type": {"type": "loops"}, "drop_attribute": {"attribute": "weight"}}
RANDOM = ("rewired", "distance_matched", "rewired_by_distance", "node_permuted", "linear_matched")


@dataclass(frozen=True, kw_only=True)
class GivenEdges:
    """Pairs as they are given: (source, destination, weight)."""

    name: ClassVar[str] = "loops"

    pairs: list[tuple[int, int, float]]

    def __call__(self, nodes: Bins, known: Known) -> Edges:
        source, destination, weight = np.array(self.pairs, dtype=float).reshape(-1, 3).T
        return Edges(source.astype(int), destination.astype(int), weight)


def given_graph(pairs, nodes: Bins = NODES, masked=(), linear: int = 1) -> GenomeGraph:
    graph = build_graph([LinearEdges(reach=linear), GivenEdges(pairs=pairs)], nodes)
    graph.masked[list(masked)] = True
    return graph


def random_graph(seed: int, count: int = 60, masked=(3, 30, 47)) -> GenomeGraph:
    """Pairs whose weights are all different; masked nodes have none."""
    rng = np.random.default_rng(seed)
    seen = np.setdiff1d(np.arange(len(NODES)), masked)
    ends = rng.choice(seen, (count, 2))
    return given_graph([(int(a), int(b), 1 + i / 64) for i, (a, b) in enumerate(ends) if a != b], masked=masked)


def applied(name: str, graph: GenomeGraph, seed: int = 0, groups: np.ndarray = GROUPS) -> GenomeGraph:
    return CONTROLS[name](**OPTIONS.get(name, {}))(graph, groups, np.random.default_rng(seed))


def loops(graph: GenomeGraph) -> np.ndarray:
    """(2, pairs) lower and higher node."""
    source, destination = graph.edge_index[:, graph.of_type("loops")]
    return np.stack([source, destination])[:, source < destination]


def degree_to_groups(graph: GenomeGraph, groups: np.ndarray = GROUPS) -> np.ndarray:
    """(nodes, groups) loops of each node to each group."""
    degree = np.zeros((graph.num_nodes, groups.max() + 1), dtype=int)
    source, destination = graph.edge_index[:, graph.of_type("loops")]
    np.add.at(degree, (destination, groups[source]), 1)
    return degree


def group_pairs(graph: GenomeGraph, groups: np.ndarray = GROUPS) -> Counter:
    return Counter(tuple(sorted(pair)) for pair in groups[loops(graph)].T.tolist())


def weights(graph: GenomeGraph) -> list[float]:
    return sorted(graph.weight[graph.of_type("loops")].tolist())


def linear_rows(graph: GenomeGraph) -> list[list[float]]:
    is_linear = graph.of_type("linear")
    return np.concatenate([graph.edge_index.T, graph.edge_attr], axis=1)[is_linear].tolist()


def differ(one: GenomeGraph, other: GenomeGraph) -> bool:
    return one.num_edges != other.num_edges or (one.edge_index != other.edge_index).any()


graphs = st.builds(random_graph, st.integers(0, 10_000), st.integers(5, 150))


@pytest.mark.parametrize("name", CONTROLS)
def test_every_control_is_registered_under_its_name(name):
    assert CONTROLS[name].name == name


@pytest.mark.parametrize("name", CONTROLS)
@settings(max_examples=15, deadline=None)
@given(graph=graphs, seed=st.integers(0, 99))
def test_a_control_leaves_a_sound_graph(name, graph, seed):
    """Sorted, both ways, no loops or doubles, the same nodes and columns."""
    control = applied(name, graph, seed)
    source, destination = control.edge_index
    key = list(zip(destination.tolist(), source.tolist(), control.edge_type.tolist(), strict=True))
    assert key == sorted(set(key))
    attributes = dict(zip(key, control.edge_attr.tolist(), strict=True))
    assert all(s != d and attributes[d, s, kind] == attributes[s, d, kind] for d, s, kind in key)
    assert (np.diff(control.indptr) == np.bincount(destination, minlength=len(NODES))).all()
    assert control.nodes is graph.nodes
    assert control.masked is graph.masked
    assert control.attribute_names == graph.attribute_names
    assert control.edge_attr.shape == (control.num_edges, 4)
    for each in fields(graph):
        if isinstance(value := getattr(graph, each.name), np.ndarray):
            assert getattr(control, each.name).dtype == value.dtype


@pytest.mark.parametrize("name", CONTROLS)
def test_a_control_leaves_the_graph_that_it_was_given(name):
    graph = random_graph(1)
    before = {each.name: np.copy(getattr(graph, each.name)) for each in fields(graph) if each.name.startswith("edge_")}
    applied(name, graph)
    for field, value in before.items():
        np.testing.assert_array_equal(getattr(graph, field), value)


@pytest.mark.parametrize("name", CONTROLS)
def test_the_same_seed_gives_the_same_graph(name):
    graph = random_graph(1)
    one, same = applied(name, graph, 5), applied(name, graph, 5)
    np.testing.assert_array_equal(one.edge_index, same.edge_index)
    np.testing.assert_array_equal(one.edge_attr, same.edge_attr)


@pytest.mark.parametrize("name", RANDOM)
def test_another_seed_gives_another_graph(name):
    graph = random_graph(1, count=61)
    assert differ(applied(name, graph, 5), applied(name, graph, 6))


@pytest.mark.parametrize("name", RANDOM)
def test_it_is_another_graph_than_before_but_for_linear_edges(name):
    graph = random_graph(2)
    control = applied(name, graph)
    assert differ(control, graph)
    assert linear_rows(control) == linear_rows(graph)


@pytest.mark.parametrize("name", [name for name in CONTROLS if name not in RANDOM])
def test_controls_that_only_drop_take_a_graph_without_edges(name):
    empty = given_graph([])
    empty = empty.with_pairs(empty.pairs().take(np.empty(0, dtype=int)))
    assert applied(name, empty).edge_attr.shape == (0, 4)


@pytest.mark.parametrize("name", RANDOM)
@pytest.mark.parametrize("builders", [[LinearEdges()], [LinearEdges(), GivenEdges(pairs=[])], []])
def test_a_control_of_contacts_refuses_a_graph_that_has_none(name, builders):
    with pytest.raises(InputError, match=f"{name}: the graph has no contact edges to change. Leave this control out."):
        applied(name, build_graph(builders, NODES))


@pytest.mark.parametrize("name", ["rewired", "distance_matched", "rewired_by_distance", "node_permuted"])
@settings(max_examples=20, deadline=None)
@given(graph=graphs, seed=st.integers(0, 99))
def test_as_many_edges_join_two_groups_with_the_same_weights_and_none_a_masked_node(name, graph, seed):
    control = applied(name, graph, seed)
    assert group_pairs(control) == group_pairs(graph)
    assert weights(control) == weights(graph)
    assert not control.degree("loops")[control.masked].any()


@pytest.mark.parametrize("name", ["rewired", "rewired_by_distance"])
@settings(max_examples=50, deadline=None)
@given(graph=graphs, seed=st.integers(0, 99))
def test_rewiring_keeps_the_degree_of_every_node_to_every_group(name, graph, seed):
    np.testing.assert_array_equal(degree_to_groups(applied(name, graph, seed)), degree_to_groups(graph))


def kept(control: GenomeGraph, graph: GenomeGraph) -> float:
    """The share of the loops of a graph that a control has too."""
    return len({*map(tuple, loops(control).T.tolist())} & {*map(tuple, loops(graph).T.tolist())}) / len(loops(graph).T)


@settings(max_examples=50, deadline=None)
@given(graph=graphs, seed=st.integers(0, 99))
def test_rewiring_by_distance_keeps_the_edges_of_two_groups_at_every_power_of_two(graph, seed):
    def classes(graph):
        low, high = loops(graph)
        doublings = np.floor(np.log2(np.maximum(1000 * NODES.distance(low, high), 0.5))).astype(int)
        return Counter(zip(*np.sort(GROUPS[[low, high]], axis=0).tolist(), doublings.tolist(), strict=True))

    assert classes(applied("rewired_by_distance", graph, seed)) == classes(graph)


def test_rewiring_by_distance_exchanges_nearly_all_contacts_of_many_nodes():
    """3,000 contacts of 1,000 nodes, 20 to 200 nodes long; their distances change by less than a class."""
    rng, nodes = np.random.default_rng(0), Bins({"chr1": 10**6}, 1000)
    first = rng.integers(0, 800, 3000)
    second = first + np.exp(rng.uniform(np.log(20), np.log(200), 3000)).astype(int)
    graph = given_graph([(a, b, 1 + i / 64) for i, (a, b) in enumerate(zip(first, second, strict=True))], nodes)
    control = applied("rewired_by_distance", graph, groups=np.zeros(1000, dtype=int))
    assert kept(control, graph) < 0.05
    lengths = [np.sort(nodes.distance(*loops(each))) for each in (control, graph)]
    assert (lengths[0] != lengths[1]).any()
    assert np.abs(np.log2(lengths[0] / lengths[1])).max() < 1


def test_rewiring_by_distance_ends_when_it_has_swapped_enough_and_no_contact_is_left_as_it_was(monkeypatch):
    """Of two contacts between chromosomes every round swaps both: 20 times, and once more, as they are back then."""
    rounds, partnered = [], rewiring._partnered
    monkeypatch.setattr(rewiring, "_partnered", lambda *given: rounds.append(1) or partnered(*given))
    graph = given_graph([(0, 45, 1.0), (20, 59, 2.0)])
    assert kept(applied("rewired_by_distance", graph), graph) == 0
    assert len(rounds) == 21


def test_two_contacts_of_one_distance_trade_partners_only_if_both_keep_it():
    """17 and 20 kb are of the class from 2^14 bp on, which 13 kb, from 4 to 17, is not."""
    nodes, one_group = Bins({"chr1": 40_000}, 1000), np.zeros(40, dtype=int)
    for pairs, traded in (([(0, 17), (4, 21)], False), ([(0, 18), (1, 20)], True)):
        graph = given_graph([(*pair, 1.0) for pair in pairs], nodes)
        assert differ(applied("rewired_by_distance", graph, groups=one_group), graph) == traded


def test_contacts_between_chromosomes_trade_partners_at_any_distance():
    graph = given_graph([(0, 45, 1.0), (20, 59, 2.0)])
    assert loops(applied("rewired_by_distance", graph)).T.tolist() == [[20, 45], [0, 59]]


@settings(max_examples=30, deadline=None)
@given(graph=graphs, seed=st.integers(0, 99))
def test_rewiring_keeps_the_degree_of_every_node_within_every_class_of_weight(graph, seed):
    def degrees(graph):
        first, second, kind, attr = graph.pairs()
        weight = attr[kind == 1, 0]
        found = np.zeros((len(NODES), 8), dtype=int)
        for ends in (first[kind == 1], second[kind == 1]):
            np.add.at(found, (ends, (weight[:, None] > np.quantile(weight, np.arange(1, 8) / 8)).sum(axis=1)), 1)
        return found

    np.testing.assert_array_equal(degrees(applied("rewired", graph, seed)), degrees(graph))


def test_rewiring_keeps_the_summed_weight_of_nodes_nearly():
    """Weights of contacts, 1 to 6, on nodes with a strength of their own."""
    graph = contacts_of_strong_and_weak_nodes(np.random.default_rng(0))
    before, after = (strength(each) for each in (graph, applied("rewired", graph, 0, np.zeros(1000, dtype=int))))
    mean = [total / graph.degree("loops").clip(1) for total in (before, after)]
    assert np.corrcoef(before, after)[0, 1] > 0.99
    assert np.corrcoef(*mean)[0, 1] > 0.95


def test_weights_that_are_all_alike_are_one_class():
    pairs = Pairs(*np.zeros((3, 5), dtype=int), np.full((5, 4), 2.0))
    assert weight_class(pairs).tolist() == [0] * 5


def test_classes_of_weight_are_the_eighths_of_each_type_equal_weights_together():
    weight = [*range(1, 17), 5.0, 5.0, 5.0, 9.0]
    pairs = Pairs(*np.repeat([[0], [1]], 20, axis=1), np.repeat([0, 1], [16, 4]), np.array(weight)[:, None])
    found = weight_class(pairs).tolist()
    assert found[:16] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7]
    assert len({*found[16:19]}) == 1
    assert found[19] > found[18]


def contacts_of_strong_and_weak_nodes(rng: np.random.Generator) -> GenomeGraph:
    ends = rng.integers(0, 1000, (3000, 2))
    own = rng.normal(3, 1, 1000)
    weight = np.clip(own[ends].mean(axis=1) + rng.normal(0, 0.3, len(ends)), 1, 6)
    return given_graph([(*pair, w) for pair, w in zip(ends.tolist(), weight, strict=True)], Bins({"chr1": 10**6}, 1000))


def strength(graph: GenomeGraph) -> np.ndarray:
    """(nodes,) summed weight of loops."""
    loop = graph.of_type("loops")
    return np.bincount(graph.edge_index[1, loop], weights=graph.weight[loop], minlength=graph.num_nodes)


@pytest.mark.parametrize("name", ["rewired", "distance_matched", "rewired_by_distance", "linear_matched"])
def test_moved_edges_have_the_distance_of_their_ends(name):
    control = applied(name, random_graph(3))
    np.testing.assert_array_equal(
        control.edge_attr[:, 1], log10_distance(NODES, *control.edge_index).astype(np.float32)
    )


def test_rewiring_leaves_hardly_a_pair_as_it_was():
    rng = np.random.default_rng(0)
    nodes = Bins({"chr1": 1_000_000}, 1000)
    graph = given_graph([(*pair, 1.0) for pair in rng.integers(0, 1000, (2000, 2)).tolist()], nodes)
    control = applied("rewired", graph, groups=np.zeros(1000, dtype=int))
    kept = {*map(tuple, loops(graph).T.tolist())} & {*map(tuple, loops(control).T.tolist())}
    assert kept == set()  # by chance about 2000^2 / (1000^2 / 2) = 8 of them


def test_rewiring_within_classes_of_weight_leaves_hardly_a_pair_as_it_was():
    graph = contacts_of_strong_and_weak_nodes(np.random.default_rng(1))
    control = applied("rewired", graph, groups=np.zeros(1000, dtype=int))
    kept = {*map(tuple, loops(graph).T.tolist())} & {*map(tuple, loops(control).T.tolist())}
    assert len(kept) < 5  # of 3,000


def test_pairs_of_two_classes_never_come_to_join_the_same_nodes():
    """Six nodes, all but one of the fifteen pairs joined: almost any swap would make a pair that there is already."""
    pairs = [(a, b, 1.0 + (a + b) % 4) for a in range(6) for b in range(a)][:-1]
    for seed in range(20):
        control = applied("rewired", given_graph(pairs, Bins({"chr1": 6000}, 1000)), seed, np.zeros(6, dtype=int))
        assert len({*map(tuple, loops(control).T.tolist())}) == 14


def test_rewiring_finds_every_graph_with_these_degrees():
    """Degrees 2 1 1 2 2: six paths from node 1 to node 2, or those two joined beside a triangle."""
    nodes = Bins({"chr1": 5000}, 1000)
    graph = given_graph([(0, 1, 1.0), (0, 3, 1.0), (2, 4, 1.0), (3, 4, 1.0)], nodes)
    pairs, groups = graph.pairs().take(graph.pairs().kind == 1), np.zeros(5, dtype=int)

    def swapped(seed):
        found = swap_partners(pairs, groups, np.random.default_rng(seed))
        return str(sorted(sorted(pair) for pair in zip(found.first.tolist(), found.second.tolist(), strict=True)))

    found = Counter(swapped(seed) for seed in range(140))
    assert len(found) == 7
    assert min(found.values()) > 8  # of 20 on average: each comes up as often


def test_pairs_that_come_back_by_chance_are_parted_again_at_no_cost_in_degree():
    """Among 30 nodes of about seven partners chance brings many pairs back."""
    rng = np.random.default_rng(0)
    graph = given_graph([(*pair, 1.0) for pair in rng.integers(0, 30, (110, 2)).tolist()], Bins({"chr1": 30_000}, 1000))
    pairs, groups = graph.pairs().take(graph.pairs().kind == 1), np.zeros(30, dtype=int)
    swapped = swap_partners(pairs, groups, rng)
    parted = part_again(swapped, pairs, groups, rng)

    def keys(pairs):
        return {frozenset(pair) for pair in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)}

    assert len(keys(pairs) & keys(swapped)) > 10
    assert len(keys(pairs) & keys(parted)) < 3
    assert len(keys(parted)) == len(pairs.kind)
    degrees = [np.bincount(np.append(each.first, each.second), minlength=30).tolist() for each in (pairs, parted)]
    assert degrees[0] == degrees[1]


def test_a_star_cannot_be_rewired_and_stays():
    graph = given_graph([(0, other, float(other)) for other in range(5, 15)])
    assert not differ(applied("rewired", graph), graph)


def test_thirty_thousand_pairs_are_rewired_in_a_second():
    rng = np.random.default_rng(0)
    nodes = Bins({"chr1": 20_000_000, "chr2": 20_000_000}, 1000)
    graph = given_graph([], nodes)
    first, second = rng.integers(0, 40_000, (2, 30_000))
    pairs = graph.pairs()
    rows = np.zeros(len(first), dtype=int)
    joined = pairs.take(rows)._replace(first=first, second=second, kind=np.ones_like(rows))
    start = time.process_time()
    Rewired()(graph.with_pairs(joined.take(first != second)), np.repeat([0, 1], 20_000), rng)
    assert time.process_time() - start < 4


@settings(max_examples=30, deadline=None)
@given(graph=graphs, seed=st.integers(0, 99))
def test_distance_matching_keeps_the_number_at_every_distance_between_two_groups(graph, seed):
    def counts(graph):
        low, high = loops(graph)
        groups = np.sort(GROUPS[loops(graph)], axis=0)
        return Counter(zip(NODES.distance(low, high).tolist(), *groups.tolist(), strict=True))

    def weights_at(graph):
        low, high = loops(graph)
        weight = graph.weight[graph.of_type("loops") & (graph.edge_index[0] < graph.edge_index[1])]
        return sorted(zip(NODES.distance(low, high).tolist(), weight.tolist(), strict=True))

    control = applied("distance_matched", graph, seed)
    assert counts(control) == counts(graph)
    assert weights_at(control) == weights_at(graph)


def unequal_nodes(circular: bool) -> Regions:
    rng = np.random.default_rng(1)
    start = np.sort(rng.choice(49_000, 80, replace=False)).tolist()
    places = [
        Interval("chr1", at, at + int(length)) for at, length in zip(start, rng.integers(50, 900, 80), strict=True)
    ]
    return Regions.of(places, {"chr1": 50_000}, frozenset({"chr1"} if circular else ()))


@pytest.mark.parametrize("circular", [False, True])
def test_distance_matching_of_unequal_nodes_keeps_the_number_at_every_tenth_of_log_distance(circular):
    nodes, rng = unequal_nodes(circular), np.random.default_rng(0)
    ends = rng.choice(len(nodes), (150, 2)).tolist()
    graph = given_graph([(a, b, 1.0) for a, b in ends if a != b], nodes)
    groups = np.repeat([0, 1], [40, len(nodes) - 40])
    control = applied("distance_matched", graph, groups=groups)

    def counts(graph):
        low, high = loops(graph)
        pair_groups = np.sort(groups[loops(graph)], axis=0).tolist()
        return Counter(zip(np.floor(10 * np.log10(nodes.bp_between(low, high))).tolist(), *pair_groups, strict=True))

    assert differ(control, graph)
    assert counts(control) == counts(graph)
    measured = log10_distance(nodes, *control.edge_index).astype(np.float32)
    np.testing.assert_array_equal(control.edge_attr[:, 1], measured)


@pytest.mark.parametrize("circular", [False, True])
def test_all_pairs_of_unequal_nodes_are_of_one_class_of_distance(circular):
    nodes = unequal_nodes(circular)
    first, second = np.triu_indices(len(nodes), 1)
    expected = distance_class(nodes, first, second)
    for distance in range(0, 48):
        pairs = np.sort(_candidates(nodes, "chr1", distance, np.ones(len(nodes), dtype=bool)), axis=0)
        assert sorted(zip(*pairs.tolist(), strict=True)) == list(
            zip(*(each[expected == distance].tolist() for each in (first, second)), strict=True)
        )


def test_distance_matching_keeps_the_coverage_of_nodes_on_average():
    """A hub of 30 edges among nodes of about 3: over 50 draws it has as many, and every node about its own."""
    rng = np.random.default_rng(0)
    nodes = Bins({"chr1": 200_000}, 1000)
    groups = np.zeros(200, dtype=int)
    hub = [(100, int(other), 1.0) for other in rng.choice(90, 30, replace=False)]
    rest = [(int(first), int(first + step), 1.0) for first, step in rng.integers(1, 90, (300, 2))]
    graph = given_graph(hub + rest, nodes)
    mean = np.mean([applied("distance_matched", graph, seed, groups).degree("loops") for seed in range(50)], axis=0)
    assert np.corrcoef(mean, graph.degree("loops"))[0, 1] > 0.9
    assert mean[100] > 20
    assert (mean[graph.degree("loops") == 0] == 0).all()


def test_distance_matching_gives_weights_out_anew_whatever_the_degree():
    """Two pairs are two apart and stay, as no other nodes with edges are; the one at the hub takes either weight."""
    nodes = Bins({"chr1": 60_000}, 1000)
    hub = [(0, other, 9.0) for other in range(21, 57, 3)]
    graph = given_graph([(0, 2, 5.0), (10, 12, 1.0), *hub], nodes)
    weight = []
    for seed in range(40):
        control = applied("distance_matched", graph, seed, np.zeros(60, dtype=int))
        weight += control.weight[(control.edge_index == [[0], [2]]).all(axis=0)].tolist()
    assert Counter(weight).keys() == {1.0, 5.0}
    assert 12 <= Counter(weight)[5.0] <= 28


def test_node_permutation_is_a_relabelling_within_groups():
    graph = random_graph(4)
    control = applied("node_permuted", graph)
    for group in range(3):
        before, after = (np.sort(each.degree("loops")[group == GROUPS]) for each in (graph, control))
        assert before.tolist() == after.tolist()
    assert (control.degree("loops") != graph.degree("loops")).any()
    assert not (control.degree("loops")[graph.masked]).any()


def test_node_permutation_moves_edges_with_all_their_attributes():
    """The weight of each pair is its own, so it tells which pair went where."""
    graph = random_graph(4)
    control = applied("node_permuted", graph)
    before, after = ends_by_attributes(graph), ends_by_attributes(control)
    assert before.keys() == after.keys()
    moved = {}
    for attributes, ends in before.items():
        for node in ends:
            moved[node] = moved.get(node, after[attributes]) & after[attributes]
    assert all(moved.values())  # a node goes to one place, the same for all its edges


def ends_by_attributes(graph: GenomeGraph) -> dict[tuple[float, ...], set[int]]:
    first, second, kind, attr = graph.pairs()
    ends = np.stack([first, second], axis=1)[kind == 1].tolist()
    return {tuple(row): {*pair} for row, pair in zip(attr[kind == 1].tolist(), ends, strict=True)}


def test_masked_nodes_keep_their_edges_when_nodes_are_permuted():
    graph = given_graph([(3, 9, 2.0), (3, 12, 2.0)], masked=[3])
    assert applied("node_permuted", graph).degree("loops")[3] == 2


def test_isolated_nodes_have_no_edges_but_all_the_columns():
    control = applied("isolated", random_graph(5))
    assert control.num_edges == 0
    assert control.attribute_names == ("weight", "log10_distance", "linear", "loops")
    assert control.indptr.tolist() == [0] * (len(NODES) + 1)


def partners_of_first(graph: GenomeGraph) -> list[int]:
    return strongest_partners(graph, np.array([0, 1]), 3).tolist()


PARTNERS = [(0, 5, 4.0), (0, 9, 1.0), (1, 9, 1.0), (1, 7, 2.5)]


def test_isolated_nodes_keep_the_partners_of_the_graph_that_was_emptied():
    graph = given_graph(PARTNERS)
    assert partners_of_first(applied("isolated", graph)) == partners_of_first(graph) == [5, 7, 9]


def test_partners_of_isolated_nodes_are_those_of_the_control_before():
    rewired = applied("rewired", random_graph(5, 80), 1)
    assert partners_of_first(rewired) != partners_of_first(random_graph(5, 80))
    assert partners_of_first(applied("isolated", rewired)) == partners_of_first(rewired)


def test_isolated_twice_is_isolated_once():
    once = applied("isolated", given_graph(PARTNERS))
    assert partners_of_first(applied("isolated", once)) == [5, 7, 9]


@pytest.mark.parametrize(
    ("control", "partners"),
    [
        (DropAttribute(attribute="weight"), [9, 5, 7]),
        (DropType(type="loops"), []),
        (DropType(type="linear"), [5, 7, 9]),
    ],
)
def test_what_is_dropped_after_all_edges_is_dropped_for_partners_too(control, partners):
    """As it is in the graph that is not emptied, so that both read the same sequence."""
    graph = given_graph(PARTNERS)
    rng = np.random.default_rng(0)
    assert partners_of_first(control(graph, GROUPS, rng)) == partners
    emptied = control(applied("isolated", graph), GROUPS, rng)
    assert partners_of_first(emptied) == partners
    assert emptied.num_edges == 0


def test_contacts_cannot_be_changed_once_all_edges_are_gone():
    with pytest.raises(InputError, match="rewired: the graph has no contact edges to change"):
        applied("rewired", applied("isolated", random_graph(5)))


def test_linear_matched_edges_are_the_nearest_that_no_linear_edge_joins():
    """Ten nodes of one group have eight pairs two apart and seven three apart; eleven edges take three of those."""
    nodes = Bins({"chr1": 10_000}, 1000)
    groups = np.zeros(10, dtype=int)
    pairs = [(0, 9, 1.5), (0, 8, 1.5), (0, 7, 1.5), (0, 6, 1.5), (1, 9, 1.5), (1, 8, 1.5)]
    graph = given_graph([*pairs, (1, 7, 1.5), (1, 6, 1.5), (2, 9, 1.5), (2, 8, 1.5), (2, 7, 1.5)], nodes)
    control = applied("linear_matched", graph, groups=groups)
    low, high = loops(control)
    assert Counter((high - low).tolist()) == {2: 8, 3: 3}
    assert set(weights(control)) == {1.0}
    first, second = (str(loops(applied("linear_matched", graph, seed, groups))) for seed in (1, 2))
    assert first != second


def test_linear_matched_goes_on_where_linear_edges_end():
    nodes = Bins({"chr1": 10_000}, 1000)
    control = applied("linear_matched", given_graph([(0, 9, 1.0)], nodes, linear=3), groups=np.zeros(10, dtype=int))
    low, high = loops(control)
    assert (high - low).tolist() == [4]


@pytest.mark.parametrize(("min_distance", "nearest"), [(4000, 4), (3500, 4), (3001, 4), (3000, 3), (1000, 2), (0, 2)])
def test_linear_matched_starts_at_the_least_distance(min_distance, nearest):
    """Seven contacts of ten nodes; at four nodes apart there are six pairs, and one more is five apart."""
    nodes = Bins({"chr1": 10_000}, 1000)
    graph = given_graph([(0, other, 2.0) for other in range(2, 9)], nodes)
    control = LinearMatched(min_distance=min_distance)(graph, np.zeros(10, dtype=int), np.random.default_rng(0))
    low, high = loops(control)
    count = 10 - nearest
    assert Counter((high - low).tolist()) == Counter([nearest] * min(count, 7) + [nearest + 1] * (7 - min(count, 7)))
    assert set(weights(control)) == {1.0}


def test_linear_matched_keeps_the_number_of_every_chromosome_and_group_from_any_distance():
    graph = given_graph([(0, 5, 2.0), (1, 9, 2.0), (26, 38, 2.0), (41, 49, 2.0), (42, 58, 2.0)])
    control = LinearMatched(min_distance=7000)(graph, GROUPS, np.random.default_rng(0))
    assert group_pairs(control) == group_pairs(graph) == {(0, 0): 2, (1, 1): 1, (2, 2): 2}
    assert set(NODES.distance(*loops(control)).tolist()) == {7}


def test_without_a_least_distance_linear_matched_starts_where_the_contacts_of_the_type_do():
    nodes = Bins({"chr1": 10_000}, 1000)
    ends = {"near": [(0, 3), (4, 9)], "far": [(1, 7), (2, 9)]}
    kind = [name for name, pairs in ends.items() for _ in pairs]
    source, destination = zip(*(pair for pairs in ends.values() for pair in pairs), strict=True)
    graph = GenomeGraph.from_edges(nodes, source, destination, kind=kind)
    control = LinearMatched(min_distance=None)(graph, np.zeros(10, dtype=int), np.random.default_rng(0))
    for number, least in enumerate((3, 6)):
        pairs = control.pairs().take(control.pairs().kind == number)
        assert (pairs.second - pairs.first).tolist() == [least, least]


def test_controls_keep_own_attributes_as_they_say():
    rng = np.random.default_rng(0)
    ends = rng.choice(NODES.offsets[1], (40, 2))
    first, second = np.unique(np.sort(ends[ends[:, 0] < ends[:, 1]], axis=1), axis=0).T
    known = {"effect": np.arange(len(first)), "reads": rng.poisson(9.0, len(first))}
    graph = GenomeGraph.from_edges(NODES, first, second, kind="loops", attributes=known)
    own = {name: applied(name, graph).pairs().attr[:, -2:] for name in RANDOM}
    before = graph.pairs()
    for name in ("rewired", "distance_matched", "rewired_by_distance", "node_permuted"):
        assert sorted(own[name].tolist()) == sorted(before.attr[:, -2:].tolist())
    np.testing.assert_allclose(
        own["linear_matched"], np.tile(before.attr[:, -2:].mean(axis=0), (len(first), 1)), rtol=1e-6
    )


def test_a_least_distance_below_zero_is_refused():
    with pytest.raises(InputError, match="linear_matched: min_distance must not be negative; got -1"):
        LinearMatched(min_distance=-1)


def test_linear_matched_keeps_the_number_between_groups_and_spares_masked_nodes():
    graph = random_graph(6)
    within = NODES.distance(*loops(graph)) > 0
    graph = given_graph([(int(a), int(b), 2.0) for a, b in loops(graph)[:, within].T], masked=[3, 30, 47])
    control = applied("linear_matched", graph)
    assert group_pairs(control) == group_pairs(graph)
    assert not control.degree("loops")[control.masked].any()


def test_linear_matched_puts_a_pair_between_chromosomes_into_the_larger_group():
    control = applied("linear_matched", given_graph([(5, 45, 2.0), (30, 50, 2.0)]))
    assert group_pairs(control) == {(0, 0): 1, (2, 2): 1}
    assert (NODES.distance(*loops(control)) == 2).all()


def test_linear_matched_without_room_says_so():
    nodes = Bins({"chr1": 3000}, 1000)
    graph = given_graph([(0, 1, 1.0), (0, 2, 1.0)], nodes)
    with pytest.raises(InputError, match=r"chr1 has room for 1 edges in place of its 2 'loops' edges"):
        applied("linear_matched", graph, groups=np.zeros(3, dtype=int))


def test_a_dropped_type_leaves_its_column():
    graph = random_graph(7)
    control = DropType(type="linear")(graph, GROUPS, np.random.default_rng(0))
    assert control.edge_types == ("linear", "loops")
    assert control.degree("linear").sum() == 0
    np.testing.assert_array_equal(control.edge_attr, graph.edge_attr[graph.of_type("loops")])


def test_a_dropped_attribute_is_its_mean_everywhere_and_the_others_stay():
    graph = given_graph([(0, 5, 4.0), (0, 9, 2.0)], Bins({"chr1": 10_000}, 1000))
    for column, name in enumerate(graph.attribute_names):
        control = DropAttribute(attribute=name)(graph, GROUPS, np.random.default_rng(0))
        mean = {"weight": 15 / 11, "linear": 9 / 11, "loops": 2 / 11}.get(name, graph.edge_attr[:, 1].mean())
        assert control.edge_attr[:, column] == pytest.approx(mean)
        rest = [each for each in range(4) if each != column]
        np.testing.assert_array_equal(control.edge_attr[:, rest], graph.edge_attr[:, rest])


def test_without_weights_the_partners_of_a_window_are_those_with_the_most_edges():
    graph = given_graph([(0, 5, 4.0), (0, 9, 1.0), (1, 9, 1.0), (1, 7, 2.0)])
    assert strongest_partners(graph, np.array([0, 1]), 3).tolist() == [5, 7, 9]
    assert strongest_partners(applied("drop_attribute", graph), np.array([0, 1]), 3).tolist() == [9, 5, 7]


@pytest.mark.parametrize(
    ("control", "message"),
    [
        (DropType(type="loop"), r"no 'loop' edges. Did you mean 'loops'\?"),
        (DropAttribute(attribute="wieght"), r"edges have no 'wieght'. Did you mean 'weight'\?"),
    ],
)
def test_what_a_graph_has_not_cannot_be_dropped(control, message):
    with pytest.raises(InputError, match=message):
        control(random_graph(0), GROUPS, np.random.default_rng(0))


def test_groups_go_by_chromosome_and_split():
    """Nodes of two bins: wholly train, train and none, valid, of both splits, without bins; test on chr2."""
    nodes = Bins({"chr1": 5000, "chr2": 1000}, 1000)
    node_of_bin = np.array([0, 0, 1, 1, 2, 2, 3, 3, -1, 5, 5])
    split = np.array([TRAIN, TRAIN, TRAIN, NONE, VALID, VALID, TRAIN, VALID, TRAIN, TEST, TEST])
    groups = node_groups(nodes, node_of_bin, split)
    assert groups[1] == groups[3] == groups[4]
    assert len({*groups.tolist()}) == 4


def test_groups_of_two_chromosomes_differ_in_the_same_split():
    nodes = Bins({"chr1": 1000, "chr2": 1000}, 1000)
    one, other = node_groups(nodes, np.array([0, 1]), np.array([TRAIN, TRAIN]))
    assert one != other


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Experiment:
    return Experiment.open(load_config(write_world(tmp_path_factory.mktemp("world"))))


def changed(plain: Experiment, *overrides: str) -> GenomeGraph:
    """The graph that a changed config gives over the same store."""
    path = plain.config.store.parent / "tiny.yaml"
    return Experiment(load_config(path, overrides), plain.store).graph


def test_controls_of_a_config_change_the_graph_as_the_seed_says(plain):
    one, same, other = (changed(plain, "graph.controls=[{name: rewired}]", f"seed={seed}") for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.degree("hic"), plain.graph.degree("hic"))
    assert differ(one, plain.graph)
    assert not differ(one, same)
    assert differ(one, other)


def test_edges_of_a_config_are_exchanged_within_its_splits(plain):
    graph = changed(plain, "graph.controls=[{name: node_permuted}]", "splits.valid=['chrA:0-20,000']")
    low, high = graph.edge_index
    assert graph.nodes.interval(9).end == 20_000
    across = (low < 10) & (high >= 10) & (high < 20)
    before_low, before_high = plain.graph.edge_index
    assert across.sum() == ((before_low < 10) & (before_high >= 10) & (before_high < 20)).sum()


def test_controls_are_no_part_of_the_store(plain):
    manifest = plain.config.store / "manifest.json"
    before = manifest.stat()
    Experiment.open(load_config(manifest.parents[1] / "tiny.yaml", ["graph.controls=[{name: isolated}]"]))
    assert manifest.stat() == before


def test_controls_are_applied_in_order(plain):
    graph = changed(plain, "graph.controls=[{name: drop_type, type: linear}, {name: linear_matched}]")
    assert graph.degree("linear").sum() == 0
    assert graph.nodes.distance(*graph.edge_index).min() == 1  # no linear edge is in the way


@pytest.mark.parametrize(
    ("controls", "message"),
    [
        ([{"name": "rewire"}], r"graph.controls\[0\]: no 'rewire' here. Did you mean 'rewired'\?"),
        ([{"name": "drop_type"}], r"graph.controls\[0\]: 'drop_type': type: Field required"),
        ([{"name": "drop_attribute", "attribute": "weight"}, {"name": "rewired"}], "drop_attribute comes last"),
    ],
)
def test_wrong_controls_are_refused(controls, message):
    tree = config_tree()
    tree["graph"]["controls"] = controls
    with pytest.raises(InputError, match=message):
        parse_config(tree)
