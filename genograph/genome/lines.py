"""Text files of genomics, plain or gzip, read line by line with errors that name the file."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from genograph.errors import InputError


def is_gzip(path: Path) -> bool:
    """Whether a file is gzip or bgzip, whatever its name."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def read_bytes(path: str | Path) -> Iterator[bytes]:
    """The lines of a plain, gzip or bgzip file, as bytes without their line ends.

    Raises:
        InputError: If the file is missing, empty, unreadable or a truncated gzip.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"No file {path}. Check the path; relative paths start at the file that names them.")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty.")
    try:
        with gzip.open(path, "rb") if is_gzip(path) else path.open("rb") as file:
            for line in file:
                yield line.rstrip(b"\r\n")
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(f"{path} cannot be read to its end ({error}). Copy or download it again.") from None


def read_lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """Line number, from 1, and text of every line that is neither blank nor a `#` comment.

    Raises:
        InputError: As `read_bytes`, and where the file is not text.
    """
    for number, line in enumerate(read_bytes(path), start=1):
        if line.startswith(b"#") or not line.strip():
            continue
        try:
            yield number, line.decode()
        except UnicodeDecodeError:
            raise InputError(f"{path}, line {number}: this is not text. Is it a file of another format?") from None
