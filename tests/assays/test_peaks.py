"""Peaks mark the bins that they cover, whatever file they come from."""

from __future__ import annotations

import gzip
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genograph.assays import peak_matrix
from genograph.assays.peak_matrix import forget_matrix, read_matrix
from genograph.assays.peaks import files_of, is_peaks
from genograph.assays.signals import read_signal
from genograph.assays.targets import Target
from genograph.errors import InputError
from genograph.genome.bins import Bins

NAN = math.nan
BINS = Bins({"chr1": 45, "chr2": 20}, 10)  # 4 bins and a remainder, 2 bins


def read(path, bins=BINS, **options):
    return read_signal(Target(identifier="t", file=path, assay="accessibility", **options), bins, aliases={})[0]


def write(folder, name, text):
    (folder / name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return folder / name


def on_chr1(folder, *peaks):
    """The bins of chr1 under these peaks."""
    return read(write(folder, "p.bed", "".join(f"chr1\t{start}\t{end}\n" for start, end in peaks)))[:4].tolist()


@pytest.mark.parametrize(
    ("peak", "bins"),
    [
        ((0, 40), [1, 1, 1, 1]),
        ((15, 25), [0, 1, 1, 0]),  # half of two bins
        ((14, 26), [0, 1, 1, 0]),
        ((16, 26), [0, 0, 1, 0]),  # 4 bases of bin 1, 6 of bin 2
        ((6, 34), [0, 1, 1, 0]),
        ((12, 14), [0, 1, 0, 0]),  # shorter than a bin: that of its midpoint
        ((17, 24), [0, 0, 1, 0]),
        ((16, 23), [0, 1, 0, 0]),
        ((34, 45), [0, 0, 0, 1]),  # reaches into the remainder
    ],
)
def test_a_peak_marks_bins_that_it_covers_by_half_and_a_short_one_that_of_its_midpoint(tmp_path, peak, bins):
    assert on_chr1(tmp_path, peak) == bins


def test_a_peak_in_the_dropped_remainder_marks_nothing_of_the_next_chromosome(tmp_path):
    assert on_chr1(tmp_path, (0, 10), (41, 45)) == [1, 0, 0, 0]
    path = write(tmp_path, "p.bed", "chr1\t0\t10\nchr1\t30\t45\nchr2\t10\t20\n")
    assert read(path).tolist() == [1, 0, 0, 1, 0, 1]


def test_a_chromosome_without_a_peak_is_missing(tmp_path):
    np.testing.assert_array_equal(read(write(tmp_path, "p.bed", "chr2\t0\t10\n")), [NAN, NAN, NAN, NAN, 1, 0])


NARROW = "chr1\t10\t20\tpeak1\t500\t.\t7.5\t10.1\t8.2\t5\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.bed", "track name=x\nchr1 10 20\n"),
        ("p.narrowPeak", NARROW),
        ("p.narrowPeak.gz", NARROW),
        ("p.broadPeak", "chr1\t10\t20\tpeak1\t500\t.\t7.5\t10.1\t8.2\n"),
        ("t.tsv", "peak\tother\tt\nchr1:10-20\t0\t1\n"),
        ("t.csv", "peak,t\nchr1-10-20,1\n"),
        ("t.txt.gz", "#chrom\tstart\tend\tt\nchr1\t10\t20\t1\n"),
        ("t.tsv", "chr\tstart\tend\tname\tt\nchr1\t10\t20\tp\t1\n"),
    ],
)
def test_all_formats_of_peaks_give_the_same_bins(tmp_path, name, text):
    np.testing.assert_array_equal(read(write(tmp_path, name, text)), [0, 1, 0, 0, NAN, NAN])


def test_a_bin_has_the_highest_value_of_its_peaks_and_is_missing_with_one_of_them(tmp_path):
    table = "peak,t\nchr1:0-10,0.25\nchr1:2-12,0.75\nchr1:20-30,0.5\nchr1:22-26,\nchr1:30-40,0\n"
    np.testing.assert_array_equal(read(write(tmp_path, "t.csv", table)), [0.75, 0, NAN, 0, NAN, NAN])


