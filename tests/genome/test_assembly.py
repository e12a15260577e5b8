"""Sequence is read exactly, whatever the compression; what is no DNA is refused."""

from __future__ import annotations

import gzip
import os

import numpy as np
import pyfaidx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genograph.errors import InputError
from genograph.genome import assembly
from genograph.genome.assembly import COMPLEMENT, absent_chroms, encode, read_chrom_sizes, read_fasta

TEXT = ">one first sequence\nACGTN\nacgt\n\n>two\r\nRYKM\r\n"


def decode(codes: np.ndarray) -> str:
    return "".join("ACGTN"[code] for code in codes)


def read(path):
    return {name: decode(codes) for name, codes in read_fasta(path)}


def test_codes_are_a_c_g_t_n_and_case_does_not_matter():
    assert encode("ACGTNacgtnRX-").tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 4, 4, 4]


def test_the_reverse_complement_of_gattacan_is_ntgtaatc():
    assert decode(COMPLEMENT[encode("GATTACAN")[::-1]]) == "NTGTAATC"


@given(st.text("ACGTN", max_size=50))
def test_the_reverse_complement_taken_twice_is_the_sequence(sequence):
    codes = encode(sequence)
    assert decode(COMPLEMENT[COMPLEMENT[codes[::-1]][::-1]]) == sequence


@given(st.lists(st.text("ACGTN", min_size=1, max_size=30), min_size=1, max_size=4), st.integers(1, 10))
def test_a_fasta_file_gives_back_what_was_written(tmp_path_factory, sequences, width):
    path = tmp_path_factory.mktemp("fasta") / "genome.fa"
    with path.open("w") as file:
        for number, sequence in enumerate(sequences):
            lines = [sequence[start : start + width] for start in range(0, len(sequence), width)]
            file.write(f">chr{number}\n" + "\n".join(lines) + "\n")
    assert read(path) == {f"chr{number}": sequence for number, sequence in enumerate(sequences)}


def test_plain_gzip_and_block_gzip_read_alike(tmp_path):
    (tmp_path / "plain.fa").write_text(TEXT)
    (tmp_path / "zipped.fa.gz").write_bytes(gzip.compress(TEXT.encode()))
    blocks = [gzip.compress(TEXT[:20].encode()), gzip.compress(TEXT[20:].encode()), gzip.compress(b"")]
    (tmp_path / "blocks.fa.gz").write_bytes(b"".join(blocks))
    expected = {"one": "ACGTNACGT", "two": "NNNN"}
    for path in tmp_path.iterdir():
        assert read(path) == expected


def test_ncbi_headers_are_named_by_their_chromosome(tmp_path):
    path = tmp_path / "yeast.fa"
    path.write_text(
        ">ref|NC_001133| [strain=S288C] [chromosome=I]\nA\n>ref|NC_001224| [location=mitochondrion] [top=circular]\nC\n"
        ">NC_000913.3 Escherichia coli\nG\n"
    )
    assert list(read(path)) == ["I", "Mito", "NC_000913.3"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("ACGT\n", "is not a FASTA file"),
        ("\n\n", "holds no sequence"),
        (">a\nAC\n>a\nGT\n", "two sequences are called 'a'"),
        (">a\n>b\nGT\n", "sequence 'a' is empty"),
        (">\nGT\n", "a sequence has no name"),
        (">a\nMEELF\n", "sequence 'a' holds 'E', which is no DNA"),
        (">a\nACGU\n", "holds 'U'"),
    ],
)
def test_what_is_no_genome_is_an_error_that_names_the_file(tmp_path, text, message):
    path = tmp_path / "bad.fa"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"bad\.fa.*{message}"):
        read(path)


def test_a_truncated_gzip_is_an_error_that_names_the_file(tmp_path):
    path = tmp_path / "cut.fa.gz"
    whole = gzip.compress((">a\n" + "ACGTTGCA" * 1000).encode())
    path.write_bytes(whole[:-10])
    with pytest.raises(InputError, match=r"cut\.fa\.gz cannot be read to its end"):
        read(path)


