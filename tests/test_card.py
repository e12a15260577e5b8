"""The card of a run: what it says is so, and every heading has something below it."""

from __future__ import annotations

import hashlib
import re
import shutil

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from genograph.card import Trained, write_card
from genograph.checkpoint import load_run
from genograph.config import load_config
from genograph.embeddings import save_embeddings
from genograph.experiment import Experiment
from genograph.nn.model import count_parameters
from genograph.train import train
from tests.tiny import write_world


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    return train(load_config(write_world(folder), ["training.max_epochs=2"]), folder / "run")


@pytest.fixture(scope="module")
def card(run):
    return (run / "card.md").read_text()


def row(card, first):
    """The other cells of the row of a table that begins so."""
    (line,) = re.findall(rf"^\| {re.escape(first)} \|(.*)\|$", card, re.MULTILINE)
    return [cell.strip() for cell in line.split(" | ")]


def test_every_heading_has_something_below_it(card):
    parts = re.split(r"^#+ .*$", card, flags=re.MULTILINE)
    assert parts[0] == ""
    assert len(parts) == 10
    assert all(part.strip() for part in parts[1:])


def test_every_source_stands_there_with_its_digest(card, run):
    for key, name in {"genome.fasta": "genome.fa", "contacts.file": "map.cool"}.items():
        digest = hashlib.sha256((run.parent / name).read_bytes()).hexdigest()
        assert row(card, key) == [name, f"`{digest}`"]


def test_how_to_load_it_is_a_line_to_put_a_path_into(card):
    assert 'experiment, model = load_run("PATH_TO/run")  # this folder\n' in card


def test_what_writes_bigwigs_and_a_program_is_named(card):
    assert "`genograph predict` writes bigWigs, `genograph export-model` a program that needs\ntorch alone.\n" in card


def test_no_path_of_the_machine_stands_there(card, run):
    assert str(run.parent) not in card


def test_model_and_splits_are_those_of_the_run(card, run):
    experiment, model = load_run(run)
    total, trainable, _ = count_parameters(model)
    assert row(card, "parameters") == [f"{total:,}, of which {trainable:,} train"]
    assert row(card, "receptive field") == [f"{model.receptive_field:,.0f} bp of contiguous sequence"]
    assert row(card, "processor") == ["dilated gat"]
    assert row(card, "test")[0] == "chrC"
    assert row(card, "valid") == ["chrB", f"{int(experiment.store.mask[experiment.store.bins.span('chrB')].sum()):,}"]
    assert row(card, "rev") == ["expression", "-", "G content"]


def test_the_score_is_that_of_the_epoch_that_is_kept(card, run):
    scores = [float(line.split(",")[4]) for line in (run / "metrics.csv").read_text().splitlines()[1:]]
    assert row(card, "valid pearsonr of that epoch") == [f"{max(scores):.4f}"]
    assert row(card, "epochs") == [f"0 to 1 in `metrics.csv`, of which epoch {scores.index(max(scores))} is kept"]


def test_the_same_run_has_the_same_card(card, run):
    again = train(load_config(run), run.with_name("again") / "run")
    assert (again / "card.md").read_text() == card


def test_a_long_table_ends_with_how_many_more_there_are(run, tmp_path, monkeypatch):
    monkeypatch.setattr("genograph.card.MOST", 3)
    train(load_config(run, ["training.max_epochs=1"]), tmp_path / "run")
    assert "And 1 more; the targets table names them." in (tmp_path / "run" / "card.md").read_text()


def test_a_model_without_a_graph_says_nothing_of_one(run, tmp_path):
    overrides = ["training.max_epochs=1", "graph.edges=[]", "model.processor=[]", "batch.chunk=null"]
    train(load_config(run, overrides), tmp_path / "run")
    card = (tmp_path / "run" / "card.md").read_text()
    assert "| graph |" not in card
    assert "| processor |" not in card
    assert "from sequence of this assembly" in card


def test_what_a_model_began_with_and_what_was_frozen_stand_there_as_they_were_at_the_start(card, run, tmp_path):
    start = shutil.copytree(run, tmp_path / "start")
    digest = hashlib.sha256((start / "model.safetensors").read_bytes()).hexdigest()
    begun = [f"training.start_from={{encoder: {start}, trunk: {start / 'model.safetensors'}}}", "training.patience=1"]
    config = load_config(run, [*begun, "training.freeze=[encoder]", "training.max_epochs=1"])
    train(config, tmp_path / "run")
    save_file({name: each * 2 for name, each in load_file(start / "model.safetensors").items()}, start / "w")
    shutil.copyfile(start / "w", start / "model.safetensors")  # another one by now
    further = load_config(tmp_path / "run", ["training.max_epochs=2", "training.patience=3"])
    told = (train(further, tmp_path / "run", resume=True) / "card.md").read_text()
    for part in ("encoder", "trunk"):
        assert row(told, f"training.start_from.{part}") == ["start/model.safetensors", f"`{digest}`"]
    assert row(told, "began with") == ["encoder of the run start, trunk of the run start"]
    assert row(told, "frozen") == ["encoder"]
    assert "| frozen |" not in card
    assert "| began with |" not in card


def limits(run, folder, *changes):
    """What the card of a model that is not trained says that it predicts from."""
    experiment = Experiment.open(load_config(run, changes))
    path = write_card(experiment.model(), experiment, Trained(1, 0, 0.5), folder)
    return re.search("from (.*) of this assembly", path.read_text())[1]


def test_all_that_a_model_reads_is_named(run, tmp_path):
    assert limits(run, tmp_path) == "sequence and contacts"
    (tmp_path / "loops.bedpe").write_text("chrA\t0\t2000\tchrA\t8000\t10000\n")
    loops = [f"graph.edges=[{{name: loops, file: {tmp_path / 'loops.bedpe'}}}]", "contacts=null"]
    assert limits(run, tmp_path, *loops, f"store={tmp_path / 'store'}") == "sequence and edges (loops)"
    features = tmp_path / "features.tsv"
    features.write_text("chrom\tstart\tend\tgc\nchrA\t0\t2000\t0.5\nchrA\t2000\t4000\t0.7\n")
    assert limits(run, tmp_path, f"graph.features={features}") == "sequence and features of nodes and contacts"
    larger = ["graph.edges=[]", "graph.coarse=[{node_size: 4000, edges: [{name: hic, top_k: 2, min_distance: 8000}]}]"]
    assert limits(run, tmp_path, *larger, "batch.partners=0") == "sequence and contacts"
    assert (tmp_path / "card.md").read_text().count("`genograph predict` writes bigWigs.\n") == 1  # and no program
    bins = load_run(run)[0].store.bins
    path = save_embeddings(np.ones((len(bins), 4), np.float32), bins, tmp_path / "own")
    stored = [f"model.encoder={{name: embeddings, file: {path}}}", "augment.shift=0"]
    assert limits(run, tmp_path, *stored, "augment.reverse_complement=false") == "stored embeddings and contacts"
    assert row((tmp_path / "card.md").read_text(), "receptive field") == ["not known, as of the stored embeddings"]
