"""A track read into bins equals what counting bases by hand gives, whatever the file format."""

from __future__ import annotations

import gzip
import math

import numpy as np
import pyBigWig
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genograph.assays import signals
from genograph.assays.signals import read_signal
from genograph.assays.targets import Target
from genograph.errors import InputError
from genograph.genome.bins import Bins

NAN = math.nan
BINS = Bins({"I": 10, "II": 8}, 4)
ENTRIES = {"I": [(0, 2, 1.0), (3, 4, 6.0), (6, 7, 2.0)]}


def write_bigwig(path, entries, sizes):
    with pyBigWig.open(str(path), "w") as file:
        file.addHeader(list(sizes.items()))
        for chrom, rows in entries.items():
            starts, ends, values = zip(*rows, strict=True)
            file.addEntries([chrom] * len(rows), list(starts), ends=list(ends), values=list(values))
    return path


def write_bedgraph(path, entries, sizes):
    lines = [f"{chrom}\t{start}\t{end}\t{value}\n" for chrom, rows in entries.items() for start, end, value in rows]
    text = "track type=bedGraph\n" + "".join(lines)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


WRITERS = [("t.bw", write_bigwig), ("t.bedGraph", write_bedgraph), ("t.bg.gz", write_bedgraph)]
formats = pytest.mark.parametrize(("name", "write"), WRITERS)


def read(path, bins=BINS, **options):
    return read_signal(Target(identifier="t", file=path, **options), bins, aliases={})


@formats
def test_the_mean_counts_uncovered_bases_as_zero(tmp_path, name, write):
    values, report = read(write(tmp_path / name, ENTRIES | {"II": [(0, 8, 1.0)]}, BINS.sizes))
    assert values.tolist() == [2.0, 0.5, 1.0, 1.0]
    assert values.dtype == np.float32
    assert (report.identifier, report.bins, report.missing) == ("t", 4, 0)


@formats
def test_a_chromosome_that_the_file_lacks_is_missing_not_zero(tmp_path, name, write):
    values, report = read(write(tmp_path / name, ENTRIES, {"I": 10}))
    np.testing.assert_array_equal(values, [2.0, 0.5, NAN, NAN])
    assert report.missing == 2


@formats
def test_a_nan_value_makes_its_bin_missing_and_no_other(tmp_path, name, write):
    values, _ = read(write(tmp_path / name, {"I": [(0, 2, 1.0), (5, 6, NAN)]}, {"I": 10}))
    np.testing.assert_array_equal(values, [0.5, NAN, NAN, NAN])


@formats
def test_transform_and_clip_follow_the_target(tmp_path, name, write):
    path = write(tmp_path / name, ENTRIES, {"I": 10})
    values, report = read(path, sum_stat="sum", scale=2, clip_soft=8, clip=3.5)
    np.testing.assert_array_equal(values[:2], [3.5, 3.5])
    assert (report.soft_clipped, report.clipped) == (1, 2)


@formats
def test_chromosome_names_are_translated(tmp_path, name, write):
    path = write(tmp_path / name, {"chr2": [(0, 8, 3.0)]}, {"chr2": 8})
    np.testing.assert_array_equal(read(path)[0], [NAN, NAN, 3.0, 3.0])


@formats
def test_no_chromosome_in_common_shows_the_names(tmp_path, name, write):
    path = write(tmp_path / name, {"scaffold": [(0, 8, 3.0)]}, {"scaffold": 8})
    with pytest.raises(InputError, match=r"The genome has I, II; the file has scaffold\."):
        read(path)


@formats
def test_a_track_of_zeros_is_an_error(tmp_path, name, write):
    path = write(tmp_path / name, {"I": [(0, 8, 0.0)]}, {"I": 10})
    with pytest.raises(InputError, match="holds no signal in this genome"):
        read(path)


@pytest.mark.parametrize("piece", [1, 8, 1000])
def test_reading_in_pieces_changes_nothing(tmp_path, monkeypatch, piece):
    path = write_bigwig(tmp_path / "t.bw", ENTRIES | {"II": [(2, 8, 1.0)]}, BINS.sizes)
    monkeypatch.setattr(signals, "_PIECE", piece)
    assert read(path)[0].tolist() == [2.0, 0.5, 0.5, 1.0]


