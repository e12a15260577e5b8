"""Pairs of places in text files: loops as BEDPE, and tables of what meets, binds or regulates what."""

from __future__ import annotations

import csv
import logging
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from genograph.errors import InputError, nearest
from genograph.genome.genes import Genes, without_version
from genograph.genome.interval import Interval
from genograph.genome.lines import read_bytes
from genograph.genome.names import match_names

log = logging.getLogger("genograph")

_REGION = re.compile(r"(?P<chrom>.+):(?P<start>\d[\d,_]*)-(?P<end>\d[\d,_]*)")
Column = int | str  # number, from 1, or name in the header


@dataclass(frozen=True, kw_only=True)
class Places:
    """Stretches of a genome, as arrays of one length.

    Attributes:
        chrom: (places,) position of the chromosome among the genome's.
        start: (places,) first base, 0-based.
        end: (places,) one past the last base.
        point: (places,) the base that stands for all: the midpoint, or the TSS of a gene.
    """

    chrom: np.ndarray
    start: np.ndarray
    end: np.ndarray
    point: np.ndarray

    def __len__(self) -> int:
        return len(self.chrom)

    def take(self, rows: np.ndarray) -> Places:
        """Some of them, by number or as a mask."""
        return Places(chrom=self.chrom[rows], start=self.start[rows], end=self.end[rows], point=self.point[rows])


class PlacePairs(NamedTuple):
    """Pairs of places, with a weight each."""

    first: Places
    second: Places
    weight: np.ndarray  # (pairs,) float64


class _Table(NamedTuple):
    path: Path
    header: list[str]  # empty if there is none
    lines: list[int]  # numbers of the rows in the file
    rows: list[list[str]]

    def column(self, wanted: Column) -> int:
        """Position of a column."""
        width = len(self.rows[0])
        if isinstance(wanted, int):
            if not 1 <= wanted <= width:
                raise InputError(f"{self.path} has {width} columns, counted from 1; there is none of number {wanted}.")
            return wanted - 1
        if not self.header:
            raise InputError(f"{self.path} has no header that could name '{wanted}'. Give the column's number, from 1.")
        if self.header.count(wanted) != 1:
            raise InputError(f"{self.path} has no single column '{wanted}'.{nearest(wanted, self.header)}")
        if len(self.header) != width:
            raise InputError(f"{self.path} has a header of {len(self.header)} columns, but rows of {width}.")
        return self.header.index(wanted)

    def with_both(self, first: int, second: int) -> _Table:
        """The rows whose cells in two columns both name something."""
        kept = [number for number, row in enumerate(self.rows) if row[first] and row[second]]
        if not kept:
            raise InputError(f"{self.path}: no row names both ends of a pair.")
        if left := len(self.rows) - len(kept):
            log.info("%s: %d of %d rows name one end only, or none, and are left out.", self.path, left, len(self.rows))
        return self._replace(lines=[self.lines[i] for i in kept], rows=[self.rows[i] for i in kept])

    def weights(self, wanted: Column | None) -> np.ndarray:
        """The numbers of a column, or 1 for all."""
        if wanted is None:
            return np.ones(len(self.rows))
        column = self.column(wanted)
        return np.array([_weight(row[column], self.at(number)) for number, row in enumerate(self.rows)], dtype=float)

    def at(self, row: int) -> str:
        return f"{self.path}, line {self.lines[row]}"


def read_bedpe(
    path: str | Path,
    sizes: Mapping[str, int],
    *,
    weight: Column | None = None,
    aliases: Mapping[str, str] | None = None,
    whole_genome: bool = False,
) -> PlacePairs:
    """The pairs of a BEDPE file, as FitHiChIP, HiCCUPS, chromosight, Mustache and cooltools write loops.

    The first six columns are chrom, start and end of both anchors, whatever a header calls them. A header is a first
    line none of whose coordinates is a number, or a line with `#` and as many columns, as HiCCUPS has it. Pairs on
    chromosomes that the genome does not have are left out. An anchor that runs past the end of its chromosome is cut
    there.

    Args:
        path: The file, plain or gzip.
        sizes: Chromosome sizes in bp.
        weight: Column of the weights; None for 1.
        aliases: Further names of chromosomes, alias -> name.
        whole_genome: Whether to log other chromosomes, see `match_names`.

    Raises:
        InputError: If a line is no pair, an anchor starts beyond its chromosome's end, or a weight is negative or no
            number.
    """
    table = _read(Path(path), 6, lambda row, _: not any(_is_number(row[column]) for column in (1, 2, 4, 5)))
    spots = [
        [_spot(*row[first : first + 3], table.at(number)) for number, row in enumerate(table.rows)] for first in (0, 3)
    ]
    names = {"aliases": aliases or {}, "whole_genome": whole_genome}
    return _on_genome(table, spots, table.weights(weight), sizes, names)


