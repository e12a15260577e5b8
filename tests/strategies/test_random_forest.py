"""Gapped k-mers are counted as defined, and forests on them are runs like others."""

from __future__ import annotations

import numpy as np
import pytest

from genograph.ablate.grid import Run
from genograph.config import load_config
from genograph.errors import InputError
from genograph.experiment import Experiment
from genograph.strategies import random_forest
from genograph.strategies.random_forest import fit_forest, gapped_kmer_counts
from tests.strategies.conftest import SHORT

LETTERS = "ACGT-"


def counts_of(sequence, k=6):
    """Count by k-mer, of those that occur."""
    codes = np.array([["ACGTN".index(base) for base in sequence]], dtype=np.uint8)
    (row,) = gapped_kmer_counts(codes, k)
    assert len(row) == 5**k

    def name(number):
        return "".join(LETTERS[number // 5**place % 5] for place in reversed(range(k)))

    return {name(number): int(row[number]) for number in np.flatnonzero(row)}


def test_the_gapped_6_mers_of_ten_bases_are_exact():
    counts = counts_of("ACGTACGTAC")  # ACGTAC twice, CGTACG, GTACGT, TACGTA
    assert sum(counts.values()) == 5 * 2**6
    for kmer, count in {
        "ACGTAC": 2,
        "CGTACG": 1,
        "A----C": 2,
        "--G---": 2,
        "-C--A-": 2,
        "T-----": 1,
        "------": 5,
    }.items():
        assert counts[kmer] == count, kmer
    assert "CCCCCC" not in counts


def test_there_are_15_625_of_them():
    assert gapped_kmer_counts(np.zeros((1, 10), dtype=np.uint8)).shape == (1, 15_625)


def test_an_unknown_base_is_matched_by_gaps_only():
    counts = counts_of("ACGTNCGTAC")
    assert (counts["ACGT-C"], counts["------"]) == (1, 5)
    assert sum(counts.values()) == 5 * 2**5


def test_all_2_mers_of_a_short_sequence_are_counted():
    assert counts_of("AAC", k=2) == {"AA": 1, "AC": 1, "A-": 2, "-A": 1, "-C": 1, "--": 2}


def test_counts_do_not_depend_on_how_many_sequences_are_counted_at_once(monkeypatch):
    codes = np.random.default_rng(0).integers(0, 5, (7, 30)).astype(np.uint8)
    whole = gapped_kmer_counts(codes, 3)
    monkeypatch.setattr(random_forest, "_BLOCK", 2)
    np.testing.assert_array_equal(gapped_kmer_counts(codes, 3), whole)


@pytest.fixture(scope="module")
def config(peaks):
    return load_config(peaks, SHORT)


@pytest.mark.parametrize("multi", [False, True])
def test_forests_predict_every_site_of_the_test_split_and_are_fitted_once(config, tmp_path, multi):
    run = Run("forest", 0, 0, tmp_path / "run", config)
    fit_forest(run, multi=multi, trees=5, workers=1)
    predicted = run.predictions()["accessibility"]
    experiment = Experiment.open(config)
    test = experiment.store.signals("accessibility")[experiment.split_of_bin == 2].T
    assert predicted.shape == test.shape
    np.testing.assert_allclose(predicted * 5, np.round(predicted * 5), atol=1e-5)  # five trees that all decide
    assert [each[row > 0].mean() > each[row == 0].mean() for each, row in zip(predicted, test, strict=True)] == [
        True
    ] * 2
    written = (run.folder / "held_out.npz").stat().st_mtime_ns
    fit_forest(run, multi=multi, trees=50, workers=1)
    assert (run.folder / "held_out.npz").stat().st_mtime_ns == written


def test_forests_read_what_the_encoder_reads(peaks, tmp_path):
    config = load_config(peaks, ["model.encoder.input_length=100", "model.encoder.blocks.0.pool=8"])
    experiment = Experiment.open(config)
    site = int(np.flatnonzero(experiment.split_of_bin == 2)[3])
    (codes,) = random_forest._sequences(experiment, "test", np.array([site]))
    start = int(experiment.store.bins.starts(np.array(site)))
    np.testing.assert_array_equal(codes[0], experiment.store.codes("chr3", start - 20, start + 80))


def test_a_track_that_is_nowhere_open_in_training_is_predicted_closed(peaks, tmp_path):
    (tmp_path / "late.bed").write_text("chr1\t50\t90\nchr3\t280\t320\n")
    (tmp_path / "targets.tsv").write_text(
        f"identifier\tfile\tassay\none\t{peaks.parent / 'one.bed'}\taccessibility\nlate\tlate.bed\taccessibility\n"
    )
    changes = [
        f"tracks.targets={tmp_path / 'targets.tsv'}",
        f"store={tmp_path / 'store'}",
        "splits.train=['chr1:200-60000']",
    ]
    run = Run("forest", 0, 0, tmp_path / "run", load_config(peaks, changes))
    fit_forest(run, multi=False, trees=2, workers=1)
    assert not run.predictions()["accessibility"][1].any()


def test_a_forest_for_all_tracks_needs_sites_that_are_measured_in_all(peaks, tmp_path):
    (tmp_path / "here.bed").write_text("chr1\t280\t320\nchr3\t280\t320\n")
    (tmp_path / "there.bed").write_text("chr2\t280\t320\nchr3\t680\t720\n")
    (tmp_path / "targets.tsv").write_text(
        "identifier\tfile\tassay\nhere\there.bed\taccessibility\nthere\tthere.bed\taccessibility\n"
    )
    changes = [
        f"tracks.targets={tmp_path / 'targets.tsv'}",
        f"store={tmp_path / 'store'}",
        "splits.valid=['chr3:0-400']",
    ]
    run = Run("forest", 0, 0, tmp_path / "run", load_config(peaks, [*changes, "splits.test=['chr3:400-24000']"]))
    with pytest.raises(InputError, match="no training site is measured in all tracks"):
        fit_forest(run, multi=True, trees=2, workers=1)
