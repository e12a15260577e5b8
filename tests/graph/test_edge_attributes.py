"""What else is known of edges: from wherever they come, as columns that layers read, and back."""

from __future__ import annotations

from pathlib import Path

import networkx
import numpy as np
import pandas as pd
import pytest
import torch
from torch_geometric.data import Data

from genograph.config import load_config
from genograph.errors import InputError
from genograph.genome.bins import Bins
from genograph.graph import CONTROLS, Edges, GenomeGraph, LinearEdges, SavedEdges, build_graph
from genograph.graph.export import write_graph
from genograph.graph.interchange import from_networkx, from_pandas, from_pyg, to_networkx, to_pyg
from genograph.nn.layers.sage import SAGE
from tests.tiny import write_world

NODES = Bins({"chr1": 6000}, 1000)
KNOWN = {"effect": [-1.0, 1.0, 0.5], "reads": [10, 20, 30]}


def graph() -> GenomeGraph:
    return GenomeGraph.from_edges(NODES, [0, 1, 2], [3, 4, 5], weight=[1, 2, 3], kind=["a", "b", "a"], attributes=KNOWN)


def own(each: GenomeGraph) -> list[list[float]]:
    """The attributes of every pair, by its lower node."""
    return each.pairs().attr[np.argsort(each.pairs().first), -2:].tolist()


def test_attributes_are_the_last_columns_in_both_directions():
    made = graph()
    assert made.attribute_names == ("weight", "log10_distance", "a", "b", "effect", "reads")
    assert own(made) == [[-1, 10], [1, 20], [0.5, 30]]
    backward = made.edge_index[0] > made.edge_index[1]
    np.testing.assert_array_equal(made.edge_attr[backward][:, -2:], made.edge_attr[~backward][:, -2:])


def test_of_several_edges_the_one_of_the_largest_weight_stays_with_its_attributes():
    made = GenomeGraph.from_edges(NODES, [0, 3, 0], [3, 0, 3], weight=[1, 5, 2], attributes={"x": [7, 8, 9]})
    assert made.edge_attr[:, [0, -1]].tolist() == [[5, 8], [5, 8]]


def test_parts_of_one_type_with_other_attributes_are_refused():
    one = Edges(np.array([0]), np.array([3]), np.ones(1), {"effect": np.zeros(1)})
    other, empty = (one._replace(attributes={}).take(np.array(rows, dtype=int)) for rows in ([0], []))
    with pytest.raises(InputError, match=r"edges of type 'a' come in parts with other attributes: effect; none\. Give"):
        GenomeGraph.of(NODES, [("a", one), ("a", other)])
    assert GenomeGraph.of(NODES, [("a", one), ("b", other), ("a", empty)]).num_edges == 4


def test_edges_of_which_it_is_not_known_have_0_and_a_type_of_their_own():
    class Signed:
        name, needs_contacts = "signed", False

        def __call__(self, nodes, known):
            return Edges(np.array([0]), np.array([3]), np.ones(1), {"effect": np.array([-1.0])})

    made = build_graph([LinearEdges(), Signed()], NODES)
    assert made.attribute_names[2:] == ("linear", "signed", "effect")
    assert set(map(tuple, made.edge_attr[:, 2:].tolist())) == {(1, 0, 0), (0, 1, -1)}


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"x": [1, np.nan, 2]}, "edge 1 has a 'x' of nan. Leave out such edges, or make them a type of their own"),
        ({"x": [1, 2, np.inf]}, "edge 2 has a 'x' of inf"),
        ({"x": [1, 2]}, r"attribute 'x' is a number for each of 3 edges; got \(2,\)"),
        ({"x": 1.0}, r"attribute 'x' is a number for each of 3 edges; got \(\)"),
        ({"x": ["+", "-", "+"]}, "attribute 'x' is a number for each edge: could not convert"),
        ({"weight": [1, 2, 3]}, "an attribute cannot be called 'weight': so is another column"),
        ({"contact": [1, 2, 3]}, "an attribute cannot be called 'contact': so is another column"),
        ({"": [1, 2, 3]}, "an attribute cannot be called '': nothing"),
    ],
)
def test_what_is_no_attribute_is_one_line(attributes, message):
    with pytest.raises(InputError, match=message):
        GenomeGraph.from_edges(NODES, [0, 1, 2], [3, 4, 5], attributes=attributes)


def test_what_a_builder_does_not_know_is_refused_too():
    class Unknown:
        name, needs_contacts = "unknown", False

        def __call__(self, nodes, known):
            return Edges(np.array([0]), np.array([3]), np.ones(1), {"x": np.array([np.nan])})

    with pytest.raises(InputError, match="edge 0 has a 'x' of nan"):
        build_graph([Unknown()], NODES)


def test_attributes_are_saved_and_found_again(tmp_path):
    made = graph()
    builders = [SavedEdges(file=Path(each["file"]), type=each["type"]) for each in made.save(tmp_path / "graph.npz")]
    assert builders[0].attributes == ("effect", "reads")
    found = build_graph(builders, NODES)
    assert found.attribute_names == made.attribute_names
    np.testing.assert_array_equal(found.edge_attr, made.edge_attr)


