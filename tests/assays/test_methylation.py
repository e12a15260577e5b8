"""Methylation is a ratio of reads: missing where nothing is covered, never zero."""

from __future__ import annotations

import gzip
import logging
import math

import numpy as np
import pytest

from genograph.assays.methylation import covered_sites, read_methylation
from genograph.assays.targets import Target
from genograph.errors import InputError
from genograph.genome.assembly import encode
from genograph.genome.bins import Bins

NAN = math.nan
BINS = Bins({"1": 25, "2": 20}, 10)
UNKNOWN = encode("N" * 45)
# Bismark counts from 1: site 10 is the last base of the first bin, 11 the first of the second.
TEXT = (
    "chr1\t3\t3\t25\t1\t3\n"
    "chr1\t10\t10\t100\t4\t0\n"
    "chr1\t11\t11\t0\t0\t2\n"
    "chr1\t24\t24\t100\t9\t0\n"
    "chrUn\t1\t1\t50\t1\t1\n"
)
#         0123456789
GENOME = "TTCGTATGAA"
# A CpG at 2, an A with a T opposite at 5 and 6; the call at 0 lies on a T.
CALLS = (
    ("c", 2, "m", "+", 4, 3),
    ("c", 3, "m", "-", 6, 3),
    ("c", 0, "m", "+", 1, 1),
    ("c", 5, "a", "+", 8, 8),
    ("c", 6, "a", "-", 2, 0),
)


def read(tmp_path, text, name="cells.cov", **columns):
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    target = Target(identifier="m", file=path, assay="methylation", **columns)
    return read_methylation(target, BINS, codes=UNKNOWN, aliases={})


def bedmethyl(calls=CALLS, columns=18):
    """Rows of modkit's pileup, or of ENCODE's 11 columns."""
    rows = []
    for chrom, start, code, strand, coverage, methylated in calls:
        percent = f"{100 * methylated / coverage:.2f}" if coverage else "0.00"
        row = [chrom, start, start + 1, code, coverage, strand, start, start + 1, "255,0,0", coverage, percent]
        rows.append([*row, methylated, coverage - methylated, *[0] * 5][:columns])
    return "".join("\t".join(map(str, row)) + "\n" for row in rows)


def read_bases(tmp_path, text, *, genome=GENOME, **columns):
    """Fraction and coverage of every base of a small genome."""
    path = tmp_path / "calls.bed"
    path.write_text(text)
    target = Target(identifier="m", file=path, assay="methylation", **columns)
    return read_methylation(target, Bins({"c": len(genome)}, 1), codes=encode(genome), aliases={})


@pytest.mark.parametrize("name", ["cells.cov", "cells.bismark.cov.gz"])
def test_reads_add_up_over_the_sites_of_a_bin(tmp_path, name):
    fraction, coverage = read(tmp_path, TEXT, name)
    np.testing.assert_array_equal(fraction, [5 / 8, 0, NAN, NAN])
    assert coverage.tolist() == [8, 2, 0, 0]
    assert (fraction.dtype, coverage.dtype) == (np.float32, np.float32)


def test_a_listed_site_without_reads_is_uncovered(tmp_path):
    fraction, coverage = read(tmp_path, "1\t1\t1\t0\t0\t0\n1\t11\t11\t0\t0\t1\n")
    np.testing.assert_array_equal(fraction, [NAN, 0, NAN, NAN])
    assert coverage.tolist() == [0, 1, 0, 0]


def test_both_cytosines_of_a_cpg_are_one_site_at_the_c_of_the_plus_strand(tmp_path):
    fraction, coverage = read_bases(tmp_path, bedmethyl(), column="m")
    assert coverage.tolist() == [0, 0, 10, 0, 0, 0, 0, 0, 0, 0]
    assert fraction[2] == np.float32(6 / 10)


def test_a_lone_call_on_the_minus_strand_of_a_cpg_moves_to_its_c(tmp_path):
    assert read_bases(tmp_path, "c\t4\t4\t100\t7\t0\n")[1].tolist() == [0, 0, 7, 0, 0, 0, 0, 0, 0, 0]


def test_adenines_of_both_strands_stay_where_they_are(tmp_path):
    assert read_bases(tmp_path, bedmethyl(), column="a")[1].tolist() == [0, 0, 0, 0, 0, 8, 2, 0, 0, 0]


@pytest.mark.parametrize(("strand", "position", "reads"), [("+", 2, 4), ("-", 3, 6)])
def test_a_strand_takes_its_own_rows_where_they_lie(tmp_path, strand, position, reads):
    _, coverage = read_bases(tmp_path, bedmethyl(), column="m", strand=strand)
    assert coverage.nonzero()[0].tolist() == [position]
    assert coverage[position] == reads


def test_rows_on_another_base_are_left_out_and_counted(tmp_path, caplog):
    read_bases(tmp_path, bedmethyl(), column="m")
    assert "calls.bed, m: 1 of 3 rows, with 9.1% of the reads, are where the genome has another base" in caplog.text


def covered(tmp_path, text, genome, **columns):
    path = tmp_path / "calls.bed"
    path.write_text(text)
    target = Target(identifier="m", file=path, assay="methylation", **columns)
    return covered_sites(target, Bins({"c": 7, "d": 4}, 1), codes=encode(genome), aliases={})


def test_a_cytosine_outside_of_cpgs_is_no_covered_site(tmp_path, caplog):
    """The C at 1 is followed by an A, that at 6 by nothing of its chromosome; the others are CpGs, or may be."""
    caplog.set_level(logging.WARNING)
    calls = [("c", 1, "m", "+", 2, 2), ("c", 3, "m", "+", 2, 2), ("c", 4, "m", "-", 2, 2), ("c", 6, "m", "+", 2, 2)]
    text = bedmethyl([*calls, ("d", 2, "m", "+", 2, 1)])
    found = covered(tmp_path, text, "ACACGAC" + "GTCN")
    assert {chrom: positions.tolist() for chrom, positions in found.items()} == {"c": [3], "d": [2]}
    assert "calls.bed, m: 2 of 4 covered sites are no CpG of the genome; left out." in caplog.text


