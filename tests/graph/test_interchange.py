"""Graphs from and to networkx, pandas, scipy and PyTorch Geometric."""

from __future__ import annotations

import networkx
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import Data

from genograph.errors import InputError
from genograph.genome.bins import Bins
from genograph.graph import Edges, GenomeGraph, build_graph
from genograph.graph.interchange import from_networkx, from_pandas, from_pyg, from_scipy, to_networkx, to_pyg

NODES = Bins({"chr1": 2500, "chr2": 2000}, 1000, partial=True)  # nodes 0 to 2, and 3 and 4


@pytest.fixture
def graph() -> GenomeGraph:
    """A linear edge, and a loop on and one between chromosomes; node 3 is masked."""
    found = [("linear", Edges(*np.array([[0], [1], [1]]))), ("loop", Edges(*np.array([[0, 4], [2, 1], [1.5, 2]])))]
    edges = [(kind, Edges(e.source.astype(int), e.destination.astype(int), e.weight)) for kind, e in found]
    return GenomeGraph.of(NODES, edges, masked=np.arange(5) == 3)


def edges_of(graph) -> dict[tuple[int, int, str], float]:
    rows = zip(*graph.edge_index.tolist(), graph.edge_type, graph.weight.tolist(), strict=True)
    return {(source, other, graph.edge_types[kind]): weight for source, other, kind, weight in rows if source < other}


EDGES = {(0, 1, "linear"): 1.0, (0, 2, "loop"): 1.5, (1, 4, "loop"): 2.0}


def test_networkx_nodes_are_named_by_their_place(graph):
    result = to_networkx(graph)
    assert list(result) == ["chr1:0-1000", "chr1:1000-2000", "chr1:2000-2500", "chr2:0-1000", "chr2:1000-2000"]
    assert result.nodes["chr2:0-1000"] == {"chrom": "chr2", "start": 0, "end": 1000, "masked": True}
    assert result.number_of_edges() == 3
    edge = result.edges["chr1:1000-2000", "chr2:1000-2000", "loop"]
    assert edge == {"type": "loop", "weight": 2.0, "log10_distance": pytest.approx(np.log10(2500))}


def test_pyg_data_is_the_graph(graph):
    data = to_pyg(graph)
    assert data.num_nodes == 5
    np.testing.assert_array_equal(data.edge_index.numpy(), graph.edge_index)
    np.testing.assert_array_equal(data.edge_attr.numpy(), graph.edge_attr)
    np.testing.assert_array_equal(data.edge_type.numpy(), graph.edge_type)
    assert data.edge_types == ["linear", "loop"]
    assert data.masked.tolist() == [False, False, False, True, False]
    assert data.is_undirected()


def test_pyg_counts_nodes_without_edges():
    assert to_pyg(build_graph([], Bins({"chr1": 3000}, 1000))).num_nodes == 3


@pytest.mark.parametrize(("to", "back"), [(to_networkx, from_networkx), (to_pyg, from_pyg)])
def test_there_and_back_is_the_same_graph_but_for_the_mask(graph, to, back):
    again = back(to(graph), NODES)
    assert edges_of(again) == edges_of(graph) == EDGES
    np.testing.assert_array_equal(again.edge_attr, graph.edge_attr)
    assert not again.masked.any()


def test_nodes_of_networkx_are_numbers_or_regions_and_edges_weigh_1_unless_they_say():
    other = networkx.Graph()
    other.add_edge(np.int64(0), "chr2:1,400-1,800", type="a")
    other.add_edge(0, 2, weight=3)
    assert edges_of(from_networkx(other, NODES)) == {(0, 4, "a"): 1, (0, 2, "contact"): 3}


def test_a_networkx_graph_without_edges_gives_one(graph):
    assert from_networkx(networkx.Graph(), NODES).num_edges == 0
    assert from_networkx(networkx.empty_graph(5), NODES).degree().tolist() == [0] * 5


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([("chr1:0-900", 4), ("chr1:0-1000", 4)], "'chr1:0-900' and 'chr1:0-1000' are both node 0. Merge them"),
        ([(0, 5)], "there is no node 5: the 5 nodes are numbered from 0"),
        ([(0, -1)], "there is no node -1"),
        ([(0, "chr3:0-9")], "no chromosome 'chr3' in this genome"),
        ([(0, "chr1:2400-2600")], "must satisfy 0 <= start < end <= 2500"),
        ([(0, "lacZ")], "'lacZ' is no node: give its number, .* map them to their regions, .* edges `table`"),
        ([(0, "3")], "'3' is no node: give its number"),
        ([(0, 1.5)], "'1.5' is no node: give its number, or a region"),
        ([(True, 2)], "'True' is no node"),
        ([(0, 1, {"weight": "strong"})], "a weight is a number of 0 or more: could not convert"),
        ([(0, 1, {"weight": None})], "edge 0 has a weight of nan"),
        ([(0, 1, {"type": 3})], "1 edges have 1 types, or one for all, as text; got '3', which is no text"),
    ],
)
def test_a_networkx_graph_that_does_not_fit_is_one_line(edges, message):
    with pytest.raises(InputError, match=message):
        from_networkx(networkx.Graph(edges), NODES)


