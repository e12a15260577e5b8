"""BED regions arrive under the genome's names, and a wrong line is named."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from genograph.errors import InputError
from genograph.genome.assembly import read_fasta
from genograph.genome.bed import read_bed
from genograph.genome.interval import Interval

SIZES = {"1": 100, "2": 50}


def read(tmp_path, text, aliases=None):
    path = tmp_path / "regions.bed"
    path.write_text(text)
    return read_bed(path, sizes=SIZES, aliases=aliases or {})


def test_headers_are_skipped_names_translated_and_the_strand_kept(tmp_path):
    text = "track name=x\nbrowser position\n#comment\nchr1\t5\t20\tname\t0\t-\nchr2 0 10\n\n"
    assert read(tmp_path, text) == [Interval("1", 5, 20, "-"), Interval("2", 0, 10)]


def test_gzip_is_read(tmp_path):
    path = tmp_path / "regions.bed.gz"
    path.write_bytes(gzip.compress(b"1\t5\t20\n"))
    assert read_bed(path, sizes=SIZES, aliases={}) == [Interval("1", 5, 20)]


def test_chromosomes_that_the_genome_lacks_are_left_out(tmp_path):
    assert read(tmp_path, "chrUn\t5\t20\n1\t5\t20\n") == [Interval("1", 5, 20)]


def test_the_last_bin_of_a_chromosome_is_cut_at_its_end(tmp_path):
    assert read(tmp_path, "2\t40\t60\n") == [Interval("2", 40, 50)]


def test_a_start_beyond_the_chromosome_is_another_assembly(tmp_path):
    with pytest.raises(InputError, match=r"bed, line 3: wrong assembly. 2:50-60 starts beyond the end"):
        read(tmp_path, "# peaks\n1\t5\t20\n2\t50\t60\n")


@pytest.mark.parametrize("line", ["1\t5", "1\tfive\t20", "1\t20\t5", "1\t-1\t5", "1,5,20"])
def test_a_wrong_line_is_named_with_its_number(tmp_path, line):
    with pytest.raises(InputError, match=r"regions\.bed, line 2: expected chrom, start and end"):
        read(tmp_path, f"1\t0\t5\n{line}\n")


def test_a_file_without_intervals_is_an_error(tmp_path):
    with pytest.raises(InputError, match="holds no interval"):
        read(tmp_path, "# nothing\n")


def test_a_binary_file_is_an_error(tmp_path):
    path = tmp_path / "regions.bed"
    path.write_bytes(b"\xff\xfe\x00\x01\n")
    with pytest.raises(InputError, match="line 1: this is not text"):
        read_bed(path, sizes=SIZES, aliases={})


def test_a_file_that_may_not_be_read_is_an_error_that_names_it(tmp_path, monkeypatch):
    def refuse(*args):
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "regions.bed"
    path.write_text("1\t5\t20\n")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match=r"regions\.bed cannot be read to its end .*Permission denied"):
        read_bed(path, sizes=SIZES, aliases={})


@pytest.mark.needs_shared_data
def test_all_yeast_cohesin_peaks_find_their_chromosome(shared_data):
    yeast = shared_data / "yeast"
    sizes = {name: len(codes) for name, codes in read_fasta(yeast / "S288C_R64-2-1.fsa.gz")}
    assert len(read_bed(yeast / "scer_cohesin_peaks.bed", sizes=sizes, aliases={})) == 818
    assert len(read_bed(yeast / "tidyCoverage_TSSs.bed", sizes=sizes, aliases={})) == 6534