def read_pair_table(
    path: str | Path,
    sizes: Mapping[str, int],
    genes: Genes | None = None,
    *,
    source: Column = 1,
    target: Column = 2,
    weight: Column | None = None,
    aliases: Mapping[str, str] | None = None,
    whole_genome: bool = False,
) -> PlacePairs:
    """The pairs of a table, parted by tabs, or by commas if it is called .csv: regions `chr1:0-1000` or genes.

    A gene is looked up among ids, then Ensembl ids without their version, then names; the point that stands for it is
    its TSS. A row with an empty cell in place of an end is no pair, and left out. The first line is a header if a
    column is asked for by name, or if neither of its ends is a region or gene. Else as `read_bedpe`.

    Raises:
        InputError: As `read_bedpe`, and if a name is that of no gene or of several.
    """
    known = {} if genes is None else genes.numbers()
    wanted = [each for each in (source, target, weight) if isinstance(each, str)]

    def is_header(row: list[str], header: list[str]) -> bool:
        if wanted:
            return not header
        return not any(_REGION.fullmatch(row[each - 1]) or row[each - 1] in known for each in (source, target))

    least = max([2, *(each for each in (source, target) if isinstance(each, int))])
    table = _read(Path(path), least, is_header, "," if ".csv" in Path(path).suffixes else "\t")
    columns = [table.column(each) for each in (source, target)]
    table = table.with_both(*columns)
    spots = [
        [_named_spot(row[column], genes, known, table.at(number)) for number, row in enumerate(table.rows)]
        for column in columns
    ]
    names = {"aliases": aliases or {}, "whole_genome": whole_genome}
    return _on_genome(table, spots, table.weights(weight), sizes, names)


class _Spot(NamedTuple):
    chrom: str
    start: int
    end: int
    point: int


def _read(path: Path, least: int, is_header: Callable[[list[str], list[str]], bool], separator: str = "\t") -> _Table:
    """The rows of a table of at least so many columns, whose header may be its first line or stand behind a `#`."""
    header, lines, rows, is_first = [], [], [], True
    for number, raw in enumerate(read_bytes(path), start=1):
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            raise InputError(f"{path}, line {number}: this is not text. Is it a file of another format?") from None
        row = next(csv.reader([text], delimiter=separator), []) if separator in text else text.split()
        row = [cell.strip() for cell in row]
        if not any(row) or row[0] in ("track", "browser"):
            continue
        if row[0].startswith("#"):
            if is_first and len(row) >= least:
                header = [row[0].removeprefix("#").strip(), *row[1:]]
            continue
        if len(row) < (len(rows[0]) if rows else least):
            raise InputError(
                f"{path}, line {number}: expected {len(rows[0]) if rows else least} columns or more; got '{text}'."
            )
        if is_first and len(header) != len(row):
            header = []  # a comment
        if is_first and is_header(row, header):
            header = row
        else:
            rows.append(row)
            lines.append(number)
        is_first = False
    if not rows:
        raise InputError(f"{path} holds no pair{' below its header' if header else ''}.")
    return _Table(path, header, lines, rows)


def _is_number(cell: str) -> bool:
    """Whether a cell is meant as a number, if not as a whole one: 0.5 and 1e3 are no header."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _spot(chrom: str, start: str, end: str, where: str) -> _Spot:
    try:
        place = Interval(chrom, int(start), int(end))
    except ValueError as error:
        reason = f" {error}" if isinstance(error, InputError) else ""
        raise InputError(f"{where}: expected chrom, start and end; got '{chrom} {start} {end}'.{reason}") from None
    return _Spot(chrom, place.start, place.end, (place.start + place.end) // 2)


def _named_spot(name: str, genes: Genes | None, known: Mapping[str, int], where: str) -> _Spot:
    region = _REGION.fullmatch(name)
    if region:
        start, end = (re.sub("[,_]", "", region[each]) for each in ("start", "end"))
        return _spot(region["chrom"], start, end, where)
    if genes is None:
        raise InputError(f"{where}: '{name}' is no region such as chr1:0-1000, and no genes are known: tracks.genes.")
    gene = known.get(without_version(name))
    if gene is None:
        raise InputError(f"{where}: no gene '{name}'.{nearest(name, known)}")
    if gene < 0:
        raise InputError(f"{where}: several genes are called '{name}'. Give the id of the one that is meant.")
    return _Spot(str(genes.chrom[gene]), int(genes.start[gene]), int(genes.end[gene]), int(genes.tss[gene]))


def _weight(cell: str, where: str) -> float:
    try:
        weight = float(cell)
    except ValueError:
        weight = math.nan
    if not 0 <= weight < math.inf:
        raise InputError(f"{where}: a weight is a number of 0 or more; got '{cell}'.")
    return weight


def _on_genome(
    table: _Table, spots: list[list[_Spot]], weight: np.ndarray, sizes: Mapping[str, int], names: Mapping[str, Any]
) -> PlacePairs:
    """The pairs whose ends are both on chromosomes of the genome."""
    found = list(dict.fromkeys(spot.chrom for side in spots for spot in side))
    matched = match_names([*sizes], found, source=str(table.path), **names)
    index = {other: [*sizes].index(name) for name, other in matched.items()}
    length = np.array([*sizes.values()], dtype=np.int64)
    sides = []
    for side in spots:
        chrom = np.array([index.get(spot.chrom, -1) for spot in side], dtype=np.int64)
        start, end, point = np.array([spot[1:] for spot in side], dtype=np.int64).T
        beyond = np.flatnonzero((chrom >= 0) & (start >= length[chrom]))
        if len(beyond):
            at = int(beyond[0])
            place = f"{side[at].chrom}:{side[at].start}-{side[at].end}"
            raise InputError(
                f"{table.at(at)}: wrong assembly. {place} starts beyond the end of its chromosome, which has "
                f"{length[chrom[at]]:,} bp."
            )
        end = np.minimum(end, length[chrom])
        sides.append(Places(chrom=chrom, start=start, end=end, point=np.minimum(point, end - 1)))
    kept = (sides[0].chrom >= 0) & (sides[1].chrom >= 0)
    return PlacePairs(sides[0].take(kept), sides[1].take(kept), weight[kept])
