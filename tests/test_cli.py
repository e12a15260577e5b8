from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from genograph import cli
from tests import tiny


@pytest.fixture
def world(tmp_path):
    return tiny.write_world(tmp_path)


@pytest.fixture
def genograph(monkeypatch, capsys):
    """Run a command line in this process: exit code, standard output and standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["genograph", *map(str, arguments)])
        try:
            cli.main()
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        streams = capsys.readouterr()
        return code, streams.out, streams.err

    return run


NO_NUMBER = "Invalid value for '--workers' / '-j': Input should be"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ablate", "x", "-j", "0"], f"{NO_NUMBER} greater than or equal to 1."),
        (["evaluate", "x", "-j", "0"], f"{NO_NUMBER} greater than or equal to 1."),
        (
            ["study", "multitask", "x", "-j", "few"],
            f"{NO_NUMBER} a valid integer, unable to parse string as an integer.",
        ),
        (["train", "x", "--nope"], "No such option: --nope."),
        (["ablate"], "Missing argument 'CONFIG_OR_RUN'."),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line_with_code_2(arguments, said, genograph):
    assert genograph(*arguments) == (2, "", f"genograph: {said} See genograph {arguments[0]} --help\n")


def test_an_unknown_verb_is_told_in_one_line(genograph):
    said = "genograph: No such command 'xyz'. See genograph --help\n"
    assert genograph("xyz") == (2, "", said)


def test_without_a_verb_there_is_help(genograph):
    code, out, err = genograph()
    assert (code, out) == (2, "")
    assert "Commands:\n  download " in err


def cut(path: Path, share: float = 0.5) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def missing_fasta(world):
    (world.parent / "genome.fa").unlink()
    return [], "genome.fasta: no such file"


def store_that_cannot_be_written(world):
    return ["store=genome.fa/store"], "genome.fa/store cannot be built: File exists. Name a folder"


def missing_track(world):
    (world.parent / "gc.bw").unlink()
    return [], "no file"


def missing_map(world):
    (world.parent / "map.cool").unlink()
    return [], "contacts.file: no such file"


def other_names(world):
    tiny.write_bigwig(world.parent / "gc.bw", {"scaffold_7": np.ones(40_000)})
    return [], "no chromosome of the genome is in this file"


def other_sizes(world):
    tiny.write_bigwig(world.parent / "gc.bw", {"chrA": np.ones(41_000)})
    return [], "wrong assembly"


def other_map(world):
    tiny.write_cool(world.parent / "map.cool", np.random.default_rng(0), sizes={"chrA": 80_000, "chrB": 24_000})
    return [], "wrong assembly"


def unknown_key(world):
    return ["training.max_epoch=3"], "training: no key 'max_epoch'. Did you mean 'max_epochs'?"


def unknown_chromosome(world):
    return ["genome.chroms=[chrA, chrZ]"], "no chromosome 'chrZ'"


def cut_bigwig(world):
    cut(world.parent / "gc.bw", 0.3)
    return [], "gc.bw"


def cut_map(world):
    cut(world.parent / "map.cool")
    return [], "map.cool"


def cut_fasta(world):
    import gzip

    packed = world.parent / "genome.fa.gz"
    packed.write_bytes(gzip.compress((world.parent / "genome.fa").read_bytes()))
    cut(packed)
    return ["genome.fasta=genome.fa.gz"], "genome.fa.gz"


def track_of_nan(world):
    tiny.write_bigwig(world.parent / "gc.bw", {chrom: np.full(size, np.nan) for chrom, size in tiny.SIZES.items()})
    return [], "gc.bw"


def resolution_that_does_not_divide(world):
    return ["bins.node_size=3000"], "3000"


def encoder_that_does_not_fit_the_bins(world):
    return ["bins.bin_size=100"], "the encoder pools to 128 bp, bins are 100 bp"


def empty_split(world):
    return ["splits.valid=['chrB:10-50']"], "No bin of 128 bp is left for the valid split"


def chromosome_in_two_splits(world):
    return ["splits.test=[chrB]"], "chrB"


def unknown_split(world):
    return ["splits.test=[chrQ]"], "no chromosome 'chrQ'"


def edges_without_a_map(world):
    return ["contacts=null"], "'hic' edges need a contact map"


def assay_without_a_head(world):
    return ["model.heads={coverage: {}}"], "Give each assay of the table a head"


def partners_without_a_chunk(world):
    return ["batch.chunk=null"], "batch.chunk"


def edge_option_out_of_range(world):
    return ["graph.edges.1.top_k=0"], "graph.edges[1]: "


def counts_under_a_loss_for_peaks(world):
    table = world.parent / "targets.tsv"
    table.write_text(table.read_text().replace("coverage", "accessibility"))
    heads = "model.heads={accessibility: {loss: bce}, expression: {}, methylation: {}}"
    return [heads], "loss bce is for peaks, 0 to 1, but 'gc' reaches "


def window_longer_than_any_chromosome(world):
    return ["batch.window=100000"], "batch.window: 100,000 bins are more than twice the longest chromosome, of 312 bins"


BEFORE_THE_STORE = [
    store_that_cannot_be_written,
    missing_fasta,
    missing_track,
    missing_map,
    other_names,
    other_sizes,
    other_map,
    unknown_key,
    unknown_chromosome,
    cut_bigwig,
    cut_map,
    cut_fasta,
    track_of_nan,
    resolution_that_does_not_divide,
    edge_option_out_of_range,
]
BEFORE_TRAINING = [
    encoder_that_does_not_fit_the_bins,
    empty_split,
    chromosome_in_two_splits,
    unknown_split,
    edges_without_a_map,
    assay_without_a_head,
    partners_without_a_chunk,
    counts_under_a_loss_for_peaks,
    window_longer_than_any_chromosome,
]


@pytest.mark.parametrize("mistake", BEFORE_THE_STORE + BEFORE_TRAINING, ids=lambda mistake: mistake.__name__)
def test_bad_input_is_one_line_and_exit_code_2_and_nothing_half_written(mistake, world, genograph):
    overrides, message = mistake(world)
    out = world.parent / "run"
    code, _, err = genograph("train", world, *overrides, "--out", out)
    lines = [line for line in err.splitlines() if line.startswith("genograph: ")]
    assert code == 2
    assert len(lines) == 1
    assert message in lines[0]
    assert "Traceback" not in err
    assert not out.exists()
    assert not list(world.parent.glob(".store.building*"))
    if mistake in BEFORE_THE_STORE:
        assert not (world.parent / "store").exists()


def test_a_failed_rebuild_leaves_the_store_that_was_there(world, genograph):
    assert genograph("prepare", world)[0] == 0
    before = (world.parent / "store" / "manifest.json").read_text()
    cut(world.parent / "map.cool")
    assert genograph("prepare", world)[0] == 2
    assert (world.parent / "store" / "manifest.json").read_text() == before


def test_every_verb_takes_one_step_of_the_road(world, genograph):
    run = world.parent / "run"
    code, out, _ = genograph("prepare", world)
    assert code == 0
    assert "fwd: 0 bins missing" in out
    assert re.search(r"^track      meth: [1-9][\d,]* bins missing$", out, re.MULTILINE)  # bins without a covered CpG
    assert re.search(r"^graph      [1-9][\d,]* pairs of nodes of 2,000 bp: linear", out, re.MULTILINE)
    code, out, _ = genograph("graph", world, "--out", world.parent / "graph.bedpe")
    assert code == 0
    assert "linear: " in out
    assert (world.parent / "graph.bedpe").read_text().count("\n") > 10
    code, out, _ = genograph("train", world, "training.max_epochs=1", "--out", run)
    assert code == 0
    assert f"next       genograph evaluate {run}" in out
    code, out, _ = genograph("evaluate", run)
    assert code == 0
    assert "4-mer ridge" in out
    code, out, _ = genograph("predict", run)
    assert code == 0
    assert f"bigWig     {run / 'predictions' / 'gc.bw'}" in out
    code, out, _ = genograph("embed", run, "--dtype", "float16")
    assert code == 0
    path = run / "embeddings" / "embeddings.json"
    assert (
        f"embeddings {path}\nnext       genograph train CONFIG --out NEW_RUN 'model.encoder={{name: embeddings, f"
        in out
    )
    assert f"file: {path.resolve()}}}' augment.reverse_complement=false augment.shift=0\n" in out


def test_evaluating_a_folder_that_is_no_run_says_what_to_do(world, genograph):
    code, _, err = genograph("evaluate", world)
    assert code == 2
    assert "is a config. Give the folder of a run trained with it" in err
    (world.parent / "empty").mkdir()
    (world.parent / "empty" / "config.yaml").write_text(world.read_text())
    code, _, err = genograph("evaluate", world.parent / "empty")
    assert code == 2
    assert "Train one: genograph train CONFIG" in err


def test_scores_of_the_validation_split_have_a_folder_of_their_own(world, genograph):
    run = world.parent / "run"
    assert genograph("train", world, "training.max_epochs=1", "--out", run)[0] == 0
    code, out, _ = genograph("evaluate", run, "evaluation.split=valid")
    assert code == 0
    assert str(run / "valid" / "accuracy.tsv") in out
    assert not (run / "accuracy.tsv").exists()


def test_scores_of_another_config_do_not_take_the_place_of_the_runs_own(world, genograph, tmp_path):
    run = world.parent / "run"
    assert genograph("train", world, "training.max_epochs=1", "--out", run)[0] == 0
    other = ("prediction.reverse_complement=true", "splits.test=['chrB:0-18432']", "contacts.mask=false")
    code, _, err = genograph("evaluate", run, *other)
    assert code == 2
    assert "contacts.mask, prediction.reverse_complement, splits.test.0: not as" in err
    assert "Name a folder for these: --out FOLDER" in err
    assert not (run / "accuracy.tsv").exists()
    assert genograph("evaluate", run, other[0], "--out", tmp_path / "one")[0] == 0
    assert (tmp_path / "one" / "accuracy.tsv").is_file()
    (tmp_path / "moved.fa").write_bytes((world.parent / "genome.fa").read_bytes())
    assert genograph("evaluate", run, "batch.size=1", f"genome.fasta={tmp_path / 'moved.fa'}")[0] == 0
    assert (run / "accuracy.tsv").is_file()


def test_going_on_with_a_run_that_is_not_there_is_an_error(world, genograph):
    code, _, err = genograph("train", world, "--resume", "--out", world.parent / "none")
    assert code == 2
    assert "to go on with" in err
    assert not (world.parent / "none").exists()


def test_an_interrupted_training_says_how_to_go_on(world, genograph, monkeypatch):
    def interrupt(self, *arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("genograph.trainer.TrainingModule.training_step", interrupt)
    code, _, err = genograph("train", world, "--out", world.parent / "run")
    assert code == 130
    assert f"genograph: stopped. Go on: genograph train {world.parent / 'run'} --resume" in err
    for verb in ("evaluate", "predict", "embed"):
        code, _, err = genograph(verb, world.parent / "run")
        said = f"the training of {world.parent / 'run'} is not finished. Go on: genograph train {world.parent / 'run'}"
        assert (code, err) == (2, f"genograph: {said} --resume\n")


def test_a_training_that_is_stopped_before_there_is_a_run_has_nothing_to_resume(world, genograph, monkeypatch):
    def interrupt(config):
        raise KeyboardInterrupt

    monkeypatch.setattr("genograph.experiment.prepare", interrupt)
    assert genograph("train", world, "--out", world.parent / "run") == (130, "", "genograph: stopped.\n")
    assert not (world.parent / "run").exists()


def test_a_verb_that_is_stopped_says_so_and_leaves_no_empty_folder(world, genograph, monkeypatch):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    run = world.parent / "run"
    assert genograph("train", world, "training.max_epochs=1", "--out", run)[0] == 0
    for module in ("predict", "evaluate"):
        monkeypatch.setattr(f"genograph.{module}.predictions", interrupt)
        code, _, err = genograph(module, run, "--out", world.parent / "new" / "below")
        assert (code, err) == (130, "genograph: stopped.\n")
        assert not (world.parent / "new").exists()
    monkeypatch.setattr("genograph.embed._Encoder.encode", interrupt)
    assert genograph("embed", run)[::2] == (130, "genograph: stopped. The same command goes on.\n")


def test_a_mistake_in_the_model_is_found_before_the_store_is_built(world, genograph):
    for mistake in ("bins.bin_size=100", "contacts=null", "graph.candidates=none.bed", "model.processor.1.heads=3"):
        assert genograph("train", world, mistake, "--out", world.parent / "run")[0] == 2
        assert not (world.parent / "store").exists(), mistake


def test_models_are_listed_where_their_data_are_not_at_hand(world, genograph):
    (world.parent / "gc.bw").unlink()
    code, out, _ = genograph("models", world)
    assert code == 0
    assert "tiny" in out


def test_models_lists_the_published_totals(genograph):
    code, out, _ = genograph("models")
    assert code == 0
    for total in ("15200568", "30123584", "111011", "4135064"):
        assert total in out


def test_help_does_not_import_torch():
    program = "import sys; from genograph import cli; sys.exit('torch' in sys.modules or 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_an_error_of_the_system_is_told_without_its_number(world, genograph, monkeypatch):
    def fail(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "runs/secret")

    monkeypatch.setattr("genograph.prepare.prepare", fail)
    code, _, err = genograph("prepare", world)
    assert (code, err) == (2, "genograph: runs/secret: Permission denied.\n")


def test_the_version_is_printed(genograph):
    code, out, _ = genograph("--version")
    assert (code, out) == (0, "genograph 0.1.0\n")
