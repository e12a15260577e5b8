"""Statistics of methylation across cells as tracks of a store, where a config has a head for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from genograph.assays.cpg_statistics import statistics
from genograph.assays.targets import Target
from genograph.config import Config
from genograph.errors import InputError
from genograph.nn.heads import StatisticsHead

ASSAY = "methylation_statistics"
_ROWS = 1_000_000  # bins at a time


def wanted_statistics(config: Config) -> list[str]:
    """The statistics that the config has a head for."""
    options = config.model.heads.get(ASSAY)
    return [] if options is None else [*StatisticsHead(1, None, **options).statistics]


def write_statistics(names: list[str], signals: Path) -> list[Target]:
    """Write the statistics of all tracks of methylation, NaN where fewer than three have a value; returns the tracks.

    Args:
        names: Keys of `genograph.assays.cpg_statistics.statistics`.
        signals: The folder that holds `methylation.npy`.

    Raises:
        InputError: If there are fewer than three tracks of methylation.
    """
    file = signals / "methylation.npy"
    states = np.load(file, mmap_mode="r") if file.is_file() else np.empty((0, 0))
    if states.shape[1] < 3:
        raise InputError(
            f"model.heads.{ASSAY}: statistics are of three tracks of methylation and more; the targets table has "
            f"{states.shape[1]}. Leave the head out."
        )
    shape = (len(states), len(names))
    written = np.lib.format.open_memmap(signals / f"{ASSAY}.npy", mode="w+", dtype=np.float32, shape=shape)
    for first in range(0, len(states), _ROWS):
        rows = slice(first, first + _ROWS)
        found = statistics(states[rows])
        written[rows] = np.stack([found[name] for name in names], axis=1)
    written.flush()
    shared = {"file": Path(file.name), "assay": ASSAY}
    return [
        Target(identifier=f"methylation_{name}", index=index, description=f"{name} across cells", **shared)
        for index, name in enumerate(names)
    ]
