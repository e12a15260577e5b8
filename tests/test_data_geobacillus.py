"""The Geobacillus data set that comes with the product: is it what its README says?"""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from genograph.assays.targets import read_targets, strand_permutation
from genograph.config import load_config
from genograph.experiment import Experiment
from genograph.genome.splits import SPLITS

ROOT = Path(__file__).resolve().parents[1]
GEOBACILLUS = ROOT / "data" / "geobacillus"
COLUMNS = ["chrom", "start", "end", "code", "score", "strand", "first", "last", "colour", "coverage", "percent"]


@pytest.fixture(scope="module")
def genome() -> dict[str, str]:
    with gzip.open(GEOBACILLUS / "genome.fa.gz", "rt") as fasta:
        records = fasta.read().split(">")[1:]
    return {record.split()[0]: "".join(record.split()[1:]) for record in records}


@pytest.fixture(scope="module")
def calls(genome) -> pd.DataFrame:
    """The calls, with the three bases before and the base after each on its own strand."""
    calls = pd.read_csv(GEOBACILLUS / "calls.bed.gz", sep="\t", names=COLUMNS)
    calls["methylated"] = (calls["coverage"] * calls["percent"] / 100).round()
    calls["base"] = [genome[chrom][start] for chrom, start in zip(calls["chrom"], calls["start"], strict=True)]
    is_plus = calls["strand"] == "+"
    first = calls["start"] - np.where(is_plus, 1, 2)  # of a GATC whose adenine this is
    calls["gatc"] = [
        genome[chrom][max(at, 0) : at + 4] == "GATC" for chrom, at in zip(calls["chrom"], first, strict=True)
    ]
    return calls


def test_the_files_have_the_checksums_that_stand_beside_them():
    for line in (GEOBACILLUS / "SHA256SUMS").read_text().splitlines():
        sha256, name = line.split()
        assert hashlib.sha256((GEOBACILLUS / name).read_bytes()).hexdigest() == sha256, name


def test_the_data_set_stays_below_3_megabytes():
    assert sum(path.stat().st_size for path in GEOBACILLUS.iterdir() if path.is_file()) < 3_000_000


def test_the_genome_is_two_contigs_of_known_bases(genome):
    assert {name: len(sequence) for name, sequence in genome.items()} == {"contig_3": 82_915, "contig_2": 93_311}
    assert {base for sequence in genome.values() for base in sequence} == set("ACGT")


def test_calls_are_on_the_base_that_is_called(calls):
    bases = calls.groupby(["code", "strand"])["base"].unique().map(list).to_dict()
    assert bases == {("a", "+"): ["A"], ("a", "-"): ["T"], ("m", "+"): ["C"], ("m", "-"): ["G"]}


def test_the_table_is_bedmethyl_of_nine_columns_and_two(calls):
    assert not calls.isna().any(axis=None)
    assert ((calls["end"] == calls["start"] + 1) & (calls["start"] == calls["first"])).all()
    assert calls["percent"].between(0, 100).all()
    assert calls["coverage"].min() == 1


def test_there_are_as_many_calls_as_the_readme_says(calls):
    counts = calls.groupby(["chrom", "code"]).size().to_dict()
    assert counts == {
        ("contig_2", "a"): 56_917,
        ("contig_2", "m"): 36_324,
        ("contig_3", "a"): 46_692,
        ("contig_3", "m"): 36_223,
    }
    assert calls.groupby("chrom")["coverage"].median().to_dict() == {"contig_2": 131, "contig_3": 312}


@pytest.mark.parametrize(("chrom", "gatc", "other"), [("contig_2", 0.831, 0.033), ("contig_3", 0.876, 0.041)])
def test_adenines_are_methylated_in_gatc(calls, chrom, gatc, other):
    adenines = calls[(calls["chrom"] == chrom) & (calls["code"] == "a")]
    reads = adenines.groupby("gatc")[["methylated", "coverage"]].sum()
    share = reads["methylated"] / reads["coverage"]
    assert share[True] == pytest.approx(gatc, abs=5e-4)
    assert share[False] == pytest.approx(other, abs=5e-4)


def test_cytosines_are_hardly_methylated(calls):
    cytosines = calls[calls["code"] == "m"]
    assert cytosines["methylated"].sum() / cytosines["coverage"].sum() < 0.02


def test_the_config_that_comes_with_it_learns_on_one_contig_and_tests_on_the_other(calls, tmp_path):
    config = load_config(ROOT / "configs" / "geobacillus_methylation.yaml", [f"store={tmp_path}/store"])
    experiment = Experiment.open(config)
    bins, coverage = experiment.store.bins, experiment.store.coverage("methylation")
    assert coverage.sum(dtype=np.float64) == calls["coverage"].sum()
    assert (np.count_nonzero(coverage, axis=1) == 1).sum() == len(calls)  # a base is an A, C, G or T
    splits = experiment.split_of_bin
    assert (splits[bins.span("contig_2")] == SPLITS["test"]).all()
    assert not (splits[bins.span("contig_3")] == SPLITS["test"]).any()


def test_targets_pair_the_strands_of_each_modification():
    targets = read_targets(GEOBACILLUS / "targets.tsv")
    assert [(target.identifier, target.column, target.strand) for target in targets] == [
        ("6mA_fwd", "a", "+"),
        ("6mA_rev", "a", "-"),
        ("5mC_fwd", "m", "+"),
        ("5mC_rev", "m", "-"),
    ]
    assert strand_permutation(targets) == [1, 0, 3, 2]
