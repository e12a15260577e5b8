"""Loops as their callers write them, and tables of genes and regions."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from genograph.assays.pairs import read_bedpe, read_pair_table
from genograph.errors import InputError
from genograph.genome.genes import Genes

SIZES = {"chr1": 100_000, "chr2": 50_000}
LOOP = (0, 5000, 10_000, 7500), (0, 40_000, 45_000, 42_500)
CALLERS = {  # what each writes, and the column and value of a weight
    "bare": ("chr1\t5000\t10000\tchr1\t40000\t45000\n", None, 1),
    "spaces": ("chr1 5000 10000 chr1 40000 45000 loop1 3.5\n", 8, 3.5),
    "FitHiChIP": (
        "chr1\ts1\te1\tchr2\ts2\te2\tcc\tQ-Value_Bias\nchr1\t5000\t10000\tchr1\t40000\t45000\t12\t1e-5\n",
        "cc",
        12,
    ),
    "HiCCUPS": (
        "#chr1\tx1\tx2\tchr2\ty1\ty2\tname\tscore\tobserved\n# juicer_tools version 1.22.01\n"
        "1\t5000\t10000\t1\t40000\t45000\t.\t.\t88.0\n",
        "observed",
        88,
    ),
    "chromosight": (
        "chrom1\tstart1\tend1\tchrom2\tstart2\tend2\tbin1\tscore\nchr1\t5000\t10000\tchr1\t40000\t45000\t1\t0.75\n",
        "score",
        0.75,
    ),
    "Mustache": (
        "BIN1_CHR\tBIN1_START\tBIN1_END\tBIN2_CHROMOSOME\tBIN2_START\tBIN2_END\tFDR\tDETECTION_SCALE\n"
        "chr1\t5000\t10000\tchr1\t40000\t45000\t0.01\t1.6\n",
        8,
        1.6,
    ),
}


def write(folder, text, name="pairs.tsv"):
    path = folder / name
    path.write_text(text)
    return path


def places(side) -> list[tuple[int, int, int, int]]:
    return list(zip(*(each.tolist() for each in (side.chrom, side.start, side.end, side.point)), strict=True))


@pytest.fixture
def genes() -> Genes:
    text = {
        "id": ["b1", "b2", "ENSG00000000001.4", "b4"],
        "name": ["araC", "araB", "TP53", "araB2"],
        "chrom": ["chr1", "chr1", "chr2", "chr2"],
        "strand": ["+", "-", ".", "+"],
        "biotype": [""] * 4,
    }
    numbers = {"start": [100, 2000, 300, 900], "end": [600, 2400, 700, 1000]}
    return Genes(**{key: np.array(each) for key, each in {**text, **numbers}.items()})


@pytest.mark.parametrize("caller", CALLERS)
def test_loops_are_read_as_each_caller_writes_them(caller, tmp_path):
    text, column, weight = CALLERS[caller]
    pairs = read_bedpe(write(tmp_path, text), SIZES, weight=column)
    assert (places(pairs.first)[0], places(pairs.second)[0]) == LOOP
    assert pairs.weight.tolist() == [weight]


def test_loops_may_be_compressed(tmp_path):
    path = tmp_path / "loops.bedpe.gz"
    path.write_bytes(gzip.compress(CALLERS["HiCCUPS"][0].encode()))
    assert read_bedpe(path, SIZES, weight="observed").weight.tolist() == [88]


def test_an_anchor_ends_with_its_chromosome_and_pairs_of_other_chromosomes_are_left_out(tmp_path, caplog):
    text = "chr2\t48000\t51000\tchr1\t0\t1000\nchr3\t0\t9\tchr1\t0\t1000\n"
    pairs = read_bedpe(write(tmp_path, text), SIZES, whole_genome=True)
    assert places(pairs.first) == [(1, 48_000, 50_000, 49_500)]
    assert "the genome does not have 1 of the 3 chromosomes in this file" in caplog.text


def test_chromosomes_are_found_by_their_aliases(tmp_path):
    path = write(tmp_path, "one\t0\t10\ttwo\t0\t10\n")
    pairs = read_bedpe(path, SIZES, aliases={"one": "chr1", "two": "chr2"})
    assert (pairs.first.chrom.tolist(), pairs.second.chrom.tolist()) == ([0], [1])


ROW = "chr1\t5000\t10000\tchr1\t40000\t45000\t{}\n"


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("chr1\t5000\t10000\n", {}, r"line 1: expected 6 columns or more; got 'chr1\t5000\t10000'"),
        (ROW.format(1) + "chr1\t5\t9\tchr1\t8\t9\n", {}, "line 2: expected 7 columns or more"),
        ("chr1\t5\tx\tchr1\t8\t9\n", {}, "line 1: expected chrom, start and end; got 'chr1 5 x'"),
        ("chr1\tx\t9\tchr1\t8\t9\n" + ROW.format(1), {}, "line 1: expected chrom, start and end; got 'chr1 x 9'"),
        ("chr1\tx\ty\tchr1\t8\t9\n", {}, "line 1: expected chrom, start and end; got 'chr1 x y'"),
        ("chr1\t0.5\t9\tchr1\t8\t9\n", {}, r"line 1: expected chrom, start and end; got 'chr1 0\.5 9'"),
        ("chr1\t1e3\t2e3\tchr1\t5e3\t6e3\n", {}, "line 1: expected chrom, start and end; got 'chr1 1e3 2e3'"),
        (CALLERS["Mustache"][0].splitlines()[0], {}, "holds no pair below its header"),
        (
            ROW.format(1) + ROW.replace("40000", "4e4").format(1),
            {},
            "line 2: expected chrom, start and end; got 'chr1 4e4",
        ),
        ("chr1\t-5\t9\tchr1\t8\t9\n", {}, "line 1: expected chrom, start and end; .* is not an interval"),
        (ROW.replace("45000", "4500").format(1), {}, "line 1: .* is not an interval"),
        ("chr2\t50000\t50001\tchr1\t0\t9\n", {}, "line 1: wrong assembly. chr2:50000-50001 starts beyond .* 50,000 bp"),
        ("chrX\t5\t9\tchrY\t8\t9\n", {}, "no chromosome of the genome is in this file"),
        (ROW.format("nan"), {"weight": 7}, "line 1: a weight is a number of 0 or more; got 'nan'"),
        (ROW.format("-1"), {"weight": 7}, "line 1: a weight is a number of 0 or more; got '-1'"),
        (ROW.format("inf"), {"weight": 7}, "line 1: a weight is a number of 0 or more; got 'inf'"),
        (ROW.format("."), {"weight": 7}, "line 1: a weight is a number of 0 or more; got '.'"),
        (ROW.format(1), {"weight": 8}, "has 7 columns, counted from 1; there is none of number 8"),
        (ROW.format(1), {"weight": 0}, "there is none of number 0"),
        (ROW.format(1), {"weight": "cc"}, "has no header that could name 'cc'"),
        (CALLERS["FitHiChIP"][0], {"weight": "c"}, r"has no single column 'c'\. Did you mean 'cc'\?"),
        ("#a b c d e f g\n", {}, "holds no pair"),
    ],
)
def test_what_is_no_pair_is_one_line(text, options, message, tmp_path):
    with pytest.raises(InputError, match=message):
        read_bedpe(write(tmp_path, text), SIZES, **options)


TABLES = {
    "bare": ("araC\taraB\nchr1:100-200\tchr2:1,000-2,000\n", {}),
    "header": ("regulator\tgene\naraC\taraB\nchr1:100-200\tchr2:1,000-2,000\n", {}),
    "ids": ("b1\tb2\nchr1:100-200\tchr2:1,000-2,000\n", {}),
    "columns": ("x\tb\ta\n.\taraB\taraC\n.\tchr2:1,000-2,000\tchr1:100-200\n", {"source": "a", "target": "b"}),
    "numbers": ("#note\t1\n.\taraB\taraC\n.\tchr2:1,000-2,000\tchr1:100-200\n", {"source": 3, "target": 2}),
    "hash": ("#a\tb\naraC\taraB\nchr1:100-200\tchr2:1,000-2,000\n", {"source": "a", "target": "b"}),
}


@pytest.mark.parametrize("name", TABLES)
def test_ends_of_a_table_are_genes_at_their_tss_or_regions(name, tmp_path, genes):
    text, options = TABLES[name]
    pairs = read_pair_table(write(tmp_path, text), SIZES, genes, **options)
    assert places(pairs.first) == [(0, 100, 600, 100), (0, 100, 200, 150)]
    assert places(pairs.second) == [(0, 2000, 2400, 2399), (1, 1000, 2000, 1500)]
    assert pairs.weight.tolist() == [1, 1]


def test_a_csv_is_parted_by_commas_and_may_have_quotes(tmp_path, genes):
    path = write(tmp_path, 'regulator,"gene",effect\n"araC","TP53",0.5\nENSG00000000001.7,b4,2\n', "trn.csv")
    pairs = read_pair_table(path, SIZES, genes, source="regulator", target="gene", weight="effect")
    assert pairs.first.point.tolist() == [100, 300]
    assert pairs.second.point.tolist() == [300, 900]
    assert pairs.weight.tolist() == [0.5, 2]


def test_rows_that_name_one_end_only_are_left_out_and_counted(tmp_path, genes, caplog):
    caplog.set_level("INFO")
    path = write(tmp_path, "gene\ttarget\n\taraB\naraC\tTP53\nb4\t\n")
    pairs = read_pair_table(path, SIZES, genes)
    assert (pairs.first.point.tolist(), pairs.second.point.tolist()) == ([100], [300])
    assert "2 of 3 rows name one end only, or none, and are left out" in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\taraB\n\taraC\n", "no row names both ends of a pair"),
        ("araC\taraB\naraC\tTP35\n", r"line 2: no gene 'TP35'\. Did you mean 'TP53'\?"),
        ("araC\tchr1:0-9\naraC\tchr1:100000-100001\n", "line 2: wrong assembly"),
        ("araC\tchr1:9-3\n", "line 1: .* is not an interval"),
        ("araC\n", "line 1: expected 2 columns or more; got 'araC'"),
    ],
)
def test_an_unknown_end_is_one_line(text, message, tmp_path, genes):
    with pytest.raises(InputError, match=message):
        read_pair_table(write(tmp_path, text), SIZES, genes)


def test_genes_that_are_not_known_or_not_one_are_told(tmp_path, genes):
    path = write(tmp_path, "chr1:0-9\taraC\n")
    with pytest.raises(
        InputError, match=r"'araC' is no region such as chr1:0-1000, and no genes are known: tracks\.genes"
    ):
        read_pair_table(path, SIZES)
    genes.name[3] = "araC"
    with pytest.raises(InputError, match=r"line 1: several genes are called 'araC'\. Give the id"):
        read_pair_table(path, SIZES, genes)
