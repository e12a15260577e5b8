"""`evaluation.annotations`: held-out sites are judged in each annotation, by its own sites alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from genograph.annotated import Output, by_annotation, read_annotations
from genograph.assays.targets import Target
from genograph.checkpoint import load_run
from genograph.config import load_config
from genograph.errors import InputError
from genograph.evaluate import Held, evaluate, summarize
from genograph.experiment import Experiment
from genograph.train import train
from tests.cpgs import CELLS, write_world
from tests.tiny import write_world as write_tiny_world
from tests.two_genomes import write_genomes

STATISTICS = "model.heads.methylation_statistics={statistics: [mean, mode, cat_var, var]}"
BEDS = {  # of 24,000 bp with a CpG every 40
    "left": "chr3\t0\t9000\n",
    "right": "3\t9000\t24000\n",
    "few": "chr3\t100\t2000\n",
    "elsewhere": "chr1\t0\t60000\n",
}
TABLES = ("accuracy_by_annotation", "curves_by_annotation")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on cells that cover three sites of four, judged in `left` and `right`, and its tables."""
    folder = tmp_path_factory.mktemp("cells")
    config = load_config(write_world(folder), ["training.max_epochs=2", STATISTICS])
    for name, text in BEDS.items():
        (folder / f"{name}.bed").write_text(text)
    run = train(config, folder / "run")
    return run


@pytest.fixture(scope="module")
def tables(run, tmp_path_factory):
    out = tmp_path_factory.mktemp("tables")
    evaluate(run, out, config=load_config(run, annotated(run, "left", "right", "few", "elsewhere")))
    return {path.stem: pd.read_csv(path, sep="\t") for path in out.glob("*.tsv")}


def annotated(run, *names):
    return [f"evaluation.annotations.{name}={run.parent / name}.bed" for name in names]


def value(table, anno, metric, output):
    (found,) = table[(table["anno"] == anno) & (table["metric"] == metric) & (table["output"] == output)]["value"]
    return found


def test_without_annotations_every_cell_is_judged_at_all_sites(run, tables, tmp_path):
    evaluate(run, tmp_path)
    expected = {"accuracy.tsv", "accuracy_by_output.tsv", "accuracy_by_chrom.tsv", "baselines.tsv"}
    assert {path.name for path in tmp_path.iterdir()} == expected
    found, both = pd.read_csv(tmp_path / "accuracy_by_output.tsv", sep="\t"), tables["accuracy_by_annotation"]
    assert {"auc", "acc", "tpr", "tnr", "f1", "mcc", "n"} <= set(found["metric"])
    everywhere = both[both["anno"] == "global"].drop(columns="anno").reset_index(drop=True)
    pd.testing.assert_frame_equal(found, everywhere)


def test_annotations_do_not_change_the_other_tables(run, tables, tmp_path):
    evaluate(run, tmp_path)
    for name in ("accuracy", "accuracy_by_output", "accuracy_by_chrom", "baselines"):
        pd.testing.assert_frame_equal(pd.read_csv(tmp_path / f"{name}.tsv", sep="\t"), tables[name])


def test_every_cell_has_a_row_for_each_metric_in_all_and_in_each_annotation(tables):
    table = tables["accuracy_by_annotation"]
    assert list(table) == ["anno", "metric", "output", "value", "assay"]
    cells = table[table["assay"] == "methylation"]
    expected = {
        (anno, metric, cell)
        for anno in ("global", "left", "right")
        for metric in ("auc", "acc", "tpr", "tnr", "f1", "mcc", "n")
        for cell in CELLS
    }
    assert set(zip(cells["anno"], cells["metric"], cells["output"], strict=True)) == expected
    assert len(cells) == len(expected)


def test_an_annotation_is_judged_on_its_own_sites(run, tables):
    store = load_run(run)[0].store
    chrom, start, _ = store.sites.T
    for column, cell in enumerate(CELLS):
        is_covered = np.isfinite(store.signals("methylation")[:, column]) & (chrom == 2)
        counts = {"global": is_covered.sum(), "left": (is_covered & (start < 9000)).sum()}
        for anno, count in counts.items():
            assert value(tables["accuracy_by_annotation"], anno, "n", cell) == count
        # Both ends of an interval belong to it where sites count from one: base 8,999 is of both annotations.
        both = (is_covered & (start == 8999)).sum()
        right = value(tables["accuracy_by_annotation"], "right", "n", cell)
        assert counts["left"] + right == counts["global"] + both


def test_in_all_sites_a_cell_has_the_auroc_of_the_accuracy_table(tables):
    accuracy = tables["accuracy"].set_index("identifier")["auroc"]
    for cell in CELLS:
        assert value(tables["accuracy_by_annotation"], "global", "auc", cell) == pytest.approx(accuracy[cell])


