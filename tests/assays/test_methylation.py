"""Methylation is a ratio of reads: missing where nothing is covered, never zero."""

from __future__ import annotations

import gzip
import math

import numpy as np
import pytest

from genograph.assays import methylation
from genograph.assays.methylation import read_methylation
from genograph.assays.targets import Target
from genograph.errors import InputError
from genograph.genome.bins import Bins

NAN = math.nan
BINS = Bins({"1": 25, "2": 20}, 10)
# Bismark counts from 1: site 10 is the last base of the first bin, 11 the first of the second.
TEXT = (
    "chr1\t3\t3\t25\t1\t3\n"
    "chr1\t10\t10\t100\t4\t0\n"
    "chr1\t11\t11\t0\t0\t2\n"
    "chr1\t24\t24\t100\t9\t0\n"
    "chrUn\t1\t1\t50\t1\t1\n"
)


def read(tmp_path, text, name="cells.cov"):
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return read_methylation(Target(identifier="m", file=path, assay="methylation"), BINS, aliases={})


@pytest.mark.parametrize("name", ["cells.cov", "cells.bismark.cov.gz"])
def test_reads_add_up_over_the_sites_of_a_bin(tmp_path, name):
    fraction, coverage = read(tmp_path, TEXT, name)
    np.testing.assert_array_equal(fraction, [5 / 8, 0, NAN, NAN])
    assert coverage.tolist() == [8, 2, 0, 0]
    assert (fraction.dtype, coverage.dtype) == (np.float32, np.float32)


def test_reading_in_pieces_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(methylation, "_ROWS", 1)
    np.testing.assert_array_equal(read(tmp_path, TEXT)[0], [5 / 8, 0, NAN, NAN])


def test_a_listed_site_without_reads_is_uncovered(tmp_path):
    fraction, coverage = read(tmp_path, "1\t1\t1\t0\t0\t0\n1\t11\t11\t0\t0\t1\n")
    np.testing.assert_array_equal(fraction, [NAN, 0, NAN, NAN])
    assert coverage.tolist() == [0, 1, 0, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("chrQ\t1\t1\t0\t0\t1\n", "no chromosome of the genome"),
        ("1\t26\t26\t0\t0\t1\n", r"wrong assembly. A site lies at 1:26 \(1-based\), but 1 has 25 bp"),
        ("1\t0\t1\t0\t0\t1\n", "A site lies at 1:0"),
        ("1\t1\t1\t0\tx\t1\n", "is not a Bismark coverage file"),
        ("1\t1\t1\t0.5\n", "is not a Bismark coverage file"),
        ("1\t1\t1\t0\t-1\t1\n", "a count is negative"),
        ("1\t1\t1\t0\t0\t0\n", "covers no bin of the genome with a read"),
    ],
)
def test_a_wrong_file_is_an_error_that_names_it(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, text)


def test_a_truncated_gzip_is_an_error_that_names_it(tmp_path):
    path = tmp_path / "cells.cov.gz"
    path.write_bytes(gzip.compress((TEXT * 100).encode())[:-9])
    with pytest.raises(InputError, match=r"cells\.cov\.gz cannot be read to its end"):
        read_methylation(Target(identifier="m", file=path), BINS, aliases={})


def test_a_bigwig_of_fractions_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"which tell unmethylated from uncovered; got .*m\.bw"):
        read_methylation(Target(identifier="m", file=tmp_path / "m.bw"), BINS, aliases={})
