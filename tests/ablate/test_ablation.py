"""The whole ablation on the tiny world: what it writes, refuses, takes up again, and survives."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pandas as pd
import pytest

from genograph import cli
from genograph.ablate import RunsFailed, ablate, ablation
from genograph.ablate.arms import make_arms
from genograph.ablate.grid import PREDICTIONS, SCRATCH, finish
from genograph.ablate.launchers import LAUNCHERS
from genograph.audit import Finding, audit
from genograph.config import load_config
from genograph.errors import InputError
from genograph.experiment import Experiment
from tests.maps import write_map
from tests.tiny import SIZES, write_bigwig, write_world

ARMS = ("hic", "no_graph", "rewired")
SETTINGS = (f"ablation.arms=[{','.join(ARMS)}]", "ablation.seeds=2")
TABLES = ("arms.tsv", "differences.tsv", "strata.tsv", "tracks.tsv", "baselines.tsv", "verdict.json")
DEADLINE = 240  # seconds, on a machine however busy


def in_this_process(runs, workers, folder, options):
    """A launcher that saves the time in which processes start."""
    for run in runs:
        try:
            finish(run)
            yield run, None
        except Exception as error:
            yield run, error


@pytest.fixture(autouse=True, scope="module")
def _here():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(LAUNCHERS, "local", in_this_process)
        yield


@pytest.fixture(scope="module")
def finished(world, tmp_path_factory):
    """The folder of a finished ablation; nothing in it is to be changed."""
    folder = tmp_path_factory.mktemp("finished") / "ablation"
    ablate(load_config(world, SETTINGS), folder)
    return folder


@pytest.fixture
def copied(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "copied")


def tables(folder):
    return {name: (folder / name).read_bytes() for name in TABLES}


def trained(folder):
    """When the weights of each run were written."""
    return {
        str(path.parent.relative_to(folder / "runs")): path.stat().st_mtime_ns
        for path in folder.glob("runs/*/*/*/model.safetensors")
    }


def command(monkeypatch, *arguments):
    """The exit code of `genograph ablate ...`."""
    monkeypatch.setattr(sys, "argv", ["genograph", "ablate", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code or 0


def test_an_ablation_ends_with_its_tables_verdict_and_report(world, finished):
    arms, differences, strata = (pd.read_csv(finished / name, sep="\t") for name in TABLES[:3])
    assert list(arms.columns) == ["arm", "runs", "r", "sd", "low", "high", "assay"]
    assert arms.groupby("assay")["arm"].apply(list).to_dict() == {
        "coverage": [*ARMS],
        "expression": [*ARMS],
        "methylation": [*ARMS],
    }
    assert set(arms["runs"]) == {2}
    assert list(differences.loc[differences["assay"] == "coverage", "arm"]) == ["no_graph", "rewired"]
    assert set(strata["stratum"]) == {"contacts", "signal"}
    baselines = pd.read_csv(finished / "baselines.tsv", sep="\t")
    assert list(baselines.columns) == ["baseline", "r", "assay"]
    assert list(baselines["assay"]) == ["coverage", "expression", "methylation"]
    verdicts = json.loads((finished / "verdict.json").read_text())
    assert list(verdicts) == ["coverage", "expression", "methylation"]
    assert verdicts["coverage"]["judged"] == "15 genes in 2 blocks of 1 fold, 2 seeds"  # each a window long
    assert html.escape(verdicts["coverage"]["sentence"]) in (finished / "report.html").read_text()
    assert {path.name for path in finished.iterdir()} == {
        *TABLES,
        "config.yaml",
        "audit.json",
        "sources.json",
        "answers.json",
        "report.html",
        "runs",
        "baselines",
        "lock",
    }


def test_every_gene_of_the_held_out_chromosome_is_judged(finished):
    strata = pd.read_csv(finished / "strata.tsv", sep="\t")
    counted = strata[(strata["assay"] == "coverage") & (strata["arm"] == "hic")]
    # 15 genes of chrC, from 1,000 to 15,000 bp
    assert counted.groupby("stratum")["n"].sum().to_dict() == {"contacts": 15, "signal": 15}


def test_a_verdict_is_returned_for_the_assay_that_is_asked_about(world, finished, copied):
    verdicts = json.loads((finished / "verdict.json").read_text())
    said = ablate(load_config(world, [*SETTINGS, "ablation.assay=expression"]), copied)
    assert said.sentence == verdicts["expression"]["sentence"]


def test_a_second_call_trains_nothing_and_writes_the_same(world, copied, finished):
    before = trained(copied)
    for name in (*TABLES, "report.html"):
        (copied / name).unlink()
    ablate(load_config(world, SETTINGS), copied)
    assert trained(copied) == before
    assert tables(copied) == tables(finished)
    assert (copied / "report.html").is_file()


@pytest.mark.parametrize(
    ("settings", "new"),
    [
        (
            (SETTINGS[0], "ablation.seeds=3"),
            {f"{arm}/fold0/seed2" for arm in ARMS},
        ),
        (
            ("ablation.arms=[hic,no_graph,rewired,features_only]", SETTINGS[1]),
            {"features_only/fold0/seed0", "features_only/fold0/seed1"},
        ),
    ],
    ids=["seed", "arm"],
)
def test_one_more_seed_or_arm_trains_that_alone(settings, new, world, copied):
    before = trained(copied)
    ablate(load_config(world, settings), copied)
    after = trained(copied)
    assert after.keys() - before.keys() == new
    assert {key: after[key] for key in before} == before
    arms = pd.read_csv(copied / "arms.tsv", sep="\t")
    assert arms.loc[arms["assay"] == "coverage", "runs"].sum() == len(after)


def test_who_asks_again_otherwise_is_told_what_was_said_before(world, copied):
    said = ablate(load_config(world, [*SETTINGS, "ablation.assay=expression"]), copied)
    earlier = json.loads((copied / "verdict.json").read_text())["coverage"]
    told = f"this folder has answered before (coverage: {earlier['judged']}: {earlier['label']}). To look until"
    assert said.warnings[-1].startswith(told)
    assert html.escape(told, quote=False) in (copied / "report.html").read_text()
    again = ablate(load_config(world, SETTINGS), copied)
    assert again.warnings[-1].startswith("this folder has answered before (expression: ")


def test_fewer_arms_are_told_of_without_the_others(world, copied):
    ablate(load_config(world, ["ablation.arms=[hic,no_graph]", "ablation.seeds=1"]), copied)
    arms = pd.read_csv(copied / "arms.tsv", sep="\t")
    assert list(arms.loc[arms["assay"] == "coverage", "arm"]) == ["hic", "no_graph"]
    assert set(arms["runs"]) == {1}


def test_another_config_in_the_same_folder_is_refused_with_the_key(world, copied):
    before = trained(copied), tables(copied)
    with pytest.raises(InputError, match=r"another config: training\.learning_rate differ\. Name another: --out"):
        ablate(load_config(world, [*SETTINGS, "training.learning_rate=0.1"]), copied)
    assert (trained(copied), tables(copied)) == before


def test_other_folds_in_the_same_folder_are_refused(world, copied):
    with pytest.raises(InputError, match=r"hic, fold 0, seed 0 was trained with another config: splits\.test differ"):
        ablate(load_config(world, [*SETTINGS, "ablation.folds=3"]), copied)


def test_another_arm_of_the_same_name_is_refused(world, copied):
    arms = "ablation.arms=[hic,{{name: few, set: [graph.edges.1.top_k={}]}}]"
    ablate(load_config(world, [arms.format(1), "ablation.seeds=1"]), copied)
    with pytest.raises(InputError, match=r"few, fold 0, seed 0 was trained with another config: graph\.edges"):
        ablate(load_config(world, [arms.format(2), "ablation.seeds=1"]), copied)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("ablation.assay=coverag", r"ablation\.assay: no head 'coverag'\. Did you mean 'coverage'\?"),
        ("ablation.allow_leakage={mask_predict: x}", r"no check 'mask_predict'\. Did you mean 'mask_predicts'\?"),
        ("ablation.allow_leakage={mask_predicts: ' '}", r"'mask_predicts' has no reason\. Say why"),
        ("ablation.arms=[hic,no_grap]", r"no arm 'no_grap'\. Did you mean 'no_graph'\?"),
        ("ablation.folds=2", r"at least 3, to train, choose and judge; got 2"),
        ("ablation.elements=none.bed", r"^ablation\.elements: no such file: .*none\.bed$"),
        ("ablation.elements=map.cool", r"^ablation\.elements: .*map\.cool"),
        (
            "ablation.arms=[{name: mine, set: [graph.edges.7.top_k=1]}]",
            r"^ablation\.arms: 'mine': .*no item 7 in graph",
        ),
        (
            "ablation.arms=[{name: mine, set: [training.max_epochs=0]}]",
            r"^ablation\.arms: 'mine': training\.max_epochs: ",
        ),
        ("ablation.arms=[{name: mine, set: [contacts.file=none.cool]}]", r"^arm 'mine': contacts\.file: no such file"),
    ],
)
def test_what_could_only_fail_late_is_refused_at_once(change, message, world, tmp_path):
    with pytest.raises(InputError, match=message):
        ablate(load_config(world, [change]), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_an_unknown_launcher_is_refused_with_the_nearest(world, tmp_path):
    with pytest.raises(InputError, match=r"--launcher: no 'slrum'\. Did you mean 'slurm'\?"):
        ablate(load_config(world), tmp_path, launcher="slrum")


@pytest.mark.parametrize(("launcher", "engine"), [("slurm", "submitit"), ("ray", "ray")])
def test_a_launcher_whose_engine_is_not_there_is_refused_before_anything_is_written(
    launcher, engine, world, tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, engine, None)
    monkeypatch.chdir(tmp_path)
    code = command(monkeypatch, world, f"store={tmp_path / 'store'}", "--launcher", launcher)
    assert code == 2
    said = f"genograph: --launcher {launcher} needs {engine}, which is not installed. Install it: pip install "
    assert capsys.readouterr().err == f"{said}'genograph[{launcher}]'\n"
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named_with_the_option_before_anything_is_prepared(
    world, tmp_path, monkeypatch, capsys
):
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "out"
    assert command(monkeypatch, world, f"store={tmp_path / 'store'}", "--out", out) == 2
    said = f"--out: {out} cannot be written: {tmp_path / 'file'} is a file. Name another: --out FOLDER"
    assert capsys.readouterr().err == f"genograph: {said}\n"
    monkeypatch.setattr(os, "access", lambda place, mode: False)  # a test may be run by one who may do everything
    with pytest.raises(InputError, match=rf"^--out: .*/new cannot be written: no permission in {tmp_path}\. Name"):
        ablate(load_config(world, [f"store={tmp_path / 'store'}"]), tmp_path / "new")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_the_folder_of_a_run_is_not_written_into(world, finished):
    with pytest.raises(InputError, match=r"is a single run, not a folder of several\."):
        ablate(load_config(world, SETTINGS), finished / "runs" / "hic" / "fold0" / "seed0")


def test_folds_are_judged_one_by_one(world, tmp_path):
    """Also where a fold has no node of a level of contacts that others have."""
    settings = ["ablation.arms=[hic,no_graph]", "ablation.seeds=1", "ablation.folds=3"]
    ablate(load_config(world, settings), tmp_path)
    held_out = [np.load(tmp_path / f"runs/hic/fold{fold}/seed0" / PREDICTIONS)["coverage"] for fold in range(3)]
    assert [values.shape for values in held_out] == [(1, size // 128) for size in SIZES.values()]
    arms = pd.read_csv(tmp_path / "arms.tsv", sep="\t")
    assert list(arms.loc[arms["assay"] == "coverage", "runs"]) == [3, 3]


def test_of_two_commands_of_other_configs_at_once_the_second_is_refused(world, tmp_path, monkeypatch):
    settings, refused = ["ablation.arms=[hic,no_graph]", "ablation.seeds=1", "training.max_epochs=1"], []

    def other():
        with pytest.raises(InputError, match=r"another config: training\.learning_rate differ") as error:
            ablate(load_config(world, [*settings, "training.learning_rate=0.1"]), tmp_path)
        refused.append(error)

    second = threading.Thread(target=other)

    def audited(fold):
        second.start()
        second.join(0.5)
        return audit(fold)

    monkeypatch.setattr(ablation, "audit", audited)
    ablate(load_config(world, settings), tmp_path)
    second.join(DEADLINE)
    assert len(refused) == 1
    assert load_config(tmp_path).training.learning_rate == 0.01


# What an unmapped place hides: a world whose masked bins have no signal.


@pytest.fixture(scope="module")
def hiding_world(tmp_path_factory):
    """Every third node is masked by the map, and its bins have no reads at all."""
    folder = tmp_path_factory.mktemp("hiding")
    config = write_world(folder)
    hidden = {chrom: np.arange(size) // 2000 % 3 == 1 for chrom, size in SIZES.items()}
    rng = np.random.default_rng(0)
    for name in ("gc", "fwd", "rev"):
        write_bigwig(folder / f"{name}.bw", {c: np.where(h, 0, rng.integers(4, 6, len(h))) for c, h in hidden.items()})
    weight = np.where(np.concatenate([each[::2000] for each in hidden.values()]), np.nan, 1.0)
    write_map(folder / "map.cool", SIZES, 2000, rng.poisson(3.0, (len(weight), len(weight))), weight)
    return config


def test_a_leak_ends_with_code_2_before_anything_is_trained(hiding_world, tmp_path, monkeypatch, capsys):
    code = command(monkeypatch, hiding_world, *SETTINGS, "contacts.mask=false", "-o", tmp_path / "out")
    assert code == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("genograph: the audit found 2 leaks, nothing was trained. masked_bins_scored: ")
    assert "ablation.allow_leakage={check: reason}" in said
    assert not (tmp_path / "out" / "runs").exists()
    findings = {each["check"]: each["status"] for each in json.loads((tmp_path / "out" / "audit.json").read_text())[0]}
    assert {check for check, status in findings.items() if status == "leak"} == {"masked_bins_scored", "mask_predicts"}


def test_a_config_that_was_mended_goes_on_in_the_folder_that_was_refused(hiding_world, tmp_path):
    settings = ["ablation.arms=[hic,no_graph]", "ablation.seeds=1"]
    with pytest.raises(InputError, match="the audit found"):
        ablate(load_config(hiding_world, [*settings, "contacts.mask=false"]), tmp_path)
    ablate(load_config(hiding_world, settings), tmp_path)
    assert (tmp_path / "report.html").is_file()


def test_one_reason_does_not_allow_another_leak(hiding_world, tmp_path):
    allowed = "ablation.allow_leakage={mask_predicts: known}"
    with pytest.raises(InputError, match=r"found 1 leak, nothing was trained\. masked_bins_scored: "):
        ablate(load_config(hiding_world, [*SETTINGS, "contacts.mask=false", allowed]), tmp_path)


def test_an_arm_of_ones_own_that_leaks_is_refused_too(hiding_world, tmp_path):
    arms = "ablation.arms=[hic,no_graph,{name: unmasked, set: [contacts.mask=false]}]"
    with pytest.raises(
        InputError, match=r"found 2 leaks, nothing was trained\. masked_bins_scored: In arm 'unmasked': "
    ):
        ablate(load_config(hiding_world, [arms, "ablation.seeds=1"]), tmp_path)


def test_what_is_worse_in_an_arm_of_ones_own_than_in_the_reference_is_told(world, monkeypatch):
    def found(experiment):
        is_arm = experiment.config.graph.edges[1].options["top_k"] == 1
        return [Finding("a", "note" if is_arm else "ok", 1, "A."), Finding("b", "note", 1, "B.")]

    monkeypatch.setattr(ablation, "audit", found)
    config = load_config(world, ["ablation.arms=[{name: few, set: [graph.edges.1.top_k=1]}]"])
    findings = ablation._audited(make_arms(config), Experiment.open(config))
    told = [("a", "", "A."), ("b", "", "B."), ("a", "few", "In arm 'few': A.")]
    assert [(each.check, each.arm, each.message) for each in findings] == told


def test_an_allowed_leak_goes_on_and_the_report_shows_the_reason(hiding_world, tmp_path):
    allowed = "ablation.allow_leakage={mask_predicts: it is the point, masked_bins_scored: to show the trap}"
    settings = ["ablation.arms=[hic,no_graph]", "ablation.seeds=1", "contacts.mask=false", allowed]
    reasons = ablate(load_config(hiding_world, settings), tmp_path).reasons
    assert "a leak was allowed, scores may be too high: mask_predicts: it is the point" in reasons
    page = (tmp_path / "report.html").read_text()
    assert "it is the point" in page
    assert "to show the trap" in page
    assert page.count('class="status allowed"') == 2


# Failures of single runs.


def test_an_arm_that_fails_is_missing_and_the_others_are_told(world, tmp_path, monkeypatch, capsys):
    wild = "{name: wild, set: [training.learning_rate=1e30]}"
    settings = (f"ablation.arms=[hic,no_graph,{wild}]", "ablation.seeds=1")
    assert command(monkeypatch, world, *settings, "-o", tmp_path / "out") == 1
    said = capsys.readouterr()
    assert "judged on 15 genes in 2 blocks of 1 fold, 1 seed" in said.out.splitlines()
    assert "report " in said.out
    assert re.fullmatch(
        r"genograph: 1 of 3 runs failed, the same command tries them again\. wild, fold 0, seed 0 failed, see "
        r".*train\.log: the loss is not finite at step .*",
        said.err.splitlines()[-1],
    )
    arms = pd.read_csv(tmp_path / "out" / "arms.tsv", sep="\t")
    assert set(arms["arm"]) == {"hic", "no_graph"}
    assert "wild, fold 0, seed 0" in (tmp_path / "out" / "report.html").read_text()


def test_without_a_run_of_the_reference_there_is_no_answer(world, tmp_path, monkeypatch):
    def failing(runs, *_):
        yield from ((run, RuntimeError("no memory")) for run in runs)

    monkeypatch.setitem(LAUNCHERS, "local", failing)
    with pytest.raises(
        InputError, match=r"no run of 'hic' was finished\. hic, fold 0, seed 0 failed, see .*: no memory"
    ):
        ablate(load_config(world, SETTINGS), tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_a_run_that_ends_without_predictions_has_failed(world, copied, monkeypatch):
    monkeypatch.setattr(ablation, "SHOWN_AFTER", 0.1)
    (copied / "runs" / "rewired" / "fold0" / "seed1" / PREDICTIONS).unlink()
    monkeypatch.setitem(LAUNCHERS, "local", lambda runs, *_: ((run, None) for run in runs))
    with pytest.raises(RunsFailed, match=r"1 of 6 runs failed.* rewired, fold 0, seed 1 failed.*: it ended, but .*npz"):
        ablate(load_config(world, SETTINGS), copied)


def test_a_run_whose_predictions_are_seen_late_is_done(world, copied, monkeypatch):
    folder = copied / "runs" / "rewired" / "fold0" / "seed1"
    (folder / PREDICTIONS).rename(folder / "late")

    def late(runs, *_):
        for run in runs:
            threading.Timer(0.5, (folder / "late").rename, [folder / PREDICTIONS]).start()
            yield run, None

    monkeypatch.setitem(LAUNCHERS, "local", late)
    ablate(load_config(world, SETTINGS), copied)


# Processes of their own, that are killed.


def started(world, folder, *settings, workers=2):
    """A process of `genograph ablate`, which leads a process group; what it says goes to `said` beside the folder."""
    command = [
        sys.executable,
        "-m",
        "genograph",
        "ablate",
        str(world),
        *settings,
        "-o",
        str(folder),
        "-j",
        str(workers),
    ]
    with (folder.parent / "said").open("a") as said:
        return subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True)


def exit_code(process):
    try:
        return process.wait(DEADLINE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise


def kill_when(holds, process):
    """Kill a process group the moment that something holds."""
    deadline = time.monotonic() + DEADLINE
    while not holds():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGKILL)
    assert exit_code(process) == -signal.SIGKILL


MOMENTS = {
    "in the middle of the first run": "runs/*/*/*/checkpoints/last.ckpt",
    "between runs": f"runs/*/*/*/{PREDICTIONS}",
    "while predictions are written": f"runs/*/*/*/{SCRATCH}*",
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_ablation_goes_on_to_the_same_tables(moment, world, tmp_path, finished):
    folder = tmp_path / "out"
    kill_when(lambda: any(folder.glob(MOMENTS[moment])), started(world, folder, *SETTINGS))
    assert not (folder / "arms.tsv").exists()
    assert len(list(folder.glob(f"runs/*/*/*/{PREDICTIONS}"))) < 6
    assert exit_code(started(world, folder, *SETTINGS)) == 0, (tmp_path / "said").read_text()
    assert tables(folder) == tables(finished)
    assert (folder / "report.html").is_file()
    assert list(folder.glob(f"runs/*/*/*/{SCRATCH}*")) == []


def test_what_a_kill_left_half_written_is_written_anew(world, finished, copied):
    """At any moment a file may be cut short, but none that is read again."""
    for name in TABLES:
        (copied / f".{name}.partial").write_text("half")
    (copied / "arms.tsv").unlink()
    ablate(load_config(world, SETTINGS), copied)
    assert tables(copied) == tables(finished)
    assert list(copied.glob(".*partial")) == []


def test_two_ablations_at_once_in_one_folder_end_with_the_same_tables(world, tmp_path, finished):
    folder = tmp_path / "out"
    both = [started(world, folder, *SETTINGS) for _ in range(2)]
    assert [exit_code(process) for process in both] == [0, 0], (tmp_path / "said").read_text()
    assert tables(folder) == tables(finished)
    log = (folder / "runs" / "hic" / "fold0" / "seed0" / "train.log").read_text()
    assert log.count("epoch   0") == 1  # trained once


def test_two_ablations_at_once_build_one_store(world, tmp_path, finished):
    store = f"store={tmp_path / 'store'}"
    both = [started(world, tmp_path / name, *SETTINGS, "ablation.seeds=1", store) for name in ("one", "other")]
    assert [exit_code(process) for process in both] == [0, 0], (tmp_path / "said").read_text()
    assert (tmp_path / "said").read_text().count("Preparing") == 1
    assert tables(tmp_path / "one") == tables(tmp_path / "other")


def test_on_a_pipe_every_finished_run_is_a_line_with_score_and_time_left(world, tmp_path):
    process = started(world, tmp_path / "out", "ablation.arms=[hic,no_graph]", "ablation.seeds=2", workers=1)
    assert exit_code(process) == 0
    lines = (tmp_path / "said").read_text().splitlines()
    lines = lines[: 1 + max(number for number, line in enumerate(lines) if line.startswith("["))]  # then the verdict
    left = r" \(about (a minute|\d+ min) left\)"  # a busy machine needs longer than a minute
    patterns = [
        rf"\[{done}/4\] {arm}, fold 0, seed {seed}: r 0\.\d{{3}}{left if done < 4 else ''}"
        for done, arm, seed in [(1, "hic", 0), (2, "no_graph", 0), (3, "hic", 1), (4, "no_graph", 1)]
    ]
    assert len(lines) == 4
    assert all(re.fullmatch(pattern, line) for pattern, line in zip(patterns, lines, strict=True)), lines


def test_runs_that_are_done_count_as_done(world, copied, monkeypatch, caplog):
    (copied / "runs" / "rewired" / "fold0" / "seed1" / PREDICTIONS).unlink()
    with caplog.at_level("INFO", "genograph"):
        ablate(load_config(world, SETTINGS), copied)
    assert [line[:5] for line in caplog.messages if line.startswith("[")] == ["[6/6]"]
