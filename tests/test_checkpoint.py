from __future__ import annotations

import json
import logging

import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from genograph.checkpoint import begin_with, load_run
from genograph.config import load_config
from genograph.describe import models
from genograph.errors import InputError
from genograph.experiment import Experiment
from genograph.train import train
from tests import tiny


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    return train(load_config(tiny.write_world(folder), ["training.max_epochs=1"]), folder / "run")


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("graph.edges=[]", "graph.edges"),
        ("model.processor=[]", "model.processor"),
        ("model.trunk.filters=16", "model.trunk.filters"),
        ("bins.node_size=4000", "bins.node_size"),
    ],
)
def test_a_run_cannot_be_judged_as_another_model(run, override, key):
    with pytest.raises(InputError, match=f"^{key}: cannot differ from what the run was trained with"):
        load_run(run, load_config(run, [override]))


def test_the_weights_file_alone_is_enough_to_run(run, tmp_path):
    weights = tmp_path / "model.safetensors"
    weights.write_bytes((run / "model.safetensors").read_bytes())
    experiment, model = load_run(tmp_path)
    assert experiment.config == load_config(run)
    assert not model.training


def test_options_of_the_edges_may_change_between_training_and_use(run):
    experiment, _ = load_run(run, load_config(run, ["graph.edges.1.top_k=1"]))
    assert experiment.config.graph.edges[1].options["top_k"] == 1


@pytest.mark.parametrize("types", [["linear"], ["hic", "linear"]])
def test_edges_with_other_attributes_than_in_training_or_in_another_order_are_refused(run, types, tmp_path):
    path = run / "model.safetensors"
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    assert json.loads(metadata["inputs"]) == {
        "edge_attributes": [["weight", "log10_distance", "linear", "hic"]],
        "features": None,
    }
    metadata["inputs"] = json.dumps({"edge_attributes": [["weight", "log10_distance", *types]], "features": None})
    save_file(load_file(path), tmp_path / "model.safetensors", metadata)
    with pytest.raises(InputError, match=r"^graph\.edges: edges .*; the run was trained with weight"):
        load_run(tmp_path)


def test_colleagues_may_read_the_weights_as_any_other_file_of_the_run(run):
    assert (run / "model.safetensors").stat().st_mode == (run / "config.yaml").stat().st_mode


def test_a_damaged_weights_file_is_one_line(run, tmp_path):
    (tmp_path / "model.safetensors").write_bytes((run / "model.safetensors").read_bytes()[:100])
    with pytest.raises(InputError, match="is damaged or no safetensors file"):
        load_run(tmp_path)


def test_other_data_than_a_run_was_trained_on_are_named(tmp_path, caplog):
    run = train(load_config(tiny.write_world(tmp_path), ["training.max_epochs=1"]), tmp_path / "run")
    with caplog.at_level(logging.WARNING):
        load_run(run)
    assert "trained on other data" not in caplog.text
    tiny.write_world(tmp_path, seed=1)
    with caplog.at_level(logging.WARNING):
        load_run(run)
    assert "was trained on other data than it is given now: " in caplog.text
    assert "genome.fasta" in caplog.text


def test_a_track_without_a_value_to_learn_from_is_named(tmp_path):
    config = tiny.write_world(tmp_path)
    tiny.write_bigwig(tmp_path / "gc.bw", {"chrB": [1.0] * tiny.SIZES["chrB"]})
    with pytest.raises(InputError, match="track 'gc' has no measured, unmasked value in the training split"):
        train(load_config(config), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_listing_counts_the_tracks_of_the_targets_table(run):
    row = models([load_config(run)]).iloc[0]
    assert row["tracks"] == 4
    assert row["layers"] == "basenji dilated gat"


@pytest.fixture(scope="module")
def without_encoder(run, tmp_path_factory):
    """A run without weights of an encoder, as those on stored embeddings are."""
    folder = tmp_path_factory.mktemp("embedded")
    with safe_open(run / "model.safetensors", "pt") as file:
        metadata = file.metadata()
    weights = {name: each for name, each in load_file(run / "model.safetensors").items() if "encoder" not in name}
    save_file(weights, folder / "model.safetensors", metadata)
    return folder


@pytest.mark.parametrize(
    ("part", "changes", "said"),
    [
        (
            "heads",
            ["tracks.use=[gc]", "model.heads={coverage: {}}"],
            r"predicts 2 tracks \([^,]*, [^,]*\) of expression, this config no track\. Give both the same tracks",
        ),
        (
            "placeholder",
            [],
            r"no placeholder, which is of bins that are not read, as with graph\.candidates\. Leave it",
        ),
        ("trunk", ["model.trunk=null"], r"the model of this config has no trunk\. Leave it out\.$"),
        (
            "trunk",
            ["model.trunk.filters=4"],
            r"has another trunk than this config: trunk\..* differs\. Give it the opt",
        ),
    ],
)
def test_why_a_part_cannot_begin_with_that_of_a_run_is_told(run, part, changes, said):
    with pytest.raises(InputError, match=rf"^training\.start_from\.{part}: .*{said}"):
        begin(load_config(run, changes), {part: run})


def begin(config, parts):
    experiment = Experiment.open(config)
    begin_with(experiment.model(), parts, experiment)


def test_heads_do_not_begin_with_those_of_as_many_other_tracks(run, tmp_path):
    table = (run.parent / "targets.tsv").read_text()
    other = run.parent / "other_targets.tsv"
    other.write_text(table.replace("\tgc\t", "\treads\t"))
    config = load_config(run, [f"tracks.targets={other}", f"store={tmp_path / 'store'}"])
    said = r"heads: .* predicts 1 track \(gc\) of coverage, this config 1 track \(reads\)\. Give both"
    with pytest.raises(InputError, match=said):
        begin(config, {"heads": run})
    begin(config, {"encoder": run, "trunk": run})


def test_a_run_without_an_encoder_is_no_start_for_one(run, without_encoder):
    with pytest.raises(
        InputError, match=r"has no encoder with weights\. A run on stored embeddings has none: name the"
    ):
        begin(load_config(run), {"encoder": without_encoder})


def test_a_start_that_is_not_there_says_where_paths_start(run):
    with pytest.raises(
        InputError, match=r"start_from\.trunk: no trained model .* CONFIG\. Relative paths start from the"
    ):
        begin(load_config(run), {"trunk": run / "none"})
