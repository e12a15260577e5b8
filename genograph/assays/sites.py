"""Tables of methylated sites: one reader for every format, told apart by content.

Whatever the file, sites come out as rows of chrom, position (0-based), strand, code, methylated reads and coverage.
"""

from __future__ import annotations

import csv
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from genograph.errors import InputError
from genograph.genome.lines import is_gzip, read_bytes

_ROWS = 1_000_000  # read at a time
_COMMENTS = (b"#", b"track", b"browser")
_TYPES: Mapping[str, Any] = {
    **dict.fromkeys(("chrom", "strand", "code"), str),
    **dict.fromkeys(("start", "end", "methylated", "unmethylated", "coverage"), np.int64),
    **dict.fromkeys(("value", "percent"), np.float64),
}
_MISSING = {"value": ["nan", "NaN", "NA", "."], "percent": ["nan", "NaN", "NA", "."]}


@dataclass(frozen=True)
class SiteFormat:
    """A format, and in which of its columns things stand.

    Attributes:
        name: For messages.
        text: Its columns, for messages.
        columns: Position of each column that is read, from 0.
        one_based: Whether it counts bases from 1, with ends that belong to the site.
        of_cytosines: Whether all its sites are cytosines, whatever their code.
    """

    name: str
    text: str
    columns: Mapping[str, int]
    one_based: bool
    of_cytosines: bool = False


_BED = {"chrom": 0, "start": 1, "end": 2}
_BEDMETHYL = _BED | {"code": 3, "strand": 5, "coverage": 9}
CPG_TABLE = SiteFormat("a CpG table", "chrom, position, value", {"chrom": 0, "start": 1, "value": 2}, True, True)
COVERED_TABLE = SiteFormat(
    "a CpG table", "chrom, position, value, coverage", {**CPG_TABLE.columns, "coverage": 3}, True, True
)
BEDGRAPH = SiteFormat("a bedGraph", "chrom, start, end, value", _BED | {"value": 3}, False)
COVERED_BEDGRAPH = SiteFormat(
    "a bedGraph", "chrom, start, end, value, coverage", _BED | {"value": 3, "coverage": 4}, False
)
_COV = ("chrom, start, end, percent, methylated and unmethylated reads", _BED | {"methylated": 4, "unmethylated": 5})
BISMARK = SiteFormat("Bismark coverage", *_COV, True, True)
BISMARK_ZERO = SiteFormat("Bismark or MethylDackel coverage from base 0", *_COV, False, True)
BISMARK_REPORT = SiteFormat(
    "a Bismark cytosine report",
    "chrom, position, strand, methylated and unmethylated reads, context, trinucleotide",
    {"chrom": 0, "start": 1, "strand": 2, "methylated": 3, "unmethylated": 4, "code": 5},
    True,
    True,
)
ENCODE_BEDMETHYL = SiteFormat("bedMethyl", "9 of BED, coverage, percent", _BEDMETHYL | {"percent": 10}, False)
MODKIT_BEDMETHYL = SiteFormat("bedMethyl", "18 of modkit's pileup", _BEDMETHYL | {"methylated": 11}, False)
FORMATS_TEXT = (
    "Bismark coverage or cytosine reports, bedMethyl, bedGraph, bigWig and CpG tables (chrom, position, value)"
)


