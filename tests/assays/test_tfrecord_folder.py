from __future__ import annotations

import json
import zlib

import numpy as np
import pytest

from genograph.assays.tfrecord_folder import RecordFolder, assay_of, description_prefix
from genograph.assays.tfrecords import write_example, write_records
from genograph.errors import InputError
from genograph.genome.interval import Interval
from tests.records import BINS, PLACES, SEQ_LENGTH, TARGETS, example, window, write_folder, write_statistics


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "hg38")


def test_windows_records_and_targets_come_in_the_order_of_the_files(folder):
    records = RecordFolder.open(folder)
    assert [(each.predicted, each.split) for each in records.windows] == [
        (Interval(chrom, start, start + 32), split) for split, places in PLACES.items() for chrom, start in places
    ]
    read = list(records.records())
    assert len(read) == 6
    for number, (codes, target) in enumerate(read):
        assert np.array_equal(codes, window(number)[0])
        assert np.array_equal(target, window(number)[1])
        assert target.dtype == np.float16
    assert (records.seq_length, records.pool_width, records.crop, records.target_length) == (64, 8, 16, 4)


def test_splits_may_be_mixed_in_the_bed_and_their_files_sort_by_number(tmp_path):
    folder = write_folder(tmp_path / "hg38", per_file=1)
    lines = (folder / "sequences.bed").read_text().splitlines()
    (folder / "sequences.bed").write_text("\n".join([lines[3], lines[0], lines[4], *lines[1:3], lines[5]]))
    (folder / "tfrecords" / "train-2.tfr").rename(folder / "tfrecords" / "train-10.tfr")
    records = RecordFolder.open(folder)
    assert [each.split for each in records.windows] == ["valid", "train", "train", "train", "test", "test"]
    assert [int(target[0, 0]) for _, target in records.records()] == [300, 0, 100, 200, 400, 500]


def test_files_of_two_numbers_and_of_folds_are_found(tmp_path):
    folder = write_folder(tmp_path / "hg38")
    text = (folder / "sequences.bed").read_text()
    (folder / "sequences.bed").write_text(text.replace("train", "fold-a").replace("valid", "fold1"))
    for path in sorted((folder / "tfrecords").iterdir()):
        name = path.name.replace("train-", "fold-a-0-").replace("valid", "fold1")
        path.rename(path.with_name(name))
    assert {split: [path.name for path in paths] for split, paths in RecordFolder.open(folder).shards.items()} == {
        "fold-a": ["fold-a-0-0.tfr", "fold-a-0-1.tfr"],
        "fold1": ["fold1-0.tfr"],
        "test": ["test-0.tfr"],
    }


def test_a_bed_of_whole_sequences_is_cut_to_what_is_predicted(folder):
    lines = [line.split("\t") for line in (folder / "sequences.bed").read_text().splitlines()]
    whole = [f"{chrom}\t{int(start) + 84}\t{int(end) + 116}\t{split}" for chrom, start, end, split in lines]
    (folder / "sequences.bed").write_text("\n".join(whole))
    assert RecordFolder.open(folder).windows[0].predicted == Interval("chr1", 200, 232)


def test_a_targets_table_chooses_columns_by_index(folder, tmp_path):
    rows = TARGETS.splitlines()
    (tmp_path / "some.txt").write_text("\n".join([rows[0], rows[4], rows[1], rows[2]]))
    records = RecordFolder.open(folder, tmp_path / "some.txt")
    assert [each.identifier for each in records.targets] == ["rna", "cage+", "cage-"]
    assert [each.strand_pair for each in records.targets] == ["rna", "cage-", "cage+"]
    assert next(records.records())[1].tolist() == [[3 + 10 * b, 10 * b, 1 + 10 * b] for b in range(BINS)]


@pytest.mark.parametrize(
    ("description", "assay", "prefix"),
    [
        ("CAGE:liver", "expression", "CAGE"),
        ("RNA:liver", "expression", "RNA"),
        ("RNA3:Skin, macrophage", "expression", "RNA3"),
        ("DNASE:HepG2", "accessibility", "DNASE"),
        ("ATAC:HepG2", "accessibility", "ATAC"),
        ("CHIP:H3K27ac:K562", "coverage", "CHIP"),
        ("RNA of liver: total", "coverage", ""),
        ("liver", "coverage", ""),
        ("", "coverage", ""),
    ],
)
def test_a_description_names_the_assay_before_its_first_colon(description, assay, prefix):
    assert assay_of(description) == assay
    assert description_prefix(description) == prefix


def test_a_column_assay_goes_before_the_description(folder):
    rows = TARGETS.splitlines()
    table = [rows[0] + "\tassay", *(row + "\tcoverage" for row in rows[1:])]
    (folder / "targets.txt").write_text("\n".join(table))
    assert {each.assay for each in RecordFolder.open(folder).targets} == {"coverage"}