def test_reads_of_a_table_count_once_and_that_is_said(tmp_path, caplog):
    table = "peak\tt\nchr1:0-10\t4\nchr1:10-20\t0\nchr1:20-30\tNA\n"
    np.testing.assert_array_equal(read(write(tmp_path, "t.tsv", table)), [1, 0, NAN, 0, NAN, NAN])
    assert caplog.messages == ["t.tsv, t: reads, not 0 to 1; the 1 of 3 peaks with any are open"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("p.bed", "# none\n", r"p\.bed holds no peak"),
        ("p.bed", "chr1\t5\n", "line 1: expected chrom, start and end"),
        ("p.bed", "chr1\t45\t50\n", "wrong assembly. A peak starts at base 45 of chr1, but chr1 has 45 bp"),
        ("p.bed", "scaffold\t5\t9\n", "no chromosome of the genome"),
        ("t.tsv", "peak\tx\nchr1:0-10\t1\n", "has no column 't'. Known: x"),
        ("t.tsv", "peak\tt\nchr1:0-10\t7.5\n", "reaches 7.5 and has 7.5. Peaks are 0 to 1, or whole numbers"),
        ("t.tsv", "peak\tt\nchr1:0-10\t-1\n", "has -1. Peaks are 0 to 1"),
        ("t.tsv", "peak\tt\nABC1\t1\n", "'ABC1' is no peak; expected chrom:start-end"),
        ("t.tsv", "chrom\tstart\tend\tt\nchr1\t10\t10\t1\n", "'chr1:10-10' is no peak"),
        ("t.tsv", "peak\tt\nchr1:0-10\t0\n", "holds no signal in this genome"),
        ("t.wig", "", "accessibility is read from .*narrowpeak"),
    ],
)
def test_a_wrong_file_of_peaks_is_an_error_that_says_why(tmp_path, name, text, message):
    with pytest.raises(InputError, match=message):
        read(write(tmp_path, name, text))


def test_peaks_take_no_transform(tmp_path):
    with pytest.raises(InputError, match="'t' is of peaks and takes no clip, clip_soft, scale or sum_stat"):
        read(write(tmp_path, "p.bed", "chr1\t0\t10\n"), sum_stat="sum")


def test_only_accessibility_and_coverage_come_as_peaks(tmp_path):
    path = write(tmp_path, "p.bed", "chr1\t0\t10\n")
    with pytest.raises(InputError, match=r"expression is read from \.bw"):
        read_signal(Target(identifier="t", file=path, assay="expression"), BINS, aliases={})
    assert read_signal(Target(identifier="t", file=path, assay="coverage"), BINS, aliases={})[0][0] == 1
    assert is_peaks(Target(identifier="t", file=tmp_path / "t.tsv", assay="accessibility"))
    assert not is_peaks(Target(identifier="t", file=tmp_path / "t.tsv", assay="expression"))
    assert not is_peaks(Target(identifier="t", file=tmp_path / "t.bw", assay="accessibility"))


PEAKS_BED = "# reference=x\nchr1\t0\t10\nchr1\t20\t30\nchr2\t10\t20\n"
BARCODES = "AA-1\nCC-1\nGG-1\nTT-1\n"
# Reads of peak and cell: an explicit zero is none, two entries of one pair add up.
ENTRIES = [(1, 1, 2), (1, 2, 1), (2, 2, 0), (2, 3, 4), (3, 1, 1), (3, 1, 1), (3, 3, 1)]
CLUSTERS = "Barcode,Cluster\nAA-1,1\nCC-1,1\nGG-1,T cell\n"


def write_matrix(folder, *, prefix="", end="", shape="3 4", entries=ENTRIES, clusters=CLUSTERS, **others):
    """A folder as of Cell Ranger; returns the path of the matrix."""
    lines = [f"{row} {column} {count}" for row, column, count in entries]
    head = f"%%MatrixMarket matrix coordinate integer general\n%comment\n{shape} {len(lines)}\n"
    files = others.get("files", {"peaks.bed": PEAKS_BED, "barcodes.tsv": BARCODES, "clusters.csv": clusters})
    for name, text in files.items():
        if text is not None:
            write(folder, f"{prefix}{name}{end}", text)
    return write(folder, f"{prefix}matrix.mtx{end}", head + "\n".join(lines) + "\n")


@pytest.fixture(autouse=True)
def _no_matrix_kept():
    forget_matrix()


@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize("prefix", ["", "GSM1_"])
def test_a_cell_has_the_peaks_with_any_read_and_a_group_the_share_of_its_cells(tmp_path, prefix, end):
    path = write_matrix(tmp_path, prefix=prefix, end=end)
    assert read(path, column="AA-1").tolist() == [1, 0, 0, 0, 0, 1]
    assert read(path, column="CC-1").tolist() == [1, 0, 0, 0, 0, 0]
    assert read(path, column="1").tolist() == [1, 0, 0, 0, 0, 0.5]
    assert read(path, column="T cell").tolist() == [0, 0, 1, 0, 0, 1]


def test_groups_need_no_header(tmp_path):
    path = write_matrix(tmp_path, clusters=CLUSTERS.partition("\n")[2])
    assert read(path, column="1").tolist() == [1, 0, 0, 0, 0, 0.5]


def test_the_rows_of_genes_in_a_multiome_matrix_are_left_out(tmp_path):
    features = (
        "ENSG1\tABC\tGene Expression\tchr1\t0\t40\n"
        "chr1:0-10\tchr1:0-10\tPeaks\tchr1\t0\t10\n"
        "ENSG2\tDEF\tGene Expression\t\t\t\n"
        "chr1:20-30\tchr1:20-30\tPeaks\tchr1\t20\t30\n"
    )
    path = write_matrix(
        tmp_path,
        shape="4 4",
        entries=[(1, 1, 9), (3, 1, 9), (4, 1, 1)],
        files={"features.tsv": features, "barcodes.tsv": BARCODES},
    )
    np.testing.assert_array_equal(read(path, column="AA-1"), [0, 0, 1, 0, NAN, NAN])


