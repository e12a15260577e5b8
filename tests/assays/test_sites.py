"""Every format of methylated sites is known by its content and gives the same sites."""

from __future__ import annotations

import gzip
from contextlib import suppress

import pandas as pd
import pybigtools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genograph.assays import sites
from genograph.assays.bigwig import is_bigwig
from genograph.assays.site_bigwig import SiteBigWig
from genograph.assays.sites import open_sites
from genograph.errors import InputError

# Two sites of chrom c, bases 9 and 20 counted from 0: 3 of 4 reads methylated, and 0 of 2.
COV = "c\t10\t10\t75\t3\t1\nc\t21\t21\t0\t0\t2\n"
TAIL = "\t9\t10\t255,0,0\t4\t75.00"
FORMATS = {
    "cells.cov": COV,
    "cells.zero.cov": "c\t9\t10\t75\t3\t1\nc\t20\t21\t0\t0\t2\n",
    "methyldackel_CpG.bedGraph": "c\t9\t10\t75\t3\t1\nc\t20\t21\t0\t0\t2\n",
    "methyldackel.txt": 'track type="bedGraph" description="x"\nc\t9\t10\t75\t3\t1\nc\t20\t21\t0\t0\t2\n',
    "modkit.bedgraph": "c\t9\t10\t0.75\t4\nc\t20\t21\t0\t2\n",
    "merged.cov": "c\t10\t11\t75\t3\t1\nc\t21\t22\t0\t0\t2\n",
    "CpG_report.txt": "c\t10\t+\t3\t1\tCG\tCGA\nc\t21\t-\t0\t2\tCG\tCGT\n",
    "encode.bed": f"c\t9\t10\tm\t4\t+{TAIL}\nc\t20\t21\tm\t2\t-\t20\t21\t255,0,0\t2\t0\n",
    "modkit.bed": (
        f"c\t9\t10\tm\t4\t+{TAIL}\t3\t1\t0\t0\t0\t0\t0\nc\t20\t21\tm\t2\t-\t20\t21\t0,0,0\t2\t0\t0\t2\t0\t0\t0\t0\t0\n"
    ),
    "spaces.bed": f"c\t9\t10\tm\t4\t+{TAIL} 3 1 0 0 0 0 0\nc\t20\t21\tm\t2\t-\t20\t21\t0,0,0\t2 0 0 2 0 0 0 0 0\n",
    "table.tsv": "chrom\tpos\tvalue\tcoverage\nc\t10\t0.75\t4\nc\t21\t0\t2\n",
}
VALUES = {
    "cell.tsv": "c\t10\t1.0\nc\t21\t0.0\n",
    "header.tsv": "chromo\tpos\tvalue\n\nc\t10\t1\nc\t21\t0\n",
    "cell.bedGraph": "track type=bedGraph\nc\t9\t10\t1\nc\t20\t21\t0\n",
    "cpgs.bed": "# a comment\nc 9 11 1\nc 20 22 0\n",
    "gap.tsv": "c\t10\t1\nc\t15\tnan\nc\t21\t0\n",
}


def write(tmp_path, text, name):
    path = tmp_path / name
    path.write_text(text)
    return path


def read(path, scale=1.0):
    return [
        (row.chrom, row.position, row.methylated, row.coverage)
        for rows in open_sites(path).sites(scale)
        for row in rows.itertuples()
        if row.coverage
    ]


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_known_by_its_content(tmp_path, name):
    assert read(write(tmp_path, FORMATS[name], name)) == [("c", 9, 3, 4), ("c", 20, 0, 2)]


@pytest.mark.parametrize("name", VALUES)
def test_a_value_without_coverage_is_one_read(tmp_path, name):
    assert read(write(tmp_path, VALUES[name], name)) == [("c", 9, 1, 1), ("c", 20, 0, 1)]


def test_gzip_is_known_by_content_too(tmp_path):
    path = tmp_path / "cells.bed"
    path.write_bytes(gzip.compress(COV.encode()))
    assert len(read(path)) == 2


def test_chromosomes_called_like_numbers_keep_their_names(tmp_path):
    assert open_sites(write(tmp_path, "01\t1\t1\n1\t1\t0\n", "x.tsv")).survey() == (["01", "1"], [])


def test_codes_are_those_of_the_file(tmp_path):
    text = FORMATS["encode.bed"] + FORMATS["encode.bed"].replace("\tm\t", "\ta\t")
    assert open_sites(write(tmp_path, text, "x.bed")).survey() == (["c"], ["m", "a"])


def test_reading_in_pieces_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(sites, "_ROWS", 1)
    assert read(write(tmp_path, COV, "x.cov")) == [("c", 9, 3, 4), ("c", 20, 0, 2)]
    with pytest.raises(InputError, match="line 3: a count is negative"):
        read(write(tmp_path, COV + "c\t30\t30\t0\t0\t-1\n", "x.cov"))


