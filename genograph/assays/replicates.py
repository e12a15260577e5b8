"""Several maps of one resolution, added up into one and balanced anew."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import cooler
import numpy as np
import pandas as pd

from genograph.assays.cool import CHUNK, COOLER_WEIGHTS, CoolFile
from genograph.assays.map_file import MapFile, open_map_file
from genograph.errors import InputError

log = logging.getLogger("genograph")


def merge_maps(uris: Sequence[str], folder: Path, balance: str | None) -> CoolFile:
    """One map with the summed counts of several, written to `folder`; of one map that map itself.

    With `balance: weight` it is balanced as `cooler balance` does by default, whatever weights the maps have: iterative
    correction (Imakaev et al. 2012, Nature Methods 9:999), all chromosomes at once, two innermost diagonals left out.

    Args:
        uris: As `open_map_file` takes them, in any mixture of formats.
        folder: For the merged map and for files that are gone when it is written.
        balance: `weight`, or None for raw counts.

    Raises:
        InputError: If a map cannot be read, resolutions or chromosomes differ, or other weights are asked for.
    """
    if balance not in (None, COOLER_WEIGHTS):
        raise InputError(
            f"contacts.balance: '{balance}' are weights of one file, but a list of maps is balanced anew. "
            f"Set balance: {COOLER_WEIGHTS}, or null for raw counts."
        )
    files = [open_map_file(uri) for uri in uris]
    for file in files[1:]:
        _check_alike(files[0], file)
    path = str(folder / "merged.cool")
    bins = cooler.binnify(pd.Series(files[0].sizes), files[0].resolution)
    dtypes = {"count": np.dtype(np.float64)}  # .hic files hold fractions too
    cooler.create_cooler(path, bins, _pixels(files), dtypes=dtypes, ordered=False, mergebuf=4 * CHUNK, temp_dir=folder)
    merged = cooler.Cooler(path)
    if balance is not None:
        _balance(merged)
    return CoolFile.open(path)


def _check_alike(one: MapFile, other: MapFile) -> None:
    if one.resolution != other.resolution:
        raise InputError(
            f"contacts.file: maps to be merged have one resolution; '{one.uri}' has {one.resolution} bp and "
            f"'{other.uri}' {other.resolution} bp."
        )
    if one.sizes != other.sizes:
        differing = sorted(name for name, _ in set(one.sizes.items()) ^ set(other.sizes.items()))
        raise InputError(
            f"contacts.file: maps to be merged have the same chromosomes; '{one.uri}' and '{other.uri}' differ in "
            f"{', '.join(differing[:5])}."
        )


def _pixels(files: Sequence[MapFile]) -> Iterator[pd.DataFrame]:
    """All pixels with the bin numbers of the first file, which may have its chromosomes in another order."""
    for file in files:
        number = np.empty(file.num_bins, dtype=np.int64)
        for chrom in file.sizes:
            number[slice(*file.extent(chrom))] = np.arange(*files[0].extent(chrom))
        for first, second, count in file.pixels():
            pair = np.sort([number[first], number[second]], axis=0)
            yield pd.DataFrame({"bin1_id": pair[0], "bin2_id": pair[1], "count": count.astype(np.float64)})


def _balance(merged: cooler.Cooler) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Iteration limit reached")
        _, found = cooler.balance_cooler(merged, store=True, store_name=COOLER_WEIGHTS, chunksize=10 * CHUNK)
    if not found["converged"]:
        log.warning("contacts.file: balancing the merged map stopped at its limit of rounds; weights are not final.")