def test_a_matrix_is_read_once_for_all_its_cells_and_again_if_a_file_changes(tmp_path, monkeypatch):
    path, calls = write_matrix(tmp_path), []
    mmread = peak_matrix.mmread
    monkeypatch.setattr(peak_matrix, "mmread", lambda file: calls.append(file) or mmread(file))
    read(path, column="AA-1"), read(path, column="1"), read_matrix(path)
    assert len(calls) == 1
    write(tmp_path, "clusters.csv", CLUSTERS.replace("CC-1,1", "CC-1,2"))
    assert read(path, column="1").tolist() == [1, 0, 0, 0, 0, 1]
    assert len(calls) == 2


def test_a_matrix_stands_with_the_files_beside_it(tmp_path):
    path = write_matrix(tmp_path, end=".gz")
    names = [file.name for file in files_of(Target(identifier="t", file=path, assay="accessibility"))]
    assert names == ["matrix.mtx.gz", "peaks.bed.gz", "barcodes.tsv.gz", "clusters.csv.gz"]
    assert files_of(Target(identifier="t", file=tmp_path / "t.bed")) == [tmp_path / "t.bed"]


def test_cells_of_the_groups_that_the_matrix_lacks_are_logged(tmp_path, caplog):
    read(write_matrix(tmp_path, clusters=CLUSTERS + "NN-1,1\n"), column="1")
    assert caplog.messages == ["clusters.csv: the matrix does not have 1 of its cells: NN-1"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"files": {"barcodes.tsv": BARCODES}}, r"needs peaks\.bed or features\.tsv, and barcodes\.tsv, beside it"),
        ({"files": {"peaks.bed": PEAKS_BED}}, r"needs peaks\.bed or features\.tsv, and barcodes\.tsv, beside it"),
        ({"shape": "4 3", "entries": [(1, 1, 1)]}, "has 4 rows and 3 columns, but peaks.bed has 3 rows and .* 4 diff"),
        ({"shape": "3 4 5"}, "cannot be read as a matrix in MatrixMarket format"),
        ({"entries": [(9, 1, 1)]}, "cannot be read as a matrix in MatrixMarket format"),
        ({"clusters": "Barcode,Cluster\nNN-1,1\n"}, "none of its barcodes is in the matrix. It has NN-1"),
        ({"clusters": "Barcode,Cluster\nAA-1\n"}, "expected barcode and group; got 'AA-1'"),
        ({"clusters": CLUSTERS + "AA-1,1\n"}, "cell 'AA-1' comes twice in group '1'. Leave out one of the rows"),
        ({}, "no group and no cell 't'. It has the groups 1, T cell, and the cells AA-1, CC-1, GG-1 and 1 more"),
        ({"clusters": None}, r"no group and no cell 't'. It has no clusters\.csv with groups beside it"),
    ],
)
def test_a_wrong_matrix_is_an_error_that_says_why(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        read(write_matrix(tmp_path, **options))


def test_a_matrix_that_is_cut_short_is_an_error(tmp_path):
    path = write_matrix(tmp_path, end=".gz")
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(InputError, match="cannot be read as a matrix"):
        read(path, column="1")


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(-1, 3)), max_size=12, unique_by=lambda e: e[:2]
    )
)
def test_the_share_of_cells_is_that_of_a_dense_matrix(tmp_path_factory, entries):
    dense = np.zeros((3, 4))
    for row, column, count in entries:
        dense[row, column] = count
    path = write_matrix(
        tmp_path_factory.mktemp("matrix"), entries=[(row + 1, column + 1, count) for row, column, count in entries]
    )
    matrix = read_matrix(path)
    np.testing.assert_array_equal(matrix.share_open("1"), (dense[:, :2] > 0).mean(axis=1))
    np.testing.assert_array_equal(matrix.share_open("GG-1"), dense[:, 2] > 0)


@pytest.mark.needs_shared_data
def test_yeast_cohesin_peaks_mark_as_many_bases_as_they_have(shared_data):
    from genograph.genome.assembly import read_fasta

    yeast = shared_data / "yeast"
    sizes = {name: len(codes) for name, codes in read_fasta(yeast / "S288C_R64-2-1.fsa.gz")}
    bins = Bins(sizes, 128)
    values = read(yeast / "scer_cohesin_peaks.bed", bins)
    assert np.isnan(values[bins.span("Mito")]).all()
    assert np.isnan(values).sum() == sizes["Mito"] // 128
    # 818 bins of 2,000 bp; a stretch of them ends within half a bin of 128 bp, on either side.
    assert np.nansum(values) * 128 == pytest.approx(818 * 2000, rel=0.01)
