"""Expression, accessibility and methylation in one model, each measured on some chromosomes only."""

from __future__ import annotations

import logging
import math

import numpy as np
import pandas as pd
import pyBigWig
import pytest
import torch
import yaml

from genograph.config import load_config
from genograph.describe import CONFIGS
from genograph.errors import InputError
from genograph.evaluate import evaluate
from genograph.experiment import Experiment
from genograph.predict import predict
from genograph.prepare import prepare
from genograph.train import train
from tests.tiny import BIN, config_tree, write_bigwig, write_cov, write_fasta

SIZES = {"chrA": 40_000, "chrB": 24_000, "chrC": 24_000, "chrD": 8_000, "chrE": 16_000}
MEASURED = {  # nothing on chrD
    "expression": {"chrA", "chrB", "chrC"},
    "accessibility": {"chrA", "chrB", "chrC", "chrE"},
    "methylation": {"chrA", "chrB"},
}
STRETCH = 500  # bp of one composition


def write_world(folder):
    """Genes, peaks and CpGs of a genome of GC-rich and GC-poor stretches; returns the path of a config over them.

    A GC-rich stretch is a peak, is methylated less, and its gene is expressed more.
    """
    rng = np.random.default_rng(0)
    rich = {chrom: rng.random(size // STRETCH) < 0.4 for chrom, size in SIZES.items()}
    share = {True: [0.2, 0.3, 0.3, 0.2], False: [0.35, 0.15, 0.15, 0.35]}
    codes = {
        chrom: np.concatenate([rng.choice(4, STRETCH, p=share[bool(each)]) for each in stretches]).astype(np.uint8)
        for chrom, stretches in rich.items()
    }
    write_fasta(folder / "genome.fa", codes)
    write_cov(folder / "cells.cov", {chrom: codes[chrom] for chrom in MEASURED["methylation"]}, rng)
    places = [(chrom, number) for chrom in SIZES for number in range(1, len(rich[chrom]) - 1)]
    (folder / "genes.gtf").write_text(
        "".join(
            f"{chrom}\tx\texon\t{number * STRETCH + 1}\t{(number + 1) * STRETCH}\t.\t{'+-'[number % 2]}\t.\t"
            f'gene_id "g{chrom[-1]}{number}";\n'
            for chrom, number in places
        )
    )
    (folder / "counts.csv").write_text(
        "gene,wild\n"
        + "".join(
            f"g{chrom[-1]}{number},{rng.poisson(8 if rich[chrom][number] else 1)}\n"
            for chrom, number in places
            if chrom in MEASURED["expression"]
        )
    )
    (folder / "peaks.narrowPeak").write_text(
        "".join(
            f"{chrom}\t{number * STRETCH}\t{(number + 1) * STRETCH}\tp\t0\t.\t1\t1\t1\t250\n"
            for chrom in SIZES
            for number in np.flatnonzero(rich[chrom])
            if chrom in MEASURED["accessibility"]
        )
    )
    (folder / "targets.tsv").write_text(
        "identifier\tfile\tsum_stat\tassay\tstrand\tstrand_pair\tindex\n"
        "rna_fwd\tcounts.csv::wild\tmean_sqrt\texpression\t+\t1\t0\n"
        "rna_rev\tcounts.csv::wild\tmean_sqrt\texpression\t-\t0\t1\n"
        "atac\tpeaks.narrowPeak\t\taccessibility\t.\t\t2\n"
        "meth\tcells.cov\t\tmethylation\t.\t\t3\n"
    )
    tree = config_tree()
    tree["tracks"]["genes"] = "genes.gtf"
    tree["contacts"], tree["graph"] = None, {"edges": [{"name": "linear"}]}
    tree["model"]["heads"] = {"expression": {}, "accessibility": {"loss": "bce"}, "methylation": {}}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
    return folder / "tiny.yaml"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return write_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def experiment(world):
    return Experiment.open(load_config(world))


@pytest.fixture(scope="module")
def run(world, tmp_path_factory):
    run = train(load_config(world, ["training.max_epochs=6"]), tmp_path_factory.mktemp("runs") / "run")
    evaluate(run)
    predict(run)
    return run


def batch_on(experiment, chrom):
    """A batch of the first training window of a chromosome."""
    windows = experiment.dataset("train", experiment.model().halo)
    span = experiment.store.bins.span(chrom)
    starts = [windows.make_batch([number]) for number in range(len(windows))]
    return next(batch for batch in starts if span.start <= int(batch.position.max()) < span.stop)


def test_an_assay_is_missing_in_the_store_where_it_was_not_measured(experiment):
    store = experiment.store
    for assay, chroms in MEASURED.items():
        has_value = np.isfinite(store.signals(assay)).any(axis=1)
        assert {chrom for chrom in SIZES if has_value[store.bins.span(chrom)].any()} == chroms
    assert np.isfinite(store.signals("accessibility")[store.bins.span("chrE")]).all()


def test_a_chromosome_that_no_track_measures_leaves_training_and_that_is_said(world, experiment, caplog, tmp_path):
    caplog.set_level(logging.WARNING, logger="genograph")
    prepare(load_config(world, [f"store={tmp_path / 'store'}"]))
    assert "No value of rna_fwd, rna_rev on chrD, chrE: missing there." in caplog.messages
    assert "No value of meth on chrC, chrD, chrE: missing there." in caplog.messages
    assert "No track has a value on chrD, which leaves loss and metrics." in caplog.messages
    assert not experiment.store.mask[experiment.store.bins.span("chrD")].any()
    windows = experiment.dataset("train", experiment.model().halo)
    met = np.concatenate([windows.make_batch([number]).position.numpy().ravel() for number in range(len(windows))])
    chroms = np.array(experiment.store.bins.chroms)[experiment.store.bins.chrom_index(met[met >= 0])]
    assert set(chroms) == {"chrA", "chrE"}


def test_an_assay_without_a_value_in_a_batch_has_a_gradient_of_exactly_zero(experiment):
    batch = batch_on(experiment, "chrE")  # peaks alone
    together, alone = experiment.model().eval(), experiment.model().eval()
    alone.load_state_dict(together.state_dict())
    total, parts = together.loss(batch)
    assert set(parts) == {"accessibility"}
    total.backward()
    for assay, head in together.heads.items():
        gradients = [parameter.grad for parameter in head.parameters()]
        assert all((gradient != 0).any() == (assay == "accessibility") for gradient in gradients), assay
    raw = alone.raw(batch)["accessibility"]
    alone.heads["accessibility"].loss(raw, batch.target["accessibility"], batch.mask["accessibility"]).backward()
    for name, parameter in together.encoder.named_parameters():
        assert torch.equal(parameter.grad, alone.encoder.get_parameter(name).grad), name


def test_values_on_a_chromosome_without_measurement_move_nothing(experiment):
    """The mask would hide a value that slips in; the missing value itself must be one."""
    batch = batch_on(experiment, "chrE")
    for assay in ("expression", "methylation"):
        assert torch.isnan(batch.target[assay]).all()
        assert not batch.mask[assay].any()


def test_weights_multiply_the_losses_of_their_assays(world, experiment):
    batch = batch_on(experiment, "chrA")
    weights = {"expression": 0.5, "accessibility": 3.0, "methylation": 7.0}
    overrides = [f"model.heads.{assay}.weight={weight}" for assay, weight in weights.items()]
    weighted = Experiment.open(load_config(world, overrides)).model().eval()
    plain = experiment.model().eval()
    plain.load_state_dict(weighted.state_dict())
    total, parts = weighted.loss(batch)
    assert total.item() == pytest.approx(sum(weights[assay] * loss.item() for assay, loss in parts.items()))
    total, plain_parts = plain.loss(batch)
    assert parts == plain_parts
    assert total.item() == pytest.approx(sum(loss.item() for loss in parts.values()))


def test_three_assays_train_together_and_are_judged_where_they_were_measured(run):
    table = pd.read_csv(run / "accuracy.tsv", sep="\t").set_index("identifier")
    assert table["assay"].tolist() == ["expression", "expression", "accessibility", "methylation"]
    assert table.loc["atac", "n"] == SIZES["chrC"] // BIN
    assert 0 < table.loc["rna_fwd", "n"] < table.loc["atac", "n"]
    assert table.loc["atac", "auroc"] > 0.8
    assert table.loc["atac", "auprc"] > 0.6  # 0.4 by chance
    assert table.loc[["rna_fwd", "rna_rev"], "pearsonr"].min() > 0.3
    assert table.loc[["rna_fwd", "rna_rev"], ["auroc", "auprc"]].isna().all(axis=None)


def test_an_assay_that_the_test_chromosome_lacks_is_nan_in_all_tables(run):
    for name in ("accuracy", "accuracy_by_chrom", "accuracy_genes", "baselines"):
        table = pd.read_csv(run / f"{name}.tsv", sep="\t").query("identifier == 'meth'")
        assert len(table)
        assert (table["n"] == 0).all(), name
        assert table[["pearsonr", "spearmanr", "r2", "auroc", "auprc"]].isna().all(axis=None), name


def test_baselines_of_peaks_are_ranked_as_the_model_is(run):
    table = pd.read_csv(run / "baselines.tsv", sep="\t").query("identifier == 'atac' and over == 'bins'")
    auroc = table.set_index("predictor")["auroc"]
    assert auroc["training mean"] == 0.5
    assert auroc["4-mer ridge"] > 0.8


def test_every_assay_is_predicted_on_every_chromosome(run):
    for identifier in ("rna_fwd", "rna_rev", "atac", "meth"):
        with pyBigWig.open(str(run / "predictions" / f"{identifier}.bw")) as file:
            assert file.chroms() == SIZES
            for chrom in ("chrC", "chrE"):
                values = np.array([value for *_, value in file.intervals(chrom)])
                assert np.isfinite(values).all()
                assert values.max() <= (1 if identifier in ("atac", "meth") else math.inf)


def test_peaks_and_coverage_between_0_and_1_share_a_head_but_counts_do_not(world, tmp_path):
    rng = np.random.default_rng(0)
    reads = {chrom: rng.integers(0, 9, size).astype(float) for chrom, size in SIZES.items()}
    write_bigwig(tmp_path / "dnase.bw", reads)
    table = "identifier\tfile\tassay\tsum_stat\natac\t{}\taccessibility\t\ndnase\t{}\taccessibility\t{}\n"

    def experiment(sum_stat, loss):
        (tmp_path / "targets.tsv").write_text(
            table.format(world.parent / "peaks.narrowPeak", tmp_path / "dnase.bw", sum_stat)
        )
        tree = yaml.safe_load(world.read_text())
        tree["model"]["heads"] = {"accessibility": {"loss": loss}}
        (world.parent / "both.yaml").write_text(yaml.safe_dump(tree))
        overrides = [f"tracks.targets={tmp_path / 'targets.tsv'}", f"store={tmp_path / 'store'}"]
        return Experiment.open(load_config(world.parent / "both.yaml", overrides))

    assert experiment("peak", "bce").store.signals("accessibility").shape[1] == 2
    with pytest.raises(InputError, match="loss bce is for peaks, 0 to 1, but 'dnase' reaches"):
        experiment("mean", "bce")
    with pytest.raises(InputError, match="'atac' is of peaks, 0 to 1, which need loss: bce"):
        experiment("mean", "poisson")


def test_groups_of_cells_are_tracks_and_other_groups_build_the_store_again(world, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="genograph")
    (tmp_path / "matrix.mtx").write_text("%%MatrixMarket matrix coordinate integer general\n2 2 2\n1 1 1\n2 2 1\n")
    (tmp_path / "peaks.bed").write_text("chrA\t0\t256\nchrA\t512\t640\n")
    (tmp_path / "barcodes.tsv").write_text("AA-1\nCC-1\n")
    (tmp_path / "clusters.csv").write_text("Barcode,Cluster\nAA-1,T\nCC-1,B\n")
    (tmp_path / "targets.tsv").write_text(
        "identifier\tfile\tassay\nT\tmatrix.mtx\taccessibility\nB\tmatrix.mtx\taccessibility\n"
    )
    config = load_config(world, [f"tracks.targets={tmp_path / 'targets.tsv'}", f"store={tmp_path / 'store'}"])
    assert prepare(config).signals("accessibility")[:6].tolist() == [[1, 0], [1, 0], [0, 0], [0, 0], [0, 1], [0, 0]]
    (tmp_path / "clusters.csv").write_text("Barcode,Cluster\nAA-1,T\nCC-1,T\nCC-1,B\n")
    caplog.clear()
    assert prepare(config).signals("accessibility")[:2, 0].tolist() == [0.5, 0.5]
    assert "the content of track T, clusters.csv" in caplog.text


@pytest.mark.needs_shared_data
def test_yeast_expression_on_all_chromosomes_trains_beside_coverage_on_three(tmp_path):
    overrides = [
        f"store={tmp_path / 'store'}",
        "splits.train=['I', 'II:0-60,000']",
        *("training.max_epochs=1", "training.accelerator=cpu", "training.devices=1", "evaluation.kmer_ridge=null"),
    ]
    run = train(load_config(CONFIGS / "yeast_assays.yaml", overrides), tmp_path / "run")
    store = Experiment.open(load_config(run)).store
    assert len(store.bins.chroms) == 16
    measured = {assay: np.isfinite(store.signals(assay)).any(axis=1) for assay in ("expression", "coverage")}
    chroms = {
        assay: {chrom for chrom in store.bins.chroms if has_value[store.bins.span(chrom)].any()}
        for assay, has_value in measured.items()
    }
    assert chroms == {"expression": set(store.bins.chroms), "coverage": {"II", "IV", "XVI"}}
    assert (measured["expression"] & ~measured["coverage"] & store.mask).sum() > 30_000
    table = evaluate(run).set_index("identifier")
    assert table["pearsonr"].notna().all()
    assert table.loc["MNase", "n"] > table.loc["RNA_fwd", "n"] > 1000
    genes = pd.read_csv(run / "accuracy_genes.tsv", sep="\t").set_index("identifier")
    # Every gene is on one strand.
    assert genes.loc["RNA_fwd", "n"] + genes.loc["RNA_rev", "n"] == pytest.approx(genes.loc["MNase", "n"], abs=2)
