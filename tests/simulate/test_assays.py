from __future__ import annotations

import numpy as np
import pandas as pd
import pybigtools
import pytest

from genograph.config import load_config
from genograph.genome.bins import Bins
from genograph.metrics import TrackSums
from genograph.prepare import prepare
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