@settings(max_examples=25)
@given(st.lists(st.sampled_from([None, 0.0, 1.5, 2.0, NAN]), min_size=10, max_size=10), st.integers(1, 5))
def test_both_formats_equal_a_count_by_hand(tmp_path_factory, bases, bin_size):
    folder = tmp_path_factory.mktemp("tracks")
    entries = {
        "a": [(start, start + 1, value) for start, value in enumerate(bases) if value is not None] + [(10, 20, 1.0)]
    }
    bins = Bins({"a": 20}, bin_size)
    by_hand = [0.0 if value is None else value for value in bases] + [1.0] * 10
    expected = [np.mean(by_hand[start : start + bin_size]) for start in range(0, 20 - bin_size + 1, bin_size)]
    for name, write in WRITERS[:2]:
        values, _ = read(write(folder / name, entries, bins.sizes), bins)
        np.testing.assert_allclose(values, expected, rtol=1e-6)


def test_a_bigwig_of_another_assembly_is_an_error(tmp_path):
    path = write_bigwig(tmp_path / "t.bw", ENTRIES, {"I": 11})
    with pytest.raises(InputError, match=r"wrong assembly. I has 11 bp in this file, but I has 10 bp"):
        read(path)


@pytest.mark.parametrize("keep", [0.001, 0.3, 0.6])
def test_a_truncated_bigwig_is_an_error_that_names_it(tmp_path, keep):
    rng = np.random.default_rng(0)
    entries = {"I": [(start, start + 1, value) for start, value in enumerate(rng.random(50_000))]}
    path = write_bigwig(tmp_path / "t.bw", entries, {"I": 50_000})
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(InputError, match=r"t\.bw (cannot be read as a bigWig|is empty)"):
        read(path, Bins({"I": 50_000}, 100))


def test_damaged_blocks_of_a_bigwig_are_an_error_that_names_it(tmp_path):
    entries = {"I": [(start, start + 1, value) for start, value in enumerate(np.random.default_rng(0).random(50_000))]}
    path = write_bigwig(tmp_path / "t.bw", entries, {"I": 50_000})
    content = bytearray(path.read_bytes())
    content[2000:20_000] = b"\xff" * 18_000
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"t\.bw cannot be read as a bigWig"):
        read(path, Bins({"I": 50_000}, 100))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("I\t0\t2\n", "line 1: expected chrom, start, end and value"),
        ("I\t0\t2\thigh\n", "line 1: expected chrom, start, end and value"),
        ("I\t0\t4\t1\nI\t3\t5\t1\n", "line 2: intervals must be sorted and apart"),
        ("I\t4\t4\t1\n", "line 1: intervals must be sorted"),
        ("I\t4\t11\t1\n", "line 1: wrong assembly: I has 10 bp; got I:4-11"),
        ("I\t0\t2\t1\nII\t0\t2\t1\nI\t4\t6\t1\n", "not sorted: I comes in two places"),
    ],
)
def test_a_wrong_bedgraph_is_an_error_that_says_where(tmp_path, text, message):
    path = tmp_path / "t.bedGraph"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read(path)


def test_an_unknown_format_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"coverage is read from \.bw, .* got .*t\.wig"):
        read(tmp_path / "t.wig")


def test_a_fraction_is_not_read_as_counts(tmp_path):
    with pytest.raises(InputError, match="methylation is no track of counts"):
        read(tmp_path / "t.bw", assay="methylation")


@pytest.mark.needs_shared_data
@pytest.mark.parametrize("name", ["MNase.bw", "PolII.bw", "Scc1.bw", "RNA.fwd.bw", "RNA.rev.bw"])
def test_yeast_tracks_equal_another_reader_on_whole_chromosomes(shared_data, name):
    from genograph.genome.assembly import read_fasta

    path = shared_data / "yeast" / name
    sizes = {chrom: len(codes) for chrom, codes in read_fasta(shared_data / "yeast/S288C_R64-2-1.fsa.gz")}
    bins = Bins(sizes, 128)
    values, report = read(path, bins)
    with pyBigWig.open(str(path)) as file:
        for chrom in ("II", "IV", "XVI"):
            count = bins.span(chrom).stop - bins.span(chrom).start
            bases = np.nan_to_num(file.values(chrom, 0, count * 128, numpy=True))
            np.testing.assert_allclose(values[bins.span(chrom)], bases.reshape(-1, 128).mean(axis=1), rtol=1e-5)
    assert np.isnan(values[bins.span("I")]).all()
    assert report.missing == len(bins) - sum(sizes[chrom] // 128 for chrom in ("II", "IV", "XVI"))


def test_a_track_with_negative_values_is_refused_as_no_rate_can_be(tmp_path):
    with pytest.raises(InputError, match="negative values, down to -2"):
        read(write_bigwig(tmp_path / "t.bw", {"I": [(0, 4, -2.0)]}, {"I": 10}))