def test_a_directed_networkx_graph_is_refused():
    other = networkx.DiGraph([(0, 1)])
    with pytest.raises(InputError, match=r"this networkx graph is directed\. Say so: graph\.to_undirected\(\)"):
        from_networkx(other, NODES)
    assert edges_of(from_networkx(other.to_undirected(), NODES)) == {(0, 1, "contact"): 1}


def test_a_table_has_ends_by_number_or_region_and_if_it_has_them_weights_and_types():
    frame = pd.DataFrame({"source": [0, 2], "destination": ["chr2:1000-2000", "chr1:0-10"]})
    assert edges_of(from_pandas(frame, NODES)) == {(0, 4, "contact"): 1, (0, 2, "contact"): 1}
    frame = frame.assign(weight=[2, 0.5], type=["a", "b"])
    assert edges_of(from_pandas(frame, NODES)) == {(0, 4, "a"): 2, (0, 2, "b"): 0.5}


def test_a_table_may_have_the_columns_of_bedpe():
    row = {"chrom1": "chr1", "start1": 900, "end1": 1400, "chrom2": "chr2", "start2": 0, "end2": 1, "type": "loop"}
    assert edges_of(from_pandas(pd.DataFrame([row]), NODES)) == {(1, 3, "loop"): 1}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"from": [0], "to": [1]}, r"a table of edges has source and destination, or chrom1, .*; got from, to\."),
        ({}, r"got nothing\."),
        ({"source": [0], "destination": [1], "weight": [np.nan]}, "edge 0 has a weight of nan"),
        ({"source": [1, None], "destination": [2, 3]}, r"row 1: source is missing\. .* frame\.dropna\(subset="),
        ({"source": ["chr1:0-9", "chr1:0-9"], "destination": ["chr2:0-9", None]}, "row 1: destination is missing"),
        ({"source": [0.0, 1.5], "destination": [1, 2]}, r"row 1: source is 1\.5, which is no whole number\."),
        ({"source": [0, 1], "destination": [1, 9]}, "row 1: there is no node 9"),
        ({"source": [0, 1], "destination": [1, "lacZ"]}, "row 1: 'lacZ' is no node: .* edges `table`"),
        ({"source": [0], "destination": ["1:0-10"]}, r"row 0: Region '1:0-10': no chromosome '1' in this genome\."),
    ],
)
def test_a_table_that_does_not_fit_is_one_line(columns, message):
    with pytest.raises(InputError, match=message):
        from_pandas(pd.DataFrame(columns), NODES)


def test_numbers_that_a_missing_one_has_made_floats_are_nodes():
    frame = pd.DataFrame({"source": [0, 1, None], "destination": [2.0, 4.0, 3.0]}).dropna()
    assert edges_of(from_pandas(frame, NODES)) == {(0, 2, "contact"): 1, (1, 4, "contact"): 1}
    ends = {"chrom1": "chr1", "start1": [900, None], "end1": [1400, 2], "chrom2": "chr2", "start2": 0, "end2": 1}
    assert edges_of(from_pandas(pd.DataFrame(ends)[:1], NODES)) == {(1, 3, "contact"): 1}
    with pytest.raises(InputError, match="row 1: start1 is missing"):
        from_pandas(pd.DataFrame(ends), NODES)


@pytest.mark.parametrize("nodes", [10, pd.DataFrame({"chrom": ["chr1"], "start": [0], "end": [1000]})])
@pytest.mark.parametrize(
    ("make", "edges"),
    [
        (from_pandas, (pd.DataFrame({"source": [0], "destination": [1]}),)),
        (from_networkx, (networkx.Graph([(0, 1)]),)),
        (from_scipy, (scipy.sparse.eye_array(5),)),
        (from_pyg, (Data(edge_index=torch.tensor([[0], [1]])),)),
        (lambda source, nodes: GenomeGraph.from_edges(nodes, source, [1]), ([0],)),
    ],
)
def test_nodes_are_those_of_a_genome(make, edges, nodes):
    with pytest.raises(InputError, match=rf"nodes are Bins or Regions, .*; got {type(nodes).__name__}\."):
        make(*edges, nodes)


def test_what_is_no_table_is_told():
    with pytest.raises(InputError, match=r"a table of edges is a pandas DataFrame; got list\."):
        from_pandas([1, 2], NODES)


def test_attributes_are_a_list_of_names_not_a_name():
    frame = pd.DataFrame({"source": [0], "destination": [1], "score": [2.0]})
    for make, edges in ((from_pandas, frame), (from_networkx, networkx.Graph([(0, 1, {"score": 2.0})]))):
        with pytest.raises(InputError, match=r"attributes are a list of names: attributes=\['score'\]"):
            make(edges, NODES, attributes="score")


