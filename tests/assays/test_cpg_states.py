"""Cells share one list of sites; what a cell does not cover is missing."""

from __future__ import annotations

import gzip
import logging
from dataclasses import replace

import numpy as np
import pytest

from genograph.assays.cpg_states import CpgStates, binary, read_cells, write_cells
from genograph.assays.targets import Target
from genograph.errors import InputError
from genograph.genome.assembly import encode

NAN = np.nan
#          0123456789      0123
GENOME = ("TTCGTATGAACG", "CGAT")  # CpGs at chr2:2, chr2:10 and chr1:0
SIZES = {"chr2": 12, "chr1": 4}  # the genome's order, not the alphabet's
CODES = encode("".join(GENOME))


def read(tmp_path, *texts, codes=None, **columns):
    """Cells a, b, ... of which each has one file."""
    targets = []
    for name, text in zip("abcd", texts, strict=False):
        path = tmp_path / f"{name}.tsv"
        path.write_text(text)
        targets.append(Target(identifier=name, file=path, **columns))
    return read_cells(targets, sizes=SIZES, aliases={}, codes=codes)


def rows(states):
    return [
        (states.chroms[chrom], position, *state)
        for chrom, position, state in zip(
            states.chrom_index, states.position.tolist(), states.state.tolist(), strict=True
        )
    ]


def test_sites_of_all_cells_are_one_list_in_the_genomes_order(tmp_path):
    states = read(tmp_path, "1\t1\t1\n2\t11\t0\n", "2\t3\t1\n2\t11\t1\n")
    assert (states.chroms, states.cells) == (("chr2", "chr1"), ("a", "b"))
    np.testing.assert_equal(rows(states), [("chr2", 2, NAN, 1), ("chr2", 10, 0, 1), ("chr1", 0, 1, NAN)])
    assert (states.state.dtype, states.chrom_index.dtype, states.position.dtype) == (np.float32, np.int64, np.int64)


def test_two_values_of_one_site_are_averaged_by_their_coverage(tmp_path):
    assert rows(read(tmp_path, "2\t3\t1\t3\n2\t3\t0\t1\n")) == [("chr2", 2, 0.75)]
    assert rows(read(tmp_path, "2\t3\t1\n2\t3\t0\n")) == [("chr2", 2, 0.5)]


def test_a_row_without_a_read_is_no_site(tmp_path):
    assert rows(read(tmp_path, "2\t3\t1\t1\n2\t11\t0\t0\n2\t9\tnan\t4\n")) == [("chr2", 2, 1)]


def test_both_cytosines_of_a_cpg_are_one_site(tmp_path):
    assert rows(read(tmp_path, "2\t3\t1\n2\t4\t0\n", codes=CODES)) == [("chr2", 2, 0.5)]


def test_strands_are_joined_without_the_sequence_too(tmp_path):
    report = "2\t3\t+\t3\t0\tCG\tCGT\n2\t4\t-\t0\t1\tCG\tCGA\n"
    assert rows(read(tmp_path, report)) == [("chr2", 2, 0.75)] == rows(read(tmp_path, report, codes=CODES))


def test_a_cytosine_beside_a_cpg_is_none_of_its_reads(tmp_path):
    """On the minus strand of CGG the last G is a cytosine of its own."""
    codes = encode("AACGGAACGAAC" + "CGAT")
    sites = [(3, "+", 0, 4), (4, "-", 0, 4), (5, "-", 8, 0), (8, "+", 1, 0), (9, "-", 1, 0)]
    report = "".join(f"2\t{at}\t{strand}\t{yes}\t{no}\tCG\tCGN\n" for at, strand, yes, no in sites)
    assert rows(read(tmp_path, report, codes=codes)) == [("chr2", 2, 0), ("chr2", 7, 1)]


def test_where_bases_are_unknown_the_strand_tells_which_is_the_g(tmp_path):
    report = "2\t3\t+\t3\t0\tCG\tCGN\n2\t4\t-\t0\t1\tCG\tCGN\n"
    assert rows(read(tmp_path, report, codes=encode("N" * 16))) == [("chr2", 2, 0.75)]


