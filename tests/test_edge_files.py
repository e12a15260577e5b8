"""Edges from files, from the config to what a window shows, and which files a run depends on."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from genograph.ablate.arms import make_arms
from genograph.ablate.claim import sources_of
from genograph.checkpoint import load_run
from genograph.config import load_config
from genograph.errors import InputError
from genograph.experiment import Experiment
from genograph.genome.bins import Bins
from genograph.graph import GenomeGraph
from genograph.train import train
from tests.tiny import write_world

LOOPS = "one\t1000\t1500\tone\t21000\t21500\t2\none\t3000\t3500\tchrC\t0\t1000\t3\n"  # nodes 0-10, 1-32
EDGES = [
    "graph.edges=[{name: linear}, {name: loops, file: loops.bedpe, weight: 7}, "
    "{name: domains, file: domains.bed, reach: 1}, {name: table, file: genes.tab, type: regulation}]",
    "genome.aliases=aliases.tsv",
]


@pytest.fixture
def world(tmp_path):
    (tmp_path / "loops.bedpe").write_text(LOOPS)
    (tmp_path / "domains.bed").write_text("chrB\t0\t6000\n")
    (tmp_path / "genes.tab").write_text("gA1000\tgA9000\ngA1000\tchrB:0-10\n")
    (tmp_path / "aliases.tsv").write_text("one\tchrA\n")
    return write_world(tmp_path)


def test_edges_of_files_are_in_the_graph_with_names_genes_and_weights_resolved(world):
    graph = Experiment.open(load_config(world, EDGES)).graph
    assert graph.edge_types == ("linear", "loops", "domains", "regulation")
    found = {}
    for kind in graph.contact_types:
        edges = graph.edge_index[:, graph.of_type(kind)].T.tolist()
        found[kind] = {(source, other) for source, other in edges if source < other}
    assert found == {"loops": {(0, 10), (1, 32)}, "domains": {(20, 21), (21, 22)}, "regulation": {(0, 4), (0, 20)}}
    assert sorted(graph.weight[graph.of_type("loops")].tolist()) == [2, 2, 3, 3]


def test_loops_bring_partners_along_without_a_contact_map(world):
    experiment = Experiment.open(load_config(world, [*EDGES, "contacts=null"]))
    windows = experiment.dataset("train", halo=0)
    batch = windows.make_batch([0])  # of nodes 0 to 3; edges lead from node 0 to nodes 4 and 10
    assert batch.num_nodes == 4 + 2
    assert windows.contacts_shown()[1] < 1  # what leads to other splits is not shown


def test_a_graph_made_by_hand_is_trained_and_found_again_by_its_run(world, tmp_path, monkeypatch):
    nodes = Experiment.open(load_config(world)).store.nodes
    graph = GenomeGraph.from_edges(nodes, [0, 1, 2], [10, 32, 5], weight=[1, 2, 3], kind=["a", "b", "a"])
    edges = graph.save(tmp_path / "graph.npz")
    run = train(load_config(world, [f"graph.edges={edges}", "training.max_epochs=1"]), tmp_path / "run")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    experiment, _ = load_run(run)
    assert experiment.graph.edge_types == ("a", "b")
    np.testing.assert_array_equal(experiment.graph.edge_index, graph.edge_index)
    np.testing.assert_array_equal(experiment.graph.edge_attr, graph.edge_attr)
    assert experiment.graph.masked[1]  # by the contact map


def test_a_saved_graph_takes_its_place_among_other_edges(world, tmp_path):
    nodes = Experiment.open(load_config(world)).store.nodes
    edges = [{"name": "linear"}, *GenomeGraph.from_edges(nodes, [0], [10], kind="loops").save(tmp_path / "graph.npz")]
    assert Experiment.open(load_config(world, [f"graph.edges={edges}"])).graph.edge_types == ("linear", "loops")


def test_a_saved_graph_over_other_nodes_is_one_line(world, tmp_path):
    edges = GenomeGraph.from_edges(Bins({"chr1": 4000}, 1000), [0], [1]).save(tmp_path / "graph.npz")
    with pytest.raises(InputError, match="its graph is over other nodes than this config's"):
        _ = Experiment.open(load_config(world, [f"graph.edges={edges}"])).graph


def test_a_file_of_edges_that_is_not_there_is_named_by_its_key(world):
    with pytest.raises(InputError, match=r"^graph.edges\[1\].file: no such file: /.*/none\.bedpe"):
        Experiment.open(load_config(world, [*EDGES, "graph.edges.1.file=none.bedpe"]))


def test_a_file_of_edges_that_has_changed_is_told_when_a_run_is_used(world, tmp_path, caplog):
    run = train(load_config(world, [*EDGES, "training.max_epochs=1"]), tmp_path / "run")
    with caplog.at_level(logging.WARNING):
        load_run(run)
    assert "trained on other data" not in caplog.text
    (tmp_path / "loops.bedpe").write_text(LOOPS.replace("21000", "20900"))
    with caplog.at_level(logging.WARNING):
        load_run(run)
    assert "was trained on other data than it is given now: graph.edges[1].file." in caplog.text


def test_an_ablation_knows_the_files_of_its_edges_and_those_of_its_arms(world, tmp_path):
    (tmp_path / "other.bedpe").write_text(LOOPS)
    arm = "{name: other, set: [graph.edges.1.file=other.bedpe]}"
    config = load_config(world, [*EDGES, f"ablation.arms=[no_graph, {arm}]"])
    sources = sources_of(make_arms(config))
    assert {key for key in sources if "edges" in key} == {
        *(f"graph.edges[{number}].file" for number in (1, 2, 3)),
        *(f"other: graph.edges[{number}].file" for number in (1, 2, 3)),
    }
    assert sources["graph.edges[1].file"] == sources["other: graph.edges[1].file"]