def test_curves_of_annotations_that_differ_differ(tables):
    table = tables["curves_by_annotation"]
    assert list(table) == ["anno", "curve", "output", "x", "y", "threshold", "assay"]
    assert {*table["anno"]} == {"global", "left", "right"}
    for cell in CELLS:
        rows = table[(table["output"] == cell) & (table["curve"] == "roc")]
        curves = {anno: each[["x", "y"]].to_numpy() for anno, each in rows.groupby("anno")}
        assert not np.array_equal(curves["left"], curves["right"])
        for anno, curve in curves.items():
            expected = value(tables["accuracy_by_annotation"], anno, "auc", cell)
            assert np.trapezoid(curve[:, 1], curve[:, 0]) == pytest.approx(expected)


def test_an_annotation_with_few_sites_or_none_has_no_row_and_is_named(run, tmp_path, caplog):
    evaluate(run, tmp_path, config=load_config(run, annotated(run, "few", "elsewhere")))
    assert "Annotation 'elsewhere' holds 0 sites, fewer than 100; left out." in caplog.messages
    assert sum("'few' holds" in each for each in caplog.messages) == 1
    for name in TABLES:
        assert set(pd.read_csv(tmp_path / f"{name}.tsv", sep="\t")["anno"]) == {"global"}


def test_statistics_are_judged_by_their_kind(tables):
    table = tables["accuracy_by_annotation"]
    rows = table[(table["assay"] == "methylation_statistics") & (table["anno"] == "global")]
    metrics = {output: {*each["metric"]} for output, each in rows.groupby("output")}
    classes, numbers = {"auc", "acc", "tpr", "tnr", "f1", "mcc", "n"}, {"mse", "mad", "cor", "kendall", "n"}
    assert metrics == {
        "methylation_mean": classes | numbers,
        "methylation_mode": classes,
        "methylation_cat_var": {"cat_acc", "auc_0", "auc_1", "auc_2", "n"},
        "methylation_var": numbers,
    }
    curves = tables["curves_by_annotation"]
    assert {*curves[curves["assay"] == "methylation_statistics"]["output"]} <= {"methylation_mode"}


def test_classes_of_statistics_are_ranked_in_the_accuracy_table_and_numbers_are_not(run, tables, tmp_path, caplog):
    table = tables["accuracy"].set_index("identifier")
    assert table.loc["methylation_mode", "auroc"] == value(
        tables["accuracy_by_annotation"], "global", "auc", "methylation_mode"
    )
    for number in range(3):
        found = table.loc[f"methylation_cat_var_{number}", "auroc"]
        expected = value(tables["accuracy_by_annotation"], "global", f"auc_{number}", "methylation_cat_var")
        np.testing.assert_equal(found, expected)
    assert table.loc[["methylation_mean", "methylation_var"], ["auroc", "auprc"]].isna().all(axis=None)
    assert table.loc[["methylation_mean", "methylation_var"], "pearsonr"].notna().all()
    assert table["index"].tolist() == [0, 1, 2, *range(6)]
    evaluate(run, tmp_path)
    assert not any("methylation_mean" in each for each in caplog.messages)


def test_the_number_of_a_class_is_judged_and_a_missing_one_is_not():
    share = np.array([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7], [0.2, 0.7, 0.1], [0.2, 0.7, 0.1]]).T
    target = np.array([[1, 0, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0]], dtype=np.float32).T
    mask = np.ones_like(target, dtype=bool)
    mask[:, 3] = False
    tables = by_annotation([Output("x", "cat_var", slice(0, 3))], share, target, mask, {})
    assert value(tables["accuracy_by_annotation"], "global", "cat_acc", "x") == pytest.approx(2 / 3)
    assert value(tables["accuracy_by_annotation"], "global", "n", "x") == 3
    assert "curves_by_annotation" not in tables


def test_a_masked_site_is_of_no_curve():
    score, target = np.array([[0.1, 0.9, 0.8]]), np.array([[0, 1, 0]], dtype=np.float32)
    mask = np.array([[True, True, False]])
    tables = by_annotation([Output("x", "cpg", slice(0, 1))], score, target, mask, {})
    assert tables["curves_by_annotation"]["threshold"].max() == np.inf
    assert 0.8 not in set(tables["curves_by_annotation"]["threshold"])
    assert value(tables["accuracy_by_annotation"], "global", "auc", "x") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"^evaluation\.annotations\.islands: No file .*islands\.bed\. Check the path[^\n]*$"),
        ("chr3 x\n", r"^evaluation\.annotations\.islands: .*islands\.bed, line 1: expected chrom, start and end"),
        ("chr9\t1\t2\n", r"^evaluation\.annotations\.islands: .*no chromosome of the genome is in this file"),
    ],
)
def test_a_file_that_is_none_is_one_line_that_names_its_key(run, tmp_path, text, message):
    bed = tmp_path / "islands.bed"
    if text is not None:
        bed.write_text(text)
    with pytest.raises(InputError, match=message):
        evaluate(run, tmp_path / "out", config=load_config(run, [f"evaluation.annotations.islands={bed}"]))
    assert not (tmp_path / "out").exists()


def test_global_is_no_name_of_an_annotation(run):
    with pytest.raises(InputError, match=r"evaluation\.annotations: 'global' stands for all sites"):
        load_config(run, annotated(run, "global"))


def test_paths_of_annotations_start_where_one_is(run, monkeypatch):
    monkeypatch.chdir(run.parent)
    config = load_config(run, ["evaluation.annotations.left=left.bed"])
    assert config.evaluation.annotations == {"left": run.parent / "left.bed"}


