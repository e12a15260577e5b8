"""A model as a program: what it predicts, that it needs no genograph, and what is said of it."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from genograph.checkpoint import load_run
from genograph.config import load_config
from genograph.errors import InputError
from genograph.export_model import export_model
from genograph.train import train
from tests.cpgs import write_world as write_cpgs
from tests.tiny import write_world

# Runs a file as a fresh Python in which nothing but torch, numpy and their like can be imported.
WITHOUT_GENOGRAPH = """
import runpy, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("genograph", "torch_geometric", "pytorch_lightning"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Blocked())
runpy.run_path(sys.argv[1], run_name="__main__")
"""
MODELS = {
    "basenji": ["graph.edges=[]", "model.processor=[{name: dilated, filters: 4, layers: 2}]", "batch.chunk=null"],
    "lstm": ["model.processor=[{name: bilstm, width: 4}, {name: sage}]"],
    "messages": ["model.processor=[{name: gcn}, {name: gated_gcn}, {name: transformer, heads: 2}]"],
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return write_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def run(world, tmp_path_factory):
    return train(load_config(world, ["training.max_epochs=1"]), tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    return export_model(run, tmp_path_factory.mktemp("programs") / "program")


def inputs_of(batch, described):
    given = {"nodes": torch.zeros(batch.num_nodes), **batch.neighbours}
    return {name: given[name] if name in given else getattr(batch, name) for name in described["inputs"]}


def assert_predicts_alike(run, folder):
    """On windows of other sizes than the example too."""
    described = json.loads((folder / "model.json").read_text())
    program = torch.export.load(folder / "model.pt2").module()
    experiment, model = load_run(run)
    windows = experiment.genome_windows(model.halo, stride=described["predicted_bins"])
    sizes = set()
    for window in range(0, len(windows), 2):
        batch = windows.make_batch([window])
        with torch.inference_mode():
            expected, found = model(batch), program(**inputs_of(batch, described))
        assert list(found) == list(described["outputs"])
        for assay in expected:
            torch.testing.assert_close(found[assay], expected[assay], atol=1e-5, rtol=1e-5)
        sizes.add((batch.num_nodes, batch.edge_index.shape[1]))
    return sizes


def test_the_example_runs_without_genograph_and_finds_what_the_model_predicts(exported):
    command = [sys.executable, "-I", "-c", WITHOUT_GENOGRAPH, str(exported / "example.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["coverage", "expression", "methylation"]
    assert "tracks fwd, rev" in done.stdout


def test_the_example_tells_a_model_that_is_not_what_it_was(exported, tmp_path):
    for path in exported.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    example = dict(np.load(tmp_path / "example.npz"))
    np.savez(tmp_path / "example.npz", **example | {"predicted_coverage": example["predicted_coverage"] + 1e-3})
    done = subprocess.run([sys.executable, str(tmp_path / "example.py")], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "coverage is not what the model predicted" in done.stderr


def test_nodes_and_edges_may_be_others_than_the_examples(run, exported):
    assert len(assert_predicts_alike(run, exported)) > 1


@pytest.mark.parametrize("name", MODELS)
def test_other_models_are_programs_too(world, tmp_path, name):
    config = load_config(world, [*MODELS[name], "training.max_epochs=1"])
    run = train(config, tmp_path / "run")
    assert_predicts_alike(run, export_model(run, tmp_path / "program"))


def test_what_stands_beside_a_cpg_is_an_input(tmp_path):
    run = train(load_config(write_cpgs(tmp_path), ["training.max_epochs=1"]), tmp_path / "run")
    folder = export_model(run, tmp_path / "program")
    assert {"state", "distance"} <= set(json.loads((folder / "model.json").read_text())["inputs"])
    assert_predicts_alike(run, folder)


def test_the_weights_and_the_description_stand_beside(run, exported):
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (run, exported))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    described = json.loads((exported / "model.json").read_text())
    assert (described["bin_size"], described["window_bins"], described["predicted_bins"]) == (128, 64, 48)
    assert described["edge_attributes"] == ["weight", "log10_distance", "linear", "hic"]
    assert [each["identifier"] for each in described["outputs"]["expression"]["tracks"]] == ["fwd", "rev"]
    codes, edges = described["inputs"]["codes"]["shape"], described["inputs"]["edge_index"]["shape"]
    assert codes[1] == (16 + 2 * described["context_bins"]) * 128
    assert edges[0] == 2
    assert {codes[0], edges[1]} <= set(described["sizes"])  # letters


def test_a_folder_that_is_there_is_not_written_into(run, tmp_path):
    with pytest.raises(InputError, match=r"is there already. Name another folder: --out FOLDER"):
        export_model(run, tmp_path)


def test_nodes_of_several_sizes_are_an_input_error(world, tmp_path):
    coarse = "graph.coarse=[{node_size: 8000, edges: [{name: linear}]}]"
    run = train(load_config(world, [coarse, "training.max_epochs=1"]), tmp_path / "run")
    with pytest.raises(InputError, match=r"graph\.coarse: a program has nodes of one size only"):
        export_model(run, tmp_path / "program")
