"""The targets table: which tracks to learn, from which files, and how their values are transformed."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from genograph.assays.assay import ASSAYS
from genograph.errors import InputError, nearest
from genograph.genome.lines import read_lines

SUM_STATS = ("sum", "mean", "median", "max", "sum_sqrt", "mean_sqrt", "peak")
REQUIRED = ("identifier", "file")
COLUMNS = (
    "index",
    *REQUIRED,
    *("clip", "clip_soft", "scale", "sum_stat", "strand_pair", "description"),
    *("assay", "cell_type", "strand"),
)


@dataclass(frozen=True, kw_only=True)
class Target:
    """One track to learn: a row of the targets table.

    Attributes:
        identifier: Its name, unique in the table.
        index: Its number in the table, for reports.
        file: bigWig, bedGraph, expression table, peaks, peak-by-cell matrix or table of methylated sites.
        column: Column of a table, or group or cell of a matrix, where empty means the identifier; modification code
            of a bedMethyl file.
        clip: Values are clipped to plus and minus this, last of all; None leaves them.
        clip_soft: Above this, values grow with the square root; None leaves them.
        scale: Factor on the value of every base, first of all; 0.01 where methylation is given in percent.
        sum_stat: How the bases of a bin become one value; see `genograph.assays.transforms`.
        strand_pair: Identifier of the same experiment's other strand; its own or None if unstranded.
        description: For reports.
        assay: A name in `ASSAYS`.
        cell_type: For reports.
        strand: `+`, `-` or `.`; which genes of an expression table, or sites of methylation, count.
    """

    identifier: str
    index: int = 0
    file: Path
    column: str = ""
    clip: float | None = None
    clip_soft: float | None = None
    scale: float = 1.0
    sum_stat: str = "mean"
    strand_pair: str | None = None
    description: str = ""
    assay: str = "coverage"
    cell_type: str = ""
    strand: str = "."


def read_targets(path: str | Path, root: str | Path | None = None, *, with_files: bool = True) -> list[Target]:
    """The rows of a targets table, as Basenji's: tab-separated, with a header.

    Columns are `index` (may be unnamed or absent), `identifier`, `file`, and if wanted `clip`, `clip_soft`,
    `scale`, `sum_stat`, `strand_pair` (the partner's index), `description`, `assay`, `cell_type` and
    `strand`. An empty cell takes the default. One column of an expression table is `table.csv::column`, one
    modification of a bedMethyl file `calls.bed.gz::m`.

    Args:
        path: The table.
        root: Folder that relative files start from; by default the table's own.
        with_files: Whether the files are to be read. If not, as where values come from elsewhere, they need not be
            there, and further columns are passed over.

    Raises:
        InputError: If a column, an index, an identifier, an assay, a sum_stat, a number, a file or a strand
            pair is wrong, or an index or identifier comes twice.
    """
    path = Path(path)
    lines = [line for _, line in read_lines(path)]
    rows = csv.DictReader(lines, delimiter="\t")
    header = [column or "index" for column in rows.fieldnames or []]
    rows.fieldnames = header
    _check_header(header, path, strict=with_files)
    table = [{column: (row[column] or "").strip() for column in header} for row in rows]
    if not table:
        raise InputError(f"{path} lists no target below its header.")
    root = Path(root) if root is not None else path.parent
    targets = [_target(row, number, root, path, with_files) for number, row in enumerate(table)]
    identifiers = [target.identifier for target in targets]
    for identifier in identifiers:
        if identifiers.count(identifier) > 1:
            raise InputError(f"{path}: the identifier '{identifier}' comes twice. Give each target its own.")
    return _paired(targets, table, path)


def strand_permutation(targets: Sequence[Target]) -> list[int]:
    """The position of each target's other strand, or its own: where it goes under reverse complement."""
    position = {target.identifier: index for index, target in enumerate(targets)}
    return [position[target.strand_pair or target.identifier] for target in targets]


def _check_header(header: list[str], path: Path, *, strict: bool) -> None:
    for column in header:
        if strict and column not in COLUMNS:
            raise InputError(f"{path}: unknown column '{column}'.{nearest(column, COLUMNS)}")
        if header.count(column) > 1:
            raise InputError(f"{path}: the column '{column}' comes twice.")
    for column in REQUIRED:
        if column not in header:
            raise InputError(f"{path} has no column '{column}'. Its columns are {', '.join(header)}.")


def _target(row: dict[str, str], number: int, root: Path, path: Path, with_files: bool) -> Target:
    identifier = row["identifier"]
    where = f"{path}, target '{identifier}'"
    if not identifier:
        raise InputError(f"{path}: a target has no identifier: {' '.join(row.values())}.")
    if identifier.startswith(".") or {"/", "\0"} & set(identifier):
        raise InputError(
            f"{path}: the identifier {identifier!r} cannot name a file, as predictions go to <identifier>.bw. "
            "Leave out slashes, NUL and a leading dot."
        )
    index = row.get("index") or str(number)
    if not index.isdecimal():
        raise InputError(f"{where}: index must be a whole number of 0 or more; got '{index}'.")
    name, _, column = row["file"].partition("::")
    file = root / name
    if with_files and not (name and file.is_file()):
        raise InputError(f"{where}: no file {file}. Relative files start from {root}.")
    given = {key: row[key] for key in ("description", "cell_type", "sum_stat", "assay", "strand") if row.get(key)}
    for key, known in (("sum_stat", SUM_STATS), ("assay", ASSAYS), ("strand", ("+", "-", "."))):
        if key in given and given[key] not in known:
            raise InputError(f"{where}: unknown {key} '{given[key]}'.{nearest(given[key], known)}")
    numbers = {key: _positive(row[key], key, where) for key in ("clip", "clip_soft", "scale") if row.get(key)}
    target = Target(identifier=identifier, index=int(index), file=file, column=column, **given, **numbers)
    if ASSAYS[target.assay].kind == "statistic":
        raise InputError(f"{where}: {target.assay} are computed from other tracks; ask for them by model.heads.")
    if ASSAYS[target.assay].kind == "ratio" and (numbers.keys() - {"scale"} or target.sum_stat != "mean"):
        raise InputError(f"{where}: {target.assay} is a fraction and takes no clip, clip_soft or sum_stat.")
    return target


def _positive(text: str, key: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise InputError(f"{where}: {key} must be a positive number; got '{text}'.")
    return number


def _paired(targets: list[Target], table: list[dict[str, str]], path: Path) -> list[Target]:
    """Targets with partners by identifier, as an index does not survive a selection of rows."""
    by_index = {str(target.index): target for target in targets}
    if len(by_index) < len(targets):
        raise InputError(f"{path}: two targets have the same index.")
    paired = []
    for target, row in zip(targets, table, strict=True):
        pair = row.get("strand_pair") or None
        if pair is not None and pair not in by_index:
            raise InputError(f"{path}, target '{target.identifier}': no row has the strand_pair index '{pair}'.")
        paired.append(replace(target, strand_pair=pair and by_index[pair].identifier))
    by_identifier = {target.identifier: target for target in paired}
    for target in paired:
        if target.strand != "." and target.strand_pair in (None, target.identifier):
            raise InputError(
                f"{path}: '{target.identifier}' is of strand {target.strand} and names no strand_pair, so it would "
                "learn the other strand from reverse complements. Give both strands, or strand '.'."
            )
        if target.strand_pair is None:
            continue
        other = by_identifier[target.strand_pair]
        if other.strand_pair != target.identifier or other.assay != target.assay:
            raise InputError(
                f"{path}: strand_pair of '{target.identifier}' is '{other.identifier}', but not the other "
                "way round, or the two differ in assay. Partners name each other and are one assay."
            )
    return paired
