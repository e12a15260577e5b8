"""`genograph export`: the windows of a config as a data folder of Basenji and Baskerville, for their programs.

See `genograph.assays.tfrecord_folder` for the layout, which is read back by `tfrecords:` in a config.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from genograph.assays.targets import COLUMNS, Target, strand_permutation
from genograph.assays.tfrecords import write_example, write_records
from genograph.atomic import new_folder
from genograph.config import Config
from genograph.dataset import WindowDataset
from genograph.errors import InputError
from genograph.experiment import Experiment
from genograph.genome.interval import Interval
from genograph.genome.names import shorten
from genograph.genome.splits import SPLITS
from genograph.graph import build_graph
from genograph.store import Store

RECORDS_PER_FILE = 256  # as Basenji writes
LARGEST = float(np.finfo(np.float16).max)

log = logging.getLogger("genograph")


class Placed(NamedTuple):
    """One window: what it predicts, and its number in the dataset."""

    predicted: Interval
    window: int


def export(config: Config, out: str | Path) -> Path:
    """Write the windows of a config's splits as TFRecords; returns the folder.

    A window has the length of `batch.window` and predicts all but `batch.crop` on both sides. Training windows start
    every `batch.stride` and come in an order drawn by the seed, as their readers shuffle a few at a time. Windows that
    reach beyond their split are left out. Beyond the split sequence is N. Values are float16, NaN where missing or
    masked.

    Args:
        config: With data, splits and a batch.
        out: The folder to write; there must be none. It appears whole or not at all.

    Raises:
        InputError: If the folder is there, an input is wrong, bins are sites, or a split has no window.
    """
    out = Path(out)
    if out.exists():
        raise InputError(f"{out} is there already. Name another folder: --out FOLDER")
    if config.sites is not None:
        raise InputError("sites: an export is of windows of bins that tile the genome; give a config without sites.")
    experiment = Experiment.open(config)
    store, targets = experiment.store, list(chain(*experiment.store.targets.values()))
    columns = np.argsort([target.index for target in targets])
    targets = [targets[column] for column in columns]
    _warn_of_coverage(store)
    datasets = {split: _dataset(experiment, split) for split in SPLITS}
    placed = {split: _placed(store, dataset, split) for split, dataset in datasets.items()}
    order = np.random.default_rng(config.seed).permutation(len(placed["train"]))
    placed["train"] = [placed["train"][number] for number in order]
    with new_folder(out) as folder:
        _write_tables(folder, store, config, placed, targets)
        (folder / "tfrecords").mkdir()
        too_large = np.zeros(len(targets), dtype=np.int64)
        for split, windows in placed.items():
            for number, start in enumerate(range(0, len(windows), RECORDS_PER_FILE)):
                some = windows[start : start + RECORDS_PER_FILE]
                examples = (_example(datasets[split], window, columns, too_large) for _, window in some)
                write_records(folder / "tfrecords" / f"{split}-{number}.tfr", examples)
    for target, count in zip(targets, too_large.tolist(), strict=True):
        if count:
            log.warning("%d values of %s are beyond float16 and were cut to %g.", count, target.identifier, LARGEST)
    return out


def _dataset(experiment: Experiment, split: str) -> WindowDataset:
    """The windows of a split, each one piece of sequence, without a graph."""
    batch = experiment.config.batch.model_copy(update={"partners": 0, "chunk": None})
    return WindowDataset(
        experiment.store,
        build_graph([], experiment.store.nodes),
        batch,
        halo=0,
        allowed=experiment.split_of_bin == SPLITS[split],
        stride=batch.stride if split == "train" else None,
    )


def _placed(store: Store, dataset: WindowDataset, split: str) -> list[Placed]:
    """Where the windows lie that predict inside of their split only; what they leave out is logged."""
    crop, predicted, size = dataset.batch.crop, dataset.batch.predicted, store.bins.bin_size
    left_out = np.zeros(len(store.bins), dtype=bool)
    for run in dataset.runs:
        left_out[slice(*run)] = store.mask[slice(*run)]
    placed = []
    for number, (run, first) in enumerate(dataset.windows.tolist()):
        start = first + crop
        if start + predicted > dataset.runs[run, 1]:
            continue
        left_out[start : start + predicted] = False
        chrom = store.bins.chroms[int(store.bins.chrom_index(np.asarray(start)))]
        base = int(store.bins.starts(np.asarray(start)))
        if store.contigs is not None:
            contig = store.contigs[chrom]
            chrom, base = contig.chrom, contig.start + base
        placed.append(Placed(Interval(chrom, base, base + predicted * size), number))
    if not placed:
        raise InputError(
            f"splits.{split} has no region that holds the {predicted} bins that a window predicts. Choose a smaller "
            "batch.window."
        )
    if left_out.any():
        log.warning("%s: %d measured bins are left out, at ends that hold no whole window.", split, left_out.sum())
    return placed


def _example(dataset: WindowDataset, window: int, columns: np.ndarray, too_large: np.ndarray) -> bytes:
    """The record of a window; adds to `too_large`, (tracks,), how many values of each track float16 cannot hold."""
    batch = dataset.make_batch([window])
    values = np.concatenate(
        [np.where(batch.mask[assay][0], target[0], np.nan) for assay, target in batch.target.items()], axis=1
    )[:, columns]
    too_large += (np.abs(values) > LARGEST).sum(axis=0)
    target = np.clip(values, -LARGEST, LARGEST).astype("<f2")
    return write_example({"sequence": batch.codes[0].numpy().tobytes(), "target": target.tobytes()})


def _write_tables(
    folder: Path, store: Store, config: Config, placed: dict[str, list[Placed]], targets: list[Target]
) -> None:
    lines = [f"{at.chrom}\t{at.start}\t{at.end}\t{split}" for split, windows in placed.items() for at, _ in windows]
    (folder / "sequences.bed").write_text("\n".join(lines) + "\n")
    rows = pd.DataFrame([asdict(target) for target in targets])
    rows["index"], rows["strand_pair"] = np.arange(len(rows)), strand_permutation(targets)
    rows["file"] = [f"{target.file}::{target.column}" if target.column else target.file for target in targets]
    rows.to_csv(folder / "targets.txt", sep="\t", index=False, columns=list(COLUMNS))
    size, batch = store.bins.bin_size, config.batch
    statistics = {
        "num_targets": len(targets),
        "seq_length": batch.window * size,
        "seq_1hot": True,  # what readers make of the codes
        "pool_width": size,
        "crop_bp": batch.crop * size,
        "target_length": batch.predicted,
        **{f"{split}_seqs": len(windows) for split, windows in placed.items()},
    }
    (folder / "statistics.json").write_text(json.dumps(statistics, indent=4) + "\n")


def _warn_of_coverage(store: Store) -> None:
    weighted = [
        target.identifier
        for assay, rows in store.targets.items()
        for target in rows
        if store.coverage(assay) is not None
    ]
    if weighted:
        log.warning("The coverage of %s has no place in TFRecords and is left out: fractions only.", shorten(weighted))
