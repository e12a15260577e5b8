"""Statistics of methylation across cells as tracks of a store, where a config has a head for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from genograph.assays.cpg_neighbours import CoveredSites
from genograph.assays.cpg_statistics import statistics, window_statistics
from genograph.assays.targets import Target
from genograph.config import Config
from genograph.errors import InputError
from genograph.genome.bins import Bins
from genograph.genome.sites import Sites
from genograph.nn.heads import StatisticsHead

ASSAY = "methylation_statistics"
_ROWS = 100_000  # bins at a time


def wanted_statistics(config: Config) -> dict[str, int]:
    """Name and number of tracks of each statistic that the config has a head for, `1001/mean` in a window.

    Raises:
        InputError: If windows are asked for about bins that are no CpGs.
    """
    options = config.model.heads.get(ASSAY)
    if options is None:
        return {}
    head = StatisticsHead(1, None, **options)
    if options.get("windows") and (config.sites is None or config.sites.source != "covered"):
        raise InputError(
            f"model.heads.{ASSAY}.windows are about CpGs that cells cover; set sites: {{source: covered}}."
        )
    return {name: tracks.stop - tracks.start for name, tracks in head.parts.items()}


def write_statistics(wanted: Mapping[str, int], bins: Bins, folder: Path) -> list[Target]:
    """Write the statistics of all tracks of methylation, NaN where fewer than three have a value; returns the tracks.

    In windows those of one cell and more, as in the original.

    Args:
        wanted: Number of tracks by name: of one, a key of `genograph.assays.cpg_statistics.statistics`, its value; of
            several, 1 in the track of its class and 0 in the others.
        bins: That tracks are of.
        folder: The store that holds `signals/methylation.npy`, and for windows `covered`.

    Raises:
        InputError: If there are fewer than three tracks of methylation.
    """
    file = folder / "signals" / "methylation.npy"
    states = np.load(file, mmap_mode="r") if file.is_file() else np.empty((0, 0))
    if states.shape[1] < 3:
        raise InputError(
            f"model.heads.{ASSAY}: statistics are of three tracks of methylation and more; the targets table has "
            f"{states.shape[1]}. Leave the head out."
        )
    widths = list(dict.fromkeys(int(name.partition("/")[0]) for name in wanted if "/" in name))
    shape = (len(states), sum(wanted.values()))
    written = np.lib.format.open_memmap(file.with_stem(ASSAY), mode="w+", dtype=np.float32, shape=shape)
    for first in range(0, len(states), _ROWS):
        rows = slice(first, min(first + _ROWS, len(states)))
        found = statistics(states[rows]) | _in_windows(bins, np.arange(rows.start, rows.stop), widths, folder)
        written[rows] = np.concatenate([_columns(found[name], number) for name, number in wanted.items()], axis=1)
    written.flush()
    names = [name if number == 1 else f"{name}_{each}" for name, number in wanted.items() for each in range(number)]
    shared = {"file": Path(file.name), "assay": ASSAY}
    return [
        Target(identifier=f"methylation_{name.replace('/', '_')}", index=index, description=_described(name), **shared)
        for index, name in enumerate(names)
    ]


def _in_windows(bins: Bins, rows: np.ndarray, widths: Sequence[int], folder: Path) -> dict[str, np.ndarray]:
    """Statistics in windows about some sites, (sites,) each, by width and name."""
    if not widths:
        return {}
    assert isinstance(bins, Sites), "only sites are covered"
    covered = CoveredSites.open(folder / "covered")
    found = window_statistics(covered, bins.chrom_index(rows), bins.centres(rows), widths)
    return {f"{width}/{name}": values for width, each in found.items() for name, values in each.items()}


def _columns(values: np.ndarray, number: int) -> np.ndarray:
    """The tracks of a statistic, NaN where it is: (sites, number)."""
    if number == 1:
        return values[:, None]
    return np.where(np.isnan(values)[:, None], np.nan, values[:, None] == np.arange(number))


def _described(name: str) -> str:
    width, _, statistic = name.rpartition("/")
    return f"{statistic} across cells, in windows of {width} bp" if width else f"{statistic} across cells"
