"""Several genomes share one model but for its heads: each learns, and is judged as if it were alone."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from typer.testing import CliRunner

from genograph.audit import CHECKS
from genograph.checkpoint import begin_with, load_run, save_model, scaled_as
from genograph.cli import app
from genograph.config import load_config
from genograph.embed import embed
from genograph.errors import InputError
from genograph.evaluate import evaluate
from genograph.experiment import Experiment
from genograph.export_model import export_model
from genograph.joint import JointExperiment
from genograph.predict import predict
from genograph.train import train
from genograph.trainer import TrainingModule
from tests.test_processes import ODD, assert_alike, finish
from tests.test_train import CLI, assert_equal_weights, weights
from tests.two_genomes import write_genomes

GENOMES = ("human", "mouse")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return write_genomes(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def run(world, tmp_path_factory):
    return train(load_config(world), tmp_path_factory.mktemp("runs") / "both")


@pytest.fixture
def joint(world):
    return JointExperiment.open(load_config(world))


def one_batch(windows, genome):
    return next(iter(windows.parts[genome].loader(shuffle=False))), windows[genome, [(0, 0), (0, 1)]]


def loss_of(model, experiment):
    """The mean training loss of all windows, without dropout."""
    with torch.no_grad():
        return np.mean(
            [float(model.loss(batch)[0]) for batch in experiment.dataset("train", model.halo).loader(shuffle=False)]
        )


def test_a_batch_is_that_of_its_genome_with_assays_named_by_it(joint):
    windows = joint.dataset("train", joint.model().halo)
    alone, named = one_batch(windows, "mouse")
    assert list(alone.target) == ["coverage"]
    assert list(named.target) == list(named.mask) == ["mouse/coverage"]
    assert torch.equal(alone.target["coverage"], named.target["mouse/coverage"])
    assert torch.equal(alone.codes, named.codes)


def test_heads_are_of_each_genome_and_all_else_is_there_once(joint):
    model = joint.model()
    assert model.tracks == {"human/coverage": 1, "human/expression": 2, "human/methylation": 1, "mouse/coverage": 2}
    alone = joint.parts["human"].model()
    assert {name for name in model.state_dict() if not name.startswith("heads.")} == {
        name for name in alone.state_dict() if not name.startswith("heads.")
    }


def test_the_shared_parts_get_gradients_from_each_genome_and_heads_from_their_own(joint):
    model = joint.model()
    windows = joint.dataset("train", model.halo)
    for genome in GENOMES:
        model.zero_grad()
        _, batch = one_batch(windows, genome)
        model.loss(batch)[0].backward()
        assert all(each.grad.abs().sum() > 0 for part in (model.encoder, model.trunk) for each in part.parameters())
        moved = {assay for assay, head in model.heads.items() if head.linear.weight.grad.abs().sum() > 0}
        assert moved == {assay for assay in model.heads if assay.startswith(f"{genome}/")}
        # A process of several must see a gradient, if of zero, for every parameter.
        assert all(each.grad is not None for each in model.heads.parameters())


def test_a_step_of_one_genome_leaves_the_heads_of_others_as_they_are(world):
    config = load_config(world, ["training.l2=0.1", "training.optimizer=adam"])
    joint = JointExperiment.open(config)
    model = joint.model()
    steps = []

    class Watch(pl.Callback):
        def on_train_batch_start(self, trainer, module, batch, batch_idx):
            self.before = {assay: head.linear.weight.clone() for assay, head in module.model.heads.items()}

        def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
            now = {assay: head.linear.weight for assay, head in module.model.heads.items()}
            steps.append(({*batch.target}, {assay for assay in now if not torch.equal(now[assay], self.before[assay])}))

    module = TrainingModule(model, config.training, train=joint.dataset("train", model.halo), valid=None, seed=0)
    quiet = {
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "enable_checkpointing": False,
    }
    trainer = pl.Trainer(accelerator="cpu", devices=1, max_epochs=2, callbacks=[Watch()], limit_val_batches=0, **quiet)
    trainer.fit(module)
    assert all(moved == asked for asked, moved in steps)
    assert len({frozenset(asked) for asked, _ in steps}) == 2


def test_training_reduces_the_loss_of_each_genome(joint, world, tmp_path):
    torch.manual_seed(0)
    begun = joint.model()
    run = train(load_config(world, ["training.max_epochs=6", "training.monitor=loss"]), tmp_path / "run")
    for genome in GENOMES:
        experiment, model = load_run(run, genome=genome)
        heads = {assay: begun.heads[f"{genome}/{assay}"] for assay in model.heads}
        new = experiment.model()
        new.load_state_dict(begun.state_dict(), strict=False)
        new.heads = torch.nn.ModuleDict(heads)
        assert loss_of(model, experiment) < loss_of(new.eval(), experiment)


def test_the_score_of_an_epoch_is_the_mean_over_genomes(run):
    rows = list(csv.DictReader((run / "metrics.csv").open()))
    assert list(rows[0]) == ["epoch", "step", "train_loss", "valid_loss", "valid_pearsonr", "seconds"]
    best = max(float(row["valid_pearsonr"]) for row in rows)
    table = evaluate(run, run / "on_valid", config=load_config(run, ["evaluation.split=valid"]))
    by_genome = table.groupby("genome")["pearsonr"].mean()
    assert len(by_genome) == 2
    assert by_genome.mean() == pytest.approx(best, abs=1e-5)


def test_a_run_that_goes_on_after_a_stop_ends_with_the_weights_of_one_that_did_not(world, tmp_path):
    whole = train(load_config(world, ["training.max_epochs=4"]), tmp_path / "whole")
    train(load_config(world, ["training.max_epochs=2"]), tmp_path / "stopped")
    resumed = train(load_config(world, ["training.max_epochs=4"]), tmp_path / "stopped", resume=True)
    assert_equal_weights(whole, resumed)


def test_a_genome_is_judged_as_a_run_of_it_alone_with_the_same_weights(world, run, tmp_path):
    table = evaluate(run, tmp_path / "tables")
    experiment = Experiment.open(load_config(world.parent / "mouse" / "tiny.yaml"))
    _, model = load_run(run, genome="mouse")
    (tmp_path / "alone").mkdir()
    save_model(model, experiment, tmp_path / "alone")
    alone = evaluate(tmp_path / "alone")
    ours = table[table["genome"] == "mouse"].drop(columns="genome").reset_index(drop=True)
    pd.testing.assert_frame_equal(ours[alone.columns], alone)
    written = pd.read_csv(tmp_path / "tables" / "mouse" / "baselines.tsv", sep="\t")
    pd.testing.assert_frame_equal(written, pd.read_csv(tmp_path / "alone" / "baselines.tsv", sep="\t"))


def test_two_processes_evaluate_as_one(run, tmp_path):
    for workers in (1, 2):
        evaluate(run, tmp_path / str(workers), genome="mouse", workers=workers)
    one, two = ((tmp_path / each / "mouse" / "accuracy.tsv").read_bytes() for each in ("1", "2"))
    assert one == two
    assert not (tmp_path / "1" / "human").exists()


def test_bigwigs_go_to_a_folder_of_each_genome(run, tmp_path):
    predict(run, tmp_path / "all")
    predict(run, tmp_path / "one", genome="mouse")
    written = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.bw"))
    assert written == [
        *(f"all/human/{name}.bw" for name in ("fwd", "gc", "meth", "rev")),
        *(f"{folder}/mouse/{name}.bw" for folder in ("all", "one") for name in ("fwd", "gc")),
    ]
    assert (tmp_path / "all/mouse/gc.bw").read_bytes() == (tmp_path / "one/mouse/gc.bw").read_bytes()


def test_a_genome_is_loaded_without_the_data_of_others(world, run, tmp_path):
    shutil.copytree(world.parent, tmp_path / "world")
    shutil.rmtree(tmp_path / "world" / "human")
    shutil.copytree(run, tmp_path / "run")
    config = load_config(tmp_path / "world" / "both.yaml")
    experiment, model = load_run(tmp_path / "run", config, "mouse")
    assert model.tracks == {"coverage": 2}
    assert experiment.config.name == "both-mouse"


def test_a_run_of_several_genomes_is_not_loaded_as_one(run):
    with pytest.raises(InputError, match="several genomes, human, mouse"):
        load_run(run)
    with pytest.raises(InputError, match=r"no genomes\.mose\. Did you mean 'mouse'"):
        load_run(run, genome="mose")
    with pytest.raises(
        InputError, match=r"several genomes, human, mouse; this takes one\. .*load_config\(FILE\)\.of\('human'\)"
    ):
        Experiment.open(load_config(run))


def test_the_command_line_takes_one_genome_or_all(world, run, tmp_path):
    def told(*arguments):
        result = CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)
        assert result.exit_code == 0
        return result.output

    assert told("prepare", world).count("store ") == 2
    assert told("evaluate", run, "--out", tmp_path / "all").count("tables ") == 2
    assert told("evaluate", run, "--genome", "mouse", "--out", tmp_path / "one").count("genome     mouse") == 1
    assert told("predict", run, "--genome", "mouse", "--out", tmp_path / "bw").count("bigWig ") == 2
    assert told("models", world).count("both-") == 2
    assert told("embed", run, "--genome", "mouse", "--out", tmp_path / "one").count("embeddings ") == 1
    both = told("embed", run, "--out", tmp_path / "all")
    assert both.count("embeddings ") == 2
    assert all(f"CONFIG_OF_{each} " in both and f"all/{each}/embeddings.json}}'" in both for each in ("human", "mouse"))
    one, *both = (np.load(tmp_path / each / "embeddings.npy") for each in ("one/mouse", "all/mouse", "all/human"))
    np.testing.assert_array_equal(one, both[0])
    assert both[0].shape == both[1].shape
    assert (both[0] != both[1]).any()
    with pytest.raises(InputError, match="several genomes, human, mouse"):
        embed(run, tmp_path / "python")


def test_graph_and_export_take_one_genome_of_a_config(world, tmp_path):
    for verb, out in ("graph", "graph.bedpe"), ("export", "records"):
        result = CliRunner().invoke(app, [verb, str(world), "--genome", "mouse", "--out", str(tmp_path / out)])
        assert result.exit_code == 0
    own = Experiment.open(load_config(world.parent / "mouse" / "tiny.yaml")).graph
    assert len((tmp_path / "graph.bedpe").read_text().splitlines()) == own.num_edges // 2 + 1
    assert len((tmp_path / "records" / "targets.txt").read_text().splitlines()) == 2 + 1  # tracks of mouse


def test_a_part_of_such_a_run_starts_another_and_the_audit_knows_what_it_saw(world, run):
    config = load_config(world.parent / "mouse" / "tiny.yaml", [f"training.start_from.encoder={run}"])
    found = CHECKS["pretrained_on_held_out"](Experiment.open(config))
    assert (found.status, found.values["trained"], found.values["chosen"]) == ("ok", 0, 0)
    swapped = config.splits.model_copy(update={"valid": ["chrA"], "test": ["chrB"]})
    found = CHECKS["pretrained_on_held_out"](Experiment.open(config.model_copy(update={"splits": swapped})))
    assert (found.status, found.values["trained"], found.values["chosen"]) == ("leak", 312, 187)  # bins of chrA, chrB
    experiment = Experiment.open(config)
    model = experiment.model()
    begin_with(model, config.training.start_from, experiment)
    trained = weights(run)
    assert all(torch.equal(each, trained[f"encoder.{name}"]) for name, each in model.encoder.state_dict().items())


@pytest.mark.parametrize("verb", [["graph"], ["ablate"], ["study", "multitask"], ["export", "--out", "records"]])
def test_other_verbs_say_in_one_line_that_they_take_one_genome(world, verb):
    with pytest.raises(InputError, match=r"genomes, human, mouse; this takes one\. Name it: --genome human, in Python"):
        CliRunner().invoke(app, [*verb, str(world)], catch_exceptions=False)


def test_a_genome_without_a_contact_map_has_edges_of_the_same_type_from_a_file(tmp_path):
    path = write_genomes(tmp_path)
    (tmp_path / "mouse.bedpe").write_text("chrA\t0\t2000\tchrA\t8000\t10000\n")
    own = "genomes.mouse.graph.edges=[{name: linear}, {name: loops, file: mouse.bedpe, type: hic}]"
    experiment = JointExperiment.open(load_config(path, ["genomes.mouse.contacts=null", own]))
    experiment.model()
    human, mouse = (part.graph for part in experiment.parts.values())
    assert human.attribute_names == mouse.attribute_names == ("weight", "log10_distance", "linear", "hic")
    assert mouse.of_type("hic").sum() == 2


def test_an_ablation_takes_one_genome_though_each_has_a_graph_of_its_own(world, monkeypatch):
    taken = []
    monkeypatch.setattr("genograph.ablate.ablate", lambda config, *_, **__: taken.append(config) or exit())
    own = [f"genomes.{name}.graph.edges=[{{name: linear}}, {{name: hic}}]" for name in ("human", "mouse")]
    with pytest.raises(InputError, match="several genomes, human, mouse; this takes one"):
        CliRunner().invoke(app, ["ablate", str(world), *own, "ablation.arms=[linear]"], catch_exceptions=False)
    CliRunner().invoke(app, ["ablate", str(world), *own, "--genome", "mouse"], catch_exceptions=False)
    assert [config.name for config in taken] == ["both-mouse"]


def test_the_model_of_one_genome_is_a_program(run, tmp_path):
    with pytest.raises(InputError, match="has several genomes"):
        export_model(run, tmp_path / "program")
    folder = export_model(run, tmp_path / "program", genome="mouse")
    assert list(json.loads((folder / "model.json").read_text())["outputs"]) == ["coverage"]


def test_each_genome_has_a_card_that_says_how_to_load_it(run):
    text = (run / "mouse" / "card.md").read_text()
    assert text.startswith("# both-mouse\n")
    assert 'load_run("PATH_TO/both", genome="mouse")' in text
    assert "of that epoch, mean over genomes |" in text


def test_edges_with_other_attributes_cannot_share_a_model(world):
    change = "genomes.mouse.graph={edges: [{name: linear}, {name: hic, top_k: 3, min_distance: 4000}], features: FILE}"
    table = world.parent / "features.tsv"
    table.write_text("chrom\tstart\tend\tage\nchrA\t0\t2000\t1\nchrA\t2000\t4000\t2\n")
    config = load_config(world, [change.replace("FILE", str(table))])
    with pytest.raises(InputError, match=r"graph\.features differ: None of human, \['age', 'age missing'\] of mouse"):
        JointExperiment.open(config).model()


def test_features_of_other_names_share_no_weights(world):
    for name in ("age", "size"):
        table = world.parent / f"{name}.tsv"
        table.write_text(f"chrom\tstart\tend\t{name}\nchrA\t0\t2000\t1\nchrA\t2000\t4000\t2\n")
    edges = "edges: [{name: linear}, {name: hic, top_k: 3, min_distance: 4000}]"
    changes = [
        f"genomes.{genome}.graph={{{edges}, features: {world.parent / name}.tsv}}"
        for genome, name in (("human", "age"), ("mouse", "size"))
    ]
    with pytest.raises(InputError, match=r"features differ: \['age', 'age missing'\] of human, \['size', "):
        JointExperiment.open(load_config(world, changes)).model()


def test_a_file_that_a_genome_lacks_is_named_with_it(world):
    with pytest.raises(InputError, match=r"^genomes\.mouse: .*no\.tsv"):
        JointExperiment.open(load_config(world, ["genomes.mouse.tracks.targets=no.tsv"]))


def test_features_of_each_genome_are_scaled_as_in_the_run_that_weights_are_of(world, run, monkeypatch):
    scale = {"deviation": [1.0], "names": ["age"], "missing": []}
    inputs = {"human/features": scale | {"mean": [1.0]}, "mouse/features": scale | {"mean": [7.0]}}
    monkeypatch.setattr("genograph.checkpoint.read_metadata", lambda run: (run, {"inputs": json.dumps(inputs)}))
    joint = scaled_as(JointExperiment.open(load_config(world)), run)
    assert {genome: part.learned.mean for genome, part in joint.parts.items()} == {"human": [1.0], "mouse": [7.0]}
    with pytest.raises(InputError, match="has no features"):
        scaled_as(joint.parts["mouse"], run)


def test_an_error_in_the_data_of_a_genome_names_it(world):
    where = "genomes.human.splits.train=['chrA:24000-30000']"  # of the second half of a chromosome, without methylation
    joint = JointExperiment.open(load_config(world, [where]))
    with pytest.raises(InputError, match=r"^genomes\.human: track 'meth' has no measured"):
        joint.dataset("train", 0)


def test_what_one_genome_tests_on_leaves_training_in_the_other(world, tmp_path):
    (world.parent / "homologs.bed").write_text("chrA\t2560\t3840\tg1\thuman\nchrC\t0\t1280\tg1\tmouse\n")
    splits = "splits={valid: [chrB], test: [chrC], groups: homologs.bed}"
    config = load_config(world, [f"genomes.{genome}.{splits}" for genome in GENOMES])
    joint = JointExperiment.open(config)
    human, mouse = (joint.parts[genome].split_of_bin for genome in GENOMES)
    assert np.flatnonzero(human[:312] == -1).tolist() == list(range(20, 30))  # chrA has 312 bins of 128 bp
    assert not (mouse == -1).any()


def test_two_processes_train_as_one_with_their_batches_together(world, tmp_path):
    alone = train(load_config(world, [*ODD, "batch.size=2"]), tmp_path / "alone")
    finish([*CLI, "train", world, *ODD, "batch.size=1", "training.devices=2", "--out", tmp_path / "two"])
    assert_alike(alone, tmp_path / "two")
    ours, theirs = weights(alone), weights(tmp_path / "two")
    assert ours.keys() == theirs.keys()
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-3, atol=1e-4)
