"""Tables of numbers, one row per gene or peak and one column per sample, as the field's programs write them."""

from __future__ import annotations

import csv
import re
import zlib
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd

from genograph.errors import InputError, nearest
from genograph.genome.lines import read_bytes

TABLES = (".csv", ".tsv", ".txt", ".sf", ".results", ".gct")
_MISSING = frozenset({"", "NA", "N/A", "NaN", "nan", "NULL", "null"})
_GCT = re.compile(rb"#1\.[23]\s*$")


def read_column(
    path: str | Path, column: str, keys: Collection[tuple[str, ...]] = ()
) -> tuple[pd.DataFrame, np.ndarray]:
    """What each row of a table is called, and its number in one column: (rows, keys) text and (rows,) float64.

    Columns are parted by tabs if the header has any, else by commas. Lines before the header that begin with `#`
    are skipped, as is the line of dimensions in a .gct file. A header that is one name short, as R writes it, lacks
    that of the first column. An empty cell and `NA` are missing, NaN.

    Args:
        path: The table, plain or gzip.
        column: The column of numbers.
        keys: Columns that say together what a row is, if a table begins with them (in lower case); else its
            first column does.

    Raises:
        InputError: If the file is no table, has no such column or has it twice, or a cell is no number.
    """
    path = Path(path)
    header, separator, skipped = _read_header(path)
    found = header.count(column)
    if found != 1:
        reason = f"has {found} columns" if found else "has no column"
        raise InputError(f"{path} {reason} '{column}'.{'' if found else nearest(column, header[1:])}")
    lower = tuple(name.lower() for name in header)
    leading = next((len(key) for key in keys if lower[: len(key)] == key), 1)
    wanted = [*range(leading), header.index(column)]
    try:
        table = pd.read_csv(
            path,
            sep=separator,
            skiprows=skipped,
            header=None,
            names=range(len(header)),
            usecols=sorted(set(wanted)),
            dtype=str,
            keep_default_na=False,
        )
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read as a table: {error}") from None
    rows, cells = table[wanted[:-1]], table[wanted[-1]].fillna("").str.strip()
    numbers = pd.to_numeric(cells, errors="coerce").to_numpy(np.float64)
    wrong = np.flatnonzero(~np.isfinite(numbers) & ~cells.isin(_MISSING).to_numpy())
    if len(wrong):
        name = ":".join(map(str, rows.iloc[wrong[0]]))
        raise InputError(f"{path}: '{name}' has '{cells[wrong[0]]}' in column '{column}', not a number.")
    return rows, numbers


def _read_header(path: Path) -> tuple[list[str], str, int]:
    """The names of the columns, what parts them, and how many lines stand before the first row."""
    lines = read_bytes(path)
    skipped, line = 0, next(lines)
    while line.startswith(b"#") and not line.lower().startswith((b"#chr\t", b"#chrom\t", b"#chr,", b"#chrom,")):
        for _ in range(2 if _GCT.match(line) else 1):
            skipped, line = skipped + 1, next(lines, b"")
    try:
        text, first = (each.decode("utf-8-sig").removeprefix("#") for each in (line, next(lines, b"")))
    except UnicodeDecodeError:
        raise InputError(f"{path} is not text. Is it a file of another format?") from None
    separator = "\t" if "\t" in text else ","
    header, row = (next(csv.reader([each], delimiter=separator), []) for each in (text, first))
    if len(row) == len(header) + 1 and row[-1]:  # not a tab too many
        header = ["", *header]
    return [name.strip() for name in header], separator, skipped + 1
