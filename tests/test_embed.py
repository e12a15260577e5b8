"""Embeddings computed once stand where the encoder stood: the same batches, the same predictions."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from genograph.ablate import ablate, launchers
from genograph.ablate.grid import finish
from genograph.audit import audit
from genograph.checkpoint import begin_with, load_run
from genograph.config import load_config
from genograph.config_check import check_parts
from genograph.dataset import reverse_complement
from genograph.embed import _Encoder, embed, to_read
from genograph.embeddings import Description, Embeddings, marked
from genograph.errors import InputError
from genograph.evaluate import evaluate
from genograph.experiment import Experiment
from genograph.predict import predict
from genograph.train import train
from tests import tiny
from tests.prepare.test_prepare_sites import world

__all__ = ["world"]

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
    names = {name.partition(".")[0] for name in cached.state_dict()}
    parts = {part: run for part in ("processor", "trunk", "heads") if part in names}
    begin_with(cached, parts | ({"placeholder": run} if experiment.candidates is not None else {}), other)
    return (experiment, model.eval()), (other, cached.eval())


def test_every_row_is_written_and_those_beyond_a_circle_are_of_n(run, stored):
    experiment, _ = load_run(run)
    opened = Embeddings.open(stored, experiment.store.bins)
    assert opened.values.any(axis=1).all()  # an embedding of this encoder is nowhere all zero
    whole = experiment.store.bins.span("chrB")
    if "chrB" in experiment.store.bins.circular:
        beyond = opened.values[opened.border_rows(opened.description.runs.index((whole.start, whole.stop)))]
        assert len(beyond) == 2 * opened.description.border > 0
        np.testing.assert_array_equal(beyond, np.broadcast_to(opened.values[opened.num_bins], beyond.shape))


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
    begin_with(model, parts, experiment)
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


def test_the_other_strand_of_embeddings_of_both_is_that_of_the_sequence(run, stored):
    (experiment, model), (other, cached) = both(run, stored)
    targets = experiment.store.targets
    batch = experiment.dataset("valid", model.halo).make_batch([0])
    same = other.dataset("valid", cached.halo).make_batch([0])
    with torch.inference_mode():
        expected = model(reverse_complement(batch, 16, targets))
        found = cached(reverse_complement(same, 1, targets))
    alike = [torch.allclose(found[assay], values, rtol=1e-4, atol=1e-5) for assay, values in expected.items()]
    assert all(alike) == experiment.config.model.both_strands


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A run of the tiny world, to be changed by nobody."""
    return trained(tmp_path_factory.mktemp("plain"))


@pytest.fixture
def copy(plain, tmp_path):
    return shutil.copytree(plain, tmp_path / "run")


def array(path):
    return np.load(path.with_name("embeddings.npy"))


def test_half_the_size_differs_by_rounding_alone(plain, tmp_path):
    whole, half = (array(embed(plain, tmp_path / dtype, dtype=dtype)) for dtype in ("float32", "float16"))
    assert half.dtype == np.float16
    assert whole.shape == half.shape
    np.testing.assert_allclose(half, whole, rtol=1e-3, atol=1e-6)
    (experiment, model), (other, cached) = both(plain, tmp_path / "float16" / "embeddings.json")
    with torch.inference_mode():
        expected = model(experiment.dataset("test", model.halo).make_batch([0]))
        found = cached(other.dataset("test", cached.halo).make_batch([0]))
    for assay, values in expected.items():
        torch.testing.assert_close(found[assay], values, rtol=1e-2, atol=1e-3)


def test_one_that_was_stopped_goes_on_with_the_next_chromosome(plain, tmp_path, monkeypatch):
    expected = array(embed(plain, tmp_path / "whole"))
    encode, encoded = _Encoder.encode, []

    def stopping(encoder, chrom):
        if chrom == "chrB" and not encoded.count("stopped"):
            encoder.opened.values[encoder.bins.span(chrom)] = 7
            encoded.append("stopped")
            raise KeyboardInterrupt
        encoded.append(chrom)
        encode(encoder, chrom)

    monkeypatch.setattr(_Encoder, "encode", stopping)
    with pytest.raises(KeyboardInterrupt):
        embed(plain, tmp_path / "stopped")
    assert not (tmp_path / "stopped" / "embeddings.json").exists()
    path = embed(plain, tmp_path / "stopped")
    assert encoded == ["chrA", "stopped", "chrB", "chrC"]
    np.testing.assert_array_equal(array(path), expected)
    assert sorted(file.name for file in path.parent.iterdir()) == ["embeddings.json", "embeddings.npy"]
    assert embed(plain, tmp_path / "stopped") == path
    assert encoded[4:] == []


