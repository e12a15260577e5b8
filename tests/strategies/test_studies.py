"""Studies from a config to a table: runs are trained once, and judged as an evaluation judges them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from genograph import cli, strategies
from genograph.ablate.grid import Run
from genograph.config import load_config
from genograph.errors import InputError
from genograph.evaluate import evaluate
from genograph.experiment import Experiment
from genograph.strategies import STUDIES, studies, study
from genograph.strategies.scores import MEAN, TOGETHER
from genograph.strategies.studies import Studied, stopping_epoch
from tests.strategies.conftest import SHORT


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("study") / "out"


@pytest.fixture(scope="module")
def multitask(peaks, folder):
    return study("multitask", load_config(peaks, SHORT), folder, workers=1)


def test_every_variant_and_task_has_a_row(multitask, folder):
    table = pd.read_csv(folder / "multitask.tsv", sep="\t")
    variants = ["forest-single", "forest-multi", "single", "multi", "multi+differential"]
    assert table["variant"].unique().tolist() == variants
    assert table["task"].tolist() == ["one", "two", MEAN, TOGETHER] * len(variants)
    assert np.isfinite(table["auprc"]).all()
    assert table["auprc_low"].isna().all()
    assert multitask.failed == []
    assert multitask.text + "\n" == (folder / "multitask.md").read_text()
    assert table.loc[table["variant"] == "single", "models"].tolist() == [2] * 4


def test_a_single_task_model_scores_as_its_evaluation_does(multitask, folder, tmp_path):
    table = multitask.summary.set_index(["variant", "task"])
    for name in ("one", "two"):
        run = folder / "runs" / "tasks" / "single" / name / "seed0"
        (accuracy,) = evaluate(run, tmp_path).to_dict("records")
        assert table.loc[("single", name), "auprc"] == pytest.approx(accuracy["auprc"], abs=1e-6)
        assert table.loc[("single", name), "positives"] == 29 + (name == "one")


def test_tasks_are_judged_alike_whatever_else_a_model_learns(multitask, folder, tmp_path):
    accuracy = evaluate(folder / "runs" / "tasks" / "multi+differential" / "seed0", tmp_path).set_index("identifier")
    table = multitask.summary.set_index(["variant", "task"]).loc["multi+differential"]
    assert accuracy.index.tolist() == ["one", "two", "two_gained", "two_lost"]
    assert table.loc[MEAN, "auroc"] == pytest.approx(accuracy.loc[["one", "two"], "auroc"].mean(), abs=1e-6)


def test_what_is_finished_is_not_trained_again_and_studies_share_runs(multitask, peaks, folder):
    shared = folder / "runs" / "tasks"
    before = {path: path.stat().st_mtime_ns for path in shared.rglob("held_out.npz")}
    assert len(before) == 6
    found = study("pretraining", load_config(peaks, [*SHORT, "study.differential=true"]), folder, workers=1)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len([*shared.rglob("held_out.npz")]) == 6 + 1 + 4
    assert found.summary["variant"].nunique() == 6
    again = study("multitask", load_config(peaks, SHORT), folder, workers=1)
    pd.testing.assert_frame_equal(again.summary, multitask.summary)


def test_more_seeds_add_runs(multitask, peaks, folder):
    found = study("multitask", load_config(peaks, [*SHORT, "study.seeds=2"]), folder, workers=1)
    runs = pd.read_csv(folder / "multitask_runs.tsv", sep="\t")
    assert runs.groupby("variant")["seed"].unique().map(sorted).tolist() == [[0, 1]] * 5
    assert np.isfinite(found.summary["auprc_low"]).all()
    seed0 = runs[(runs["seed"] == 0) & (runs["variant"] == "multi")]["auprc"].tolist()
    assert seed0 == pytest.approx(multitask.summary.query("variant == 'multi'")["auprc"].tolist())


def test_another_config_is_refused_in_the_same_folder(multitask, peaks, folder):
    config = load_config(peaks, [*SHORT, "training.learning_rate=0.5"])
    with pytest.raises(InputError, match=r"holds runs of another config: training\.learning_rate differ"):
        study("multitask", config, folder)


def test_a_run_that_fails_is_told_and_leaves_its_rows_undefined(multitask, peaks, folder):
    run = folder / "runs" / "tasks" / "multi" / "seed0"
    kept = (run / "held_out.npz").read_bytes()
    (run / "held_out.npz").unlink()
    weights = (run / "model.safetensors").read_bytes()
    (run / "checkpoints" / "best.ckpt").rename(run / "best.ckpt")
    try:
        found = study("multitask", load_config(peaks, SHORT), folder, workers=1)
    finally:
        (run / "best.ckpt").rename(run / "checkpoints" / "best.ckpt")
        (run / "model.safetensors").write_bytes(weights)
        (run / "held_out.npz").write_bytes(kept)
    assert [each.split(" failed")[0] for each in found.failed] == ["tasks/multi, seed 0"]
    table = found.summary.set_index(["variant", "task"])["auprc"]
    assert table["multi"].isna().all()
    assert np.isfinite(table["single"]).all()


@pytest.fixture(scope="module")
def negatives(peaks, tmp_path_factory):
    folder = tmp_path_factory.mktemp("negatives")
    return study("negatives", load_config(peaks, SHORT), folder, workers=1)


def test_a_model_is_judged_on_every_choice_of_negatives(negatives):
    table = negatives.summary.set_index(["variant", "test", "task"])
    sites = table["sites"].xs(TOGETHER, level="task")["random"]
    assert (
        sites["all"] - sites["random"]
        == sites["flanking+accessible"] - table.loc[("all", "all", TOGETHER), "positives"] * 2
    )
    assert len(negatives.text.splitlines()) == 2 * 6 + 3
    assert "| trained with (AUPRC, mean over 2 tasks) | judged on flanking+accessible |" in negatives.text


def test_the_stopping_epoch_is_that_of_the_best_score_counted_from_1(peaks, tmp_path):
    for monitor, scores, best in ("auprc", [0.1, 0.5, 0.5, 0.2], 2), ("loss", [3, 2, 1, 4], 3):
        run = Run("x", 0, 0, tmp_path, load_config(peaks, [f"training.monitor={monitor}"]))
        pd.DataFrame({"epoch": range(4), f"valid_{monitor}": scores}).to_csv(tmp_path / "metrics.csv")
        assert stopping_epoch(run) == best


def test_sites_that_talk_beside_flanks_are_told(peaks, tmp_path, caplog):
    arms = [f"{{name: with-{each}, set: ['model.processor=[{{name: {each}}}]']}}" for each in ("gat", "dense")]
    config = load_config(peaks, [f"study.architectures=[{', '.join(arms)}]"])
    plan = STUDIES["architectures"](Experiment.open(config), tmp_path)
    studies._check_models(plan)
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith("sites.negatives.flanking: flanks stand on both sides")
    assert message.endswith("whatever the sequence: with-gat.")


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("multitasks", [], r"study: no 'multitasks'\. Did you mean 'multitask'"),
        ("multitask", ["sites=null", "bins.bin_size=60"], r"sites\.source: a study compares classifiers of peaks"),
        (
            "multitask",
            ["model.heads.coverage={}"],
            r"model\.heads: a study is of one assay; got accessibility, coverage",
        ),
        (
            "negatives",
            ["sites.negatives={random: 1}", "store=none"],
            r"sites\.negatives\.flanking: the table compares all",
        ),
        ("pretraining", ["study.reference=null", "store=none"], r"study\.reference: name the targets table"),
        ("pretraining", ["study.reference=none.tsv", "store=none"], r"study\.reference: no such file: .*none\.tsv"),
    ],
)
def test_configs_that_do_not_fit_are_refused(peaks, tmp_path, name, changes, message):
    with pytest.raises(InputError, match=message):
        study(name, load_config(peaks, changes), tmp_path)
    assert not (peaks.parent / "none").exists()


@pytest.mark.parametrize(("failed", "code"), [([], 0), (["tasks/multi, seed 0 failed"], 1)])
def test_the_command_prints_the_table_and_tells_of_runs_that_failed(peaks, tmp_path, monkeypatch, failed, code):
    found = Studied(pd.DataFrame(), "| a table |", tmp_path / "multitask.md", failed)
    asked = []
    monkeypatch.setattr(strategies, "study", lambda *given, workers: asked.append((given, workers)) or found)
    said = CliRunner().invoke(cli.app, ["study", "multitask", str(peaks), "seed=3", "-j", "1", "--out", str(tmp_path)])
    ((name, config, out), workers) = asked[0]
    assert (name, config.seed, out, workers) == ("multitask", 3, tmp_path, 1)
    assert said.output.startswith(f"| a table |\n\ntable      {tmp_path / 'multitask.md'}\n")
    assert said.exit_code == code
    assert ("1 run failed. tasks/multi" in said.output) == bool(failed)
