"""The k-mer ridge: exact counts, missing values, and what it learns."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from genograph.errors import InputError
from genograph.kmer import KmerRidge, kmer_counts

LETTERS = "ACGTN"


def codes(sequence: str) -> np.ndarray:
    return np.array([LETTERS.index(base) for base in sequence], dtype=np.uint8)


def named(counts: np.ndarray, k: int) -> dict[str, int]:
    """The k-mers of one bin that occur, with their counts."""
    kmers = ["".join(LETTERS[number >> 2 * place & 3] for place in reversed(range(k))) for number in range(4**k)]
    return {kmer: int(count) for kmer, count in zip(kmers, counts, strict=True) if count}


def test_kmers_are_counted_in_their_bin():
    counts = kmer_counts(codes("ACGTACAAAA"), [0, 5], 5, k=2)
    assert named(counts[0], 2) == {"AC": 1, "CG": 1, "GT": 1, "TA": 1}
    assert named(counts[1], 2) == {"CA": 1, "AA": 3}


def test_flanks_count_on_both_sides_and_end_with_the_chromosome():
    counts = kmer_counts(codes("ACGTACAAAA"), [0, 5], 5, k=2, flank=1)
    assert named(counts[0], 2) == {"AC": 2, "CG": 1, "GT": 1, "TA": 1}
    assert named(counts[1], 2) == {"AC": 1, "CA": 1, "AA": 3}


def test_a_kmer_with_an_n_is_not_counted():
    assert named(kmer_counts(codes("AANAA"), [0], 5, k=2)[0], 2) == {"AA": 2}


def test_a_bin_shorter_than_k_has_no_kmers():
    assert kmer_counts(codes("ACGT"), [0, 2], 2, k=3).tolist() == [[0] * 64] * 2


@settings(max_examples=30)
@given(st.text(LETTERS, min_size=6, max_size=40), st.integers(1, 3), st.integers(0, 5))
def test_counts_equal_a_search_of_the_text(sequence, k, flank):
    starts = np.arange(0, len(sequence) - 4, 5)
    counts = kmer_counts(codes(sequence), starts, 5, k=k, flank=flank)
    for start, row in zip(starts, counts, strict=True):
        window = sequence[max(0, start - flank) : start + 5 + flank]
        kmers = [window[place : place + k] for place in range(len(window) - k + 1)]
        assert named(row, k) == {kmer: kmers.count(kmer) for kmer in set(kmers) if "N" not in kmer}


def test_chunks_do_not_change_the_counts(monkeypatch):
    sequence = np.random.default_rng(0).integers(0, 5, 400).astype(np.uint8)
    whole = kmer_counts(sequence, np.arange(0, 400, 8), 8, k=2, flank=3)
    monkeypatch.setattr("genograph.kmer.CHUNK_VALUES", 50)
    np.testing.assert_array_equal(kmer_counts(sequence, np.arange(0, 400, 8), 8, k=2, flank=3), whole)


def test_counting_refuses_what_cannot_be():
    with pytest.raises(InputError, match="k must be 1 to 8"):
        kmer_counts(codes("ACGT"), [0], 4, k=9)
    with pytest.raises(InputError, match="at least 0; got 4 and -1"):
        kmer_counts(codes("ACGT"), [0], 4, k=2, flank=-1)
    with pytest.raises(InputError, match="starts at 4, outside the chromosome of 4 bp"):
        kmer_counts(codes("ACGT"), [4], 4, k=2)


@pytest.fixture
def planted():
    """Bins whose first track counts GAAC and whose second is noise."""
    rng = np.random.default_rng(1)
    sequence = rng.integers(0, 4, 64 * 3000).astype(np.uint8)
    features = kmer_counts(sequence, np.arange(0, len(sequence), 64), 64, k=3)
    signal = 2.0 * features[:, 0b100000] + 5  # GAA
    target = np.stack([signal + rng.normal(0, 0.5, len(signal)), rng.normal(size=len(signal))], axis=1)
    return features, target


def test_a_planted_kmer_is_learned(planted):
    features, target = planted
    ridge = KmerRidge().fit(features[:2000], target[:2000], features[2000:2500], target[2000:2500])
    predicted = ridge.predict(features[2500:])
    assert np.corrcoef(predicted[:, 0], target[2500:, 0])[0, 1] > 0.95
    assert np.argmax(np.abs(ridge.weight[:, 0])) == 0b100000
    assert ridge.alpha[0] < ridge.alpha[1]  # noise is answered with the stronger penalty


def test_each_track_equals_scikit_learn_on_its_own_bins(planted):
    features, target = planted
    target[np.random.default_rng(2).random(target.shape) < 0.4] = np.nan
    ridge = KmerRidge(alphas=(0.01,)).fit(features[:2000], target[:2000], features[2000:], target[2000:])
    standardised = (features - features[:2000].mean(axis=0)) / features[:2000].std(axis=0)
    for track in range(2):
        kept = np.flatnonzero(~np.isnan(target[:2000, track]))
        expected = Ridge(alpha=0.01 * len(kept)).fit(standardised[kept], target[kept, track])
        np.testing.assert_allclose(ridge.predict(features)[:, track], expected.predict(standardised), rtol=1e-8)


def test_chunks_do_not_change_the_fit(planted, monkeypatch):
    features, target = planted
    data = features[:2000], target[:2000], features[2000:], target[2000:]
    whole = KmerRidge().fit(*data)
    monkeypatch.setattr("genograph.kmer.CHUNK_VALUES", 64 * 111)
    chunked = KmerRidge().fit(*data)
    np.testing.assert_allclose(chunked.predict(features), whole.predict(features), rtol=1e-9)


def test_tracks_without_values_get_nan_or_the_strongest_penalty(planted):
    features, target = planted
    target[:2000, 0] = np.nan
    target[2000:, 1] = np.nan
    ridge = KmerRidge().fit(features[:2000], target[:2000], features[2000:], target[2000:])
    assert np.isnan(ridge.predict(features[:5])[:, 0]).all()
    assert ridge.alpha[1] == 1e4


def test_counts_and_values_must_agree(planted):
    features, target = planted
    with pytest.raises(InputError, match="training counts"):
        KmerRidge().fit(features[:10], target[:9], features, target)
    with pytest.raises(InputError, match="validation 5 and 2"):
        KmerRidge().fit(features, target, features[:, :5], target)
    with pytest.raises(InputError, match="positive"):
        KmerRidge(alphas=(0.0,))
