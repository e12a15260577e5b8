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


def stream_pixels(cool: cooler.Cooler) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Both bins and the count of every stored pixel, `CHUNK` at a time, in the file's order."""
    with _readable(cool.uri), cool.open("r") as group:
        pixels = group["pixels"]
        for start in range(0, len(pixels["bin1_id"]), CHUNK):
            part = slice(start, start + CHUNK)
            yield pixels["bin1_id"][part], pixels["bin2_id"][part], pixels["count"][part]


def bin_weights(cool: cooler.Cooler, balance: str | None) -> np.ndarray:
    """What each bin's counts are multiplied by, NaN for a masked bin: (bins of the map,) float64.

    Args:
        balance: Name of the weights, as `cooler balance` writes them; None for raw counts, where a bin
            without any contact counts as masked.
    """
    if balance is None:
        return _raw_weights(cool)
    if balance in DIVISIVE:
        raise InputError(
            f"'{balance}' weights of '{cool.uri}' divide counts, as in .hic files, and cooler's multiply. "
            f"Balance the map with `cooler balance {cool.uri}` and set balance: weight."
        )
    with _readable(cool.uri), cool.open("r") as group:
        columns = sorted(set(group["bins"]) - {"chrom", "start", "end"})
        if balance in columns:
            return group["bins"][balance][:].astype(np.float64)
    raise InputError(
        f"'{cool.uri}' has no weights '{balance}'. Write them with `cooler balance {cool.uri}`, "
        f"or set balance: null to use raw counts.{nearest(balance, columns)}"
    )


def _raw_weights(cool: cooler.Cooler) -> np.ndarray:
    weight = np.full(cool.info["nbins"], np.nan)
    for first, second, count in stream_pixels(cool):
        met = count > 0
        weight[first[met]] = 1.0
        weight[second[met]] = 1.0
    return weight


def map_bins_to_nodes(cool: cooler.Cooler, nodes: Bins, aliases: Mapping[str, str]) -> np.ndarray:
    """The node that each bin of the map lies in: (bins of the map,) int64, -1 outside of the genome.

    Raises:
        InputError: If the resolution does not divide `nodes.bin_size`, or the chromosomes do not match.
    """
    _check_divides(cool, nodes.bin_size)
    sizes = {str(name): int(size) for name, size in cool.chromsizes.items()}
    names = match_names(
        nodes.sizes,
        sizes,
        aliases=aliases,
        source=cool.uri,
        sizes=nodes.sizes,
        found_sizes=sizes,
        tolerance=_size_tolerance(sizes.values(), cool.binsize),
    )
    node = np.full(cool.info["nbins"], -1, dtype=np.int64)
    for chrom, name in names.items():
        span = nodes.span(chrom)
        with _readable(cool.uri):
            first, last = cool.extent(name)
        own = span.start + np.arange(last - first) * cool.binsize // nodes.bin_size
        node[first:last] = np.where(own < span.stop, own, -1)
    return node


def _size_tolerance(sizes: Iterable[int], resolution: int) -> int:
    """How far in bp the map's chromosomes may be from the genome's.

    Sizes that are all whole bins were made up from the bins (hicstuff does so), and there the last
    bins, if nothing maps to a chromosome's end, are missing too. Another assembly differs by more on
    some chromosome.
    """
    made_up = all(size % resolution == 0 for size in sizes)
    return resolution * (10 if made_up else 1)


def _check_divides(cool: cooler.Cooler, node_size: int) -> None:
    resolution = cool.binsize
    if node_size % resolution == 0:
        return
    below = node_size // resolution * resolution
    allowed = " or ".join(str(size) for size in (below, below + resolution) if size)
    raise InputError(
        f"'{cool.uri}' has a resolution that does not divide the node size: {resolution} bp and "
        f"{node_size} bp. The nearest node sizes are {allowed}."
    )