def test_a_missing_file_is_an_error_that_names_it(tmp_path):
    with pytest.raises(InputError, match=r"No file .*none\.fa"):
        read(tmp_path / "none.fa")


def test_chrom_sizes_are_the_first_two_columns(tmp_path):
    path = tmp_path / "chrom.sizes"
    path.write_text("one\t9\ntwo\t4\t14\t60\t61\n")
    assert read_chrom_sizes(path) == {"one": 9, "two": 4}


@pytest.mark.parametrize("line", ["one", "one\tx", "one\t0", "one\t-4", "one\t9\none\t9"])
def test_a_wrong_line_of_chrom_sizes_is_named(tmp_path, line):
    path = tmp_path / "chrom.sizes"
    path.write_text(line + "\n")
    with pytest.raises(InputError, match=r"line [12]:"):
        read_chrom_sizes(path)


@pytest.mark.needs_shared_data
def test_the_yeast_genome_has_its_known_size_and_names(shared_data):
    sizes = {name: len(codes) for name, codes in read_fasta(shared_data / "yeast/S288C_R64-2-1.fsa.gz")}
    assert sum(sizes.values()) == 12_157_105
    assert (sizes["I"], sizes["Mito"], len(sizes)) == (230_218, 85_779, 17)


@pytest.mark.needs_shared_data
def test_a_soft_masked_human_chromosome_keeps_its_unknown_start(shared_data):
    (name, codes), *_ = read_fasta(shared_data / "human_tiny/hg38_1m.fa.gz")
    assert (name, np.flatnonzero(codes < 4)[0]) == ("chr1", 10_000)


def test_an_index_beside_a_plain_file_serves_the_chromosomes_that_are_asked_for(tmp_path):
    path = tmp_path / "genome.fa"
    path.write_text(">one first\nACGT\nAC\n>two\nGGNN\nTT\n>three\nTTTT\n")
    streamed = dict(read_fasta(path, ["three", "two"]))
    pyfaidx.Faidx(str(path))
    assert (tmp_path / "genome.fa.fai").exists()
    indexed = dict(read_fasta(path, ["three", "two"]))
    assert list(streamed) == list(indexed) == ["two", "three"]
    assert indexed["two"].tolist() == streamed["two"].tolist() == [2, 2, 4, 4, 3, 3]


def test_an_index_that_points_past_the_file_is_an_error(tmp_path):
    path = tmp_path / "genome.fa"
    path.write_text(">one\nACGT\n")
    (tmp_path / "genome.fa.fai").write_text("one\t400\t5\t4\t5\n")
    with pytest.raises(InputError, match="Index it anew"):
        list(read_fasta(path, ["one"]))


def test_an_index_by_accession_does_not_hide_chromosomes_that_the_header_names(tmp_path):
    path = tmp_path / "genome.fa"
    path.write_text(">ref|NC_001133| [chromosome=I]\nACGT\n>ref|NC_001134| [chromosome=II]\nGG\n")
    pyfaidx.Faidx(str(path))
    assert [name for name, _ in read_fasta(path, ["II"])] == ["II"]
    assert absent_chroms(path, ["II", "III"]) == {"III"}


def test_the_headers_of_a_fasta_are_read_once_until_the_file_changes(tmp_path, monkeypatch):
    fasta, reads = tmp_path / "g.fa", []
    fasta.write_text(">chr1\nACGT\n")
    read = assembly.read_bytes
    monkeypatch.setattr(assembly, "read_bytes", lambda path: reads.append(path) or read(path))
    for _ in range(3):
        assert absent_chroms(fasta, {"chr1", "chr2"}) == {"chr2"}
    assert len(reads) == 3 + 1  # its first line each time, all of it once
    fasta.write_text(">chr2\nACGT\n")
    os.utime(fasta, ns=(1, 1))
    assert absent_chroms(fasta, {"chr1", "chr2"}) == {"chr1"}
