"""What simple predictors reach on the bins that a model is judged on: the training mean and a k-mer ridge."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from genograph.experiment import Experiment
from genograph.genome.splits import SPLITS
from genograph.kmer import KmerRidge
from genograph.store import Store

RIDGE_BINS = 200_000  # that the k-mer ridge is fitted on, at most


def baseline_predictions(experiment: Experiment, assay: str, bins: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Name and predictions (n, tracks) of each baseline for some bins, fitted on the training split.

    The ridge sees a bin and one bin's length on both sides of it, and chooses its penalty on the validation
    split. It is left out where `evaluation.kmer_ridge` is null.
    """
    train_bins, train_target = _measured(experiment, assay, "train")
    mean = np.nanmean(train_target, axis=0)
    yield "training mean", np.broadcast_to(mean, (len(bins), len(mean)))
    k = experiment.config.evaluation.kmer_ridge
    if k is None:
        return
    ridge = KmerRidge(k=k, flank=experiment.store.bins.bin_size)
    valid_bins, valid_target = _measured(experiment, assay, "valid")
    ridge.fit(
        _features(ridge, experiment.store, train_bins),
        train_target,
        _features(ridge, experiment.store, valid_bins),
        valid_target,
    )
    yield f"{k}-mer ridge", ridge.predict(_features(ridge, experiment.store, bins))


def _measured(experiment: Experiment, assay: str, split: str) -> tuple[np.ndarray, np.ndarray]:
    """At most `RIDGE_BINS` valid bins of a split, drawn as the seed says, and their values: (n,), (n, tracks)."""
    bins = np.flatnonzero((experiment.split_of_bin == SPLITS[split]) & experiment.store.mask)
    if len(bins) > RIDGE_BINS:
        bins = np.sort(np.random.default_rng(experiment.config.seed).choice(bins, RIDGE_BINS, replace=False))
    return bins, experiment.store.signals(assay)[bins]


def _features(ridge: KmerRidge, store: Store, bins: np.ndarray) -> np.ndarray:
    """The ridge's k-mer counts of bins in order: (n, kmers)."""
    chrom, starts = store.bins.chrom_index(bins), store.bins.starts(bins)
    return np.concatenate(
        [
            ridge.features(store.codes(name, 0, store.sizes[name]), starts[chrom == number], store.bins.bin_size)
            for number, name in enumerate(store.sizes)
        ]
    )
