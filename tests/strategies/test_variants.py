"""What the variants of each study change, and what a config must have for them."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from genograph.checkpoint import WEIGHTS, begin_with, scaled_as
from genograph.config import load_config
from genograph.describe import models
from genograph.errors import InputError
from genograph.experiment import Experiment
from genograph.strategies.studies import runs_of
from genograph.strategies.variants import STUDIES
from genograph.train import train


def plan(name, path, folder, *changes):
    return STUDIES[name](Experiment.open(load_config(path, changes)), folder)


def test_each_choice_of_negatives_trains_chooses_epochs_and_judges(peaks, tmp_path):
    made = plan("negatives", peaks, tmp_path)
    kinds = {
        "flanking+accessible": ["source", "flanking", "accessible"],
        "random": ["source", "random"],
        "all": ["source", "flanking", "accessible", "random"],
    }
    sites = {each.name: each.models[""].sites for each in made.variants}
    assert {name: each.train for name, each in sites.items()} == kinds
    assert {name: each.valid for name, each in sites.items()} == kinds
    assert {name: each.sites.test for name, each in made.tests.items()} == kinds


def test_negatives_that_are_asked_for_must_be_there(peaks, tmp_path):
    changes = ["sites.negatives={flanking: 1, random: 1}", f"store={tmp_path / 'store'}"]
    message = r"sites\.negatives\.accessible: the table needs 'accessible' sites, and splits\.train has none"
    with pytest.raises(InputError, match=message):
        plan("negatives", peaks, tmp_path, *changes)


def test_strands_are_read_in_four_ways(peaks, tmp_path):
    made = plan("reverse-complement", peaks, tmp_path)
    assert {
        each.name: (config.augment.reverse_complement, config.model.both_strands)
        for each in made.variants
        for config in each.models.values()
    } == {"off": (False, False), "batches": (True, False), "epochs": ("epochs", False), "both": (False, True)}


def test_single_and_multi_task_models_read_the_same_sites_and_are_judged_on_the_tasks(peaks, tmp_path):
    made = plan("multitask", peaks, tmp_path)
    used = {each.name: [config.tracks.use for config in each.models.values()] for each in made.variants}
    assert used == {
        "forest-single": [["one", "two"]],
        "forest-multi": [["one", "two"]],
        "single": [["one"], ["two"]],
        "multi": [["one", "two"]],
        "multi+differential": [["one", "two", "two_gained", "two_lost"]],
    }
    assert len({config.store for each in made.variants for config in each.models.values()}) == 1
    assert made.tests[""].tracks.use == ["one", "two"]
    (single, _), (differential,) = (list(made.variants[number].models.values()) for number in (2, 4))
    stores = [Experiment.open(config).store for config in (single, differential, made.tests[""])]
    assert [len(store.targets["accessibility"]) for store in stores] == [1, 4, 2]
    assert len({len(store.bins) for store in stores}) == 1


def test_without_differential_tasks_their_variant_is_left_out(peaks, tmp_path):
    made = plan("multitask", peaks, tmp_path, "study.differential=false")
    assert [each.name for each in made.variants] == ["forest-single", "forest-multi", "single", "multi"]


def test_one_track_is_no_multitask(peaks, tmp_path):
    with pytest.raises(InputError, match="tracks: 'one' is the only track"):
        plan("multitask", peaks, tmp_path, "tracks.use=[one]")


def test_pretrained_models_begin_with_all_but_the_heads_of_their_seeds_reference(peaks, tmp_path):
    made = plan("pretraining", peaks, tmp_path, "model.trunk={filters: 4}")
    assert [each.name for each in made.variants] == [
        "single",
        "single-pretrained",
        "multi",
        "multi-pretrained",
        "multi+differential",
        "multi+differential-pretrained",
    ]
    reference = made.variants[1].start.models[""]
    assert reference.tracks.targets == peaks.parent / "reference.tsv"
    (run, _), (scratch, _) = (runs_of(made.variants[number], 3, tmp_path) for number in (1, 0))
    started = tmp_path / "runs" / "tasks" / "reference" / "seed3"
    assert run.config.training.start_from == {"encoder": started, "trunk": started}
    assert scratch.config.training.start_from == {}
    assert run.folder == tmp_path / "runs" / "tasks" / "single-pretrained" / "one" / "seed3"
    assert run.config.seed == 3


def test_pretrained_models_begin_with_the_references_features_and_placeholder_too(peaks, tmp_path):
    (tmp_path / "features.tsv").write_text("chrom\tstart\tend\tage\nchr1\t270\t330\t5\nchr1\t1070\t1130\t7\n")
    (tmp_path / "candidates.bed").write_text("chr1\t0\t50000\nchr2\t0\t24000\nchr3\t0\t24000\n")
    changes = [f"graph.features={tmp_path / 'features.tsv'}", f"graph.candidates={tmp_path / 'candidates.bed'}"]
    variant = plan("pretraining", peaks, tmp_path, "training.max_epochs=1", *changes).variants[3]
    (start,), (run,) = (runs_of(each, 0, tmp_path) for each in (variant.start, variant))
    assert run.config.training.start_from == dict.fromkeys(("encoder", "features", "placeholder"), start.folder)
    train(start.config, start.folder)
    experiment = scaled_as(Experiment.open(run.config), start.folder)
    model, learned = experiment.model(), load_file(start.folder / WEIGHTS)
    begin_with(model, run.config.training.start_from, experiment)
    for name in ("features.weight", "placeholder"):
        assert torch.equal(model.state_dict()[name], learned[name])


def test_the_published_architectures_have_their_size(peaks, tmp_path):
    changes = [
        "bins.bin_size=200",
        "model.encoder.input_length=1000",
        f"store={tmp_path / 'store'}",
        "tracks.use=[one]",
        "sites={source: peaks, overlap: 100}",
        "model.trunk={filters: 4}",
    ]
    made = plan("architectures", peaks, tmp_path, *changes)
    named = {each.name: each.models[""] for each in made.variants}
    sizes = models(config.model_copy(update={"name": name}) for name, config in named.items())
    trainable = dict(zip(sizes["name"], sizes["trainable"], strict=True))
    assert list(named) == ["peaks", "cnn", "cnn-rnn", "resnet"]
    assert [trainable[name] for name in ("cnn", "cnn-rnn", "resnet")] == [5_969_201, 3_942_961, 23_501_825]
    assert named["peaks"].model.trunk == {"filters": 4}


def test_the_published_architectures_need_1000_bp(peaks, tmp_path):
    with pytest.raises(InputError, match=r"study\.architectures: the published ones read 1,000 bp .* encoder 60\."):
        plan("architectures", peaks, tmp_path)


def test_own_architectures_stand_beside_the_config(peaks, tmp_path):
    own = "study.architectures=[{name: graph, set: ['graph.edges=[{name: linear}]', 'model.processor=[{name: gat}]']}]"
    made = plan("architectures", peaks, tmp_path, own)
    assert {each.name: len(each.models[""].model.processor) for each in made.variants} == {"peaks": 0, "graph": 1}


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        ("[{name: peaks, set: [batch.size=4]}]", r"'peaks' comes twice"),
        ("[{name: x, set: [bins.bin_size=100]}]", r"'x' changes bins\.bin_size, which all share"),
    ],
)
def test_architectures_change_the_model_and_have_names_of_their_own(peaks, tmp_path, arms, message):
    with pytest.raises(InputError, match=rf"study\.architectures: {message}"):
        plan("architectures", peaks, tmp_path, f"study.architectures={arms}")