@dataclass(frozen=True)
class SiteTable:
    """A text file of methylated sites.

    Attributes:
        path: The file.
        format: How it is laid out.
        separator: Between columns, as a regular expression.
        first: Number of its first row's line, from 1.
    """

    path: Path
    format: SiteFormat
    separator: str
    first: int

    @property
    def has_strand(self) -> bool:
        return "strand" in self.format.columns

    @property
    def of_cytosines(self) -> bool:
        return self.format.of_cytosines

    @property
    def has_counts(self) -> bool:
        return "value" not in self.format.columns

    def survey(self) -> tuple[list[str], list[str]]:
        """The chromosomes and the codes (or contexts) of the file, in order of appearance."""
        chroms, codes = {}, {}
        for rows in self._read(["chrom", "code"] if "code" in self.format.columns else ["chrom"]):
            chroms |= dict.fromkeys(rows["chrom"].unique())
            codes |= dict.fromkeys(rows["code"].unique()) if "code" in rows else {}
        return list(chroms), list(codes)

    def sites(self, scale: float = 1.0) -> Iterator[pd.DataFrame]:
        """Columns chrom, position, strand, code (the last two if the file has them), methylated and coverage.

        Args:
            scale: Factor that makes values fractions.

        Raises:
            InputError: If a row is not of the format, is longer than 2 bp, or a count or fraction is impossible.
        """
        for rows in self._read(list(self.format.columns)):
            self._check_width(rows)
            position = rows["start"] - self.format.one_based
            kept = rows[[name for name in ("chrom", "strand", "code") if name in rows]]
            yield kept.assign(position=position, **self._counts(rows, scale))

    def fail(self, row: int, reason: str) -> InputError:
        """The error of one row, numbered from 0, with its line."""
        numbered = enumerate(read_bytes(self.path), start=1)
        data = ((number, line) for number, line in numbered if number >= self.first and line.strip())
        number, line = next(islice(data, row, None))
        return InputError(f"{self.path}, line {number}: {reason}; got '{_shown(line)}'.")

    def _counts(self, rows: pd.DataFrame, scale: float) -> dict[str, pd.Series]:
        """Methylated reads and coverage; a value without a coverage is one read, a missing value none."""
        if "unmethylated" in rows:
            methylated, coverage = rows["methylated"], rows["methylated"] + rows["unmethylated"]
        elif "methylated" in rows:
            methylated, coverage = rows["methylated"], rows["coverage"]
        elif "percent" in rows:
            coverage = rows["coverage"].where(rows["percent"].notna(), 0)
            methylated = (rows["percent"].fillna(0) * coverage / 100).round()
        else:
            value = rows["value"] * scale
            self._check(rows, ~(value < 0), "a methylated fraction is 0 to 1, not negative")
            self._check(rows, ~(value > 1), fraction_error(scale))
            coverage = (rows["coverage"] if "coverage" in rows else pd.Series(1, rows.index)).where(value.notna(), 0)
            methylated = value.fillna(0) * coverage
        counts = {name: rows[name] for name in ("methylated", "unmethylated", "coverage") if name in rows}
        for name, count in counts.items():
            self._check(rows, count >= 0, f"a count is negative ({name} reads)")
        self._check(rows, (methylated >= 0) & (methylated <= coverage), "more methylated reads than reads")
        return {"methylated": methylated, "coverage": coverage}

    def _check_width(self, rows: pd.DataFrame) -> None:
        if "end" in rows:
            width = rows["end"] - rows["start"] + self.format.one_based
            self._check(rows, (width == 1) | (width == 2), "a row is one site, a base or the two of a CpG")

    def _check(self, rows: pd.DataFrame, good: pd.Series, reason: str) -> None:
        if not good.all():
            raise self.fail(rows.index[~good][0], reason)

    def _read(self, names: Sequence[str]) -> Iterator[pd.DataFrame]:
        """Some columns of all rows, in chunks whose index counts on."""
        columns = {self.format.columns[name]: name for name in names}
        try:
            with pd.read_csv(
                self.path,
                sep=self.separator,
                header=None,
                names=range(max(self.format.columns.values()) + 1),
                usecols=list(columns),
                dtype={column: _TYPES[name] for column, name in columns.items()},
                index_col=False,
                skiprows=self.first - 1,
                compression="gzip" if is_gzip(self.path) else None,
                quoting=csv.QUOTE_NONE,
                keep_default_na=False,
                na_values={column: _MISSING.get(name, []) for column, name in columns.items()},
                encoding_errors="replace",
                chunksize=_ROWS,
            ) as reader:
                for rows in reader:
                    yield rows.rename(columns=columns)
        except (ValueError, OverflowError) as error:
            raise self._wrong_row() or InputError(f"{self.path} is not {self.format.name}: {error}") from None
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"{self.path} cannot be read to its end ({error}). Copy or download it again.") from None

    def _wrong_row(self) -> InputError | None:
        """The error of the first row that cannot be converted."""
        data = (line for line in islice(read_bytes(self.path), self.first - 1, None) if line.strip())
        for row, line in enumerate(data):
            if not _fits(self.format, _split(line, self.separator)):
                return self.fail(row, f"expected {self.format.name} ({self.format.text})")
        return None


