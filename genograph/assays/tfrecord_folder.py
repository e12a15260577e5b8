"""Data folders of Basenji and Baskerville: windows of sequence with their targets, as TFRecords.

    statistics.json          seq_length, pool_width, crop_bp (0 if absent), num_targets, ...
    sequences.bed            chrom, start, end and split (or fold) of every window
    targets.txt              the targets table; its files are where the values came from, and need not be there
    tfrecords/SPLIT-i.tfr    the windows of a split in the order of sequences.bed: `sequence`, a uint8 code per base,
                             and `target`, float16 of (target_length, num_targets)

An interval of sequences.bed is what is predicted; the sequence goes on for crop_bp on both sides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from genograph.assays.targets import Target, read_targets
from genograph.assays.tfrecords import parse_example, read_records
from genograph.errors import InputError
from genograph.genome.assembly import N
from genograph.genome.interval import Interval
from genograph.genome.lines import read_lines

_SHARD = re.compile(r"(?P<split>.+?)(?P<numbers>(-\d+)+)\.tfr")
_ASSAY_OF_PREFIX = {"CAGE": "expression", "RNA": "expression", "DNASE": "accessibility", "ATAC": "accessibility"}


@dataclass(frozen=True)
class RecordWindow:
    """One window: what is predicted of it, 0-based and half-open, and the name of its split or fold."""

    predicted: Interval
    split: str


@dataclass(frozen=True)
class RecordFolder:
    """A folder of TFRecords, checked as far as can be without reading them.

    Attributes:
        path: The folder.
        seq_length: bp of a window's sequence.
        pool_width: bp of a bin.
        crop: bp at both ends of a sequence that are not predicted.
        num_targets: Columns of a record's target.
        windows: Split by split, within it in the order of sequences.bed and of the records.
        targets: The tracks that are taken.
        shards: The files of each split, in the order of the windows' splits and of their numbers.
    """

    path: Path
    seq_length: int
    pool_width: int
    crop: int
    num_targets: int
    windows: list[RecordWindow]
    targets: list[Target]
    shards: dict[str, list[Path]]

    @classmethod
    def open(cls, path: str | Path, targets: str | Path | None = None) -> RecordFolder:
        """The folder at `path`.

        Args:
            path: The folder that holds statistics.json.
            targets: A targets table in place of the folder's; its indices choose columns of the records.

        Raises:
            InputError: If a file is missing, or what the files say does not agree.
        """
        path = Path(path)
        sizes = _read_statistics(path / "statistics.json")
        rows = _read_targets(Path(targets) if targets else path / "targets.txt")
        num_targets = sizes.pop("num_targets", None) or 1 + max(row.index for row in rows)
        for row in rows:
            if row.index >= num_targets:
                raise InputError(
                    f"{path}: target '{row.identifier}' has index {row.index}, the records have {num_targets} columns. "
                    "The index of a target is its column."
                )
        windows = _read_windows(path / "sequences.bed", **sizes)
        shards = _find_shards(path / "tfrecords", list(dict.fromkeys(window.split for window in windows)))
        return cls(path, **sizes, num_targets=num_targets, windows=windows, targets=rows, shards=shards)

    @property
    def target_length(self) -> int:
        """Bins of a record's target."""
        return (self.seq_length - 2 * self.crop) // self.pool_width

    def records(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Codes, (seq_length,) uint8, and targets, (target_length, tracks) float16, of every window in their order.

        Raises:
            InputError: If a file is damaged, holds something else, or the number of records is not that of the windows.
        """
        columns = [target.index for target in self.targets]
        for split, shards in self.shards.items():
            expected = sum(window.split == split for window in self.windows)
            count = 0
            for shard in shards:
                for record in read_records(shard):
                    codes, target = self._unpack(record, shard)
                    count += 1
                    if count <= expected:
                        yield codes, target[:, columns]
            if count != expected:
                raise InputError(
                    f"{self.path}: the files {split}-*.tfr hold {count} records, sequences.bed has {expected} windows "
                    f"of '{split}'. Is a file missing, or is the table of another folder?"
                )

    def _unpack(self, record: bytes, shard: Path) -> tuple[np.ndarray, np.ndarray]:
        try:
            features = parse_example(record)
        except InputError as error:
            raise InputError(f"{shard}: {error}") from None
        for name, length in (("sequence", self.seq_length), ("target", 2 * self.target_length * self.num_targets)):
            if name not in features:
                raise InputError(f"{shard}: a record has no feature '{name}'; it has {', '.join(features) or 'none'}.")
            if len(features[name]) != length:
                raise InputError(
                    f"{shard}: '{name}' of a record has {len(features[name]):,} bytes, by statistics.json it has "
                    f"{length:,}. A sequence is read as one uint8 per base, A C G T N = 0 to 4, not as one-hot; a "
                    "target as float16."
                )
        codes = np.frombuffer(features["sequence"], dtype=np.uint8)
        if codes.max() > N:
            raise InputError(f"{shard}: a sequence holds the code {codes.max()}; A C G T N are 0 to 4.")
        target = np.frombuffer(features["target"], dtype="<f2").reshape(self.target_length, self.num_targets)
        if np.isinf(target).any():
            raise InputError(f"{shard}: a target is infinite, beyond what float16 holds. Scale or clip that track.")
        return codes, target


def assay_of(description: str) -> str:
    """The assay that a description such as `CAGE:liver` names by what stands before its first colon."""
    prefix = description_prefix(description).upper()
    return _ASSAY_OF_PREFIX.get(prefix.rstrip("0123456789"), "coverage")


def description_prefix(description: str) -> str:
    """`CAGE` of `CAGE:liver`; empty if no single word and colon stand first."""
    prefix, colon, _ = description.partition(":")
    return prefix if colon and prefix and not prefix.count(" ") else ""


def _read_statistics(path: Path) -> dict[str, int]:
    """seq_length, pool_width, crop and, if stated, num_targets."""
    try:
        statistics: Any = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}). It belongs into a folder of Basenji's TFRecords.") from None
    if not isinstance(statistics, dict):
        raise InputError(f"{path} holds no statistics: expected an object with seq_length and pool_width.")

    def number(key: str, default: int | None = None, least: int = 1) -> int:
        value = statistics.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise InputError(f"{path}: '{key}' must be a whole number of at least {least}; got {value!r}.")
        return value

    seq_length, pool_width, crop = number("seq_length"), number("pool_width"), number("crop_bp", 0, least=0)
    found = {"seq_length": seq_length, "pool_width": pool_width, "crop": crop}
    if 2 * crop >= seq_length or (seq_length - 2 * crop) % pool_width or crop % pool_width:
        raise InputError(
            f"{path}: a sequence of {seq_length} bp less crop_bp {crop} on both sides is no whole number of bins of "
            f"pool_width {pool_width}, or its first bin does not start at a multiple of it."
        )
    length = (seq_length - 2 * crop) // pool_width
    if statistics.get("target_length", length) != length:
        raise InputError(
            f"{path}: target_length is {statistics['target_length']}, but ({seq_length} - 2 * {crop}) / {pool_width} "
            f"is {length}. Only targets along the sequence are read, not contact maps."
        )
    return found | ({"num_targets": number("num_targets")} if "num_targets" in statistics else {})


def _read_targets(path: Path) -> list[Target]:
    """The rows of the table; without a column `assay`, that which the description names."""
    targets = read_targets(path, with_files=False)
    header = next(line for _, line in read_lines(path)).split("\t")
    for target in targets:
        if target.strand_pair is None and target.identifier[-1] in "+-":
            raise InputError(
                f"{path}: '{target.identifier}' looks like one strand of a pair, but names no strand_pair, so it would "
                "learn the other strand from reverse complements. Give its partner's index, or its own for none."
            )
    if "assay" in header:
        return targets
    return [replace(target, assay=assay_of(target.description)) for target in targets]


def _read_windows(path: Path, *, seq_length: int, pool_width: int, crop: int) -> list[RecordWindow]:
    """The windows, split by split."""
    windows: dict[str, list[RecordWindow]] = {}
    for number, line in read_lines(path):
        columns = line.split("\t")
        try:
            place, split = Interval(columns[0], int(columns[1]), int(columns[2])), columns[3].strip()
        except (IndexError, ValueError):
            raise InputError(f"{path}, line {number}: expected chrom, start, end and split; got '{line}'.") from None
        if len(place) == seq_length and crop:  # older folders list what is read, not what is predicted
            place = Interval(place.chrom, place.start + crop, place.end - crop)
        if len(place) != seq_length - 2 * crop:
            raise InputError(
                f"{path}, line {number}: {place} has {len(place):,} bp; by statistics.json a window predicts "
                f"{seq_length - 2 * crop:,} bp of {seq_length:,} bp of sequence."
            )
        windows.setdefault(split, []).append(RecordWindow(place, split))
    listed = list(chain.from_iterable(windows.values()))
    seen: set[Interval] = set()
    for window in listed:
        if window.predicted in seen:
            raise InputError(f"{path}: {window.predicted} is listed twice. Leave one of the two out, and its record.")
        seen.add(window.predicted)
    return listed


def _find_shards(folder: Path, splits: Sequence[str]) -> dict[str, list[Path]]:
    """The files of each split, by number: 10 after 9."""
    shards: dict[str, list[tuple[list[int], Path]]] = {}
    for path in sorted(folder.glob("*.tfr")):
        match = _SHARD.fullmatch(path.name)
        if match is None:
            raise InputError(f"{path}: expected a name such as train-0.tfr, a split and a number.")
        numbers = [int(number) for number in match["numbers"].strip("-").split("-")]
        shards.setdefault(match["split"], []).append((numbers, path))
    if not shards:
        raise InputError(f"{folder} holds no .tfr file.")
    if shards.keys() != set(splits):
        raise InputError(
            f"{folder} has files of {', '.join(sorted(shards))}, sequences.bed has windows of "
            f"{', '.join(splits)}. Each split needs both."
        )
    return {split: [path for _, path in sorted(shards[split])] for split in splits}