@pytest.fixture(scope="module")
def peaks(tmp_path_factory):
    """A run on bins, half of whose tracks are counts and half peaks."""
    folder = tmp_path_factory.mktemp("peaks")
    path = write_tiny_world(folder)
    (folder / "targets.tsv").write_text(
        "index\tidentifier\tfile\tsum_stat\tscale\tassay\n0\tgc\tgc.bw\tmean\t1\tcoverage\n"
        "1\topen\tgc.bw\tpeak\t0.03125\taccessibility\n"
    )
    tree = yaml.safe_load(path.read_text())
    tree["model"]["heads"] = {"coverage": {}, "accessibility": {"loss": "bce"}}
    path.write_text(yaml.safe_dump(tree))
    (folder / "start.bed").write_text("chrC\t0\t14000\n")
    return train(load_config(path, ["training.max_epochs=1"]), folder / "run")


def test_bins_of_peaks_are_judged_by_their_middle_and_counts_are_not(peaks, tmp_path):
    evaluate(peaks, tmp_path, config=load_config(peaks, annotated(peaks, "start")))
    table = pd.read_csv(tmp_path / "accuracy_by_annotation.tsv", sep="\t")
    assert set(table["output"]) == {"open"}
    store = load_run(peaks)[0].store
    span = store.bins.span("chrC")
    middle = store.bins.starts(np.arange(span.start, span.stop)) + 63
    assert value(table, "start", "n", "open") == (store.mask[span] & (middle < 14_000)).sum()


def test_the_summary_has_auroc_and_auprc_of_what_is_ranked(peaks, tmp_path):
    evaluate(peaks, tmp_path)
    table = pd.read_csv(tmp_path / "accuracy.tsv", sep="\t").set_index("assay")
    summary = summarize(tmp_path).set_index(["predictor", "over", "assay"])
    for metric in ("auroc", "auprc"):
        assert summary.loc[("model", "bins", "accessibility"), metric] == table.loc["accessibility", metric]
    assert summary.loc[("4-mer ridge", "bins", "accessibility"), "auroc"] > 0.9
    assert np.isnan(summary.loc[("model", "bins", "coverage"), "auroc"])


def test_a_summary_of_counts_alone_has_no_auroc(tmp_path):
    row = {"pearsonr": 1, "spearmanr": 1, "r2": 1, "n": 2, "identifier": "a", "description": "", "assay": "coverage"}
    pd.DataFrame([row]).to_csv(tmp_path / "accuracy.tsv", sep="\t")
    pd.DataFrame([row | {"over": "bins", "predictor": "ridge"}]).to_csv(tmp_path / "baselines.tsv", sep="\t")
    assert "auroc" not in summarize(tmp_path)


def test_annotations_of_counts_alone_are_refused(peaks):
    targets = peaks.parent / "counts.tsv"
    targets.write_text("".join((peaks.parent / "targets.tsv").read_text().splitlines(keepends=True)[:2]))
    changes = [f"tracks.targets={targets}", "store=counts", "model.heads={coverage: {}}", *annotated(peaks, "start")]
    experiment = Experiment.open(load_config(peaks.parent / "tiny.yaml", changes))
    with pytest.raises(InputError, match=r"evaluation\.annotations are of methylation and peaks \(loss: bce\), which"):
        read_annotations(experiment, np.arange(10))


def test_annotations_are_of_one_genome(tmp_path):
    config = load_config(write_genomes(tmp_path), ["evaluation.annotations.x=x.bed"])
    with pytest.raises(InputError, match=r"evaluation\.annotations are of one genome; name it: --genome NAME"):
        evaluate(tmp_path, tmp_path / "tables", config=config)


def test_a_curve_is_joined_by_straight_lines_where_that_is_asked():
    target, score = np.array([[0, 1, 0, 1, 1]]), np.array([[0.4, 0.9, 0.8, 0.5, 0.99]], dtype=np.float32)
    mask = np.array([[True, True, True, True, False]])
    held = Held([Target(identifier="x", file=Path("x"))], True, score, target, mask)
    # Precision is 1 to a recall of 1/2, then 1/2 at that recall, and 2/3 at 1.
    assert held.accuracy()["auprc"].item() == pytest.approx(1 / 2 + 1 / 2 * 2 / 3)
    straight = replace(held, auprc="trapezoid").accuracy()["auprc"].item()
    assert straight == pytest.approx(1 / 2 + 1 / 2 * (1 / 2 + 2 / 3) / 2)


def test_the_area_under_a_precision_recall_curve_is_taken_as_asked(peaks, tmp_path):
    found = {
        way: evaluate(peaks, tmp_path / way, config=load_config(peaks, [f"evaluation.auprc={way}"]))
        for way in ("steps", "trapezoid")
    }
    steps, trapezoid = (table.set_index("identifier").loc["open", "auprc"] for table in found.values())
    assert trapezoid != steps
    same = [table.drop(columns="auprc") for table in found.values()]
    pd.testing.assert_frame_equal(*same)
