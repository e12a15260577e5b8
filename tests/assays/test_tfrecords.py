from __future__ import annotations

import gzip
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genograph.assays.tfrecords import crc32c, parse_example, read_records, write_example, write_records
from genograph.errors import InputError

# One record written out by hand: tf.Example {features {feature {key "a" value {bytes_list {value "xyz"}}}}}.
EXAMPLE = bytes.fromhex("0a0e0a0c 0a0161 1207 0a05 0a03 78797a".replace(" ", ""))


def crc_bit_by_bit(data: bytes) -> int:
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ (0x82F63B78 if register & 1 else 0)
    return register ^ 0xFFFFFFFF


def framed(record: bytes) -> bytes:
    """A record with its length and CRCs, by another route than the package's."""

    def masked(data):
        crc = crc_bit_by_bit(data)
        return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32)

    length = struct.pack("<Q", len(record))
    return length + masked(length) + record + masked(record)


@pytest.mark.parametrize(
    ("data", "crc"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        # RFC 3720, appendix B.4
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_crc32c_has_its_published_values(data, crc):
    assert crc32c(data) == crc


@given(st.binary(max_size=40))
def test_crc32c_of_short_data_is_that_of_the_bitwise_definition(data):
    assert crc32c(data) == crc_bit_by_bit(data)


@pytest.mark.parametrize("length", [8191, 8192, 8193, 20_001])
def test_crc32c_of_long_data_is_that_of_the_bitwise_definition(length):
    data = np.random.default_rng(length).bytes(length)
    assert crc32c(data) == crc_bit_by_bit(data)


def test_a_record_written_by_hand_is_read(tmp_path):
    (tmp_path / "a.tfr").write_bytes(zlib.compress(framed(EXAMPLE)))
    (record,) = read_records(tmp_path / "a.tfr")
    assert parse_example(record) == {"a": b"xyz"}
    assert write_example({"a": b"xyz"}) == EXAMPLE


def test_what_is_written_is_what_others_read(tmp_path):
    write_records(tmp_path / "a.tfr", [EXAMPLE, b""])
    assert zlib.decompress((tmp_path / "a.tfr").read_bytes()) == framed(EXAMPLE) + framed(b"")


@given(features=st.dictionaries(st.text(max_size=9), st.binary(max_size=300), max_size=4))
def test_an_example_read_back_is_what_was_written(features):
    assert parse_example(write_example(features)) == features


@given(records=st.lists(st.binary(max_size=70_000), max_size=4))
def test_records_read_back_are_those_written(tmp_path_factory, records):
    path = tmp_path_factory.mktemp("records") / "a.tfr"
    write_records(path, records)
    assert list(read_records(path)) == records


def test_features_of_other_kinds_and_unknown_fields_are_passed_over():
    # A feature of an int64_list, then an unknown varint, fixed64 and fixed32 field beside the features.
    other = bytes.fromhex("0a0c0a0a0a0162120 51a030a0105".replace(" ", "")) + bytes.fromhex("1801 21") + bytes(8)
    assert parse_example(EXAMPLE + other + b"\x2d" + bytes(4)) == {"a": b"xyz"}


@given(st.binary(max_size=60))
def test_bytes_that_are_no_example_are_refused_or_hold_nothing_but_never_crash(data):
    with suppress(InputError):
        assert all(isinstance(value, bytes) for value in parse_example(data).values())


def test_a_stream_of_nothing_holds_no_record(tmp_path):
    (tmp_path / "a.tfr").write_bytes(zlib.compress(b""))
    assert (tmp_path / "a.tfr").stat().st_size == 8
    assert list(read_records(tmp_path / "a.tfr")) == []


@given(cut=st.integers(0, 10**6))
def test_a_truncated_file_is_refused_wherever_it_is_cut(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("cut") / "a.tfr"
    write_records(path, [EXAMPLE * 3, np.random.default_rng(0).bytes(500)])
    data = path.read_bytes()
    path.write_bytes(data[: cut % len(data)])
    with pytest.raises(InputError, match=r"a\.tfr is truncated"):
        list(read_records(path))


@given(cut=st.integers(1, 100))
def test_a_file_whose_records_were_cut_before_compression_is_refused(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("cut") / "a.tfr"
    data = framed(EXAMPLE)
    path.write_bytes(zlib.compress(data[: max(1, len(data) - cut)]))
    with pytest.raises(InputError, match=r"a\.tfr"):
        list(read_records(path))


@pytest.mark.parametrize("place", range(len(framed(EXAMPLE))))
def test_a_flipped_bit_is_found(tmp_path, place):
    data = bytearray(framed(EXAMPLE))
    data[place] ^= 1
    (tmp_path / "a.tfr").write_bytes(zlib.compress(bytes(data)))
    what = "length" if place < 12 else "data"
    with pytest.raises(InputError, match=rf"a\.tfr: the CRC of the {what} of record 0"):
        list(read_records(tmp_path / "a.tfr"))


@pytest.mark.parametrize("compress", [bytes, gzip.compress, lambda data: b"text of another kind"])
def test_another_compression_is_named(tmp_path, compress):
    (tmp_path / "a.tfr").write_bytes(compress(framed(EXAMPLE)))
    with pytest.raises(InputError, match=r"a\.tfr is no ZLIB-compressed TFRecord file"):
        list(read_records(tmp_path / "a.tfr"))


def test_two_files_joined_are_refused_rather_than_half_read(tmp_path):
    (tmp_path / "a.tfr").write_bytes(zlib.compress(framed(EXAMPLE)) * 2)
    with pytest.raises(InputError, match="goes on after its ZLIB stream"):
        list(read_records(tmp_path / "a.tfr"))


def test_records_come_one_at_a_time(tmp_path):
    """A file whose second record is damaged gives its first."""
    broken = bytearray(framed(EXAMPLE))
    broken[-1] ^= 1
    (tmp_path / "a.tfr").write_bytes(zlib.compress(framed(EXAMPLE) + bytes(broken)))
    records = read_records(tmp_path / "a.tfr")
    assert next(records) == EXAMPLE
    with pytest.raises(InputError, match="record 1"):
        next(records)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"No file .*a\.tfr"):
        list(read_records(tmp_path / "a.tfr"))
