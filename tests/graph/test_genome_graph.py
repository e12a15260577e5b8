"""What `build_graph` makes of pairs: both directions, no duplicates, sorted, with named attributes."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import Parameter, signature
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genograph.errors import InputError
from genograph.genome.bins import Bins
from genograph.graph import EDGES, Edges, LinearEdges, build_graph
from tests.maps import open_map

NODES = Bins({"chr1": 4000, "chr2": 3000}, 1000)


@dataclass(frozen=True, kw_only=True)
class GivenEdges:
    """Pairs as they are given: (source, destination, weight)."""

    name: ClassVar[str] = "given"

    pairs: tuple[tuple[int, int, float], ...]

    def __call__(self, nodes, known) -> Edges:
        source, destination, weight = np.array(self.pairs, dtype=float).reshape(-1, 3).T
        return Edges(source.astype(int), destination.astype(int), weight)


@dataclass(frozen=True)
class Given:
    """One pair of nodes, of a type of any name."""

    name: str

    def __call__(self, nodes, known) -> Edges:
        return Edges(*np.array([[0], [1], [1]]))


def given_graph(*pairs: tuple[int, int, float]):
    return build_graph([GivenEdges(pairs=pairs)], NODES)


def test_a_pair_becomes_an_edge_in_both_directions():
    graph = given_graph((0, 2, 0.5))
    assert graph.edge_index.tolist() == [[2, 0], [0, 2]]
    assert graph.weight.tolist() == [0.5, 0.5]


def test_of_a_pair_named_twice_the_larger_weight_stays():
    graph = given_graph((0, 2, 0.5), (2, 0, 0.75), (0, 2, 0.25))
    assert graph.num_edges == 2
    assert graph.weight.tolist() == [0.75, 0.75]


def test_a_node_is_never_joined_to_itself():
    assert given_graph((1, 1, 3.0)).num_edges == 0


def test_two_builders_of_one_type_make_one_type():
    graph = build_graph([LinearEdges(reach=1), LinearEdges(reach=2)], NODES)
    twice = build_graph([LinearEdges(reach=2)], NODES)
    assert graph.edge_types == ("linear",)
    np.testing.assert_array_equal(graph.edge_index, twice.edge_index)


def test_two_nodes_may_share_an_edge_of_each_type():
    graph = build_graph([LinearEdges(), GivenEdges(pairs=((0, 1, 2.0),))], NODES)
    shared = (graph.edge_index == [[0], [1]]).all(axis=0)
    assert graph.edge_type[shared].tolist() == [0, 1]
    assert graph.edge_attr[shared].tolist() == [[1, 3, 1, 0], [2, 3, 0, 1]]


def test_attributes_are_weight_distance_and_one_column_per_type():
    graph = build_graph([LinearEdges(), GivenEdges(pairs=())], NODES)
    assert graph.attribute_names == ("weight", "log10_distance", "linear", "given")
    assert graph.edge_attr.shape == (10, 4)
    assert graph.edge_attr.dtype == np.float32


def test_edge_length_is_log10_of_bp_not_of_nodes():
    assert given_graph((0, 3, 1.0)).edge_attr[:, 1] == pytest.approx(np.log10(3000))


def test_edges_between_chromosomes_are_as_long_as_the_longest_chromosome():
    assert given_graph((0, 5, 1.0)).edge_attr[:, 1] == pytest.approx(np.log10(4000))


def test_edge_length_goes_the_short_way_round_on_a_circle():
    nodes = Bins({"plasmid": 10_000}, 1000, circular=frozenset({"plasmid"}))
    graph = build_graph([GivenEdges(pairs=((0, 9, 1.0),))], nodes)
    assert graph.edge_attr[:, 1] == pytest.approx(3.0)


def test_a_graph_without_edges_has_its_nodes():
    graph = build_graph([], NODES)
    assert graph.edge_index.shape == (2, 0)
    assert graph.edge_attr.shape == (0, 2)
    assert graph.indptr.tolist() == [0] * 8
    assert graph.summary() == {"nodes": 7, "masked": 0, "isolated": 7, "edges": {}}


def test_the_mask_is_the_maps_also_when_no_edge_uses_it(tmp_path):
    weight = np.array([1, 1, np.nan, 1, 1, 1, 1])
    contacts = open_map(tmp_path, NODES, np.ones((7, 7), int), weight)
    graph = build_graph([LinearEdges()], NODES, contacts)
    assert np.flatnonzero(graph.masked).tolist() == [2]
    assert graph.degree("linear")[2] == 2
    assert not build_graph([LinearEdges()], NODES).masked.any()


pairs = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.floats(0, 9, width=16)), max_size=20)


@given(pairs, st.randoms(use_true_random=False))
def test_the_order_of_pairs_is_of_no_consequence(pairs, random):
    shuffled = [pair if random.random() < 0.5 else (pair[1], pair[0], pair[2]) for pair in pairs]
    random.shuffle(shuffled)
    graph, other = given_graph(*pairs), given_graph(*shuffled)
    np.testing.assert_array_equal(graph.edge_index, other.edge_index)
    np.testing.assert_array_equal(graph.edge_attr, other.edge_attr)


@given(pairs)
def test_edges_are_sorted_symmetric_and_distinct(pairs):
    graph = build_graph([LinearEdges(), GivenEdges(pairs=tuple(pairs))], NODES)
    source, destination = graph.edge_index
    key = list(zip(destination.tolist(), source.tolist(), graph.edge_type.tolist(), strict=True))
    assert key == sorted(set(key))
    attributes = dict(zip(key, graph.edge_attr.tolist(), strict=True))
    assert all(attributes[s, d, kind] == attributes[d, s, kind] for d, s, kind in key)
    best = {(d, s): max(w for a, b, w in pairs if {a, b} == {d, s}) for d, s, kind in key if kind == 1}
    assert all(attributes[d, s, 1][0] == weight for (d, s), weight in best.items())
    assert set(best) == {each for a, b, _ in pairs if a != b for each in ((a, b), (b, a))}


@given(pairs)
def test_indptr_points_at_the_edges_into_each_node(pairs):
    graph = given_graph(*pairs)
    for node in range(7):
        part = slice(graph.indptr[node], graph.indptr[node + 1])
        assert (graph.edge_index[1, part] == node).all()
    assert graph.indptr[-1] == graph.num_edges


def test_degree_counts_the_edges_of_one_type_or_of_all():
    graph = build_graph([LinearEdges(), GivenEdges(pairs=((0, 3, 1.0), (0, 5, 1.0)))], NODES)
    assert graph.degree("linear").tolist() == [1, 2, 2, 1, 1, 2, 1]
    assert graph.degree("given").tolist() == [2, 0, 0, 1, 0, 1, 0]
    assert graph.degree().tolist() == [3, 2, 2, 2, 1, 3, 1]


def test_all_types_but_linear_are_contacts():
    graph = build_graph([GivenEdges(pairs=((0, 3, 1.0),)), LinearEdges()], NODES)
    assert graph.edge_types == ("given", "linear")
    assert graph.contact_types == ("given",)
    assert graph.is_contact(np.array([1, 0, 1])).tolist() == [False, True, False]
    assert build_graph([LinearEdges()], NODES).contact_types == ()
    assert not build_graph([LinearEdges()], NODES).is_contact(np.array([0])).any()


def test_an_unknown_type_names_the_nearest():
    with pytest.raises(InputError, match=r"no 'linaer' edges. Did you mean 'linear'\?"):
        build_graph([LinearEdges()], NODES).degree("linaer")


def test_summary_counts_pairs_and_measures_them_in_bp():
    graph = given_graph((0, 3, 1.0), (0, 1, 1.0), (0, 5, 1.0))
    assert graph.summary() == {
        "nodes": 7,
        "masked": 0,
        "isolated": 3,
        "edges": {
            "given": {
                "pairs": 3,
                "between_chromosomes": 1,
                "degree": [0, 0, 1, 1, 3],
                "distance": [1000, 1000, 2000, 3000, 3000],
            }
        },
    }


@pytest.mark.parametrize("name", EDGES)
def test_every_edge_type_is_registered_under_its_name_unless_it_is_given_one(name):
    given = signature(EDGES[name]).parameters.get("type")
    assert EDGES[name].name == name if given is None else given.default in (name, Parameter.empty)


def test_a_graph_has_room_for_127_types_of_edges():
    pairs = [Given(str(number)) for number in range(128)]
    assert len(build_graph(pairs[:127], NODES).edge_types) == 127
    with pytest.raises(InputError, match="at most 127 types of edges; got 128"):
        build_graph(pairs, NODES)
