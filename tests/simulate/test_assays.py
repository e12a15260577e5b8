from __future__ import annotations

import numpy as np
import pandas as pd
import pybigtools
import pytest

from genograph.config import load_config
from genograph.genome.bins import Bins
from genograph.metrics import TrackSums
from genograph.prepare import prepare
from genograph.simulate import simulate
from genograph.store import Store


@pytest.fixture(scope="module", params=["world", "silent_world", "leaky_world"])
def measured(request, tmp_path_factory):
    """A world's folder, and the store that is prepared from it."""
    folder = request.getfixturevalue(request.param)
    return folder, prepare(load_config(folder / "graph.yaml", [f"store={tmp_path_factory.mktemp('store') / 'store'}"]))


def truth(path, bins: Bins) -> np.ndarray:
    """(bins,) of a bigWig that has one value per bin, NaN where it has none."""
    file, values = pybigtools.open(str(path)), np.full(len(bins), np.nan)
    for chrom in bins.chroms:
        for start, _, value in file.records(chrom):
            values[bins.span(chrom).start + start // bins.bin_size] = value
    return values


def oracle(store: Store, column: int, assay: str, mean: np.ndarray, rows: np.ndarray) -> float:
    """Pearson's r of the means at these bins, as `genograph evaluate` would score them."""
    target = store.signals(assay)[:, column][rows].astype(float)
    sums = TrackSums(1)
    sums.update(mean[rows, None], target[:, None], (store.mask[rows] & np.isfinite(mean[rows]))[:, None])
    return sums.pearsonr()[0]


def test_an_oracle_reaches_exactly_the_ceiling_that_is_written_down(measured):
    folder, store = measured
    genes, bins = store.genes, store.bins
    tss = np.array([bins.locate(*each)[0] for each in zip(genes.chrom, genes.tss[:, None], strict=True)])
    held_out = bins.span(bins.chroms[-1]).start
    table = pd.read_csv(folder / "truth" / "ceilings.tsv", sep="\t").query("predictor == 'truth'")
    assert len(table) == 4 * 4  # tracks, by places and regions
    for row in table.itertuples():
        names = [target.identifier for target in store.targets[row.assay]]
        rows = {"bins": np.arange(len(bins)), "promoters": tss}[row.over]
        rows = rows[rows >= held_out] if row.region == "held-out" else rows
        mean = truth(folder / "truth" / f"{row.identifier}.bw", bins)
        r = oracle(store, names.index(row.identifier), row.assay, mean, rows)
        assert r == pytest.approx(row.pearsonr, abs=2e-6, nan_ok=True), row


def test_nothing_else_comes_above_the_ceiling_but_by_luck(measured):
    folder, store = measured
    mean = truth(folder / "truth" / "accessibility.bw", store.bins)
    rows, rng = np.arange(len(store.bins)), np.random.default_rng(0)
    best = oracle(store, 0, "accessibility", mean, rows)
    others = [mean * rng.lognormal(0, 0.3, len(mean)), np.sqrt(mean), np.roll(mean, 1)]
    assert all(oracle(store, 0, "accessibility", other, rows) < best - 0.01 for other in others)


OTHER = {"expression_reads": 300, "accessibility_reads": 60, "methylation_coverage": 6, "cell_coverage": 0.3}
SPREAD = 0.4  # dispersion


@pytest.fixture(scope="module")
def other_world(tmp_path_factory):
    settings = [f"{key}={value}" for key, value in OTHER.items()] + [f"dispersion={SPREAD}"]
    size = ["size=2400000", "chroms=3", "cells=1", "variants=0"]
    return simulate(tmp_path_factory.mktemp("worlds") / "other", [*size, *settings])


def cpg_reads(path):
    table = pd.read_csv(path, sep="\t", header=None)
    return (table[4] + table[5]).to_numpy()


def test_tracks_have_the_reads_and_the_spread_that_are_set(other_world):
    bins = Bins({f"chr{number}": 800_000 for number in (1, 2, 3)}, 128)
    means = {name: truth(other_world / "truth" / f"{name}.bw", bins) for name in ("expression", "accessibility")}
    counted = {name: truth(other_world / f"{name}.bw", bins) for name in means}
    features = pd.read_csv(other_world / "truth" / "features.tsv", sep="\t")
    promoters = features.loc[features["kind"] == "promoter", "expression"]
    assert promoters.mean() == pytest.approx(OTHER["expression_reads"])
    high = means["expression"] > 50
    assert counted["expression"][high].mean() == pytest.approx(promoters.mean(), rel=0.2)
    top = features[(features["kind"] == "element") & (features["openness"] > 2)]
    rows = np.array([bins.locate(*each)[0] for each in zip(top["chrom"], top[["middle"]].to_numpy(), strict=True)])
    assert (means["accessibility"][rows] / top["openness"]).median() == pytest.approx(60, rel=0.1)
    for name, mean in means.items():
        many = mean > 20
        relative = ((counted[name][many] - mean[many]) ** 2 - mean[many]) / mean[many] ** 2
        assert relative.mean() == pytest.approx(SPREAD, rel=0.25)


def test_cpgs_have_the_reads_that_are_set(other_world):
    bulk = cpg_reads(other_world / "bulk.cov.gz")
    assert bulk.mean() * (1 - np.exp(-6)) == pytest.approx(OTHER["methylation_coverage"], rel=0.02)  # none: not listed
    cell = cpg_reads(other_world / "cells" / "cell1.cov.gz")
    assert set(cell) == {1}
    assert len(cell) / (len(bulk) / (1 - np.exp(-6))) == pytest.approx(OTHER["cell_coverage"], rel=0.05)
