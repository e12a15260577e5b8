"""One resolution of a cooler file (`.cool`, `.mcool::/resolutions/N`), opened, checked and read in slices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import cooler
import numpy as np
from cooler.fileops import list_coolers

from genograph.errors import InputError, nearest
from genograph.genome.bins import Bins
from genograph.genome.names import match_names

CHUNK = 1_000_000  # pixels read at once
DIVISIVE = {"KR", "VC", "VC_SQRT"}  # vectors that hic2cool copies from .hic: counts are divided by them


def open_cool(uri: str) -> cooler.Cooler:
    """The contact map that a cooler URI names.

    Raises:
        InputError: If the file is missing, damaged or not a cooler; if it holds several resolutions and
            the URI names none; if its bins differ in size; or if it holds both triangles.
    """
    path, _, group = uri.partition("::")
    if not Path(path).is_file():
        raise InputError(f"No contact map '{path}'.")
    with _readable(uri):
        groups = list_coolers(path)
        if f"/{group.strip('/')}" not in groups:
            listed = ", ".join(f"{path}::{name}" for name in groups) or "none"
            raise InputError(f"No contact map at '{uri}'. Name one of those in the file: {listed}.")
        cool = cooler.Cooler(uri)
        if cool.binsize is None:
            raise InputError(f"The bins of '{uri}' differ in size; nodes need a map with bins of one size.")
        if cool.storage_mode != "symmetric-upper":
            raise InputError(f"'{uri}' holds both triangles of the map; store the upper one only.")
    return cool


@contextmanager
def _readable(uri: str) -> Iterator[None]:
    """Turn what HDF5 says of a damaged file into an `InputError` that names it."""
    try:
        yield
    except (OSError, KeyError, RuntimeError) as error:
        raise InputError(
            f"Cannot read contact map '{uri}': {error}. It may be cut short; copy or download it again."
        ) from error
