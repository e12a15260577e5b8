"""Embeddings computed once stand where the encoder stood: the same batches, the same predictions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from genograph.checkpoint import begin_with, load_run
from genograph.config import load_config
from genograph.embed import embed
from genograph.evaluate import evaluate
from genograph.experiment import Experiment
from genograph.predict import predict
from genograph.train import train
from tests import tiny

AS_THEY_ARE = ["augment.shift=0", "augment.reverse_complement=false"]
# chrA in three splits, with a border within a node and bins of none between.
SPLITS = ["splits.valid=['chrA:8000-17000']", "splits.test=[chrC, 'chrA:30000-36000']", "splits.gap=1000"]
OPTIONS = {
    "plain": [],
    "candidates": ["graph.candidates=candidates.bed"],
    "strands": ["model.both_strands=true"],
    "circle": ["genome.circular=[chrB]", "store=store_circle"],
}


def trained(folder, *changes):
    config = load_config(tiny.write_world(folder), [*SPLITS, "training.max_epochs=1", *changes])
    return train(config, folder / "run")


@pytest.fixture(scope="module", params=OPTIONS)
def run(request, tmp_path_factory):
    """A run of the tiny world, whose encoder is not that of its beginning."""
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "candidates.bed").write_text("chrA\t1000\t9000\nchrA\t20000\t33000\nchrB\t300\t9000\nchrC\t0\t5000\n")
    return trained(folder, *OPTIONS[request.param])


@pytest.fixture(scope="module")
def stored(run):
    return embed(run)


def reading(run, path, *changes):
    """The config of a run, with the embeddings in place of its encoder."""
    change = [f"model.encoder={{name: embeddings, file: {path}}}", "model.both_strands=false", *AS_THEY_ARE]
    return load_config(run, [*change, *changes])


def both(run, path, *changes):
    """Experiment and model with the encoder, and with the embeddings and otherwise the same weights."""
    experiment, model = load_run(run)
    other = Experiment.open(reading(run, path, *changes))
    cached = other.model()
    parts = {part: run for part in ("processor", "trunk", "heads")}
    begin_with(cached, parts | ({"placeholder": run} if experiment.candidates is not None else {}))
    return (experiment, model.eval()), (other, cached.eval())


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_a_model_predicts_from_embeddings_what_it_predicts_from_sequence(split, run, stored):
    (experiment, model), (other, cached) = both(run, stored)
    windows = experiment.dataset(split, model.halo, keep_empty=True)
    same = other.dataset(split, cached.halo, keep_empty=True)
    assert len(windows) == len(same) > 0
    with torch.inference_mode():
        for window in range(len(windows)):
            expected, found = model(windows.make_batch([window])), cached(same.make_batch([window]))
            for assay, values in expected.items():
                torch.testing.assert_close(found[assay], values, rtol=1e-4, atol=1e-5)


def test_an_unfrozen_model_begins_where_the_one_on_embeddings_ended(run, stored, tmp_path):
    begun = train(reading(run, stored, "seed=7"), tmp_path / "begun")
    _, cached = load_run(begun)
    experiment, _ = load_run(run)
    of_begun = ["processor", "trunk", "heads", *(["placeholder"] if experiment.candidates is not None else [])]
    parts = {"encoder": run} | dict.fromkeys(of_begun, begun)
    model = experiment.model()
    begin_with(model, parts)
    windows = experiment.dataset("test", model.halo)
    same = load_run(begun)[0].dataset("test", cached.halo)
    with torch.inference_mode():
        expected, found = cached(same.make_batch([0, 1])), model.eval()(windows.make_batch([0, 1]))
    for assay, values in expected.items():
        torch.testing.assert_close(found[assay], values, rtol=1e-4, atol=1e-5)


def test_runs_on_embeddings_are_evaluated_and_predict(run, stored, tmp_path):
    begun = train(reading(run, stored), tmp_path / "begun")
    assert np.isfinite(evaluate(begun)["pearsonr"]).any()
    assert len(list(predict(begun).glob("*.bw"))) == 4
    tracked = load_file(begun / "model.safetensors")
    assert not any(name.startswith("encoder.") for name in tracked)
