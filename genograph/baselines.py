"""What simple predictors reach on the bins that a model is judged on: the training mean and a k-mer ridge."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from genograph.dataset import CoveredReader, Stretches
from genograph.experiment import Experiment
from genograph.genome.splits import SPLITS, runs
from genograph.kmer import KmerRidge, kmer_counts
from genograph.store import Store

TRAINING_MEAN = "training mean"
RIDGE_BINS = 200_000  # that the k-mer ridge is fitted on, at most
STRETCH = 2**13  # bins whose k-mers are counted at once, at most
NEAREST = 5  # CpGs on each side of a site whose mean is a baseline
SPAN = 10_000_000  # bp that they lie on, at most
FLANK = 100  # bp that are read on both sides of a site, at least
BLOCK = 256  # tracks whose values are held at once


def baseline_predictions(
    experiment: Experiment, assay: str, bins: np.ndarray, scratch: Path
) -> Iterator[tuple[str, np.ndarray]]:
    """Name and predictions (tracks, n) of each baseline for some bins, fitted on the training split.

    Of methylation, where a model reads what cells cover beside a site, one is the mean of the five nearest CpGs on each
    side, or the training mean where there are none. The ridge sees a bin and one bin's length on both sides of it, and
    chooses its penalty on the validation split. It is left out where `evaluation.kmer_ridge` is null.

    Args:
        experiment: What the baselines are fitted on.
        assay: The assay whose tracks they predict.
        bins: (n,) numbers of the bins, ascending.
        scratch: Folder for predictions that are too large for memory.
    """
    store, signals = experiment.store, experiment.store.signals(assay)
    num_tracks = signals.shape[1]
    blocks = [slice(start, start + BLOCK) for start in range(0, num_tracks, BLOCK)]
    train, valid = _measured(experiment, "train"), _measured(experiment, "valid")
    mean = np.concatenate([np.nanmean(signals[train, block], axis=0, dtype=np.float64) for block in blocks])
    yield TRAINING_MEAN, np.broadcast_to(mean[:, None], (num_tracks, len(bins)))
    if experiment.config.model.neighbours is not None and assay == "methylation":
        yield "neighbour mean", np.where(np.isnan(near := _near(store, bins)), mean[:, None], near)
    k = experiment.config.evaluation.kmer_ridge
    if k is None:
        return
    counts, valid_counts = _kmers(store, train, k), _kmers(store, valid, k)
    ridges = [KmerRidge().fit(counts, signals[train, block], valid_counts, signals[valid, block]) for block in blocks]
    prediction = np.lib.format.open_memmap(
        scratch / f"{assay}-ridge.npy", mode="w+", dtype=np.float64, shape=(num_tracks, len(bins))
    )
    for rows in _stretches(store, bins):
        counts = _kmers(store, bins[rows], k)
        for block, ridge in zip(blocks, ridges, strict=True):
            prediction[block, rows] = ridge.predict(counts).T
    yield f"{k}-mer ridge", prediction


def _measured(experiment: Experiment, split: str) -> np.ndarray:
    """At most `RIDGE_BINS` bins that a split counts, drawn as the seed says: (n,), ascending."""
    bins = np.flatnonzero((experiment.split_of_bin == SPLITS[split]) & experiment.counted(split))
    if len(bins) > RIDGE_BINS:
        bins = np.sort(np.random.default_rng(experiment.config.seed).choice(bins, RIDGE_BINS, replace=False))
    return bins


def _near(store: Store, bins: np.ndarray) -> np.ndarray:
    """The mean of the `NEAREST` CpGs on each side that a cell covers, not the site itself: (cells, n); NaN for none."""
    allowed = np.zeros(len(store.bins), dtype=bool)
    allowed[bins] = True
    regions = np.asarray(runs(allowed, store.bins), dtype=np.int64)
    reader, columns = CoveredReader(store, regions, NEAREST), []
    nothing = Stretches(*np.empty((2, 0), dtype=np.int64), np.empty((0, 1), dtype=np.int64))
    for some in np.array_split(bins, 1 + len(bins) // STRETCH):
        run = np.searchsorted(regions[:, 0], some, side="right") - 1
        sites = Stretches(run, some, some[:, None])
        state = reader.read(sites, nothing, nothing.run, some[:, None])["state"]
        found = np.isfinite(state)
        total = np.where(found, state, 0).sum(axis=2)
        columns.append(np.divide(total, found.sum(axis=2), out=np.full(total.shape, np.nan), where=found.any(axis=2)))
    return np.concatenate(columns).T


def _kmers(store: Store, bins: np.ndarray, k: int) -> np.ndarray:
    """The k-mers of each bin and of one bin's length on both sides, of a site at least `FLANK` bp: (n, kmers)."""
    flank = size = store.bins.bin_size
    if store.sites is not None:
        flank = max(size, FLANK)
    chroms = store.bins.chroms
    counts = np.empty((len(bins), 4**k), dtype=np.int32)
    for rows in _stretches(store, bins):
        starts = store.bins.starts(bins[rows])
        first = starts[0] - flank
        chrom = chroms[store.bins.chrom_index(bins[rows.start])]
        codes = store.codes(chrom, first, starts[-1] + size + flank)
        counts[rows] = kmer_counts(codes, starts - first, size, k=k, flank=flank)
    return counts


def _stretches(store: Store, bins: np.ndarray) -> Iterator[slice]:
    """Ascending bins in slices that lie on one chromosome, in stretches of `STRETCH` bins and of `SPAN` bp."""
    parts = (store.bins.chrom_index(bins), bins // STRETCH, store.bins.starts(bins) // SPAN)
    is_new = np.any([np.diff(part) != 0 for part in parts], axis=0)
    edges = [0, *(np.flatnonzero(is_new) + 1).tolist(), len(bins)]
    return (slice(first, end) for first, end in pairwise(edges) if first < end)
