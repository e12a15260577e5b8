"""Where tasks that stand next to each other in a targets table differ: peaks that one has and the other has not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from genograph.assays.peaks import peaks_by_chrom
from genograph.assays.targets import Target, read_targets
from genograph.atomic import replacing
from genograph.config import Config
from genograph.experiment import Experiment
from genograph.genome.names import read_aliases

PLACE = ["chrom", "start", "end"]


def differential_peaks(tasks: Sequence[Target], sizes: Mapping[str, int], **names: Any) -> pd.DataFrame:
    """Which peaks a task gains on the one before it, and which it loses.

    Columns chrom, start, end, and for each task but the first `TASK_gained`, 1 where a peak of its own touches none of
    the task before it, and `TASK_lost`, 1 where a peak of that one touches none of its own; else 0. There is a row for
    every peak of any task, and no column for what no peak is.

    Args:
        tasks: Tracks of peaks, such as time points, in order.
        sizes: Chromosome sizes in bp.
        names: `aliases` and `whole_genome`, see `match_names`.
    """
    peaks = [_peaks(task, sizes, **names) for task in tasks]
    table = pd.concat(peaks).drop_duplicates().sort_values(PLACE, ignore_index=True)
    rows = pd.MultiIndex.from_frame(table)
    for (before, after), task in zip(pairwise(peaks), tasks[1:], strict=True):
        for change, those, others in ("gained", after, before), ("lost", before, after):
            changed = those[~_touch(those, others)]
            if len(changed):
                table[f"{task.identifier}_{change}"] = rows.isin(pd.MultiIndex.from_frame(changed)).astype(int)
    return table


def _peaks(task: Target, sizes: Mapping[str, int], **names: Any) -> pd.DataFrame:
    found = [
        pd.DataFrame({"chrom": chrom, "start": starts[values > 0], "end": ends[values > 0]})
        for chrom, starts, ends, values in peaks_by_chrom(task, sizes, **names)
    ]
    return pd.concat(found, ignore_index=True)


def _touch(those: pd.DataFrame, others: pd.DataFrame) -> np.ndarray:
    """Whether each place shares a base with any of the others: (places,)."""
    touch = np.zeros(len(those), dtype=bool)
    for chrom, rows in those.groupby("chrom").indices.items():
        start, end = others.loc[others["chrom"] == chrom, ["start", "end"]].sort_values("start").to_numpy().T
        reach = np.concatenate([[0], np.maximum.accumulate(end)])  # of all that begin so far
        touch[rows] = reach[np.searchsorted(start, those["end"].to_numpy()[rows])] > those["start"].to_numpy()[rows]
    return touch


def write_tasks(experiment: Experiment, assay: str, folder: Path, *, differential: bool) -> tuple[Path, list[str]]:
    """Write a targets table of an experiment's tracks and, if wanted, of differential ones; their names besides.

    All rows of the config's table are in it, as all decide where sites are.

    Args:
        experiment: Of tracks of peaks.
        assay: Their assay.
        folder: For `targets.tsv` and `differential.tsv`.
        differential: Whether to add tracks.
    """
    config = experiment.config
    tracks = config.section("tracks")
    rows = [
        (row.identifier, f"{row.file.resolve()}{row.column and '::'}{row.column}", row.assay, row.description)
        for row in read_targets(tracks.targets, tracks.folder)
    ]
    added: list[str] = []
    folder.mkdir(parents=True, exist_ok=True)
    if differential:
        table = differential_peaks(experiment.targets[assay], experiment.store.sizes, **_names(config))
        added = [name for name in table.columns if name not in PLACE]
        _write(table, folder / "differential.tsv")
        rows += [(name, f"{folder.resolve() / 'differential.tsv'}::{name}", assay, "") for name in added]
    header = ["identifier", "file", "assay", "description"]
    return _write(pd.DataFrame(rows, columns=header), folder / "targets.tsv"), added


def _names(config: Config) -> dict[str, Any]:
    genome = config.section("genome")
    return {"aliases": read_aliases(genome.aliases) if genome.aliases else {}, "whole_genome": genome.chroms is None}


def _write(table: pd.DataFrame, path: Path) -> Path:
    with replacing(path) as written:
        table.to_csv(written, sep="\t", index=False)
    return path
