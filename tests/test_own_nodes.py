"""Nodes of unequal length, from the config to predictions: what windows show, and what stays inside a split."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from genograph.ablate.judged import Judged
from genograph.audit import audit
from genograph.checkpoint import load_run
from genograph.config import load_config
from genograph.errors import InputError
from genograph.evaluate import evaluate
from genograph.experiment import Experiment
from genograph.graph import GenomeGraph
from genograph.predict import predict
from genograph.train import train
from tests.tiny import BIN, write_world

# Of chrA, which validates up to 8,192 and then trains: nodes 0 to 5; of chrB 6, of chrC 7 and 8.
NODES = (
    "chrA\t1024\t2048\nchrA\t8000\t8400\nchrA\t9216\t9344\nchrA\t12800\t14848\nchrA\t14800\t15360\nchrA\t30720\t31360\n"
    "chrB\t1024\t4096\nchrC\t1024\t2048\nchrC\t8192\t9216\n"
)
PAIRS = (
    "chrA:1,024-2,048\tchrA:12,800-14,848\nchrA:8,000-8,400\tchrA:12,800-14,848\n"
    "chrA:12,800-14,848\tchrA:30,720-31,360\nchrC:1,024-2,048\tchrC:8,192-9,216\nchrC:1,024-2,048\tchrB:1,024-4,096\n"
)
OWN = [
    "contacts=null",
    "bins={bin_size: 128, nodes: nodes.bed}",
    "graph.edges=[{name: linear}, {name: table, file: pairs.tsv, type: met}]",
    "splits.valid=['chrB', 'chrA:0-8,192']",
    "batch.window=32",
    "batch.crop=0",
    "training.max_epochs=1",
]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own_nodes")
    (folder / "nodes.bed").write_text(NODES)
    (folder / "pairs.tsv").write_text(PAIRS)
    return write_world(folder)


@pytest.fixture(scope="module")
def experiment(world) -> Experiment:
    return Experiment.open(load_config(world, OWN))


@pytest.fixture(scope="module")
def run(world, experiment):
    return train(experiment.config, world.parent / "run")


def test_edges_go_to_the_nodes_that_places_are(experiment):
    graph = experiment.graph
    met = graph.edge_index[:, graph.of_type("met")].T.tolist()
    assert {(a, b) for a, b in met if a < b} == {(0, 3), (1, 3), (3, 5), (7, 8), (6, 7)}
    linear = graph.edge_index[:, graph.of_type("linear")].T.tolist()
    assert {(a, b) for a, b in linear if a < b} == {(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (7, 8)}


def test_a_window_shows_its_nodes_and_partners_and_other_bins_have_no_node(experiment):
    windows = experiment.dataset("train", halo=0)
    (number,) = np.flatnonzero(windows.windows[:, 1] == 96)  # 12,288 to 16,384
    batch = windows.make_batch([number])
    # Nodes 3 and 4 are the window's. Partner 5 has bins 240 to 244; 1 is across the border of a split, 0 beyond it.
    assert batch.num_nodes == 3
    expected = [-1] * 4 + [0] * 16 + [1] * 4 + [-1] * 8
    assert batch.node_of_bin[:32].tolist() == expected
    assert batch.node_of_bin[32:].tolist() == [2] * 5 + [-1] * 19  # as long as the longest node, of 3,072 bp
    assert batch.edge_index.T.tolist() == [[1, 0], [2, 0], [0, 1], [2, 1], [0, 2], [1, 2]]


def test_a_divided_node_shows_the_bins_of_its_split(experiment):
    windows = experiment.dataset("train", halo=0)
    batch = windows.make_batch([0])  # from 8,192 on, where node 1 goes on to 8,400
    assert batch.node_of_bin[:32].tolist() == [0] * 2 + [-1] * 6 + [1] + [-1] * 23
    assert not windows._may_be_partner[[0, 1]].any()
    assert windows._may_be_partner[[2, 3, 4, 5]].all()


def test_a_window_without_nodes_is_predicted_and_learns(experiment):
    model = experiment.model()
    windows = experiment.dataset("train", model.halo)
    (number,) = np.flatnonzero(windows.windows[:, 1] == 160)  # 20,480 to 24,576
    batch = windows.make_batch([number])
    assert (batch.num_nodes, tuple(batch.edge_index.shape)) == (0, (2, 0))
    loss, _ = model.loss(batch)
    loss.backward()
    assert torch.isfinite(loss)


@pytest.mark.parametrize("layer", ["gat", "gcn", "gated_gcn", "sage", "transformer"])
def test_every_graph_layer_takes_a_window_without_nodes_and_leaves_bins_of_none_alone(world, layer):
    own = Experiment.open(load_config(world, [*OWN, f"model.processor=[{{name: {layer}}}]"]))
    windows, block = own.dataset("train", halo=0), own.model().processor.layers[0].eval()
    empty = windows.make_batch(np.flatnonzero(windows.windows[:, 1] == 160))
    full = windows.make_batch(np.flatnonzero(windows.windows[:, 1] == 96))
    for batch in (empty, full):
        x = torch.randn(len(batch.source), 8)
        changed = (block(x, batch) != x).any(dim=1)
        assert not changed[batch.node_of_bin < 0].any()
        assert changed[batch.node_of_bin >= 0].all()


def test_a_batch_of_two_windows_is_two_batches_of_one(experiment):
    model = experiment.model().eval()
    windows = experiment.dataset("train", model.halo)
    with torch.inference_mode():
        together, apart = model(windows.make_batch([0, 1])), [model(windows.make_batch([each])) for each in (0, 1)]
    for assay, rates in together.items():
        torch.testing.assert_close(rates, torch.cat([each[assay] for each in apart]), rtol=1e-4, atol=1e-5)


def test_a_run_over_own_nodes_is_evaluated_predicted_and_audited(run, tmp_path):
    assert len(evaluate(run, tmp_path)) == 4
    assert len(list(predict(run, tmp_path / "predictions").glob("*.bw"))) == 4
    found = {each.check: each for each in audit(load_run(run)[0])}
    assert found["edges_across_splits"].status == "note"  # node 1 is divided
    assert "leak" not in {each.status for each in found.values()}


def test_bins_of_no_node_are_judged_as_without_contacts(experiment):
    judged = Judged(experiment, "coverage", "bins")
    level = dict(zip(judged.bins.tolist(), judged.points.strata["contacts"].tolist(), strict=True))
    first = experiment.store.bins.span("chrC").start
    assert level[first] == 0  # of no node
    assert level[first + 8] == 1  # of node 7, which has two contacts
    assert set(level.values()) == {0, 1}


def test_the_store_is_rebuilt_if_the_nodes_change(world, experiment):
    nodes = world.parent / "nodes.bed"
    before = nodes.read_text()
    nodes.write_text(before + "chrC\t10000\t10500\n")
    try:
        assert len(Experiment.open(experiment.config).store.nodes) == len(experiment.store.nodes) + 1
    finally:
        nodes.write_text(before)
        Experiment.open(experiment.config)


def test_a_graph_over_own_nodes_is_saved_and_found_again(world, experiment, tmp_path):
    graph = GenomeGraph.from_edges(experiment.store.nodes, [0, 2], [5, 4], weight=[1, 2])
    edges = graph.save(tmp_path / "graph.npz")
    found = Experiment.open(load_config(world, [*OWN, f"graph.edges={edges}"])).graph
    np.testing.assert_array_equal(found.edge_attr, graph.edge_attr)
    tiles = [*OWN, f"graph.edges={edges}", f"bins={{bin_size: {BIN}}}", f"store={tmp_path / 'tiles'}"]
    with pytest.raises(InputError, match="over other nodes than this config's, which differ in"):
        _ = Experiment.open(load_config(world, tiles)).graph


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("contacts={file: map.cool}", r"bins\.nodes: contacts need nodes of one size; leave out contacts"),
        ("bins.node_size=2000", r"bins: nodes have the lengths of their file; leave out node_size, or nodes"),
        ("graph.edges=[{name: hic}]", "'hic' edges need a contact map"),
    ],
)
def test_what_needs_nodes_of_one_size_says_so(world, override, message):
    with pytest.raises(InputError, match=message):
        Experiment.open(load_config(world, [*OWN, override]))


def test_a_missing_file_of_nodes_is_named(world):
    with pytest.raises(InputError, match=r"bins\.nodes: no such file"):
        Experiment.open(load_config(world, [*OWN, "bins.nodes=other.bed"]))


@pytest.mark.parametrize(
    "control", ["rewired", "distance_matched", "rewired_by_distance", "node_permuted", "isolated", "linear_matched"]
)
def test_controls_change_a_graph_of_own_nodes(world, control):
    (world.parent / "near.tsv").write_text("chrA:12,800-14,848\tchrA:30,720-31,360\n")
    edges = "graph.edges=[{name: linear}, {name: table, file: near.tsv, type: met}]"
    changed = Experiment.open(load_config(world, [*OWN, edges, f"graph.controls=[{{name: {control}}}]"])).graph
    met = changed.edge_index[:, changed.of_type("met")].T.tolist()
    assert {node for pair in met for node in pair} <= {2, 3, 4, 5}  # which train
    assert len(met) == (0 if control == "isolated" else 2)


def test_linear_edges_at_a_distance_need_nodes_of_one_size(world):
    own = Experiment.open(load_config(world, [*OWN, "graph.controls=[{name: linear_matched, min_distance: 4000}]"]))
    with pytest.raises(InputError, match="min_distance counts in nodes of one size"):
        _ = own.graph