def test_a_covered_site_of_the_minus_strand_is_the_g_of_a_cpg(tmp_path):
    text = bedmethyl([("c", 4, "m", "-", 2, 2), ("c", 5, "m", "-", 2, 2)])
    found = covered(tmp_path, text, "ACACGGC" + "NNNN", strand="-")
    assert found["c"].tolist() == [4]


def test_a_track_without_a_cpg_gives_no_covered_sites(tmp_path):
    with pytest.raises(InputError, match=r"calls.bed: none of the 2 sites with a read is a CpG of the genome"):
        covered(tmp_path, bedmethyl([("c", 0, "a", "+", 2, 2), ("c", 2, "a", "+", 2, 2)]), "ACACGAC" + "GTCN")


def test_reads_mostly_on_another_base_are_of_another_assembly(tmp_path):
    text = bedmethyl([("c", 5, "a", "+", 1, 1), ("c", 6, "a", "+", 9, 9)])
    with pytest.raises(InputError, match=r"wrong assembly, or counted from another base. 90% of its reads are where"):
        read_bases(tmp_path, text)


def test_cytosines_counted_from_another_base_are_an_error(tmp_path):
    assert read_bases(tmp_path, "c\t3\t3\t100\t7\t0\n")[1].tolist() == [0, 0, 7, 0, 0, 0, 0, 0, 0, 0]
    encode_row = "c\t{}\t{}\t.\t7\t+\t0\t0\t0,0,0\t7\t100\n"
    assert read_bases(tmp_path, encode_row.format(2, 3))[1][2] == 7
    for wrong in ("c\t2\t3\t100\t7\t0\n", "c\t2\t1\n", "c\t2\t1\t7\n", encode_row.format(1, 2)):
        with pytest.raises(InputError, match="counted from another base"):
            read_bases(tmp_path, wrong)


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("", {}, "is empty"),
        ("chrQ\t1\t1\t0\t0\t1\n", {}, "no chromosome of the genome"),
        ("1\t26\t26\t0\t0\t1\n", {}, r"wrong assembly. A site lies at 1:26 \(1-based\), but 1 has 25 bp"),
        ("1\t0\t1\t0\t0\t1\n", {}, "a site lies before the first base of 1. CpG tables .* from 1"),
        ("1\t1\t1\t0\t0\t0\n", {}, "covers no bin of the genome with a read"),
        (TEXT, {"strand": "-"}, "strand -, but .* tells no strands"),
        (TEXT, {"column": "m"}, "tells no codes, so 'm' cannot be chosen"),
        (TEXT, {"scale": 0.01}, "holds counts of reads, which take no scale"),
        (bedmethyl([("1", 1, "m", "+", 1, 1)]), {"strand": "-"}, "no bin of the genome with a read on strand -"),
        (bedmethyl(), {}, r"has several codes: a, m. Choose one in the targets table: cells.cov::a"),
        (bedmethyl(), {"column": "h"}, "has no code 'h'. Known: m, a"),
    ],
)
def test_a_wrong_file_is_an_error_that_names_it(tmp_path, text, columns, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, text, **columns)


def test_a_truncated_gzip_is_an_error_that_names_it(tmp_path):
    path = tmp_path / "cells.cov.gz"
    path.write_bytes(gzip.compress((TEXT * 100).encode())[:-9])
    with pytest.raises(InputError, match=r"cells\.cov\.gz cannot be read to its end"):
        read_methylation(Target(identifier="m", file=path), BINS, codes=UNKNOWN, aliases={})


@pytest.mark.needs_shared_data
@pytest.mark.parametrize("name", ["BS27_4_SER", "BS28_2_SER"])
def test_every_call_of_a_single_cell_is_one_read(shared_data, name):
    sizes = {"chr18": 90_702_639, "chr19": 61_431_566}
    bins = Bins(sizes, 128)
    unknown = np.broadcast_to(np.uint8(4), sum(sizes.values()))
    target = Target(identifier=name, file=shared_data / "deepcpg" / f"{name}.bed.gz", assay="methylation")
    fraction, coverage = read_methylation(target, bins, codes=unknown, aliases={})
    assert [coverage[bins.span(chrom)].sum() for chrom in sizes] == [5000, 5000]
    assert np.isnan(fraction[coverage == 0]).all()
    assert set(fraction[coverage == 1]) == {0, 1}


@pytest.mark.parametrize("row", ["c\t{0}\t{1}\t0.5\n", "c\t{0}\t{1}\t0.5\t9\n"])
def test_a_bedgraph_that_lies_on_all_bases_is_of_another_assembly(tmp_path, row):
    genome = "ACGTTCGATTACGGA"
    read_bases(tmp_path, "".join(row.format(at, at + 2) for at in (1, 5, 11)), genome=genome)
    read_bases(tmp_path, "".join(row.format(at, at + 1) for at in (0, 7, 10)), genome=genome)  # 6mA
    with pytest.raises(InputError, match="Of its reads 67% are on a C or G of the genome, the others on A or T"):
        read_bases(tmp_path, "".join(row.format(at, at + 1) for at in (1, 5, 4)), genome=genome)


def test_a_negative_fraction_is_no_percentage(tmp_path):
    with pytest.raises(InputError, match="a methylated fraction is 0 to 1, not negative; got"):
        read_bases(tmp_path, "c\t3\t-0.2\n")
