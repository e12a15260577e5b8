"""What parts of a model have learned from before: known where it can be told, and else said to be unknown."""

from __future__ import annotations

import json
import shutil

import numpy as np
import torch
import yaml
from safetensors.torch import save_file

from genograph.audit.checks import pretrained_on_held_out
from genograph.config import load_config
from genograph.experiment import Experiment
from genograph.seen_before import seen_before
from tests import records, tiny

ENCODER = """
from pathlib import Path

from genograph import ModuleEncoder
from torch import nn


class Pretrained(ModuleEncoder):
    def __init__(self, bin_size: int, *, weights: Path | None = None) -> None:
        super().__init__(nn.AvgPool1d(128), bin_size, channels=4, stride=128, context=0)
"""


def open_records(folder, *changes):
    """An experiment over a folder of TFRecords."""
    path = folder.parent / f"{folder.name}.yaml"
    path.write_text(yaml.safe_dump(records.config_tree(folder.name) | {"store": f"store_{folder.name}"}))
    return Experiment.open(load_config(path, changes))


def weights(folder, experiment, **metadata):
    """A run folder with as much of a trained model as tells what it was trained on."""
    folder.mkdir()
    said = {"config": experiment.config.to_yaml(), "store": json.dumps(experiment.sources)} | metadata
    save_file({"none": torch.zeros(1)}, folder / "model.safetensors", said)
    return folder


def unknown(experiment):
    return seen_before(experiment.config, experiment.store).unknown


def test_a_run_on_other_records_is_not_of_the_same_sequence(tmp_path):
    here = open_records(records.write_folder(tmp_path / "here"))
    run = weights(tmp_path / "run", here)
    start = f"training.start_from={{encoder: {run}}}"
    seen = seen_before(open_records(tmp_path / "here", start).config, here.store)
    np.testing.assert_array_equal(seen.trained, here.split_of_bin == 0)
    assert seen.unknown == ()
    other = records.write_folder(tmp_path / "other")
    bed = (other / "sequences.bed").read_text()
    (other / "sequences.bed").write_text(bed.replace("chr", "chrX"))
    assert unknown(open_records(other, start)) == (str(run),)


def test_of_a_run_that_started_from_one_that_is_gone_it_is_not_known(tmp_path):
    config = tiny.write_world(tmp_path)
    first = weights(tmp_path / "first", Experiment.open(load_config(config)))
    started = load_config(config, [f"training.start_from={{encoder: {first}}}"])
    second = weights(tmp_path / "second", Experiment.open(started))
    experiment = Experiment.open(load_config(config, [f"training.start_from={{encoder: {second}}}"]))
    assert unknown(experiment) == ()
    shutil.rmtree(first)
    assert unknown(experiment) == (str(first),)
    assert pretrained_on_held_out(experiment).status == "note"


def test_of_a_run_whose_config_is_not_understood_any_more_it_is_not_known(tmp_path):
    config = tiny.write_world(tmp_path)
    plain = Experiment.open(load_config(config))
    old = weights(tmp_path / "old", plain, config=plain.config.to_yaml().replace("window:", "windows:"))
    assert unknown(Experiment.open(load_config(config, [f"training.start_from={{encoder: {old}}}"]))) == (str(old),)


def test_an_encoder_with_a_file_of_weights_is_noted_and_one_without_is_not(tmp_path):
    config = tiny.write_world(tmp_path)
    (tmp_path / "own.py").write_text(ENCODER)
    save_file({"none": torch.zeros(1)}, tmp_path / "trunk.safetensors")
    named = f"name: {tmp_path / 'own.py'}:Pretrained"
    plain, pretrained = (
        Experiment.open(load_config(config, [f"model.encoder={{{options}}}"]))
        for options in (named, f"{named}, weights: {tmp_path / 'trunk.safetensors'}")
    )
    assert unknown(plain) == ()
    assert pretrained_on_held_out(plain).status == "ok"
    finding = pretrained_on_held_out(pretrained)
    assert (finding.status, finding.count) == ("note", 1)
    assert f"on what {tmp_path / 'trunk.safetensors'} was trained, if on anything, is not known" in finding.message
