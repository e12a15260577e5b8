"""Peak-by-cell matrices of single-cell ATAC-seq, as Cell Ranger writes them: which peaks are open in which cell."""

from __future__ import annotations

import csv
import logging
import re
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.io import mmread

from genograph.errors import InputError
from genograph.genome.bed import read_intervals
from genograph.genome.lines import read_lines
from genograph.genome.names import shorten

_LOGGER = logging.getLogger("genograph")
_ROWS, _CELLS, _GROUPS = ("peaks.bed", "features.tsv"), ("barcodes.tsv",), ("clusters.csv", "clusters.tsv")
_REGION = re.compile(r"(.+)[:_-](\d+)[_-](\d+)")  # chr1:5-9, chr1-5-9, chr1_5_9


@dataclass(frozen=True)
class PeakMatrix:
    """Which peaks have a read in which cell.

    Attributes:
        path: Of the matrix.
        peaks: Columns chrom, start, end; one row per peak.
        is_open: (peaks, cells) True where there is a read, sparse.
        cells: Position of each cell, by barcode.
        groups: Positions of the cells of each group; empty without a table of groups.
    """

    path: Path
    peaks: pd.DataFrame
    is_open: sparse.csc_array
    cells: dict[str, int]
    groups: dict[str, list[int]]

    def share_open(self, name: str) -> np.ndarray:
        """The share of a group's cells that have a read in each peak, or 1 and 0 for one cell: (peaks,).

        Raises:
            InputError: If there is neither a group nor a cell of this name.
        """
        if name not in self.groups and name not in self.cells:
            groups = f"the groups {shorten(self.groups)}" if self.groups else "no clusters.csv with groups beside it"
            raise InputError(
                f"{self.path}: no group and no cell '{name}'. It has {groups}, and the cells {shorten(self.cells, 3)}."
            )
        chosen = self.groups.get(name) or [self.cells[name]]
        return np.bincount(self.is_open[:, chosen].indices, minlength=len(self.peaks)) / len(chosen)


def read_matrix(path: Path) -> PeakMatrix:
    """The matrix `matrix.mtx` (or `NAME_matrix.mtx`; all files also as .gz) and what stands beside it.

    Rows are the peaks of `peaks.bed`, or the rows of `features.tsv` that are peaks; columns are the cells of
    `barcodes.tsv`. Groups are the second column of `clusters.csv` or `clusters.tsv`, if there is one, whose first
    column is the barcode; it has a header. The last matrix is kept until `forget_matrix`.

    Raises:
        InputError: If a file is missing or damaged, or the files do not agree.
    """
    return _read_matrix(path, tuple(file.stat().st_mtime_ns for file in files_of_matrix(path)))


def forget_matrix() -> None:
    """Give back the memory of the matrix that was read last."""
    _read_matrix.cache_clear()


def files_of_matrix(path: Path) -> list[Path]:
    """The matrix and those of the files beside it that there are."""
    return [path, *(file for names in (_ROWS, _CELLS, _GROUPS) if (file := _beside(path, names)))]


def parse_peaks(names: list[str], path: Path) -> pd.DataFrame:
    """The places of peaks that are named by them, `chr1:100-600`: columns chrom, start, end.

    Raises:
        InputError: If a name is not a place.
    """
    places = []
    for name in names:
        match = _REGION.fullmatch(name)
        if match is None or not int(match[2]) < int(match[3]):
            raise InputError(f"{path}: '{name}' is no peak; expected chrom:start-end, 0-based and half-open.")
        places.append((match[1], int(match[2]), int(match[3])))
    return pd.DataFrame(places, columns=["chrom", "start", "end"])


@lru_cache(maxsize=1)
def _read_matrix(path: Path, times: tuple[int, ...]) -> PeakMatrix:
    """Cached, as each of its groups is a track of its own; a file that changes is read again."""
    rows, barcodes = (_beside(path, names) for names in (_ROWS, _CELLS))
    if rows is None or barcodes is None:
        raise InputError(f"{path} needs {' or '.join(_ROWS)}, and {_CELLS[0]}, beside it.")
    is_peak, peaks = _read_rows(rows)
    cells = {line.split("\t")[0].strip(): number for number, (_, line) in enumerate(read_lines(barcodes))}
    try:
        counts = sparse.csc_array(mmread(path))
    except (ValueError, OverflowError, OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read as a matrix in MatrixMarket format: {error}") from None
    if counts.shape != (len(is_peak), len(cells)):
        raise InputError(
            f"{path} has {counts.shape[0]} rows and {counts.shape[1]} columns, but {rows.name} has {len(is_peak)} "
            f"rows and {barcodes.name} {len(cells)} different barcodes. Rows are peaks and columns are cells."
        )
    is_open = counts > 0
    if not is_peak.all():
        is_open = sparse.csc_array(is_open.tocsr()[np.flatnonzero(is_peak)])
    return PeakMatrix(path, peaks, is_open, cells, _read_groups(_beside(path, _GROUPS), cells))


def _read_rows(path: Path) -> tuple[np.ndarray, pd.DataFrame]:
    """Which rows of the matrix are peaks, (rows,), and the places of these."""
    if ".bed" in path.suffixes:
        places = [(each.chrom, each.start, each.end) for each in read_intervals(path)]
        return np.ones(len(places), dtype=bool), pd.DataFrame(places, columns=["chrom", "start", "end"])
    rows = [line.split("\t") for _, line in read_lines(path)]
    is_peak = np.array([len(row) < 3 or row[2] == "Peaks" for row in rows])  # else a gene
    return is_peak, parse_peaks([row[0] for row, kept in zip(rows, is_peak, strict=True) if kept], path)


def _read_groups(path: Path | None, cells: dict[str, int]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    if path is None:
        return groups
    lines = [line for _, line in read_lines(path)]
    unknown, seen = [], set()
    rows = list(csv.reader(lines, delimiter="\t" if "\t" in lines[0] else ","))
    for row in rows if rows[0][0] in cells else rows[1:]:  # a header is no cell
        if len(row) < 2:
            raise InputError(f"{path}: expected barcode and group; got '{','.join(row)}'.")
        if (row[0], row[1]) in seen:
            raise InputError(f"{path}: cell '{row[0]}' comes twice in group '{row[1]}'. Leave out one of the rows.")
        seen.add((row[0], row[1]))
        if row[0] in cells:
            groups.setdefault(row[1], []).append(cells[row[0]])
        else:
            unknown.append(row[0])
    if not groups:
        raise InputError(f"{path}: none of its barcodes is in the matrix. It has {shorten(unknown, 3)}.")
    if unknown:
        _LOGGER.warning(f"{path.name}: the matrix does not have {len(unknown)} of its cells: {shorten(unknown, 3)}")
    return groups


def _beside(path: Path, names: tuple[str, ...]) -> Path | None:
    """The first file of these names that there is; `NAME_matrix.mtx` has `NAME_` before them all."""
    prefix = path.name.partition("matrix.mtx")[0] if "matrix.mtx" in path.name else ""
    files = [path.with_name(f"{prefix}{name}{end}") for name in names for end in ("", ".gz")]
    return next((file for file in files if file.is_file()), None)
