"""From finished runs to tables, verdict and report, on predictions that are made by hand."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from genograph.ablate import summary
from genograph.ablate.arms import make_arms
from genograph.ablate.grid import COST, PREDICTIONS, Run
from genograph.ablate.judged import Judged
from genograph.audit import Finding
from genograph.config import load_config
from genograph.experiment import Experiment
from genograph.genome.splits import TEST

NOISE = {"hic": 0.5, "no_graph": 2.0, "rewired": 1.0}  # sd of what an arm adds to the truth
MB = {"hic": 300.0, "no_graph": 200.0, "rewired": 400.0}


@pytest.fixture(scope="module")
def experiment(world):
    arms = ["ablation.arms=[hic,no_graph,rewired]", "ablation.seeds=3"]
    return Experiment.open(load_config(world, [*arms, "evaluation.kmer_ridge=null"]))


@pytest.fixture
def runs(experiment, tmp_path):
    """Three seeds of each arm, which predict the truth and some noise."""
    rng = np.random.default_rng(0)
    made = []
    for arm, noise in NOISE.items():
        for seed in range(3):
            run = Run(arm, 0, seed, tmp_path / "runs" / arm / "fold0" / f"seed{seed}", experiment.config)
            run.folder.mkdir(parents=True)
            (run.folder / COST).write_text(
                json.dumps({"parameters": 10, "contacts": 2.0, "seconds": seed, "peak_mb": MB[arm]})
            )
            (run.folder / "metrics.csv").write_text(
                "epoch,step,train_loss,valid_loss,valid_pearsonr,seconds\n0,4,2.0,3.0,0.5,1.0\n1,8,1.0,2.0,0.6,1.0\n"
            )
            truth = {assay: experiment.store.signals(assay) for assay in experiment.targets}
            held = {assay: values[experiment.split_of_bin == TEST].T for assay, values in truth.items()}
            noisy = {assay: values + noise * rng.normal(size=values.shape) for assay, values in held.items()}
            np.savez(run.folder / PREDICTIONS, **{assay: np.nan_to_num(values) for assay, values in noisy.items()})
            made.append(run)
    return made


def outcome(experiment, runs, findings=(), assay="coverage"):
    return summary.outcome([experiment], runs, findings, assay)


def written(experiment, runs, folder, findings=()):
    arms = make_arms(experiment.config)
    said = summary.write_summary(folder, arms, [experiment], runs, [findings])
    return said, (folder / "report.html").read_text()


def test_r_of_an_arm_is_the_mean_of_its_runs(experiment, runs):
    table = outcome(experiment, runs).tables["arms"].set_index("arm")
    judged = Judged(experiment, "coverage", "genes")
    kept = np.isfinite(judged.points.target[:, 0])
    for arm in NOISE:
        predicted = [judged.of_predictions(run.predictions()["coverage"]) for run in runs if run.arm == arm]
        r = [np.corrcoef(each[kept, 0], judged.points.target[kept, 0])[0, 1] for each in predicted]
        assert table.loc[arm, "r"] == pytest.approx(np.mean(r))
        assert table.loc[arm, "sd"] == pytest.approx(np.std(r, ddof=1))


def test_differences_are_the_reference_less_each_arm(experiment, runs):
    tables = outcome(experiment, runs).tables
    r, delta = (tables[name].set_index("arm")[column] for name, column in (("arms", "r"), ("differences", "delta")))
    assert delta.to_dict() == pytest.approx({arm: r["hic"] - r[arm] for arm in ("no_graph", "rewired")})


def test_levels_of_strata_have_names(experiment, runs):
    strata = outcome(experiment, runs).tables["strata"]
    assert list(dict.fromkeys(strata.loc[strata["stratum"] == "signal", "level"])) == [
        "lowest quarter",
        "second quarter",
        "third quarter",
        "highest quarter",
    ]
    assert set(strata.loc[strata["stratum"] == "contacts", "level"]) <= {"no contact", "1 or 2", "3 to 5", "6 or more"}


def test_tracks_have_their_names_and_too_many_are_not_compared_one_by_one(experiment, runs, monkeypatch):
    found = outcome(experiment, runs, assay="expression").tables["tracks"]
    assert list(dict.fromkeys(found["track"])) == ["fwd", "rev"]
    monkeypatch.setattr(summary, "MOST_TRACKS", 1)
    assert outcome(experiment, runs, assay="expression").tables["tracks"].empty


def test_a_run_that_is_not_done_is_left_out_and_named_in_the_report(experiment, runs, tmp_path):
    (runs[-1].folder / PREDICTIONS).unlink()
    assert dict(outcome(experiment, runs).tables["arms"][["arm", "runs"]].to_numpy()) == {
        "hic": 3,
        "no_graph": 3,
        "rewired": 2,
    }
    said, page = written(experiment, runs, tmp_path)
    assert "rewired, fold 0, seed 2" in page
    assert any(reason.endswith("runs of rewired that failed: 1") for reason in said.reasons)


def test_an_arm_that_changes_nothing_is_a_warning_of_every_verdict_and_in_the_report(experiment, runs, tmp_path):
    same = Finding("changes_nothing", "note", 1, "arm mine has the graph, model and training of hic.", arm="mine")
    said, page = written(experiment, runs, tmp_path, [same, same])
    verdicts = json.loads((tmp_path / "verdict.json").read_text())
    assert {name: each["warnings"] for name, each in verdicts.items()} == {key: [same.message] for key in verdicts}
    assert said.warnings == [same.message]
    assert page.count("<li>arm mine has the graph") == 1


def test_a_run_that_had_not_yet_learnt_what_others_had_is_a_warning(experiment, runs, tmp_path):
    for number, run in enumerate(runs):
        best = 0.3 if number == 8 else 0.6 + number / 100
        rows = f"0,4,2.0,3.0,0.2,1.0\n1,8,1.0,2.0,{best},1.0\n"
        (run.folder / "metrics.csv").write_text(f"epoch,step,train_loss,valid_loss,valid_pearsonr,seconds\n{rows}")
    said, page = written(experiment, runs, tmp_path)
    warning = (
        "training may not be finished: 9 of 9 runs had their best validation score in the last epochs, and rewired, "
        "fold 0, seed 2 reached 0.300 where the other seeds reached 0.665. Raise training.max_epochs, in a new folder."
    )
    assert said.warnings == [warning]
    assert f"<li>{warning}</li>" in page


def test_a_simple_predictor_that_no_arm_reaches_is_a_warning_and_every_one_is_in_the_report(
    experiment, runs, tmp_path, monkeypatch
):
    table = pd.DataFrame({"baseline": ["4-mer ridge", "neighbour mean"], "r": [0.999, 0.5]})
    monkeypatch.setattr(summary, "simple_scores", lambda *_: table)
    said, page = written(experiment, runs, tmp_path)
    best = outcome(experiment, runs).tables["arms"]["r"].max()
    assert 0.5 < best < 0.999
    assert said.warnings == [
        f"no arm reaches the 4-mer ridge, r 0.999; the best has {best:.3f}. Look at the model before the arms."
    ]
    assert "neighbour mean" in page
    kept = pd.read_csv(tmp_path / "baselines.tsv", sep="\t")
    assert kept.loc[kept["assay"] == "coverage", ["baseline", "r"]].reset_index(drop=True).equals(table)


def test_tables_and_verdicts_cover_every_assay_and_that_asked_about_is_returned(experiment, runs, tmp_path):
    said, _ = written(experiment, runs, tmp_path)
    verdicts = json.loads((tmp_path / "verdict.json").read_text())
    assert list(verdicts) == ["coverage", "expression", "methylation"]
    assert said.sentence == verdicts["coverage"]["sentence"]
    for name in summary.TABLES:
        table = pd.read_csv(tmp_path / f"{name}.tsv", sep="\t")
        assert list(dict.fromkeys(table["assay"])) == list(verdicts)


def test_genes_are_judged_where_they_are_known_unless_bins_are_asked_for(world):
    over = [["ablation.over=null"], ["ablation.over=genes"], ["ablation.over=bins"]]
    assert [summary.over_genes(Experiment.open(load_config(world, each))) for each in over] == [True, True, False]


def test_without_genes_bins_are_judged(world, tmp_path):
    changes = ["tracks.genes=null", f"tracks.targets={tmp_path / 'targets.tsv'}", f"tracks.folder={world.parent}"]
    rows = (world.parent / "targets.tsv").read_text().splitlines(keepends=True)
    (tmp_path / "targets.tsv").write_text("".join(rows[:2]))
    heads = ["model.heads={coverage: {}}", f"store={tmp_path / 'store'}"]
    assert not summary.over_genes(Experiment.open(load_config(world, [*changes, *heads])))


def test_the_costs_of_an_arm_are_the_means_of_its_runs(runs):
    table = summary._costs(runs).set_index("arm")
    assert table["seconds"].to_dict() == {"hic": 1.0, "no_graph": 1.0, "rewired": 1.0}
    assert table["peak_mb"].to_dict() == MB


def test_costs_that_older_runs_do_not_tell_are_not_defined(runs):
    assert summary._costs(runs)["contacts_trained"].isna().all()
    (runs[0].folder / COST).write_text(json.dumps(runs[0].cost() | {"contacts_trained": 1.5}))
    assert summary._costs(runs).set_index("arm").loc["hic", "contacts_trained"] == 1.5


def test_the_dose_response_ends_with_the_whole_map():
    arms = pd.DataFrame({"arm": ["hic", "no_graph", "downsampled_50", "downsampled_10"], "r": [0.5, 0.1, 0.4, 0.2]})
    dose = summary._dose(arms.assign(low=0.0, high=1.0))
    assert dose[["fraction", "r"]].to_numpy().tolist() == [[0.1, 0.2], [0.5, 0.4], [1.0, 0.5]]
    assert summary._dose(arms[:2].assign(low=0.0, high=1.0)).empty


def test_contacts_that_join_like_labels_are_warned_of_as_no_control_would_tell():
    values = {"coverage.held_out.edges": 0.6, "coverage.held_out.others": 0.25, "coverage.train.edges": np.nan}
    findings = [
        Finding("edges_depend_on_label", "note", 1, ".", values | {"coverage.train.others": 0.1}, arm="hichip"),
        Finding("edges_depend_on_label", "ok", 0, ".", {"coverage.train.edges": 0.3, "coverage.train.others": 0.1}),
    ]
    assert summary._joining_likes(findings) == [
        "contacts of hichip join nodes with like labels, r 0.35 above that of nodes as far apart "
        "(coverage.held_out). If they were made from the tracks, what they bring is no prediction."
    ]


def test_the_audit_table_has_the_worst_fold_of_each_check_and_says_what_was_allowed():
    def finding(check, status, count):
        return Finding(check, status, count, f"{check} {count}.")

    table = summary._audit_table(
        [finding("a", "ok", 0), finding("b", "leak", 3), finding("a", "note", 2), finding("b", "note", 9)], {"b": "why"}
    )
    assert table.to_numpy().tolist() == [["a", "note", 2, "a 2."], ["b", "allowed", 3, "b 3."]]


def test_the_audit_table_has_a_row_for_each_arm_that_was_looked_at():
    findings = [Finding("kept", "note", 9, arm, {}, arm) for arm in ("rewired", "distance_matched")]
    assert summary._audit_table(findings, {})["message"].tolist() == ["rewired", "distance_matched"]


def test_only_leaks_that_were_found_are_shown_as_allowed(world, runs, tmp_path):
    allowed = "ablation.allow_leakage={mask_predicts: known, duplicate_sequence: in case}"
    experiment = Experiment.open(load_config(world, ["ablation.arms=[hic,no_graph,rewired]", allowed]))
    findings = [Finding("mask_predicts", "leak", 1, "."), Finding("duplicate_sequence", "note", 1, ".")]
    page = written(experiment, runs, tmp_path, findings)[1].partition("Configuration")[0]
    assert "mask_predicts: known" in page
    assert "duplicate_sequence: in case" not in page


def test_the_verdict_hears_of_masked_bins_that_are_judged_and_of_the_worst_fold_of_what_it_is_about():
    findings = [
        Finding("masked_bins_scored", "note", 9, "", {"coverage": 1.0, "judged": 3.0}),  # the others train or choose
        Finding("masked_bins_scored", "note", 1, "", {"coverage": 1.0, "judged": 1.0}),
        Finding("masked_bins_scored", "ok", 0, ""),
        Finding(
            "masked_bins_scored", "leak", 9, "", {"judged": 9.0}, arm="unmasked"
        ),  # the verdict is about the reference
        Finding("mask_predicts", "note", 1, "", {"coverage.genes": 0.3, "coverage.bins": 0.9, "expression.genes": 0.8}),
        Finding("mask_predicts", "note", 1, "", {"coverage.genes": float("nan")}),
        Finding("degree_predicts", "ok", 0, "", {"coverage.genes": 0.1}),
        Finding("degree_predicts", "ok", 0, "", {"coverage.genes": 0.2}),
        Finding("layout_predicts", "note", 1, "", {"coverage.genes": 0.4, "coverage.auroc": 0.9}),
        Finding("split_sizes", "ok", 0, "", {"train": 8.0}),
    ]
    assert summary._audit_values(findings, "coverage", "genes") == {
        "masked_bins_scored": 4.0,
        "mask_predicts": 0.3,
        "degree_predicts": 0.2,
        "layout_predicts": 0.4,
    }


def test_the_example_lies_around_the_highest_value(experiment, runs):
    locus = summary._locus(outcome(experiment, runs), experiment, runs)
    assert (locus.chrom, locus.start, locus.bin_size, locus.track) == ("chrC", 0, 128, "gc")
    held_out = experiment.split_of_bin == TEST
    np.testing.assert_array_equal(locus.target, experiment.store.signals("coverage")[held_out, 0])
    assert set(locus.predictions) == {"hic", "no_graph"}
    np.testing.assert_array_equal(locus.predictions["hic"], runs[0].predictions()["coverage"][0])


def test_arcs_join_the_middles_of_nodes_that_lie_in_the_stretch(experiment):
    graph, first = experiment.graph, experiment.store.nodes.span("chrC").start
    pairs = graph.pairs().take(graph.pairs().kind == graph.edge_types.index("hic"))
    inside = pairs.take((pairs.first >= first + 1) & (pairs.second < first + 6))  # 2 to 12 kb of chrC
    assert len(inside.first)
    middles = 1000 + 2000 * (np.stack([inside.first, inside.second], axis=1) - first)
    arcs = summary._arcs(experiment, "chrC", 2000, 12_000)
    np.testing.assert_array_equal(arcs[:, :2], middles)
    np.testing.assert_array_equal(arcs[:, 2], inside.attr[:, 0])


def test_every_arm_is_described_in_the_report(experiment, runs, tmp_path):
    page = written(experiment, runs, tmp_path)[1]
    for arm in make_arms(experiment.config):
        assert arm.description in page
