"""Own encoders, layers, heads, neighbours, edge types and controls, named in a config by file or module."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from genograph.ablate.arms import make_arms
from genograph.checkpoint import load_run
from genograph.config import EdgeConfig, LayerConfig, NeighboursConfig, load_config, parse_config
from genograph.errors import InputError
from genograph.experiment import Experiment
from genograph.predict import predict
from genograph.train import train
from tests.tiny import write_world

OWN = Path(__file__).parents[1] / "own_parts.py"
CHANGES = [
    "model.encoder={name: own/parts.py:BaseShares, filters: 5}",
    "model.processor=[{name: own/parts.py:Summed, dropout: 0.1}]",
    "model.heads.coverage={name: own/parts.py:Loud, weight: 2}",
    "graph.edges=[{name: own/parts.py:EverySecond, step: 3, notes: notes.txt}]",
    "graph.controls=[{name: own/parts.py:Doubled}]",
    "training.max_epochs=1",
]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    (folder / "own").mkdir()
    shutil.copy(OWN, folder / "own" / "parts.py")
    (folder / "notes.txt").touch()
    return write_world(folder)


@pytest.fixture(scope="module")
def run(world):
    return train(load_config(world, CHANGES), world.parent / "run")


def test_own_parts_are_trained_saved_and_found_again_from_anywhere(world, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written = yaml.safe_load((run / "config.yaml").read_text())
    assert written["model"]["encoder"] == {"name": f"{world.parent}/own/parts.py:BaseShares", "filters": 5}
    assert written["model"]["heads"]["coverage"]["name"] == f"{world.parent}/own/parts.py:Loud"
    experiment, model = load_run(run)
    assert experiment.config == load_config(world, CHANGES)
    assert [type(each).__name__ for each in (model.encoder, model.processor.layers[0], model.heads["coverage"])] == [
        "BaseShares",
        "Summed",
        "Loud",
    ]
    assert model.encoder.channels == 5
    assert experiment.graph.edge_types == ("every_second",)
    assert experiment.graph.edge_attr[0].tolist() == [2, np.float32(np.log10(6000)), 1]
    assert len(list(predict(run, tmp_path / "predictions").glob("*.bw"))) == 4


def test_an_option_that_is_a_path_starts_from_the_configs_folder(world):
    config = load_config(world, CHANGES)
    assert config.graph.edges[0].options["notes"] == world.parent / "notes.txt"
    assert parse_config(yaml.safe_load(config.to_yaml())) == config


def test_a_file_that_has_moved_is_named_anew(world, run, tmp_path):
    moved = shutil.copy(OWN, tmp_path / "moved.py")
    experiment, _ = load_run(run, load_config(run, [f"model.encoder.name={moved}:BaseShares"]))
    assert experiment.config.model.encoder.kind.__module__.startswith("own_moved")
    with pytest.raises(InputError, match=r"^model\.encoder\.filters, model\.encoder\.name: cannot differ"):
        load_run(run, load_config(run, ["model.encoder={name: resnet}"]))


def test_a_config_finds_its_own_parts_in_another_process(world):
    config = load_config(world, CHANGES)
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer).model.processor[0].build(8, 3).channels)"
    done = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(config), capture_output=True, check=True)
    assert done.stdout.decode().split() == ["8"]


def test_weights_do_not_depend_on_where_the_file_lies(world, tmp_path):
    shutil.copy(OWN, tmp_path / "elsewhere.py")
    weights = []
    for name in ("own/parts.py", f"{tmp_path}/elsewhere.py"):
        torch.manual_seed(0)
        config = load_config(world, [*CHANGES, f"model.processor=[{{name: {name}:Summed}}]"])
        weights.append(Experiment.open(config).model().processor.layers[0].linear.weight)
    assert torch.equal(*weights)


def test_an_own_layer_over_the_graph_is_left_out_with_the_graph(world):
    config = load_config(world, [*CHANGES, "graph.controls=[]", "ablation.arms=[no_graph, features_only]"])
    reference, no_graph, features_only = make_arms(config)
    assert no_graph.config.model.processor == []
    assert features_only.config.model.processor == reference.config.model.processor


def test_own_neighbours_are_built_with_their_options(tmp_path):
    shutil.copy(OWN, tmp_path / "parts.py")
    part = NeighboursConfig.model_validate({"name": "parts.py:Counted", "count": 7}, context={"folder": tmp_path})
    assert (part.build().count, part.label) == (7, "Counted")


def test_a_module_that_can_be_imported_needs_no_file():
    assert EdgeConfig(name="tests.own_parts:EverySecond", step=4).build().step == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("model.processor=[{name: own/parts.py:Sumed}]", r"^model.processor\[0\]: .* no class 'Sumed'\. Did you mean"),
        ("model.processor=[{name: own/parts.py:Doubled}]", r"'Doubled' is not a torch\.nn\.modules\.module\.Module;"),
        (
            "model.heads.coverage={name: own/parts.py:Summed}",
            r"^model.heads: coverage: 'Summed' is not a genograph\.nn\.heads",
        ),
        ("model.processor=[{name: own/parts.py:BaseShares}]", r"takes \(bin_size\), but is given \(channels, edge_dim"),
        ("graph.edges=[{name: own/parts.py:Positional}]", r"^graph.edges\[0\]: 'Positional' takes .* are keyword-only"),
        ("graph.edges=[{name: own/parts.py:Doubled}]", r"^graph.edges\[0\]: 'Doubled' has no 'name'\. It needs name, "),
        ("graph.edges=[{name: own/parts.py:EverySecond, stp: 2}]", "'EverySecond' has no option 'stp'. Did you mean"),
        ("graph.controls=[{name: own/none.py:Mine}]", r"^graph.controls\[0\]: no such file: /.*/own/none\.py"),
        ("graph.controls=[{name: nowhere:Mine}]", r"^graph.controls\[0\]: 'nowhere:Mine': no module 'nowhere'"),
        (
            "model.encoder={name: own/parts.py:NOT_A_CLASS}",
            "^model.encoder: 'NOT_A_CLASS' in .* is of type int, not a class",
        ),
    ],
)
def test_a_class_that_does_not_fit_is_one_line(world, change, message):
    with pytest.raises(InputError, match=message) as caught:
        load_config(world, [change])
    assert "\n" not in str(caught.value)


def test_a_layer_without_channels_is_refused_when_the_model_is_made(world):
    config = load_config(world, ["model.processor=[{name: own/parts.py:Channelless}]"])
    with pytest.raises(InputError, match=r"'Channelless' has no 'channels'\. It needs channels, span\."):
        Experiment.open(config)


def test_an_option_whose_type_no_config_can_give_is_one_line(tmp_path):
    text = (
        "from torch import nn\nclass Odd(nn.Module):\n def __init__(self, channels, edge_dim, *, by: nn.Linear): pass\n"
    )
    (tmp_path / "odd.py").write_text(text)
    with pytest.raises(InputError, match=r"^'Odd': the type of an option is none that YAML could give: "):
        LayerConfig.checked({"name": "odd.py:Odd"}, tmp_path)


HEADS = """
from genograph import Head
from genograph.nn.heads import CountHead

class Derived(CountHead):
    pass

class Bare(Head):
    pass

class Short(Head):
    def __init__(self, channels, num_tracks, *, depth: int = 1):
        super().__init__(channels, num_tracks)
"""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Bare", r"^model\.heads: coverage: 'Bare': tracks: Field required, as it has no default\.$"),
        ("Short", r"^model\.heads\.coverage: 'Short' cannot be made: .* missing 4 required keyword-only .*'link'"),
    ],
)
def test_a_head_that_lacks_options_is_told_with_its_assay(world, name, said):
    (world.parent / "heads.py").write_text(HEADS)
    with pytest.raises(InputError, match=said):
        Experiment.open(load_config(world, [f"model.heads.coverage={{name: heads.py:{name}}}"]))


def test_a_head_derived_from_one_of_an_assay_needs_nothing_more(world):
    (world.parent / "heads.py").write_text(HEADS)
    model = Experiment.open(load_config(world, ["model.heads.coverage={name: heads.py:Derived}"])).model()
    assert (type(model.heads["coverage"]).__name__, model.heads["coverage"].loss_name) == ("Derived", "poisson")
