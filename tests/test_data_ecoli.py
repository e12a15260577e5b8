"""The data set that comes with the product: is it what its README says?"""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import cooler
import numpy as np
import pandas as pd
import pyBigWig
import pytest

from genograph.assays.pairs import read_pair_table
from genograph.genome.genes import read_genes

ECOLI = Path(__file__).resolve().parents[1] / "data" / "ecoli"
CHROM, SIZE = "NC_000913.3", 4_641_652
COMPLEMENT = str.maketrans("ACGT", "TGCA")


@pytest.fixture(scope="module")
def sequence() -> str:
    with gzip.open(ECOLI / "genome.fa.gz", "rt") as fasta:
        header, *lines = fasta.read().splitlines()
    assert header.split()[0] == f">{CHROM}"
    return "".join(lines)


@pytest.fixture(scope="module")
def genes() -> pd.DataFrame:
    return pd.read_csv(ECOLI / "genes.tsv", sep="\t")


@pytest.fixture(scope="module")
def expression() -> pd.DataFrame:
    return pd.read_csv(ECOLI / "expression.tsv", sep="\t", index_col="id")


@pytest.fixture(scope="module")
def regulation() -> pd.DataFrame:
    return pd.read_csv(ECOLI / "regulation.tsv", sep="\t", keep_default_na=False)


@pytest.fixture(scope="module")
def targets() -> pd.DataFrame:
    return pd.read_csv(ECOLI / "targets.tsv", sep="\t", index_col="index")


@pytest.fixture(scope="module")
def contacts() -> cooler.Cooler:
    return cooler.Cooler(str(ECOLI / "hic.cool"))


def test_the_files_have_the_checksums_that_stand_beside_them():
    for line in (ECOLI / "SHA256SUMS").read_text().splitlines():
        sha256, name = line.split()
        assert hashlib.sha256((ECOLI / name).read_bytes()).hexdigest() == sha256, name


def test_the_data_set_stays_below_8_megabytes():
    assert sum(path.stat().st_size for path in ECOLI.iterdir() if path.is_file()) < 8_000_000


def test_the_genome_is_the_whole_chromosome_in_upper_case(sequence):
    assert len(sequence) == SIZE
    assert sequence.startswith("AGCTTTTCATTCTGACTGCAACGGGCAATATG")
    assert set(sequence) == set("ACGT")