@pytest.mark.parametrize("codes", [None, encode("N" * 16)])
def test_the_first_base_of_a_chromosome_is_no_g_of_a_cpg(tmp_path, codes):
    lines = [f"2\t{at}\t+\t1\t0\tCG\tCGN\n" for at in (3, 5, 7, 9)]
    found = rows(read(tmp_path, "".join([*lines, "1\t1\t-\t1\t0\tCG\tCGN\n"]), codes=codes))
    assert found == [("chr2", at, 1) for at in (2, 4, 6, 8)]


def test_a_bedgraph_that_counts_from_one_as_deepcpgs_do_comes_to_the_same_sites(tmp_path):
    for start in (2, 3):
        text = f"track type=bedGraph\nchr2\t{start}\t{start + 1}\t1\nchr2\t{start + 8}\t{start + 9}\t0\n"
        assert rows(read(tmp_path, text, codes=CODES)) == [("chr2", 2, 1), ("chr2", 10, 0)]


def test_what_is_no_cpg_is_left_out_and_counted(tmp_path, caplog):
    text = "".join(f"2\t{position}\t1\n" for position in (3, 4, 11, 12, 5))
    with caplog.at_level(logging.WARNING):
        assert rows(read(tmp_path, text, codes=CODES)) == [("chr2", 2, 1), ("chr2", 10, 1)]
    assert "a.tsv, a: 1 of 5 sites are no CpG of the genome; left out." in caplog.text


def test_a_cell_of_another_assembly_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no CpG at 2 of the 3 sites of cell 'a'"):
        read(tmp_path, "2\t3\t1\n2\t6\t1\n2\t9\t1\n", codes=CODES)
    with pytest.raises(InputError, match=r"A site lies at chr1:5 \(1-based\), but chr1 has 4 bp"):
        read(tmp_path, "1\t5\t1\n")
    with pytest.raises(InputError, match=r"A site lies at chr1:0 \(1-based\)"):
        read(tmp_path, "1\t0\t1\n")


def test_the_last_base_of_a_chromosome_is_no_cpg_and_an_unknown_one_may_be(tmp_path):
    unknown = encode("N" * 16)
    assert rows(read(tmp_path, "2\t3\t1\n", codes=unknown)) == [("chr2", 2, 1)]
    with pytest.raises(InputError, match="no CpG at 1 of the 1 sites"):
        read(tmp_path, "2\t12\t1\n", codes=unknown)


def test_a_cell_that_covers_nothing_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"a\.tsv covers no site of the genome with a read"):
        read(tmp_path, "2\t3\tnan\n")


def test_cells_of_one_name_are_an_error(tmp_path):
    (tmp_path / "a.tsv").write_text("2\t3\t1\n")
    target = Target(identifier="a", file=tmp_path / "a.tsv")
    with pytest.raises(InputError, match="Cells need names that differ, and there must be one; got a, a"):
        read_cells([target, target], sizes=SIZES, aliases={})


def test_of_several_modifications_one_is_chosen(tmp_path):
    text = "".join(f"2\t2\t3\t{code}\t4\t+\t2\t3\t0,0,0\t4\t{percent}\n" for code, percent in (("m", 75), ("h", 25)))
    assert rows(read(tmp_path, text, column="m")) == [("chr2", 2, 0.75)]
    with pytest.raises(InputError, match=r"several codes: h, m\. Choose one in the targets table: a\.tsv::h"):
        read(tmp_path, text)


def test_percent_take_a_scale(tmp_path):
    assert rows(read(tmp_path, "2\t2\t3\t75\n", scale=0.01)) == [("chr2", 2, 0.75)]


def test_a_label_is_a_rounded_fraction_a_half_is_unmethylated_and_missing_stays_missing():
    state = np.array([0, 0.49, 0.5, 0.51, 1, NAN], dtype=np.float32)
    np.testing.assert_array_equal(binary(state), [0, 0, 0, 1, 1, NAN])


