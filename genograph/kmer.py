"""The k-mer ridge: what a linear model sees in the composition of a bin.

It is the baseline that a trained model has to beat. It knows no motif longer than k, no position and
no contact.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from genograph.errors import InputError

ALPHAS = tuple(10.0**power for power in range(-4, 5))
CHUNK_VALUES = 2**22  # k-mers looked up, or features standardised, at once


def kmer_counts(
    codes: np.ndarray,
    starts: np.ndarray,
    bin_size: int,
    *,
    k: int = 4,
    flank: int = 0,
) -> np.ndarray:
    """How often each k-mer occurs in each bin: (bins, 4**k) int32, k-mers in the order AA.., AC.., to TT...

    A k-mer counts when it lies wholly inside the bin and its flanks, inside the chromosome, and holds
    no N.

    Args:
        codes: Sequence of one chromosome, (length,) uint8: A C G T are 0 to 3, all else is 4.
        starts: First base of each bin, (bins,).
        bin_size: Length of a bin in bp.
        k: Length of a k-mer in bp, 1 to 8.
        flank: Bases on both sides of the bin that count too, in bp.

    Raises:
        InputError: If k, bin_size or flank is out of range, or a bin starts outside the chromosome.
    """
    starts = np.asarray(starts, dtype=np.int64)
    _check_windows(starts, len(codes), bin_size, k, flank)
    num_kmers = 4**k
    width = bin_size + 2 * flank - k + 1  # k-mers in a window
    if width < 1:
        return np.zeros((len(starts), num_kmers), dtype=np.int32)
    rest = np.full(flank + bin_size, 4, dtype=np.uint8)
    kmers = _kmer_index(np.concatenate([rest[:flank], codes, rest]), k)
    windows = sliding_window_view(kmers, width)
    counts = np.empty((len(starts), num_kmers), dtype=np.int32)
    for rows in _chunks(len(starts), width):
        # A k-mer with an N falls into one more column, which is then dropped.
        seen = windows[starts[rows]] + (num_kmers + 1) * np.arange(len(starts[rows]))[:, None]
        table = np.bincount(seen.ravel(), minlength=len(starts[rows]) * (num_kmers + 1))
        counts[rows] = table.reshape(-1, num_kmers + 1)[:, :num_kmers]
    return counts


def _check_windows(starts: np.ndarray, length: int, bin_size: int, k: int, flank: int) -> None:
    if not 1 <= k <= 8:
        raise InputError(f"k must be 1 to 8, for 4 to 65,536 k-mers; got {k}.")
    if bin_size < 1 or flank < 0:
        raise InputError(f"A bin has at least 1 bp and a flank at least 0; got {bin_size} and {flank}.")
    outside = starts[(starts < 0) | (starts >= length)]
    if len(outside):
        raise InputError(f"A bin starts at {outside[0]}, outside the chromosome of {length} bp.")


def _kmer_index(codes: np.ndarray, k: int) -> np.ndarray:
    """The number of the k-mer that starts at each base, 4**k if it holds an N: (length - k + 1,)."""
    length = len(codes) - k + 1
    index = np.zeros(length, dtype=np.int32)
    unknown = np.zeros(length, dtype=bool)
    for offset in range(k):
        base = codes[offset : offset + length]
        index = 4 * index + base
        unknown |= base > 3
    index[unknown] = 4**k
    return index


def _chunks(rows: int, width: int) -> Iterator[slice]:
    step = max(1, CHUNK_VALUES // width)
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


class KmerRidge:
    """Ridge regression (Hoerl & Kennard 1970, Technometrics 12:55) of every track on k-mer counts.

    Counts are standardised. Each track has its own strength of the penalty, the one with the least squared
    error on the validation bins. Tracks with the same missing bins share one decomposition.

    Args:
        alphas: Strengths to choose from, as multiples of the number of training bins.
    """

    def __init__(self, *, alphas: tuple[float, ...] = ALPHAS) -> None:
        if not alphas or min(alphas) <= 0:
            raise InputError(f"Strengths of the ridge penalty are positive; got {alphas}.")
        self.alphas = np.sort(np.asarray(alphas, dtype=np.float64))

    def fit(
        self,
        features: np.ndarray,
        target: np.ndarray,
        valid_features: np.ndarray,
        valid_target: np.ndarray,
    ) -> KmerRidge:
        """Fit every track.

        Args:
            features: Counts of the training bins, (bins, kmers).
            target: Their values, (bins, tracks); NaN is missing or masked.
            valid_features: Counts of the validation bins.
            valid_target: Their values. A track without any takes the strongest penalty.

        Returns:
            Itself, with `weight` (kmers, tracks), `intercept` (tracks,) and the chosen `alpha` (tracks,). A
            track without training values has NaN in all three.

        Raises:
            InputError: If the numbers of bins, k-mers or tracks do not agree.
        """
        _check_pair(features, target, "training")
        _check_pair(valid_features, valid_target, "validation")
        if features.shape[1] != valid_features.shape[1] or target.shape[1] != valid_target.shape[1]:
            raise InputError(
                f"Training has {features.shape[1]} k-mers and {target.shape[1]} tracks, validation "
                f"{valid_features.shape[1]} and {valid_target.shape[1]}."
            )
        self._mean = features.mean(axis=0, dtype=np.float64)
        deviation = features.std(axis=0, dtype=np.float64)
        self._scale = np.where(deviation > 0, deviation, 1)
        self.weight = np.full((features.shape[1], target.shape[1]), np.nan)
        self.intercept, self.alpha = np.full((2, target.shape[1]), np.nan)
        for kept, tracks in _by_missing(target):
            if kept.any():
                path = self._path(features, target[:, tracks], kept)
                self._choose(tracks, *path, valid_features, valid_target[:, tracks])
        return self

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Predicted values: (bins, kmers) -> (bins, tracks)."""
        predicted = np.empty((len(features), len(self.intercept)))
        for rows in _chunks(len(features), features.shape[1]):
            predicted[rows] = self._standardised(features[rows]) @ self.weight + self.intercept
        return predicted

    def _standardised(self, features: np.ndarray) -> np.ndarray:
        return (features - self._mean) / self._scale

    def _path(self, features: np.ndarray, target: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Solutions for all strengths, weights (alphas, kmers, tracks) and intercepts (alphas, tracks)."""
        bins = np.flatnonzero(kept)
        kmers = features.shape[1]
        target_mean = target[bins].mean(axis=0, dtype=np.float64)
        total, gram, product = np.zeros(kmers), np.zeros((kmers, kmers)), np.zeros((kmers, target.shape[1]))
        for rows in _chunks(len(bins), kmers):
            counts = self._standardised(features[bins[rows]])
            total += counts.sum(axis=0)
            gram += counts.T @ counts
            product += counts.T @ (target[bins[rows]] - target_mean)
        mean = total / len(bins)
        # The targets are centred, so centring the counts changes the Gram matrix only.
        strength, basis = np.linalg.eigh(gram - len(bins) * np.outer(mean, mean))
        shrunk = np.maximum(strength, 0) + self.alphas[:, None] * len(bins)
        weight = basis @ ((basis.T @ product) / shrunk[:, :, None])
        return weight, target_mean - mean @ weight

    def _choose(
        self,
        tracks: list[int],
        weight: np.ndarray,
        intercept: np.ndarray,
        features: np.ndarray,
        target: np.ndarray,
    ) -> None:
        error = np.zeros(intercept.shape)
        for rows in _chunks(len(features), features.shape[1]):
            predicted = self._standardised(features[rows]) @ weight + intercept[:, None]
            error += np.nansum((predicted - target[rows]) ** 2, axis=1)
        best = len(self.alphas) - 1 - np.argmin(error[::-1], axis=0)  # the stronger of two equally good
        columns = np.arange(len(tracks))
        self.weight[:, tracks] = weight[best, :, columns].T
        self.intercept[tracks] = intercept[best, columns]
        self.alpha[tracks] = self.alphas[best]


def _check_pair(features: np.ndarray, target: np.ndarray, name: str) -> None:
    if features.ndim != 2 or target.ndim != 2 or len(features) != len(target):
        raise InputError(
            f"The {name} counts {features.shape} and values {target.shape} must be (bins, kmers) and (bins, tracks)."
        )


def _by_missing(target: np.ndarray) -> Iterator[tuple[np.ndarray, list[int]]]:
    """The tracks in groups with the same missing bins, each with its mask of bins that are not."""
    groups = defaultdict(list)
    for track in range(target.shape[1]):
        groups[np.packbits(~np.isnan(target[:, track])).tobytes()].append(track)
    for tracks in groups.values():
        yield ~np.isnan(target[:, tracks[0]]), tracks
