"""A random forest on counts of gapped k-mers: what needs no motif learned, and no position."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.ensemble import RandomForestClassifier

from genograph.ablate.grid import PREDICTIONS, Run, locked
from genograph.ablate.judged import Judged
from genograph.atomic import replacing
from genograph.dataset import Stretches, WindowDataset
from genograph.errors import InputError
from genograph.experiment import Experiment
from genograph.genome.splits import TRAIN
from genograph.metrics import is_positive

LETTERS = 5  # A C G T, and a gap
K = 6
MAX_LEAVES = 10_000  # of a tree
TRAINING_SITES = 20_000  # at most, which take 1.25 GB
_BLOCK = 256  # sites whose counts are made at once


def gapped_kmer_counts(codes: np.ndarray, k: int = K) -> np.ndarray:
    """How often each gapped k-mer matches in each sequence: (sequences, 5**k) float32, with k = 6 15,625 columns.

    A gapped k-mer has a base or a gap at each of its k positions; a gap matches any base, and N is matched by gaps
    only. In the order of A, C, G, T, gap: AAAAAA, AAAAAC, ... to six gaps.

    Args:
        codes: (sequences, bp) uint8: A C G T are 0 to 3, N is 4.
        k: Positions of a k-mer.
    """
    place = LETTERS ** np.arange(k)[::-1]
    counts = np.empty((len(codes), LETTERS**k), dtype=np.float32)
    for first in range(0, len(codes), _BLOCK):
        rows = slice(first, first + _BLOCK)
        number = sliding_window_view(codes[rows].astype(np.int64), k, axis=1) @ place
        sequences = len(number)
        number += LETTERS**k * np.arange(sequences)[:, None]
        exact = np.bincount(number.ravel(), minlength=sequences * LETTERS**k).reshape(sequences, *[LETTERS] * k)
        for axis in range(1, k + 1):
            # N has the number of the gap, so that its own count is one of those that the gap takes over.
            np.moveaxis(exact, axis, 0)[LETTERS - 1] = exact.sum(axis=axis)
        counts[rows] = exact.reshape(sequences, -1)
    return counts


def fit_forest(run: Run, *, multi: bool, trees: int, workers: int) -> None:
    """Fit the forests of a run's tracks and keep what they predict for the test split, as `grid.finish` does.

    A finished run is not fitted again. Training sites beyond `TRAINING_SITES` are left out by chance.

    Args:
        run: Its seed is that of the forests; they read what its config's encoder reads.
        multi: Whether one forest has all tracks as outputs, or each track a forest.
        trees: Of a forest.
        workers: Processor cores.

    Raises:
        InputError: If the folder holds another run, or no training site has all labels that a forest needs.
    """
    run.folder.mkdir(parents=True, exist_ok=True)
    with locked(run.folder / "lock"):
        run.check()
        if run.is_done:
            return
        experiment = Experiment.open(run.config)
        (run.folder / "config.yaml").write_text(run.config.to_yaml())
        (assay,) = experiment.targets
        options = {"n_estimators": trees, "max_leaf_nodes": MAX_LEAVES, "n_jobs": workers, "random_state": run.seed}
        predicted = _predicted(experiment, assay, multi=multi, seed=run.seed, **options)
        with replacing(run.folder / PREDICTIONS) as written, written.open("wb") as file:
            np.savez(file, **{assay: predicted})


def _predicted(experiment: Experiment, assay: str, *, multi: bool, seed: int, **options: object) -> np.ndarray:
    """What forests predict for the test split: (tracks, sites) float32."""
    bins = np.flatnonzero((experiment.split_of_bin == TRAIN) & experiment.counted("train"))
    if len(bins) > TRAINING_SITES:
        bins = np.sort(np.random.default_rng(seed).choice(bins, TRAINING_SITES, replace=False))
    values = experiment.store.signals(assay)[bins]
    label, known = is_positive(values), np.isfinite(values)
    (codes,) = _sequences(experiment, "train", bins)
    counts = gapped_kmer_counts(codes)
    names = [target.identifier for target in experiment.targets[assay]]
    parts = [list(range(len(names)))] if multi else [[track] for track in range(len(names))]
    forests = [_fitted(counts, label[:, part], known[:, part].all(axis=1), **options) for part in parts]
    del counts
    held_out = Judged(experiment, assay, "bins").bins
    blocks = (gapped_kmer_counts(codes) for codes in _sequences(experiment, "test", held_out))
    return np.concatenate([np.concatenate([_positive(each, block) for each in forests]) for block in blocks], axis=1)


def _fitted(counts: np.ndarray, label: np.ndarray, known: np.ndarray, **options: object) -> RandomForestClassifier:
    if not known.any():
        raise InputError("a random forest: no training site is measured in all tracks that one forest is to learn.")
    if not known.all():
        counts, label = counts[known], label[known]
    label = label if label.shape[1] > 1 else label[:, 0]
    return RandomForestClassifier(**options).fit(counts, label)  # pyright: ignore[reportArgumentType]


def _positive(forest: RandomForestClassifier, counts: np.ndarray) -> np.ndarray:
    """Probability of the positive class of each output: (outputs, sites); 0 if training had none."""
    share, classes = forest.predict_proba(counts), forest.classes_
    if isinstance(share, np.ndarray):
        share, classes = [share], [classes]
    # Classes are False and True, or one of them, and so the mask of the columns that are positive.
    rows = [each[:, is_positive].sum(axis=1) for each, is_positive in zip(share, classes, strict=True)]
    return np.stack(rows).astype(np.float32)


def _sequences(experiment: Experiment, split: str, bins: np.ndarray) -> Iterator[np.ndarray]:
    """Codes of what the encoder reads of some sites of a split, block by block: (sites, bp) uint8."""
    encoder = experiment.model().encoder
    windows: WindowDataset = experiment.dataset(split, encoder.halo, keep_empty=True)
    run = np.searchsorted(windows.runs[:, 0], bins, side="right") - 1
    for first in range(0, len(bins), TRAINING_SITES):
        rows = slice(first, first + TRAINING_SITES)
        codes, piece = windows.reader.read([Stretches(run[rows], bins[rows], bins[rows, None])])
        start = max(0, (codes.shape[1] - encoder.receptive_field) // 2)
        yield codes[piece, start : codes.shape[1] - start]