STATES = CpgStates(
    ("chr2", "chr1"),
    ("b", "a"),
    np.array([0, 0, 1]),
    np.array([2, 10, 0]),
    np.array([[1, NAN], [0, 1 / 3], [NAN, 0.75]], dtype=np.float32),
)


@pytest.mark.parametrize("bedgraph", [False, True])
def test_cells_that_were_written_are_read_back_as_they_were(bedgraph, tmp_path):
    paths = write_cells(tmp_path / "cells", STATES, bedgraph=bedgraph)
    targets = [Target(identifier=cell, file=path) for cell, path in zip(STATES.cells, paths, strict=True)]
    back = read_cells(targets, sizes=SIZES, aliases={})
    assert (back.chroms, back.cells) == (STATES.chroms, STATES.cells)
    for name in ("chrom_index", "position", "state"):
        np.testing.assert_array_equal(getattr(back, name), getattr(STATES, name))


def test_the_table_of_a_cell_is_that_of_deepcpg(tmp_path):
    _, path = write_cells(tmp_path, STATES)
    assert path == tmp_path / "a.tsv.gz"
    assert gzip.decompress(path.read_bytes()).decode() == "chr2\t11\t0.333333343\nchr1\t1\t0.75\n"
    _, path = write_cells(tmp_path, STATES, bedgraph=True)
    assert path == tmp_path / "a.bedgraph.gz"
    assert gzip.decompress(path.read_bytes()).decode() == "chr2\t10\t11\t0.333333343\nchr1\t0\t1\t0.75\n"


def test_a_cell_is_written_the_same_bytes_and_over_no_file(tmp_path):
    first, second = (write_cells(tmp_path / name, STATES)[0].read_bytes() for name in ("one", "two"))
    assert first == second
    with pytest.raises(InputError, match=r"b\.tsv\.gz is there already. Write to an empty folder"):
        write_cells(tmp_path / "one", STATES)


def test_a_cell_that_no_file_can_hold_is_refused_before_one_is_written(tmp_path):
    with pytest.raises(InputError, match="Cell 'x/a': a slash parts folders"):
        write_cells(tmp_path, replace(STATES, cells=("b", "x/a")))
    with pytest.raises(InputError, match="Cell 'a' covers no site; leave it out"):
        write_cells(tmp_path, replace(STATES, state=np.array([[1, NAN]] * 3, dtype=np.float32)))
    assert not list(tmp_path.iterdir())


def mouse_cells(shared_data):
    """The two real cells, with sizes of mm10."""
    names = ("BS27_4_SER", "BS28_2_SER")
    targets = [Target(identifier=name, file=shared_data / "deepcpg" / f"{name}.bed.gz") for name in names]
    return read_cells(targets, sizes={"18": 90_702_639, "19": 61_431_566}, aliases={})


@pytest.mark.needs_shared_data
def test_two_real_cells_share_2977_sites_and_agree_at_seven_in_ten(shared_data):
    states = mouse_cells(shared_data)
    assert len(states.position) == 10_000 + 10_000 - 2977
    shared = states.state[~np.isnan(states.state).any(axis=1)]
    assert len(shared) == 2977
    assert (shared[:, 0] == shared[:, 1]).mean() == pytest.approx(0.716, abs=5e-4)


# Labels that the original's integration test holds its data files to: chromosome, 1-based position, label.
LABELS = {
    "BS27_4_SER": "18:3000023:1 18:3000086:1 18:3012584:0 19:4398070:0 19:4428709:1 19:4442494:0 19:4447847:1",
    "BS28_2_SER": (
        "18:3000092:1 18:3010064:0 18:3140338:1 18:3143169:0 19:4187854:1 19:4190571:0 19:4192788:0 19:4202077:0"
    ),
}


@pytest.mark.needs_shared_data
def test_real_cells_have_the_states_of_the_original(shared_data):
    states = mouse_cells(shared_data)
    for cell, rows_of_cell in LABELS.items():
        for chrom, position, label in (map(int, row.split(":")) for row in rows_of_cell.split()):
            here = (states.chrom_index == chrom - 18) & (states.position == position - 1)
            assert states.state[here, states.cells.index(cell)].tolist() == [label]
