"""One resolution of a `.hic` file of Juicer or hictk, `map.hic::/resolutions/N`, read in parts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations_with_replacement, islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from genograph.errors import InputError

if TYPE_CHECKING:
    import hictkpy

CHUNK = 1_000_000  # pixels handed on at once
PIXEL = np.dtype([("first", np.int64), ("second", np.int64), ("count", np.float64)])
GROUP = "/resolutions/"


@dataclass(frozen=True)
class HicFile:
    """A `MapFile` over a `.hic` file, read by hictkpy (Rossini and Paulsen 2024, Bioinformatics 40:btae408).

    Bins are numbered as in a cooler, through the chromosomes in the file's order.
    """

    path: str
    file: hictkpy.File

    @classmethod
    def open(cls, uri: str) -> HicFile:
        """The contact map that a URI such as `map.hic::/resolutions/5000` names.

        Raises:
            InputError: If hictkpy is not installed; if the file is missing, damaged or no `.hic`; or if the
                URI names none of its resolutions.
        """
        path, _, group = uri.partition("::")
        if not Path(path).is_file():
            raise InputError(f"No contact map '{path}'.")
        hictkpy = _import_hictkpy(path)
        with _readable(uri):
            if not hictkpy.is_hic(path):
                raise InputError(f"'{path}' is no .hic file. It may be cut short; copy or download it again.")
            found = {f"{GROUP}{each}": int(each) for each in hictkpy.MultiResFile(path).resolutions()}
            resolution = found.get(f"/{group.strip('/')}")
            if resolution is None:
                listed = ", ".join(f"{path}::{name}" for name in found) or "none"
                raise InputError(f"No contact map at '{uri}'. Name one of those in the file: {listed}.")
            return cls(path, hictkpy.File(path, resolution))

    @property
    def uri(self) -> str:
        return f"{self.path}::{GROUP}{self.resolution}"

    @property
    def resolution(self) -> int:
        return self.file.resolution()

    @property
    def sizes(self) -> dict[str, int]:
        return self.file.chromosomes()

    @property
    def num_bins(self) -> int:
        return self.file.nbins()

    @property
    def how_to_balance(self) -> str:
        return f"Name one of the file's, have them computed by contacts.file: ['{self.uri}']"

    def extent(self, chrom: str) -> tuple[int, int]:
        first = 0
        for name, size in self.sizes.items():
            last = first + -(-size // self.resolution)
            if name == chrom:
                return first, last
            first = last
        raise KeyError(chrom)

    def pixels(self, *, trans: bool = True) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        within = ((chrom, chrom) for chrom in self.sizes)
        with _readable(self.uri):
            for chrom, other in combinations_with_replacement(self.sizes, 2) if trans else within:
                found = iter(self.file.fetch(chrom, other, count_type="float64"))
                while len(part := _taken(found)):
                    yield part["first"], part["second"], part["count"]

    def vectors(self) -> list[str]:
        with _readable(self.uri):
            return sorted(self.file.avail_normalizations())

    def vector(self, name: str) -> np.ndarray:
        with _readable(self.uri):
            return np.asarray(self.file.weights(name, divisive=True), dtype=np.float64)

    def divides(self, name: str) -> bool:
        return True


def _taken(pixels: Iterator) -> np.ndarray:
    """The next `CHUNK` pixels, or what is left of them."""
    rows = ((pixel.bin1_id, pixel.bin2_id, pixel.count) for pixel in islice(pixels, CHUNK))
    return np.fromiter(rows, dtype=PIXEL)


def _import_hictkpy(path: str):
    try:
        import hictkpy
    except ImportError as error:
        raise InputError(f"'{path}' is read by hictkpy, which is not here: pip install 'genograph[hic]'.") from error
    return hictkpy


@contextmanager
def _readable(uri: str) -> Iterator[None]:
    """Turn what hictk says of a damaged file into an `InputError` that names it."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"Cannot read contact map '{uri}': {reason}. It may be cut short; copy or download it again."
        ) from error
