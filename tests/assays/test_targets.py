"""The targets table is Basenji's, checked in full before anything is read."""

from __future__ import annotations

import pytest

from genograph.assays.targets import Target, read_targets, strand_permutation
from genograph.errors import InputError


@pytest.fixture
def table(tmp_path):
    """Write a table beside a few empty track files and read it."""
    (tmp_path / "tracks").mkdir()
    for name in ("a.bw", "b.bw", "genes.csv", "tracks/c.bw", "m.cov"):
        (tmp_path / name).touch()

    def read(*rows, root=None):
        path = tmp_path / "targets.tsv"
        path.write_text("".join("\t".join(row.split("|")) + "\n" for row in rows))
        return read_targets(path, root)

    return read


def test_a_basenji_table_with_an_unnamed_index_is_read(table, tmp_path):
    targets = table(
        "|identifier|file|clip|clip_soft|scale|sum_stat|strand_pair|description",
        "34|rna+|a.bw|384|64|0.3|sum_sqrt|35|RNA:adult male (21 years)",
        "35|rna-|b.bw|384|64|0.3|sum_sqrt|34|RNA",
    )
    assert targets[0] == Target(
        identifier="rna+",
        index=34,
        file=tmp_path / "a.bw",
        clip=384,
        clip_soft=64,
        scale=0.3,
        sum_stat="sum_sqrt",
        strand_pair="rna-",
        description="RNA:adult male (21 years)",
    )
    assert targets[1].strand_pair == "rna+"


def test_empty_cells_and_absent_columns_take_the_defaults(table, tmp_path):
    assert table("identifier|file|clip|assay", "x|a.bw||") == [Target(identifier="x", file=tmp_path / "a.bw")]


def test_assay_cell_type_strand_and_column_are_read(table, tmp_path):
    header = "identifier|file|assay|cell_type|strand|strand_pair"
    target, other = table(header, "x|genes.csv::heat|expression|K562|-|1", "y|genes.csv|expression||+|0")
    assert target == Target(
        identifier="x",
        file=tmp_path / "genes.csv",
        column="heat",
        assay="expression",
        cell_type="K562",
        strand="-",
        strand_pair="y",
    )
    assert (other.index, other.strand, other.column) == (1, "+", "")


def test_relative_files_start_from_the_root(table, tmp_path):
    (target,) = table("identifier|file", "x|c.bw", root=tmp_path / "tracks")
    assert target.file == tmp_path / "tracks/c.bw"


def test_strands_trade_places_also_after_a_selection(table):
    targets = table("index|identifier|file|strand_pair", "0|u|a.bw|", "1|p|a.bw|2", "2|m|b.bw|1", "3|own|a.bw|3")
    assert strand_permutation(targets) == [0, 2, 1, 3]
    assert strand_permutation(targets[1:3]) == [1, 0]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["identifier|file|clop", "x|a.bw|1"], "unknown column 'clop'. Did you mean 'clip'"),
        (["identifier|file|file", "x|a.bw|a.bw"], "the column 'file' comes twice"),
        (["identifier|path", "x|a.bw"], "unknown column 'path'"),
        (["identifier|clip", "x|1"], "has no column 'file'"),
        (["identifier|file"], "lists no target"),
        (["identifier|file", "|a.bw"], "a target has no identifier"),
        (["identifier|file", "x|a.bw", "x|b.bw"], "identifier 'x' comes twice"),
        (["identifier|file", "ChIP/input|a.bw"], "identifier 'ChIP/input' cannot name a file.*Leave out slashes"),
        (["identifier|file", "..|a.bw"], r"identifier '\.\.' cannot name a file"),
        (["identifier|file", "a\0b|a.bw"], "cannot name a file"),
        (["index|identifier|file", "-1|x|a.bw"], "target 'x': index must be a whole number of 0 or more; got '-1'"),
        (["identifier|file", "x|none.bw"], r"target 'x': no file .*none\.bw"),
        (["identifier|file", "x|"], "target 'x': no file"),
        (["identifier|file|sum_stat", "x|a.bw|meen"], "unknown sum_stat 'meen'. Did you mean 'mean'"),
        (["identifier|file|assay", "x|a.bw|expresion"], "unknown assay 'expresion'. Did you mean 'expression'"),
        (["identifier|file|strand", "x|a.bw|plus"], "unknown strand 'plus'"),
        (["identifier|file|clip", "x|a.bw|high"], "clip must be a positive number; got 'high'"),
        (["identifier|file|scale", "x|a.bw|0"], "scale must be a positive number; got '0'"),
        (["identifier|file|clip_soft", "x|a.bw|nan"], "clip_soft must be a positive number; got 'nan'"),
        (["index|identifier|file", "1|x|a.bw", "1|y|b.bw"], "two targets have the same index"),
        (["identifier|file|strand_pair", "x|a.bw|7"], "no row has the strand_pair index '7'"),
        (["identifier|file|strand_pair", "x|a.bw|1", "y|b.bw|"], "strand_pair of 'x' is 'y', but not the other"),
        (["identifier|file|strand", "x|a.bw|+"], r"'x' is of strand \+ and names no strand_pair"),
        (["identifier|file|strand|strand_pair", "x|a.bw|-|0"], "'x' is of strand - and names no strand_pair"),
        (["identifier|file|strand_pair|assay", "x|a.bw|1|", "y|b.bw|0|expression"], "the two differ in assay"),
        (["identifier|file|assay|clip", "x|m.cov|methylation|2"], "methylation is a fraction and takes no clip"),
    ],
)
def test_a_wrong_table_is_an_error_that_says_why(table, rows, message):
    with pytest.raises(InputError, match=message):
        table(*rows)


def test_methylation_in_percent_takes_a_scale_and_a_code(table):
    (target,) = table("identifier|file|assay|scale", "x|m.cov::a|methylation|0.01")
    assert (target.scale, target.column) == (0.01, "a")
