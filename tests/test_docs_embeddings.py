"""docs/embeddings.md: its code runs, and its JSON and YAML are read."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import torch
import yaml
from safetensors.torch import save_file

from genograph.config import load_config
from genograph.embeddings import Embeddings
from genograph.experiment import Experiment
from genograph.genome.bins import Bins
from tests import tiny

PAGE = (Path(__file__).parents[1] / "docs" / "embeddings.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_embeddings_are_saved_as_the_page_says_and_read_by_a_model(tmp_path, monkeypatch, capsys):
    (tmp_path / "configs").mkdir()
    shutil.move(tiny.write_world(tmp_path / "configs"), tmp_path / "configs" / "ecoli.yaml")
    monkeypatch.chdir(tmp_path)
    (code,) = [block for block in blocks("python") if not block.startswith("# own_encoder.py")]
    exec(compile(code, "embeddings.md", "exec"), {})
    assert capsys.readouterr().out == blocks("text")[0]
    encoder = "model.encoder={name: embeddings, file: ../own_embeddings/embeddings.json}"
    changes = [encoder, "augment.shift=0", "augment.reverse_complement=false"]
    experiment = Experiment.open(load_config("configs/ecoli.yaml", changes))
    assert experiment.model().encoder.channels == 8
    source = experiment.dataset("test", 0).make_batch([0]).source
    assert (source >= 0).sum() == 1  # of 500 bins that have an embedding chrC has the first alone
    assert experiment.dataset("train", 0).make_batch([0]).source.max() > 0


def test_the_json_of_the_page_is_enough(tmp_path):
    (text,) = blocks("json")
    (tmp_path / "embeddings.json").write_text(text)
    bins = Bins({"NC_000913.3": 4_641_652}, 128)
    np.save(tmp_path / "embeddings.npy", np.zeros((len(bins), 8), dtype=np.float16))
    assert Embeddings.open(tmp_path / "embeddings.json", bins).values.shape == (36_262, 8)


def test_the_module_of_the_page_is_an_encoder(tmp_path):
    (code,) = [block for block in blocks("python") if block.startswith("# own_encoder.py")]
    (tmp_path / "own_encoder.py").write_text(code)
    config = tiny.write_world(tmp_path)
    (encoder,) = [yaml.safe_load(each)["encoder"] for each in re.findall(r"`(encoder: \{.*?\})`", PAGE)]
    module = torch.nn.Sequential(torch.nn.Conv1d(4, 16, 15, padding=7), torch.nn.GELU(), torch.nn.MaxPool1d(128))
    save_file(module.state_dict(), tmp_path / encoder["weights"])
    experiment = Experiment.open(load_config(config, [f"model.encoder={encoder}"]))
    assert torch.equal(experiment.model().encoder.module[0].weight, module[0].weight)