def test_further_columns_of_the_table_are_passed_over(folder):
    rows = [line.split("\t") for line in TARGETS.splitlines()]
    (folder / "targets.txt").write_text(
        "\n".join("\t".join([row[0], "genome" if i == 0 else "0", *row[1:]]) for i, row in enumerate(rows))
    )
    assert [each.identifier for each in RecordFolder.open(folder).targets] == ["cage+", "cage-", "dnase", "rna"]


CODES, VALUES = window(3)


def bed(text):
    return lambda folder: (folder / "sequences.bed").write_text(text)


def table(text):
    return lambda folder: (folder / "targets.txt").write_text(text)


def statistics(**changes):
    return lambda folder: write_statistics(folder, **changes)


def gone(name):
    return lambda folder: (folder / name).unlink()


def valid(record):
    """The one record of the validation split in place of what it was."""
    return lambda folder: write_records(folder / "tfrecords" / "valid-0.tfr", [record])


def valid_file(data):
    return lambda folder: (folder / "tfrecords" / "valid-0.tfr").write_bytes(data)


def renamed(folder):
    (folder / "tfrecords" / "valid-0.tfr").rename(folder / "tfrecords" / "valid.tfr")


def a_row_less(folder):
    bed("\n".join((folder / "sequences.bed").read_text().splitlines()[1:]))(folder)


def without_records(folder):
    for path in (folder / "tfrecords").iterdir():
        path.unlink()


ONE_HOT = np.eye(4, dtype=np.uint8)[CODES]


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (gone("statistics.json"), r"statistics\.json cannot be read"),
        (lambda folder: (folder / "statistics.json").write_text("[]"), r"statistics\.json holds no statistics"),
        (statistics(seq_length=None), "'seq_length' must be a whole number"),
        (statistics(crop_bp=12), "no whole number of bins"),
        (statistics(crop_bp=32), "no whole number of bins"),
        (statistics(target_length=6), "target_length is 6, but .* is 4"),
        (bed("chr1\t0\t40\ttrain\n"), "line 1: chr1:0-40 has 40 bp"),
        (bed("chr1\t0\t32\n"), "line 1: expected chrom, start, end and split"),
        (bed("chr1\t0\t32\ttrain\n" * 2), "chr1:0-32 is listed twice"),
        (without_records, "holds no .tfr file"),
        (gone("tfrecords/valid-0.tfr"), "has files of test, train, sequences.bed has windows of train, valid, test"),
        (renamed, "a split and a number"),
        (gone("tfrecords/train-1.tfr"), r"train-\*\.tfr hold 2 records, sequences.bed has 3 windows"),
        (a_row_less, r"train-\*\.tfr hold 3 records, sequences.bed has 2 windows"),
        (valid(example(ONE_HOT, VALUES)), "'sequence' of a record has 256 bytes, .* it has 64.* not as one-hot"),
        (valid(example(CODES, VALUES.astype(np.float32))), "'target' of a record has 64 bytes, .* it has 32"),
        (valid(example(CODES + 65, VALUES)), "the code 68"),
        (valid(example(CODES, VALUES * np.float16("inf"))), "is infinite"),
        (valid(write_example({"sequence": CODES.tobytes()})), "no feature 'target'; it has sequence"),
        (valid(b"\xff" * 9), r"valid-0\.tfr: a record is no tf"),
        (valid_file(zlib.compress(b"")), "hold 0 records"),
        (valid_file(b""), r"valid-0\.tfr is truncated"),
        (table("\tidentifier\tfile\n9\trna\tx\n"), "index 9, the records have 4"),
        (table("\tidentifier\tfile\n0\tcage+\tx\n"), r"'cage\+' looks like one strand"),
    ],
)
def test_a_mistake_is_one_line_that_says_where(folder, spoil, complaint):
    spoil(folder)
    with pytest.raises(InputError, match=complaint):
        list(RecordFolder.open(folder).records())


def test_older_statistics_without_crop_and_targets_are_read(folder):
    statistics = {"seq_length": SEQ_LENGTH, "pool_width": 16}
    (folder / "statistics.json").write_text(json.dumps(statistics))
    lines = [line.split("\t") for line in (folder / "sequences.bed").read_text().splitlines()]
    (folder / "sequences.bed").write_text("\n".join(f"{c}\t{s}\t{int(s) + 64}\t{split}" for c, s, _, split in lines))
    records = RecordFolder.open(folder)
    assert (records.crop, records.num_targets) == (0, 4)
    assert next(records.records())[1].shape == (4, 4)
