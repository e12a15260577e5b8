"""What is not as it should be has one outcome, wherever edges come from: the table of docs/python.md."""

from __future__ import annotations

import networkx
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import coo_array
from torch_geometric.data import Data

from genograph.config import load_config
from genograph.errors import InputError
from genograph.experiment import Experiment
from genograph.genome.bins import Bins
from genograph.graph import GenomeGraph
from genograph.graph.interchange import from_networkx, from_pandas, from_pyg, from_scipy
from tests.tiny import write_world

NODES = Bins({"chr1": 5000}, 1000)


def by_table(source, destination, weight):
    return from_pandas(pd.DataFrame({"source": source, "destination": destination, "weight": weight}), NODES)


def by_network(source, destination, weight):
    network = networkx.MultiGraph()
    for first, second, each in zip(source, destination, weight, strict=True):
        network.add_edge(first, second, weight=each)
    return from_networkx(network, NODES)


def by_pyg(source, destination, weight):
    edges = torch.tensor(np.array([source, destination]), dtype=torch.long)
    return from_pyg(Data(edge_index=edges, edge_weight=torch.tensor(weight)), NODES)


WAYS = {
    "lists": lambda source, destination, weight: GenomeGraph.from_edges(NODES, source, destination, weight=weight),
    "pandas": by_table,
    "networkx": by_network,
    "pyg": by_pyg,
}


@pytest.fixture(params=WAYS)
def made(request):
    return WAYS[request.param]


@pytest.mark.parametrize("node", [5, -1])
def test_an_edge_to_a_node_that_there_is_not_is_an_error(made, node):
    with pytest.raises(InputError, match=rf"node {node}\b.*5 nodes are numbered from 0"):
        made([0, node], [1, 2], [1.0, 1.0])


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), -1.0])
def test_a_weight_that_is_no_number_of_0_or_more_is_an_error(made, weight):
    with pytest.raises(InputError, match=rf"edge 1 has a weight of {weight}; a weight is a number of 0 or more"):
        made([0, 1], [1, 2], [1.0, weight])


def test_an_edge_of_a_node_to_itself_is_left_out_and_counted(made, caplog):
    caplog.set_level("INFO")
    assert made([0, 1], [0, 2], [1.0, 1.0]).edge_index.tolist() == [[2, 1], [1, 2]]
    assert "1 of 2 edges join a node to itself and are left out" in caplog.text


def test_of_several_edges_between_two_nodes_that_of_the_largest_weight_stays(made):
    assert made([0, 3, 0], [3, 0, 3], [1.0, 4.0, 2.0]).weight.tolist() == [4, 4]


def test_an_edge_given_one_way_round_runs_both_ways(made):
    assert made([4], [2], [1.0]).edge_index.tolist() == [[4, 2], [2, 4]]


def test_no_edges_are_a_graph_without_edges(made):
    graph = made([], [], [])
    assert (graph.num_nodes, graph.num_edges, graph.summary()["isolated"]) == (5, 0, 5)


def test_nodes_without_a_path_to_each_other_are_a_graph(made):
    graph = made([0, 2], [1, 3], [1.0, 1.0])
    assert graph.degree().tolist() == [1, 1, 1, 1, 0]


def test_a_matrix_has_the_same_outcomes(caplog):
    caplog.set_level("INFO")
    with pytest.raises(InputError, match="edge 0 has a weight of nan"):
        from_scipy(coo_array(([np.nan], ([0], [1])), shape=(5, 5)), NODES)
    with pytest.raises(InputError, match="5 nodes have a matrix of as many rows and columns"):
        from_scipy(coo_array(([1.0], ([0], [5])), shape=(6, 6)), NODES)
    assert from_scipy(coo_array(([1.0], ([2], [2])), shape=(5, 5)), NODES).num_edges == 0
    assert "join a node to itself" in caplog.text


def test_two_nodes_of_a_network_that_are_one_node_are_an_error():
    network = networkx.Graph([("chr1:0-10", "chr1:3000-4000"), ("chr1:500-900", "chr1:4000-5000")])
    with pytest.raises(InputError, match=r"'chr1:0-10' and 'chr1:500-900' are both node 0\. Merge them"):
        from_networkx(network, NODES)


def test_a_directed_network_is_an_error():
    with pytest.raises(InputError, match="edges run both ways, but this networkx graph is directed"):
        from_networkx(networkx.DiGraph([(0, 1)]), NODES)


@pytest.mark.parametrize("ends", [([], []), ([0, 30], [5, 35])])
def test_a_model_learns_over_graphs_that_are_empty_or_not_connected(tmp_path, ends):
    world = write_world(tmp_path)
    nodes = Experiment.open(load_config(world)).store.nodes
    edges = GenomeGraph.from_edges(nodes, *ends).save(tmp_path / "graph.npz")
    experiment = Experiment.open(load_config(world, [f"graph.edges={edges}", "model.processor.1={name: sage}"]))
    model = experiment.model()
    loss, _ = model.loss(experiment.dataset("train", model.halo).make_batch([0, 1]))
    loss.backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters() if parameter.grad is not None)
    assert loss.isfinite()
