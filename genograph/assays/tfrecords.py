"""TFRecord files of tf.Example, ZLIB-compressed, read and written without TensorFlow.

A record is its length (uint64, little endian), the masked CRC of these 8 bytes, the data, and the masked CRC of the
data. The data of Basenji's records are a protobuf message, tf.Example: a map from a feature's name to its bytes.
CRC is CRC-32C (Castagnoli), as in iSCSI.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import numpy as np

from genograph.errors import InputError

_POLYNOMIAL = 0x82F63B78  # Castagnoli's, bits reversed
_LANES = 1024  # stretches of a message whose CRCs are computed side by side; a power of two
_BLOCK = 2**16  # compressed bytes read at a time
_ALL_ONES = 0xFFFFFFFF
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types of protobuf


def read_records(path: str | Path) -> Iterator[bytes]:
    """The data of each record of a ZLIB-compressed TFRecord file, one at a time; none from a stream of nothing.

    Raises:
        InputError: If the file is missing, truncated, compressed otherwise, or a CRC does not agree.
    """
    stream = _Inflated(Path(path))
    number = 0
    while head := stream.read(12):
        length = _checked(head, stream, f"length of record {number}")
        body = stream.read(int.from_bytes(length, "little") + 4)
        if len(body) < 4:
            raise stream.truncated()
        yield _checked(body, stream, f"data of record {number}")
        number += 1


def write_records(path: str | Path, records: Iterable[bytes]) -> None:
    """Write a ZLIB-compressed TFRecord file."""
    deflate = zlib.compressobj()
    with Path(path).open("wb") as file:
        for record in records:
            length = struct.pack("<Q", len(record))
            for part in (length, _masked_crc(length), record, _masked_crc(record)):
                file.write(deflate.compress(part))
        file.write(deflate.flush())


def parse_example(record: bytes) -> dict[str, bytes]:
    """The features of a tf.Example that hold one string of bytes, by name; others are left out.

    Raises:
        InputError: If the record is no tf.Example.
    """
    # Field 1 of an Example is Features, of that a map (key 1, value 2) to Feature, of that BytesList, of that bytes.
    entries = [entry for features in _fields(record).get(1, []) for entry in _fields(features).get(1, [])]
    examples = {}
    for entry in entries:
        pair = _fields(entry)
        values = [
            value
            for feature in pair.get(2, [])
            for values in _fields(feature).get(1, [])
            for value in _fields(values).get(1, [])
        ]
        if len(values) == 1 and 1 in pair:
            examples[pair[1][-1].decode(errors="replace")] = values[0]
    return examples


def write_example(features: Mapping[str, bytes]) -> bytes:
    """A tf.Example of one string of bytes per feature."""
    entries = (
        _field(1, _field(1, name.encode()) + _field(2, _field(1, _field(1, value)))) for name, value in features.items()
    )
    return _field(1, b"".join(entries))


def crc32c(data: bytes) -> int:
    """The CRC-32C of some bytes.

    The CRC of a message is linear in its bits, so that stretches of it are worked on side by side and joined: the
    CRC of `ab` is that of `a` moved on by the length of `b`, plus that of `b`.
    """
    message = np.frombuffer(data, dtype=np.uint8).copy()
    start = min(4, len(message))
    message[:start] ^= 0xFF  # the register starts as all ones
    carried = _ALL_ONES >> 8 * start  # what of it a message below 4 bytes leaves
    lanes = _LANES if len(message) >= 8 * _LANES else 1
    width = -(-len(message) // lanes)
    padded = np.zeros(lanes * width, dtype=np.uint8)  # zeros ahead of a message leave the register at 0
    padded[len(padded) - len(message) :] = message
    columns = np.ascontiguousarray(padded.reshape(lanes, width).T)
    table, crc = _table(), np.zeros(lanes, dtype=np.uint32)
    for column in columns:
        crc = table[(crc ^ column) & 0xFF] ^ (crc >> 8)
    move = _zeros_operator(width) if lanes > 1 else None
    while len(crc) > 1:
        crc = _apply(move, crc[0::2]) ^ crc[1::2]
        move = _apply(move, move)
    return int(crc[0]) ^ carried ^ _ALL_ONES


def _masked_crc(data: bytes) -> bytes:
    """The CRC as TFRecords store it: turned round and with a constant added, as data may hold CRCs themselves."""
    crc = crc32c(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & _ALL_ONES)


@cache
def _table() -> np.ndarray:
    """What each byte adds to the register: (256,) uint32."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_POLYNOMIAL), table >> 1)
    return table