def test_the_genome_is_cut_into_bgzip_blocks():
    content = (ECOLI / "genome.fa.gz").read_bytes()
    first = int.from_bytes(content[16:18], "little") + 1
    assert content[12:16] == b"BC\x02\x00"
    assert content[first : first + 4] == b"\x1f\x8b\x08\x04"
    assert content.endswith(bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000"))


def test_genes_lie_where_genbank_has_them_minus_one(genes, sequence):
    assert len(genes) == 4386
    assert genes["id"].is_unique
    thr_a = genes.set_index("name").loc["thrA"]
    assert (thr_a["start"], thr_a["end"], thr_a["strand"]) == (336, 2799, "+")
    assert sequence[thr_a["start"] : thr_a["start"] + 3] == "ATG"


def test_reverse_strand_genes_start_at_their_end(genes, sequence):
    lac_z = genes.set_index("name").loc["lacZ"]
    assert lac_z["strand"] == "-"
    coding = sequence[lac_z["start"] : lac_z["end"]].translate(COMPLEMENT)[::-1]
    assert coding.startswith("ATGACCATGATTACG")
    assert coding[-3:] == "TAA"


def test_expression_is_tpm_without_gaps(genes, expression):
    assert expression.shape == (3923, 12)
    assert expression.index.isin(genes["id"]).all()
    assert not expression.isna().any().any()
    assert (expression.to_numpy() >= 0).all()
    np.testing.assert_allclose(expression.sum(), 1e6, rtol=1e-4)


@pytest.mark.parametrize(
    ("gene", "condition"),
    [("glpK", "glycerol"), ("fruA", "fructose"), ("narG", "nitrate"), ("soxS", "paraquat"), ("proV", "salt")],
)
def test_marker_genes_peak_in_their_condition(genes, expression, gene, condition):
    gene_id = genes.set_index("name").loc[gene, "id"]
    assert expression.loc[gene_id].idxmax() == condition


def test_the_regulatory_network_keeps_every_pair_of_its_source(genes, regulation):
    pairs = regulation.drop_duplicates(["regulator", "target"])
    assert len(pairs) == 7918
    assert pairs["effect"].value_counts().to_dict() == {"+": 4340, "-": 1974, "+-": 866, "?": 738}
    assert regulation["target"].isin(genes["id"]).all()


def test_regulators_are_genes_but_for_metabolites_and_trnas(genes, regulation):
    known = regulation[regulation["gene"] != ""]
    assert known["gene"].isin(genes["id"]).all()
    without = regulation[regulation["gene"] == ""]
    assert (len(without), without["regulator"].nunique()) == (74, 14)
    names = genes.set_index("id")["name"]
    for regulator, encoded in {"ihf": {"ihfA", "ihfB"}, "h-NS": {"hns"}, "flhD;flhC": {"flhD", "flhC"}}.items():
        assert {*names[known.loc[known["regulator"] == regulator, "gene"]]} == encoded


def test_edges_of_the_regulatory_network_join_genes(genes):
    path = ECOLI / "regulation.tsv"
    pairs = read_pair_table(path, {CHROM: SIZE}, read_genes(ECOLI / "genes.tsv", {CHROM: SIZE}))
    assert len(pairs.weight) == 8216
    assert np.count_nonzero(pairs.first.point == pairs.second.point) == 147


def test_the_contact_map_has_the_published_size(contacts):
    assert contacts.chromsizes.to_dict() == {CHROM: SIZE}
    assert (contacts.binsize, contacts.info["nbins"]) == (9897, 469)
    assert contacts.info["nnz"] == 108_557
    assert contacts.pixels()["count"][:].sum() == 9_533_037
    assert contacts.bins()[468]["end"].item() - contacts.bins()[468]["start"].item() == 9856


def test_balanced_rows_sum_to_one(contacts):
    balanced = contacts.matrix(balance=True)[:]
    assert not np.isnan(balanced).any()
    np.testing.assert_allclose(balanced.sum(axis=0), 1, atol=1e-3)


def test_the_balanced_map_is_the_published_one_up_to_a_factor(contacts):
    balanced = contacts.matrix(balance=True)[0, :3].ravel()
    published = np.array([13924.896269, 1853.889274, 280.057444])  # first row of the source's ICE matrix
    np.testing.assert_allclose(balanced / balanced[0], published / published[0], rtol=1e-6)


def test_the_chromosome_closes_on_itself(contacts):
    counts = contacts.matrix(balance=False)[0].ravel()
    assert (counts[1], counts[468], counts[234]) == (1820, 2578, 3)


def test_targets_pair_the_strands_of_each_condition(targets, expression):
    stranded = targets[targets["assay"] == "expression"]
    assert len(stranded) == 2 * expression.shape[1]
    for index, row in stranded.iterrows():
        partner = targets.loc[row["strand_pair"]]
        assert partner["strand_pair"] == index
        assert partner["file"] == row["file"]
        assert {row["strand"], partner["strand"]} == {"+", "-"}


def test_targets_name_files_and_columns_that_exist(targets, expression):
    assert targets["identifier"].is_unique
    for file in targets["file"]:
        name, _, column = file.partition("::")
        assert (ECOLI / name).is_file()
        assert not column or column in expression


def test_coverage_covers_the_chromosome_with_mean_one():
    with pyBigWig.open(str(ECOLI / "coverage.bw")) as bigwig:
        assert bigwig.chroms() == {CHROM: SIZE}
        coverage = bigwig.values(CHROM, 0, SIZE, numpy=True)
    assert not np.isnan(coverage).any()
    np.testing.assert_allclose(coverage.mean(dtype=np.float64), 1, rtol=1e-5)
