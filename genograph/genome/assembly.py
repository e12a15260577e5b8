"""The sequence of a genome, and the one place that states how this package writes it.

Coordinates are 0-based and half-open. A base is a uint8 code: A 0, C 1, G 2, T 3 and N, which stands for
every ambiguous base, 4. One-hot is channel-first, (N, 4, L) in the order A C G T, with N all zero.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyfaidx

from genograph.errors import InputError, nearest
from genograph.genome.lines import read_bytes, read_lines

N = 4
CODES = np.full(256, N, dtype=np.uint8)
"""Code of every byte: upper and lower case alike, N for whatever is not A, C, G or T."""
for _code, _base in enumerate("ACGT"):
    CODES[[ord(_base), ord(_base.lower())]] = _code
COMPLEMENT = np.array([3, 2, 1, 0, N], dtype=np.uint8)
"""Code of the opposite base: the reverse complement is `COMPLEMENT[codes[::-1]]`."""

_IUPAC = b"ACGTNRYSWKMBDHVXacgtnryswkmbdhvx"
_CHROMOSOME = re.compile(r"\[chromosome=([^\]]+)\]")
_MITOCHONDRION = re.compile(r"\[location=mitochondri(on|al)\]")


def encode(sequence: str | bytes | bytearray) -> np.ndarray:
    """The codes of a sequence: (bases,) uint8."""
    if isinstance(sequence, str):
        sequence = sequence.encode("ascii", errors="replace")
    if isinstance(sequence, bytes):
        sequence = bytearray(sequence)  # so that the codes may be written to
    # Looked up by numpy, every base would take the 8 bytes of an index.
    return np.frombuffer(sequence.translate(CODES.tobytes()), dtype=np.uint8)


def is_sequenced(codes: np.ndarray, bin_size: int) -> np.ndarray:
    """True for bins of which at least half is known sequence: (bins,); codes are (bases,), a remainder is dropped."""
    count = len(codes) // bin_size
    known = codes[: count * bin_size].reshape(count, bin_size) < N
    return 2 * known.sum(axis=1) >= bin_size


def read_fasta(
    path: str | Path, chroms: Sequence[str] | None = None, *, without: Sequence[str] = ()
) -> Iterator[tuple[str, np.ndarray]]:
    """Name and codes, (bases,) uint8, of each sequence of a FASTA file, one at a time.

    The file may be plain, gzip or bgzip, and needs no index: it is read once from start to end, and memory is
    bounded by the longest chromosome. Where some `chroms` are asked of a plain file with an index beside it
    (`samtools faidx`), only these are read. A sequence is named by the first word of its header; NCBI's
    `>ref|NC_001133| ... [chromosome=I]` is named `I`, and `[location=mitochondrion]` is named `Mito`.

    Args:
        path: The file.
        chroms: Names of the sequences to read, which come in the file's order; None for all.
        without: Names of those of them to leave out.

    Raises:
        InputError: If the file is truncated, is not a FASTA file of DNA, a name comes twice, or one of `chroms` is
            not there.
    """
    if chroms is not None and set(chroms) <= _indexed_names(Path(path)):
        yield from _read_indexed(path, set(chroms) - set(without))
        return
    names = []
    for name, sequence in _stream(path):
        names.append(name)
        if (chroms is None or name in chroms) and name not in without:
            yield name, _codes(name, sequence, path)
    for name in chroms or ():
        if name not in names:
            raise InputError(f"{path} has no chromosome '{name}'.{nearest(name, names)}")


def absent_chroms(path: str | Path, chroms: Collection[str]) -> set[str]:
    """Those of some chromosomes that a FASTA or `chrom.sizes` file has not; the index beside a FASTA is asked first.

    Raises:
        InputError: If the file cannot be read.
    """
    if not next(read_bytes(path)).startswith(b">"):
        return set(chroms) - read_chrom_sizes(path).keys()
    absent = set(chroms) - _indexed_names(Path(path))
    return absent and absent - _header_names(path, Path(path).stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _header_names(path: str | Path, modified_ns: int) -> set[str]:
    """The sequences of a FASTA file, which is read to its end once: every arm and fold of an ablation asks."""
    headers = (line[1:].decode(errors="replace") for line in read_bytes(path) if line.startswith(b">"))
    return {_fasta_name(header, path) for header in headers}


def _indexed_names(path: Path) -> set[str]:
    """The sequences that an index beside a file names; none if it is older than the file, as pyfaidx would write it."""
    index = Path(f"{path}.fai")
    if not (index.is_file() and path.is_file() and index.stat().st_mtime >= path.stat().st_mtime):
        return set()
    return {line.split("\t", 1)[0] for _, line in read_lines(index)}


def _read_indexed(path: str | Path, chroms: Collection[str]) -> Iterator[tuple[str, np.ndarray]]:
    with pyfaidx.Fasta(str(path), as_raw=True, rebuild=False) as fasta:
        for name, entry in fasta.faidx.index.items():
            if name not in chroms:
                continue
            sequence = bytearray(fasta[name][:].encode())
            if len(sequence) != entry.rlen or b">" in sequence:
                raise InputError(
                    f"{path}: {path}.fai gives '{name}' {entry.rlen:,} bp, which the file does not hold. "
                    f"Index it anew: samtools faidx {path}"
                )
            yield name, _codes(name, sequence, path)


def _stream(path: str | Path) -> Iterator[tuple[str, bytearray]]:
    """Name and letters of every sequence, read from start to end."""
    names: set[str] = set()
    name: str | None = None
    sequence = bytearray()
    for line in read_bytes(path):
        if line.startswith(b">"):
            if name is not None:
                yield name, sequence
            name, sequence = _fasta_name(line[1:].decode(errors="replace"), path), bytearray()
            if name in names:
                raise InputError(f"{path}: two sequences are called '{name}'. Names must differ.")
            names.add(name)
        elif name is not None:
            sequence += line.strip()
        elif line.strip():
            raise InputError(f"{path} is not a FASTA file: it starts with {line[:30]!r}, not with '>'.")
    if name is None:
        raise InputError(f"{path} holds no sequence: no line starts with '>'.")
    yield name, sequence


def read_chrom_sizes(path: str | Path) -> dict[str, int]:
    """Chromosome sizes in bp from a `chrom.sizes` or `.fai` file: the first two columns, tab-separated.

    Raises:
        InputError: If a line has no positive size, or a name comes twice.
    """
    sizes: dict[str, int] = {}
    for number, line in read_lines(path):
        columns = line.split()
        if len(columns) < 2 or not columns[1].isdecimal() or int(columns[1]) == 0:
            raise InputError(f"{path}, line {number}: expected a name and a size in bp; got '{line}'.")
        if columns[0] in sizes:
            raise InputError(f"{path}, line {number}: '{columns[0]}' is listed twice.")
        sizes[columns[0]] = int(columns[1])
    return sizes


def _fasta_name(header: str, path: str | Path) -> str:
    chromosome = _CHROMOSOME.search(header)
    if chromosome:
        return chromosome[1].strip()
    if _MITOCHONDRION.search(header):
        return "Mito"
    words = header.split()
    if not words:
        raise InputError(f"{path}: a sequence has no name; its header is '>{header}'.")
    return words[0]


def _codes(name: str, sequence: bytearray, path: str | Path) -> np.ndarray:
    if not sequence:
        raise InputError(f"{path}: sequence '{name}' is empty.")
    foreign = sequence.translate(None, delete=_IUPAC)
    if foreign:
        raise InputError(
            f"{path}: sequence '{name}' holds {chr(foreign[0])!r}, which is no DNA base or IUPAC code. Is it DNA?"
        )
    return encode(sequence)