def fraction_error(scale: float) -> str:
    """What to say of a value outside 0 to 1."""
    hint = "" if scale != 1 else ". If the file gives percent, set scale to 0.01 in the targets table"
    return f"a methylated fraction is 0 to 1{' after scale' if scale != 1 else ''}{hint}"


def open_sites(path: Path) -> SiteTable:
    """The format of a text file of sites, by its first rows; a header or comments before them are skipped.

    Coverage counted from base 0 looks like coverage counted from 1: it is told by Bismark's name for it, `.zero.cov`,
    or as MethylDackel writes it, by the name or the track line of a bedGraph.

    Raises:
        InputError: If it is none that is known.
    """
    numbered = enumerate(read_bytes(path), start=1)
    head = [(number, line) for number, line in islice(numbered, 1000) if line.strip()]
    rows = [(number, line) for number, line in head if not line.startswith(_COMMENTS)]
    if len(rows) > 1 and _is_header(rows[0][1]):
        rows = rows[1:]
    signs = [path.name.encode(), *(line for _, line in head if line.startswith(b"track"))]
    from_zero = any(sign in each.lower() for each in signs for sign in (b".zero.", b"bedgraph"))
    for number, line in rows[:1]:
        columns = len(_split(line, "\t"))
        for separator in ("\t", r"\s+"):
            fields = _split(line, separator)
            layout = _recognise(fields, from_zero)
            if layout is not None and len(fields) >= columns:  # fewer: one of its columns is empty
                return SiteTable(path, layout, separator, number)
        raise InputError(
            f"{path}, line {number}: not a table of methylated sites; got '{_shown(line)}'. "
            f"Known are {FORMATS_TEXT}, with tabs or spaces between columns."
        )
    raise InputError(f"{path} holds no row in its first 1,000 lines.")


def _shown(line: bytes) -> str:
    """The start of a line, for a message; what is no text is a question mark."""
    return "".join(each if each.isprintable() or each == "\t" else "?" for each in line.decode(errors="replace")[:200])


def _recognise(fields: list[str], from_zero: bool) -> SiteFormat | None:
    """The format that a row with these fields has, if any."""
    by_count = {
        3: [CPG_TABLE],
        # A fraction of at most 1 lies below every position, an end above its start.
        4: [BEDGRAPH if len(fields) == 4 and _is_end(*fields[1:3]) else COVERED_TABLE],
        5: [COVERED_BEDGRAPH],
        6: [BISMARK_ZERO if from_zero else BISMARK],
        7: [BISMARK_REPORT],
    }
    bedmethyl = [MODKIT_BEDMETHYL] * (len(fields) >= 18) + [ENCODE_BEDMETHYL] * (11 <= len(fields) < 18)
    return next((each for each in chain(by_count.get(len(fields), []), bedmethyl) if _fits(each, fields)), None)


def _is_end(start: str, end: str) -> bool:
    return start.isdecimal() and end.isdecimal() and int(end) > int(start)


def _is_header(line: bytes) -> bool:
    """Whether no field after the first is a number."""
    fields = line.decode(errors="replace").split()
    return len(fields) > 2 and not any(_converts(field, np.float64) for field in fields[1:])


def _split(line: bytes, separator: str) -> list[str]:
    text = line.decode(errors="replace")
    return text.split("\t") if separator == "\t" else text.split()


def _fits(layout: SiteFormat, fields: list[str]) -> bool:
    """Whether every column that is read is there and of its type."""
    if len(fields) <= max(layout.columns.values()):
        return False
    return all(_holds(name, fields[column]) for name, column in layout.columns.items())


def _holds(name: str, field: str) -> bool:
    """Whether a column may hold this."""
    if name == "strand":
        return field in ("+", "-", ".")
    return _TYPES[name] is str or field in _MISSING.get(name, ()) or _converts(field, _TYPES[name])


def _converts(field: str, dtype: type) -> bool:
    try:
        dtype(field)
    except (ValueError, OverflowError):
        return False
    return True