def test_percent_take_a_scale(tmp_path):
    path = write(tmp_path, "c\t9\t10\t75\n", "x.bedGraph")
    assert read(path, scale=0.01) == [("c", 9, 0.75, 1)]
    with pytest.raises(InputError, match=r"line 1: a methylated fraction is 0 to 1. If .* percent, set scale to 0.01"):
        read(path)
    with pytest.raises(InputError, match="fraction is 0 to 1 after scale"):
        read(path, scale=0.02)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("c\t1\t1\t0\tx\t1\n", r"line 1: not a table of methylated sites; got 'c\t1"),
        (COV + "c\t1\t1\t0\tx\t1\n", r"line 3: expected Bismark coverage .*; got 'c\t1\t1\t0\tx\t1'"),
        (COV + "\n# late\n", "line 4: expected Bismark coverage .*; got '# late'"),
        (COV + "c\t1\t1\t0.5\n", "line 3: expected Bismark coverage"),
        (COV + "c\t99999999999999999999\t1\t0\t1\t1\n", "line 3: expected Bismark coverage"),
        ("c\t1\t1\t0\t-1\t1\n", "line 1: a count is negative"),
        ("x\ty\tz\nc\t10\t1\nc\t11\t\n", "line 3: expected a CpG table"),
        ("c\t10\t1\nc\t11\n", "line 2: expected a CpG table"),
        ("c\t10\t1\t\nc\t11\t1\t30\n", "line 1: not a table of methylated sites; got 'c\t10\t1\t'"),
        ("c\t10\t-1\n", "line 1: a methylated fraction is 0 to 1"),
        ("c\t10\t200\t0.5\n", "line 1: a row is one site, a base or the two of a CpG"),
        ("c\t5\t0.5\t-4\n", "line 1: a count is negative"),
        (FORMATS["modkit.bed"].replace("\t3\t1", "\t5\t1"), "line 1: more methylated reads than reads"),
        ("c\t1\t2\tpeak\t9\t+\n", "not a table of methylated sites"),
        ("# nothing\n", "holds no row"),
        ("\x00\x01\x02\n", "not a table of methylated sites"),
    ],
)
def test_a_wrong_row_is_an_error_that_names_its_line(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read(write(tmp_path, text, "x.txt"))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["chr1", "2", "NA"]), st.integers(0, 2**40), st.integers(0, 200), st.integers(0, 200)
        ),
        min_size=1,
    )
)
def test_counts_come_back_from_every_format_of_counts(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("sites")
    texts = {
        "x.cov": "{0}\t{2}\t{2}\t0\t{3}\t{4}\n",
        "x.report": "{0}\t{2}\t+\t{3}\t{4}\tCG\tCGA\n",
        "x.bed": "{0}\t{1}\t{2}\tm\t0\t+\t{1}\t{2}\t0,0,0\t{5}\t{6:.2f}\n",
        "y.bed": "{0}\t{1}\t{2}\tm\t0\t+\t{1}\t{2}\t0,0,0\t{5}\t{6:.2f}\t{3}\t{4}\t0\t0\t0\t0\t0\n",
    }
    expected = [(chrom, start, yes, yes + no) for chrom, start, yes, no in rows if yes + no]
    for name, line in texts.items():
        text = "".join(line.format(c, s, s + 1, y, n, y + n, 100 * y / max(y + n, 1)) for c, s, y, n in rows)
        assert read(write(folder, text, name)) == expected


@given(st.binary(min_size=1, max_size=200))
def test_any_bytes_are_sites_or_one_clear_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("sites") / "x.bed"
    path.write_bytes(content)
    with suppress(InputError):
        assert read(path) is not None


@pytest.mark.needs_shared_data
def test_two_cells_of_deepcpg_share_2977_sites_and_agree_at_seven_in_ten(shared_data):
    first, second = (
        pd.concat(open_sites(shared_data / "deepcpg" / name).sites()).set_index(["chrom", "position"])["methylated"]
        for name in ("BS27_4_SER.bed.gz", "BS28_2_SER.bed.gz")
    )
    both = pd.concat([first, second], axis=1, join="inner", keys=["first", "second"])
    assert (len(first), len(second), len(both)) == (10_000, 10_000, 2977)
    assert (both["first"] == both["second"]).mean() == pytest.approx(0.716, abs=5e-4)
    assert both.loc[("18", 3_071_630 - 1)].sum() == 1  # the published test's site, of mean .5


@pytest.fixture
def bigwig(tmp_path):
    def write_bigwig(*values):
        path = tmp_path / "x.bw"
        pybigtools.open(str(path), "w").write({"c": 100}, iter(values))
        return SiteBigWig(path)

    return write_bigwig


def test_a_bigwig_has_a_site_where_it_has_a_value(bigwig):
    file = bigwig(("c", 9, 10, 1.0), ("c", 20, 22, 0.25))
    assert is_bigwig(file.path)
    assert file.survey() == ({"c": 100}, [])
    (rows,) = file.sites()
    assert rows.to_numpy().tolist() == [["c", 9, 1.0, 1], ["c", 20, 0.25, 1]]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (("c", 9, 10, 75.0), "fraction is 0 to 1. If the file gives percent.*; got 75 at c:9-10"),
        (("c", 9, 40, 0.5), "a value is one site.*; got 0.5 at c:9-40"),
    ],
)
def test_a_bigwig_of_something_else_is_refused(bigwig, value, message):
    with pytest.raises(InputError, match=message):
        list(bigwig(value).sites())


def test_a_bigwig_cut_short_is_refused(bigwig):
    path = bigwig(("c", 9, 10, 1.0)).path
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError, match="cannot be read as a bigWig"):
        SiteBigWig(path).survey()