@pytest.mark.parametrize("make", [scipy.sparse.csr_array, scipy.sparse.coo_matrix, scipy.sparse.csc_array, np.array])
def test_a_matrix_holds_weights_in_one_triangle_or_both(make):
    matrix = np.zeros((5, 5))
    matrix[0, 2], matrix[4, 1], matrix[1, 4], matrix[3, 3] = 1.5, 2, 1, 9
    graph = from_scipy(make(matrix), NODES, kind="loop")
    assert edges_of(graph) == {(0, 2, "loop"): 1.5, (1, 4, "loop"): 2}


def test_entries_of_a_matrix_that_come_twice_add_up_and_zeros_are_no_edges():
    entries = scipy.sparse.coo_array(([1.0, 2.0, 0.0], ([0, 0, 1], [2, 2, 4])), shape=(5, 5))
    assert edges_of(from_scipy(entries, NODES)) == {(0, 2, "contact"): 3}


def test_a_matrix_that_does_not_fit_is_one_line():
    with pytest.raises(InputError, match=r"5 nodes have a matrix of as many rows and columns; got \(4, 4\)"):
        from_scipy(scipy.sparse.eye_array(4), NODES)
    with pytest.raises(InputError, match=r"5 nodes have a matrix of as many rows and columns; got \(5,\)"):
        from_scipy(np.ones(5), NODES)
    for value in (np.nan, -1.0):
        with pytest.raises(InputError, match=f"edge 0 has a weight of {value}"):
            from_scipy(scipy.sparse.coo_array(([value], ([0], [1])), shape=(5, 5)), NODES)


INDEX = torch.tensor([[0, 1], [2, 4]])


def test_weights_of_pyg_are_its_edge_weight_or_its_only_attribute():
    for extra in ({"edge_weight": torch.tensor([1.5, 2.0])}, {"edge_attr": torch.tensor([[1.5], [2.0]])}):
        data = Data(edge_index=INDEX, num_nodes=5, **extra)
        assert edges_of(from_pyg(data, NODES, kind="loop")) == {(0, 2, "loop"): 1.5, (1, 4, "loop"): 2}
    data = Data(edge_index=INDEX, edge_attr=torch.ones(2, 3), num_nodes=5)
    assert edges_of(from_pyg(data, NODES, weight=[3, 4])) == {(0, 2, "contact"): 3, (1, 4, "contact"): 4}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_nodes": 5}, "a PyTorch Geometric graph needs an edge_index"),
        ({"edge_index": INDEX, "num_nodes": 6}, "the PyTorch Geometric graph has 6 nodes, the genome 5"),
        ({"edge_index": INDEX, "x": torch.ones(7, 2)}, "the PyTorch Geometric graph has 7 nodes, the genome 5"),
        (
            {"edge_index": torch.zeros(3, 2, dtype=torch.long), "num_nodes": 5},
            r"sources and destinations, \(2, edges\); got \(3, 2\)\.",
        ),
        ({"edge_index": INDEX + 1, "num_nodes": 5}, "edge 1 ends in node 5, but the 5 nodes are numbered from 0"),
        ({"edge_index": INDEX, "edge_attr": torch.ones(2, 3)}, "edge_attr has 3 columns. Say which is the weight: "),
        ({"edge_index": INDEX, "edge_weight": torch.tensor([1, torch.nan])}, "edge 1 has a weight of nan"),
        (
            {"edge_index": INDEX, "edge_types": ["a"], "edge_type": torch.tensor([0, 1])},
            "edge_type has a 1, but there are 1 edge_types",
        ),
    ],
)
def test_a_pyg_graph_that_does_not_fit_is_one_line(fields, message):
    with pytest.raises(InputError, match=message):
        from_pyg(Data(**fields), NODES)


def test_attributes_of_pyg_are_by_name():
    with pytest.raises(InputError, match=r"attributes are numbers by name, such as .*; got \['b'\]\."):
        from_pyg(Data(edge_index=INDEX, num_nodes=5), NODES, attributes=["b"])


entries = st.dictionaries(st.tuples(st.integers(0, 4), st.integers(0, 4)), st.floats(0.5, 9, width=16), max_size=12)


@given(entries)
def test_all_ways_in_give_the_same_graph(entries):
    source, destination = np.array(list(entries), dtype=int).reshape(-1, 2).T
    weight = np.array(list(entries.values()))
    expected = GenomeGraph.from_edges(NODES, source, destination, weight=weight)
    frame = pd.DataFrame({"source": source, "destination": destination, "weight": weight})
    other = networkx.MultiGraph()
    other.add_weighted_edges_from(zip(source.tolist(), destination.tolist(), weight.tolist(), strict=True))
    data = Data(edge_index=torch.tensor(np.stack([source, destination])), edge_weight=torch.tensor(weight), num_nodes=5)
    matrix = scipy.sparse.coo_array((weight, (source, destination)), shape=(5, 5))
    for graph in (
        from_pandas(frame, NODES),
        from_networkx(other, NODES),
        from_pyg(data, NODES),
        from_scipy(matrix, NODES),
    ):
        np.testing.assert_array_equal(graph.edge_index, expected.edge_index)
        np.testing.assert_array_equal(graph.edge_attr, expected.edge_attr)
