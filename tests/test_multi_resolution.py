"""Configs with larger nodes: what is refused, what arms, controls and the audit make of them, and that they train."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner

from genograph.ablate.arms import ARMS, make_arms, with_seed
from genograph.ablate.graphs import with_graphs
from genograph.audit import CHECKS
from genograph.checkpoint import load_run
from genograph.cli import app
from genograph.config import load_config, parse_config
from genograph.config_check import check_parts
from genograph.errors import InputError
from genograph.experiment import Experiment
from genograph.train import train
from tests import tiny

COARSE = [{"node_size": 8000, "edges": [{"name": "linear"}, {"name": "hic", "top_k": 2, "min_distance": 8000}]}]


def with_levels(tree):
    tree["graph"]["coarse"] = COARSE
    tree["model"]["processor"].append({"name": "gcn", "level": 1})
    return tree


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The tiny world with larger nodes, its store built."""
    folder = tmp_path_factory.mktemp("world")
    path = tiny.write_world(folder)
    path.write_text(yaml.safe_dump(with_levels(tiny.config_tree()), sort_keys=False))
    Experiment.open(load_config(path))
    return path


@pytest.fixture
def opened(world):
    return lambda *changes: Experiment.open(load_config(world, changes))


def ends(graph, kind="hic"):
    pairs = graph.pairs().take(graph.pairs().kind == graph.edge_types.index(kind))
    return set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ([2000], r"graph\.coarse\[0\]\.node_size: 2,000 bp is not two or more times the 2,000 bp of the level below"),
        ([5000], r"graph\.coarse\[0\]\.node_size: 5,000 bp .* choose a multiple, such as 20,000"),
        ([8000, 12_000], r"graph\.coarse\[1\]\.node_size: 12,000 bp .* the 8,000 bp of the level below"),
    ],
)
def test_sizes_that_do_not_nest_are_refused(sizes, message):
    tree = tiny.config_tree()
    tree["graph"]["coarse"] = [{"node_size": size} for size in sizes]
    with pytest.raises(InputError, match=message):
        parse_config(tree)


def test_sites_without_nodes_of_one_size_have_no_larger_nodes():
    tree = tiny.config_tree() | {"sites": {"source": "covered"}, "contacts": None, "bins": {"bin_size": 100}}
    tree["tracks"].pop("genes"), tree["batch"].pop("chunk")
    tree["graph"] = {"edges": [{"name": "linear"}], "coarse": [{"node_size": 8000}]}
    with pytest.raises(InputError, match=r"graph\.coarse: .* give bins\.node_size"):
        parse_config(tree)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["contacts=null", "graph.edges=[{name: linear}]"], "'hic' edges need a contact map"),
        (["graph.edges=[{name: linear}]"], r"graph\.coarse has contact edges, .* or set batch\.partners=0"),
        (["model.processor.2.level=2"], "'gcn' is over level 2, but the graph has levels 0 to 1"),
        (["graph.coarse.0.edges=[{name: loops, file: none.bedpe}]"], r"graph\.coarse\[0\]\.edges\[0\]\.file: no such"),
    ],
)
def test_levels_that_do_not_fit_the_rest_are_refused_before_a_store_is_built(changes, message, world):
    with pytest.raises(InputError, match=message):
        check_parts(load_config(world, changes))


def test_a_wrong_edge_of_larger_nodes_is_named(world):
    with pytest.raises(InputError, match=r"^graph\.coarse\[0\]\.edges\[1\]: hic: top_k must be at least 1"):
        load_config(world, ["graph.coarse.0.edges.1.top_k=0"])


def test_larger_nodes_may_have_contacts_alone_where_windows_have_no_partners(opened):
    experiment = opened("graph.edges=[{name: linear}]", "batch.partners=0")
    assert experiment.coarse[0].contact_types == ("hic",)
    assert experiment.dataset("train", halo=1).make_batch([1]).coarse[0].edge_index.shape[1] > 0


def test_a_model_with_larger_nodes_trains_and_is_loaded_again(world, tmp_path):
    config = load_config(world, ["training.max_epochs=1"])
    before = Experiment.open(config).model().processor.layers[2].conv.linear.weight
    run = train(config, tmp_path / "run")
    assert "edges of types linear, hic; larger: 11 nodes, " in (run / "card.md").read_text()
    after = load_run(run)[1].processor.layers[2].conv.linear.weight
    assert not np.allclose(before.detach(), after.detach())
    with pytest.raises(InputError, match=r"graph\.coarse.*: cannot differ from what the run was trained with"):
        load_run(run, load_config(run, ["graph.coarse.0.node_size=4000"]))


def test_the_verb_describes_every_level(world):
    told = CliRunner().invoke(app, ["graph", str(world)])
    assert told.exit_code == 0
    first, second = told.stdout.split("level 1, nodes of 8,000 bp\n")
    assert "nodes 41, masked 1" in first
    assert "nodes 11, masked 0" in second
    assert [each.split(":")[0] for each in second.splitlines() if "pairs" in each] == ["linear", "hic"]


def arm(name, world, *changes):
    return ARMS[name](load_config(world, changes))


@pytest.mark.parametrize("name", ["no_graph", "basenji"])
def test_arms_without_a_graph_have_no_level(name, world):
    config = arm(name, world)
    assert config.graph.coarse == []
    assert [layer.name for layer in config.model.processor] == ["dilated"]


