"""One resolution of a cooler file (`.cool`, `.mcool::/resolutions/N`), opened, checked and read in slices."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cooler
import numpy as np
from cooler.fileops import list_coolers

from genograph.errors import InputError

CHUNK = 1_000_000  # pixels read at once
COOLER_WEIGHTS = "weight"  # what `cooler balance` writes


@dataclass(frozen=True)
class CoolFile:
    """A `MapFile` over a cooler."""

    cool: cooler.Cooler

    @classmethod
    def open(cls, uri: str) -> CoolFile:
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
        return cls(cool)

    @property
    def uri(self) -> str:
        return self.cool.uri

    @property
    def resolution(self) -> int:
        return self.cool.binsize

    @property
    def sizes(self) -> dict[str, int]:
        return {str(name): int(size) for name, size in self.cool.chromsizes.items()}

    @property
    def num_bins(self) -> int:
        return self.cool.info["nbins"]

    @property
    def how_to_balance(self) -> str:
        return f"Write them with `cooler balance {self.uri}`"

    def extent(self, chrom: str) -> tuple[int, int]:
        with _readable(self.uri):
            return self.cool.extent(chrom)

    def pixels(self, *, trans: bool = True) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        # By row, those between chromosomes among the others: none are left out.
        with _readable(self.uri), self.cool.open("r") as group:
            pixels = group["pixels"]
            for start in range(0, len(pixels["bin1_id"]), CHUNK):
                part = slice(start, start + CHUNK)
                yield pixels["bin1_id"][part], pixels["bin2_id"][part], pixels["count"][part]

    def vectors(self) -> list[str]:
        with _readable(self.uri), self.cool.open("r") as group:
            return sorted(set(group["bins"]) - {"chrom", "start", "end"})

    def vector(self, name: str) -> np.ndarray:
        with _readable(self.uri), self.cool.open("r") as group:
            return group["bins"][name][:].astype(np.float64)

    def divides(self, name: str) -> bool | None:
        return False if name == COOLER_WEIGHTS else None


@contextmanager
def _readable(uri: str) -> Iterator[None]:
    """Turn what HDF5 says of a damaged file into an `InputError` that names it."""
    try:
        yield
    except (OSError, KeyError, RuntimeError) as error:
        raise InputError(
            f"Cannot read contact map '{uri}': {error}. It may be cut short; copy or download it again."
        ) from error