def test_tables_networks_and_pyg_graphs_give_the_attributes_that_are_asked_for():
    ends = {"source": [0, 1, 2], "destination": [3, 4, 5], "weight": [1, 2, 3], "type": ["a", "b", "a"]}
    of_table = from_pandas(pd.DataFrame({**ends, **KNOWN, "note": "x"}), NODES, attributes=["effect", "reads"])
    network = networkx.Graph()
    for row in range(3):
        told = {"weight": row + 1, "type": "aba"[row], **{name: each[row] for name, each in KNOWN.items()}}
        network.add_edge(row, row + 3, **told)
    of_network = from_networkx(network, NODES, attributes=["effect", "reads"])
    data = Data(edge_index=torch.tensor([[0, 1, 2], [3, 4, 5]]), edge_attr=torch.tensor(list(KNOWN.values())).T)
    columns = {"effect": data.edge_attr[:, 0], "reads": data.edge_attr[:, 1]}
    of_pyg = from_pyg(data, NODES, weight=[1, 2, 3], attributes=columns)
    for made in (of_table, of_network):
        assert made.attribute_names == graph().attribute_names
        np.testing.assert_array_equal(made.edge_attr, graph().edge_attr)
    assert of_pyg.attribute_names == ("weight", "log10_distance", "contact", "effect", "reads")
    assert own(of_pyg) == own(graph())


def test_attributes_go_to_networkx_and_pyg_and_come_back(tmp_path):
    made = graph()
    network = to_networkx(made)
    assert network["chr1:0-1000"]["chr1:3000-4000"]["a"]["effect"] == -1
    for found in (from_networkx(network, NODES, attributes=["effect", "reads"]), from_pyg(to_pyg(made), NODES)):
        assert found.attribute_names == made.attribute_names
        np.testing.assert_array_equal(found.edge_attr, made.edge_attr)
    empty = GenomeGraph.from_edges(NODES, [], [], attributes={"x": []})
    assert from_pyg(to_pyg(empty), NODES).num_edges == 0


def test_attributes_are_written_to_graphml_and_bedpe(tmp_path):
    write_graph(graph(), tmp_path / "graph.graphml")
    edges = networkx.read_graphml(tmp_path / "graph.graphml").edges(data=True)
    assert sorted(data["reads"] for _, _, data in edges) == [10, 20, 30]
    write_graph(graph(), tmp_path / "graph.bedpe")
    table = pd.read_csv(tmp_path / "graph.bedpe", sep="\t")
    assert table.columns[-4:].tolist() == ["weight", "log10_distance", "effect", "reads"]
    assert table["effect"].tolist() == [-1, 1, 0.5]


def test_an_attribute_that_is_not_there_names_the_nearest():
    network = networkx.Graph([(0, 3, {"effect": 1})])
    with pytest.raises(InputError, match=r"edge of '0' and '3' has no 'efect'\. Did you mean 'effect'\?"):
        from_networkx(network, NODES, attributes=["efect"])
    table = pd.DataFrame({"source": [0], "destination": [3], "effect": [1]})
    with pytest.raises(InputError, match=r"table of edges has no column 'efect'\. Did you mean 'effect'\?"):
        from_pandas(table, NODES, attributes=["efect"])


@pytest.mark.parametrize(
    "name", ["rewired", "distance_matched", "rewired_by_distance", "node_permuted", "linear_matched"]
)
def test_controls_keep_attributes_with_their_edges(name):
    made = GenomeGraph.from_edges(NODES, [0, 1, 2], [2, 3, 4], attributes={"x": [5, 5, 5]})
    changed = CONTROLS[name]()(made, np.zeros(6, dtype=int), np.random.default_rng(0))
    assert changed.attribute_names == made.attribute_names
    assert changed.edge_attr[:, -1].tolist() == [5] * 6


def test_an_attribute_can_be_dropped():
    dropped = CONTROLS["drop_attribute"](attribute="reads")(graph(), np.zeros(6, dtype=int), np.random.default_rng(0))
    assert own(dropped) == [[-1, 20], [1, 20], [0.5, 20]]


def test_the_mean_of_a_sage_over_an_attribute_counts_neighbours_with_their_sign():
    layer = SAGE(1, 4)  # weight, log10_distance, one type, one attribute
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.of_neighbours[1].weight.fill_(1.0)
        x, edges = torch.tensor([[0.0], [4.0], [1.0]]), torch.tensor([[1, 2], [0, 0]])
        attr = torch.tensor([[1, 1, 1, 1.0], [1, 1, 1, -1.0]])
        assert layer.message(x, edges, attr)[0].item() == pytest.approx((4 - 1) / 2)


def test_saved_attributes_count_for_the_size_of_a_model(tmp_path):
    edges = graph().save(tmp_path / "graph.npz")
    config = load_config(write_world(tmp_path), [f"graph.edges={[{'name': 'linear'}, *edges]}"])
    assert config.graph.edge_dim == 2 + 3 + 2
