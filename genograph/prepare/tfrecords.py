"""A store of a folder of TFRecords: every window becomes a contig, called by its place, with its own split."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track

from genograph.assays.assay import ASSAYS
from genograph.assays.targets import Target
from genograph.assays.tfrecord_folder import RecordFolder
from genograph.config import Config
from genograph.errors import InputError, nearest
from genograph.genome.assembly import is_sequenced
from genograph.genome.splits import SPLITS
from genograph.store import Contig, Store


class Plan(NamedTuple):
    """What a store is made of, and how.

    Attributes:
        recipe: The settings that decide what it holds.
        sources: Every file that goes into it, by the key that names it.
        build: Writes the arrays into a folder and returns what the manifest says of them.
    """

    recipe: dict[str, Any]
    sources: dict[str, Path]
    build: Callable[[Path], dict[str, Any]]


def plan_tfrecords(config: Config) -> Plan:
    """The plan of a store of a folder of TFRecords.

    Raises:
        InputError: If the folder is damaged, or its bins are not those of the config.
    """
    tfrecords = config.section("tfrecords")
    records = RecordFolder.open(tfrecords.folder, tfrecords.targets)
    if config.bins.bin_size != records.pool_width:
        raise InputError(
            f"bins.bin_size is {config.bins.bin_size}, but the records of {records.path} have a pool_width of "
            f"{records.pool_width}. Set bins.bin_size: {records.pool_width}."
        )
    shards = [shard for shards in records.shards.values() for shard in shards]
    sources = {
        "tfrecords.targets": tfrecords.targets or records.path / "targets.txt",
        **{f"tfrecords {name}": records.path / name for name in ("statistics.json", "sequences.bed")},
        **{f"tfrecords {shard.name}": shard for shard in shards},
    }
    recipe = {"bins": config.bins.model_dump(), "tfrecords": True}
    return Plan(recipe, sources, partial(_build, config, records))


def split_of_contigs(config: Config, store: Store) -> np.ndarray:
    """TRAIN, VALID, TEST or NONE for every bin of a store of TFRecords: (bins,) int8.

    Raises:
        InputError: If a split that is asked for is not there, or is asked for twice.
    """
    tfrecords, contigs = config.section("tfrecords"), list((store.contigs or {}).values())
    present = dict.fromkeys(contig.split for contig in contigs)
    held_out = [*tfrecords.valid, *tfrecords.test]
    rest = [name for name in present if name not in held_out]
    wanted = {"train": rest if tfrecords.train is None else tfrecords.train}
    wanted |= {"valid": tfrecords.valid, "test": tfrecords.test}
    code: dict[str, int] = {}
    for split, names in wanted.items():
        for name in names:
            if name not in present:
                raise InputError(f"tfrecords.{split}: sequences.bed has no '{name}'.{nearest(name, present)}")
            if name in code:
                raise InputError(f"tfrecords: '{name}' is named twice among train, valid and test. Splits must differ.")
            code[name] = SPLITS[split]
    if not wanted["train"]:
        raise InputError(f"tfrecords: nothing is left to train on; sequences.bed has {', '.join(present)} only.")
    each = np.array([code.get(contig.split, -1) for contig in contigs], dtype=np.int8)
    return np.repeat(each, np.diff(store.bins.offsets))


def _build(config: Config, records: RecordFolder, folder: Path) -> dict[str, Any]:
    by_assay: dict[str, list[Target]] = {}
    for target in records.targets:
        by_assay.setdefault(target.assay, []).append(target)
    starts = [window.predicted.start - records.crop for window in records.windows]
    names = [
        f"{window.predicted.chrom}:{start}-{start + records.seq_length}"
        for window, start in zip(records.windows, starts, strict=True)
    ]
    _write_arrays(records, by_assay, folder)
    return {
        "sizes": dict.fromkeys(names, records.seq_length),
        "circular": [],
        "bin_size": records.pool_width,
        "node_size": config.bins.node_size or records.pool_width,
        "targets": by_assay,
        "report": [],
        "contigs": [
            Contig(window.predicted.chrom, start, records.crop, window.split)
            for window, start in zip(records.windows, starts, strict=True)
        ],
    }


def _write_arrays(records: RecordFolder, by_assay: dict[str, list[Target]], folder: Path) -> None:
    """Write codes, signals and mask, one window at a time."""
    count, num_bins = len(records.windows), records.seq_length // records.pool_width
    crop = records.crop // records.pool_width
    predicted = slice(crop, crop + records.target_length)
    (folder / "signals").mkdir(exist_ok=True)

    def array(name: str, dtype: type, *shape: int) -> np.ndarray:
        return np.lib.format.open_memmap(folder / name, mode="w+", dtype=dtype, shape=shape)

    all_codes = array("codes.npy", np.uint8, count * records.seq_length)
    mask = array("mask.npy", np.bool_, count * num_bins)
    signals = {
        assay: array(f"signals/{assay}.npy", np.float16, count * num_bins, len(rows))
        for assay, rows in by_assay.items()
    }
    columns = {assay: [records.targets.index(row) for row in rows] for assay, rows in by_assay.items()}
    console = Console(stderr=True)
    for number, (codes, target) in enumerate(
        track(records.records(), "Reading records", total=count, transient=True, console=console)
    ):
        all_codes[number * records.seq_length :][: records.seq_length] = codes
        bins = slice(number * num_bins, (number + 1) * num_bins)
        for assay, each in signals.items():
            each[bins] = np.nan
            each[bins][predicted] = target[:, columns[assay]]
            _check_fractions(records, assay, each[bins])
        mask[bins][predicted] = np.isfinite(target).any(axis=1)
        mask[bins] &= is_sequenced(codes, records.pool_width)


def _check_fractions(records: RecordFolder, assay: str, values: np.ndarray) -> None:
    outside = (values < 0) | (values > 1)
    if ASSAYS[assay].kind == "ratio" and outside.any():
        raise InputError(
            f"{records.path}: {assay} is a fraction of 0 to 1, but the records hold {values[outside][0]:g}. "
            "Correct the column assay of the targets table."
        )