@cache
def _zeros_operator(count: int) -> np.ndarray:
    """Where `count` zero bytes move each bit of the register: (32,) uint32."""
    register = np.uint32(1) << np.arange(32, dtype=np.uint32)
    for _ in range(count):
        register = _table()[register & 0xFF] ^ (register >> 8)
    return register


def _apply(operator: np.ndarray, registers: np.ndarray) -> np.ndarray:
    """The registers moved on: the sum, modulo 2, of where each of their bits goes."""
    moved = np.zeros_like(registers)
    for bit in range(32):
        moved ^= np.where((registers >> np.uint32(bit)) & 1, operator[bit], np.uint32(0))
    return moved


class _Inflated:
    """A ZLIB-compressed file, inflated as it is read."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise InputError(f"No file {path}.")
        self.path, self._file = path, path.open("rb")
        self._inflate, self._rest = zlib.decompressobj(), bytearray()

    def read(self, count: int) -> bytes:
        """The next `count` bytes; none at the end of the file."""
        while len(self._rest) < count and not self._inflate.eof:
            self._more(count - len(self._rest))
        if self._rest and len(self._rest) < count:
            raise self.truncated()
        taken = bytes(self._rest[:count])
        del self._rest[:count]
        return taken

    def truncated(self) -> InputError:
        return InputError(f"{self.path} is truncated. Copy or download it again.")

    def _more(self, count: int) -> None:
        """Inflate at least a byte more, and not much more than `count`: what a small file unfolds to has no bound."""
        try:
            block = self._inflate.unconsumed_tail or self._file.read(_BLOCK)
            if not block:
                raise self.truncated()
            self._rest += self._inflate.decompress(block, max(count, _BLOCK))
        except zlib.error as error:
            raise InputError(
                f"{self.path} is no ZLIB-compressed TFRecord file, or damaged ({error}). GZIP and uncompressed "
                "TFRecords are not read; write them as Basenji does, with compression ZLIB."
            ) from None
        if self._inflate.eof:
            if self._inflate.unused_data or self._file.read(1):
                raise InputError(f"{self.path} goes on after its ZLIB stream has ended. Is it two files joined?")
            self._file.close()


def _checked(data: bytes, stream: _Inflated, what: str) -> bytes:
    content, crc = data[:-4], data[-4:]
    if _masked_crc(content) != crc:
        raise InputError(f"{stream.path}: the CRC of the {what} does not agree: it is damaged, or no TFRecord file.")
    return content


def _fields(message: bytes) -> dict[int, list[bytes]]:
    """The length-delimited fields of a protobuf message, by number; fields of other kinds are passed over."""
    view, place, found = memoryview(message), 0, {}
    while place < len(view):
        key, place = _varint(view, place)
        kind = key & 7
        if kind == _BYTES:
            length, place = _varint(view, place)
            found.setdefault(key >> 3, []).append(bytes(view[place : place + length]))
            place += length
        elif kind == _VARINT:
            _, place = _varint(view, place)
        elif kind in (_FIXED64, _FIXED32):
            place += 8 if kind == _FIXED64 else 4
        else:
            raise InputError("a record is no tf.Example.")
    if place != len(view):
        raise InputError("a record is no tf.Example.")
    return found


def _varint(view: memoryview, place: int) -> tuple[int, int]:
    """A number of 7 bits a byte, the lowest first, and the place after it."""
    number = 0
    for shift in range(0, 70, 7):
        if place >= len(view):
            break
        byte = view[place]
        place += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, place
    raise InputError("a record is no tf.Example.")


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field."""
    length, size = len(content), bytearray()
    while length >= 0x80:
        size.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([number << 3 | _BYTES]) + bytes(size) + bytes([length]) + content