def test_what_a_config_needs_to_read_them_is_that_in_which_the_run_differs(run, stored):
    change, *others = to_read(stored, load_config(run))
    assert change == f"model.encoder={{name: embeddings, file: {stored.resolve()}}}"
    strands = load_run(run)[0].config.model.both_strands
    assert (
        others == (["model.both_strands=false"] if strands else ["augment.reverse_complement=false"]) + AS_THEY_ARE[:1]
    )
    check_parts(load_config(run, [change, *others]))
    views = to_read(stored, load_config(run, ["prediction={reverse_complement: true, shifts: [0, 1]}"]))
    assert views == [
        change,
        *others[:1],
        *([] if strands else ["prediction.reverse_complement=false"]),
        *others[1:],
        "prediction.shifts=[0]",
    ]


def test_what_was_begun_otherwise_begins_anew(plain, tmp_path, monkeypatch):
    monkeypatch.setattr(_Encoder, "encode", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        embed(plain, tmp_path, dtype="float16")
    monkeypatch.undo()
    assert array(embed(plain, tmp_path)).dtype == np.float32


def test_embeddings_of_another_run_are_not_written_over(plain, copy, tmp_path):
    path = embed(plain, tmp_path / "embeddings")
    weights = copy / "model.safetensors"
    assert embed(copy, path.parent) == path  # the same weights
    other = train(load_config(plain, ["seed=3"]), tmp_path / "other")
    shutil.copy(other / "model.safetensors", weights)
    other_splits = load_config(plain, ["splits.gap=0"])
    for options in ({"run": copy}, {"run": plain, "dtype": "float16"}, {"run": plain, "config": other_splits}):
        with pytest.raises(InputError, match="of another run, of other data or splits, or another dtype"):
            embed(out=path.parent, **options)


def test_a_description_whose_array_is_gone_is_not_taken_for_done(plain, tmp_path):
    path = embed(plain, tmp_path)
    path.with_name("embeddings.npy").unlink()
    with pytest.raises(InputError, match=r"names .*embeddings\.npy, which is not there"):
        embed(plain, tmp_path)


def test_what_has_no_encoder_of_sequence_is_not_embedded(plain, tmp_path):
    begun = train(reading(plain, embed(plain, tmp_path / "first")), tmp_path / "begun")
    with pytest.raises(InputError, match="reads no sequence, so that there is nothing to embed"):
        embed(begun)
    with pytest.raises(InputError, match="--dtype: float16 or float32, not 'int8'"):
        embed(plain, dtype="int8")


def test_a_description_says_what_the_embeddings_are(plain, tmp_path):
    experiment, model = load_run(plain)
    known = Description.read(embed(plain, tmp_path))
    split = experiment.split_of_bin
    assert known.receptive_field == model.encoder.receptive_field
    assert (known.missing, known.both_strands, known.border) == (0, False, model.encoder.halo)
    assert sum(end - first for first, end in known.runs) == len(split)
    assert sum(end - first for first, end in known.trained) == (split == 0).sum()
    assert sum(end - first for first, end in known.chosen) == (split == 1).sum()
    assert known.made_of["run"] == str(plain)
    assert known.made_of["sources"]["genome.fasta"] == experiment.sources["genome.fasta"]["sha256"]


def test_other_splits_do_not_change_what_the_encoder_was_trained_on(plain, tmp_path):
    split = load_run(plain)[0].split_of_bin
    swapped = ["splits.train=[chrC]", "splits.valid=['chrA:30000-36000']", "splits.test=[chrB]"]
    known = Description.read(embed(plain, tmp_path, config=load_config(plain, swapped)))
    np.testing.assert_array_equal(marked(known.trained, len(split)), split == 0)
    np.testing.assert_array_equal(marked(known.chosen, len(split)), split == 1)
    finding = found(Experiment.open(reading(plain, tmp_path / "embeddings.json", *swapped)), "pretrained_on_held_out")
    assert finding.status == "leak"


def test_views_that_are_not_stored_are_refused(plain, tmp_path):
    path = embed(plain, tmp_path)
    for change, told in {
        "augment.shift=3": "augment.shift: 3, but stored embeddings cannot be shifted; set augment.shift=0",
        "prediction.shifts=[-1,0,1]": "prediction.shifts: .* set prediction.shifts=.0.",
        "augment.reverse_complement=true": "augment.reverse_complement: .* of one strand alone",
        "prediction.reverse_complement=true": "prediction.reverse_complement: .* of one strand alone",
    }.items():
        with pytest.raises(InputError, match=told):
            Experiment.open(reading(plain, path, change))
    with pytest.raises(InputError, match="both_strands: stored embeddings are of both strands if their encoder was"):
        reading(plain, path, "model.both_strands=true")


def test_an_array_that_was_replaced_is_told_when_a_run_is_opened(plain, tmp_path, caplog):
    path = embed(plain, tmp_path / "embeddings")
    begun = train(reading(plain, path), tmp_path / "begun")
    load_run(begun)
    assert "trained on other data" not in caplog.text
    np.save(path.with_name("embeddings.npy"), array(path) + 1)
    load_run(begun)
    assert "was trained on other data than it is given now: model.encoder.array." in caplog.text


def test_moved_embeddings_are_named_anew(plain, tmp_path):
    path = embed(plain, tmp_path / "there")
    begun = train(reading(plain, path), tmp_path / "begun")
    path.parent.rename(tmp_path / "here")
    with pytest.raises(InputError, match=r"there/embeddings\.json: No such file"):
        load_run(begun)
    load_run(begun, load_config(begun, [f"model.encoder.file={tmp_path / 'here' / 'embeddings.json'}"]))


def found(experiment, check):
    (finding,) = [each for each in audit(experiment) if each.check == check]
    return finding


def test_an_encoder_trained_on_what_is_held_out_is_a_leak(plain, tmp_path):
    path = embed(plain, tmp_path)
    same = Experiment.open(reading(plain, path))
    assert found(same, "pretrained_on_held_out").status == "ok"
    assert found(same, "context_across_splits").status == "ok"
    swapped = Experiment.open(reading(plain, path, "splits.valid=[chrC]", "splits.test=['chrA:8000-17000']"))
    finding = found(swapped, "pretrained_on_held_out")
    assert (finding.status, finding.values["trained"]) == ("note", 0)
    assert finding.values["chosen"] == (swapped.split_of_bin == 2).sum()
    other = Experiment.open(reading(plain, path, "splits.test=[chrB]", "splits.valid=[chrC]", "splits.train=[chrA]"))
    finding = found(other, "pretrained_on_held_out")
    assert (finding.status, finding.values["trained"]) == ("leak", tiny.SIZES["chrB"] // tiny.BIN)


def test_an_encoder_to_start_from_that_was_trained_on_what_is_held_out_is_a_leak(plain):
    start = f"training.start_from={{encoder: {plain}}}"
    assert found(Experiment.open(load_config(plain, [start])), "pretrained_on_held_out").status == "ok"
    other = ["splits.test=[chrB]", "splits.valid=[chrC]", "splits.train=[chrA]"]
    assert found(Experiment.open(load_config(plain, [start, *other])), "pretrained_on_held_out").status == "leak"


def test_embeddings_of_other_splits_read_across_their_borders(plain, tmp_path):
    path = embed(plain, tmp_path)
    inside = ["splits.gap=0", "splits.test=[chrB, 'chrA:25600-29952']"]  # within a run of training
    finding = found(Experiment.open(reading(plain, path, *inside)), "context_across_splits")
    assert finding.status == "leak"
    # Of test the bin beyond each of its ends, of training the first and the last bin of what is tested.
    assert finding.count == 4 * tiny.BIN


def test_an_ablation_compares_graphs_on_embeddings(plain, tmp_path, monkeypatch):
    monkeypatch.setitem(launchers.LAUNCHERS, "local", in_this_process)
    settings = ["ablation.arms=[hic, no_graph]", "ablation.seeds=2", "training.max_epochs=1"]
    said = ablate(reading(plain, embed(plain, tmp_path / "stored"), *settings), tmp_path / "ablation")
    assert said.sentence
    trees = [json.loads(path.read_text()) for path in [tmp_path / "ablation" / "audit.json"]]
    assert {each["check"] for fold in trees[0] for each in fold} >= {"pretrained_on_held_out"}
    settings[0] = "ablation.folds=3"
    with pytest.raises(InputError, match="pretrained_on_held_out: Parts of the model were trained before on"):
        ablate(reading(plain, tmp_path / "stored" / "embeddings.json", *settings), tmp_path / "folds")


def in_this_process(runs, workers, folder, options):
    for run in runs:
        finish(run)
        yield run, None


def test_sites_are_embedded_as_bins_are(world, tmp_path):
    run = train(load_config(world, ["training.max_epochs=1", "store=sites"]), tmp_path / "run")
    (experiment, model), (other, cached) = both(run, embed(run))
    windows, same = experiment.dataset("test", model.halo), other.dataset("test", cached.halo)
    with torch.inference_mode():
        expected, found = model(windows.make_batch(range(8))), cached(same.make_batch(range(8)))
    torch.testing.assert_close(found["accessibility"], expected["accessibility"], rtol=1e-4, atol=1e-5)