@pytest.mark.parametrize(
    ("name", "top_k"),
    [("rewired", 2), ("distance_matched", 2), ("node_permuted", 2), ("linear_only", 1), ("power_law", 1)],
)
def test_arms_that_exchange_contacts_exchange_those_of_larger_nodes_too(name, top_k, world):
    changes = [f"graph.coarse.0.{change}" for change in ("node_size=4000", f"edges.1.top_k={top_k}")]
    reference, own = (Experiment.open(arm(each, world, *changes)) for each in ("hic", name))
    assert own.coarse[0].attribute_names == reference.coarse[0].attribute_names
    for before, after in zip(reference.levels, own.levels, strict=True):
        if name == "power_law":
            assert min(b - a for a, b in ends(after)) == min(b - a for a, b in ends(before))
        assert len(ends(after)) == len(ends(before))
        assert len(ends(before) - ends(after)) >= 5  # of few nodes chance brings back many


@pytest.mark.parametrize(("name", "is_read"), [("hic", True), ("features_only", False)])
def test_sequence_of_partners_reaches_predictions_by_contacts_alone(name, is_read, world):
    experiment = Experiment.open(arm(name, world, "graph.coarse.0.node_size=20000"))
    model = experiment.model().eval()
    dataset = experiment.dataset("train", model.halo)
    batch = dataset.make_batch([1])
    (windows, length), (partners, _) = batch.layout
    assert partners > 0
    own = batch.source[: windows * length] // dataset.reader.chunk
    others = np.setdiff1d(np.arange(len(batch.codes)), own.numpy())
    codes = batch.codes.clone()
    codes[others] = (codes[others] + 1) % 4
    with torch.inference_mode():
        before, after = (model(each)["coverage"] for each in (batch, replace(batch, codes=codes)))
    assert torch.equal(before, after) != is_read


def test_features_alone_have_no_edge_on_any_level(world):
    own = Experiment.open(arm("features_only", world))
    assert [graph.num_edges for graph in own.levels] == [0, 0]
    assert [graph.attribute_names for graph in own.levels] == [("weight", "log10_distance", "linear", "hic")] * 2


def test_dropped_types_and_attributes_are_dropped_on_all_levels(world):
    assert [ends(graph) for graph in Experiment.open(arm("drop_hic", world)).levels] == [set(), set()]
    for graph in Experiment.open(arm("drop_weight", world)).levels:
        assert len(np.unique(graph.weight)) == 1


def test_downsampling_and_its_seed_reach_all_levels(world):
    config = with_seed(arm("downsampled_10", world), 3)
    kept = [[edge.options for edge in level if edge.name == "hic"] for level in config.graph.levels]
    assert [(options["downsample"], options["seed"]) for (options,) in kept] == [(0.1, 3), (0.1, 3)]
    assert config.seed == 3


def test_arms_are_made_of_contacts_that_only_larger_nodes_have(world):
    config = load_config(world, ["graph.edges=[{name: linear}]", "batch.partners=0"])
    assert {"rewired", "drop_hic", "features_only"} <= {each.name for each in make_arms(config)}


def test_what_exchanged_contacts_of_larger_nodes_keep_is_told(world, caplog):
    config = load_config(world, ["ablation.arms=[rewired]"])
    _, (found,) = with_graphs(make_arms(config), [Experiment.open(config)])
    assert [(each.check, each.arm) for each in found] == [("edges_kept", "rewired")] * 2
    assert "of the contact edges of level 1 within a split" in found[1].message


@pytest.mark.parametrize("check", ["edges_across_splits", "degree_predicts", "edges_depend_on_label"])
def test_checks_run_over_all_levels(check, opened):
    finding = CHECKS[check](opened())
    assert finding.status != "leak"
    if check == "edges_depend_on_label":
        assert {"coverage.hic", "level1.coverage.hic", "level1.coverage.train.edges"} <= set(finding.values)


def test_larger_nodes_that_a_border_divides_are_a_note_though_no_smaller_one_is_divided(opened):
    inside = ("splits.valid=[chrA:20000-28000]", "graph.edges.1.top_k=8")  # borders of nodes of 2 kb, not of 8 kb
    finding = CHECKS["edges_across_splits"](opened(*inside))
    assert finding.status == "note"
    assert "end in a node that a border of splits divides" in finding.message
    assert CHECKS["edges_across_splits"](opened(*inside, "graph.coarse=[]", "model.processor.2.level=0")).status == "ok"


def test_edges_of_larger_nodes_of_another_split_would_be_a_leak(opened, monkeypatch):
    experiment = opened("splits.valid=[chrA:16000-24000]")
    reader = type(experiment.dataset("train", halo=1).levels[0])
    whole = reader.nodes

    def with_stranger(self, smallest):
        return np.union1d(whole(self, smallest), 2)  # the node of the validation split

    assert CHECKS["edges_across_splits"](experiment).status == "ok"
    seen = experiment.dataset("train", halo=1).make_batch([1]).coarse[0].num_nodes
    monkeypatch.setattr(reader, "nodes", with_stranger)
    assert experiment.dataset("train", halo=1).make_batch([1]).coarse[0].num_nodes == seen + 1
    assert CHECKS["edges_across_splits"](experiment).status == "leak"
