"""What a file with a contact map has, whatever its format; how its bins become nodes, and its counts balanced."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

import numpy as np

from genograph.assays.cool import CoolFile
from genograph.assays.hic import HicFile
from genograph.errors import InputError, nearest
from genograph.genome.bins import Bins
from genograph.genome.names import match_names


class MapFile(Protocol):
    """One resolution of a contact map on disk: bins of one size, numbered through the chromosomes, and counts.

    Attributes:
        uri: What names it.
        resolution: Size of its bins in bp.
        sizes: Its chromosomes in the file's order, in bp.
        num_bins: How many bins it has.
        how_to_balance: What to do if it lacks weights, as the beginning of a sentence.
    """

    @property
    def uri(self) -> str: ...

    @property
    def resolution(self) -> int: ...

    @property
    def sizes(self) -> dict[str, int]: ...

    @property
    def num_bins(self) -> int: ...

    @property
    def how_to_balance(self) -> str: ...

    def extent(self, chrom: str) -> tuple[int, int]:
        """The first bin of a chromosome, and the one after its last."""
        ...

    def pixels(self, *, trans: bool = True) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Both bins, the lower first, and the count of every pixel that has one: (pixels,) each, in parts.

        Two bins come once. Parts may be in any order, but pixels of two chromosomes come by row and column. Without
        `trans` those between chromosomes are left out where that saves reading them.
        """
        ...

    def vectors(self) -> list[str]:
        """Names of the vectors of balancing weights."""
        ...

    def vector(self, name: str) -> np.ndarray:
        """Weights as the file has them: (bins,) float64."""
        ...

    def divides(self, name: str) -> bool | None:
        """Whether counts are divided by a vector, by definition, or multiplied; None if either may be."""
        ...


def open_map_file(uri: str) -> MapFile:
    """The map that `file.cool`, `file.mcool::/resolutions/N` or `file.hic::/resolutions/N` names.

    Raises:
        InputError: If it is missing, damaged, or of a kind that cannot be read.
    """
    is_hic = uri.partition("::")[0].lower().endswith(".hic")
    return HicFile.open(uri) if is_hic else CoolFile.open(uri)


def bin_weights(file: MapFile, balance: str | None) -> np.ndarray:
    """What each bin's counts are multiplied by, NaN for a masked bin: (bins of the map,) float64.

    Vectors of `.hic` files divide counts and cooler's `weight` multiplies them. Other vectors of cooler files may do
    either, as copies of those of `.hic` files divide unless a converter has turned them over: done is what makes the
    sums of a bin's contacts within its chromosome more even, by their coefficient of variation.

    Args:
        file: The map.
        balance: Name of the weights; None for raw counts, where a bin without any contact counts as masked.

    Raises:
        InputError: If the file has no such weights, or of those that may do either, they make sums even neither way.
    """
    if balance is None:
        return _raw_weights(file)
    found = file.vectors()
    if balance not in found:
        raise InputError(
            f"'{file.uri}' has no weights '{balance}'. {file.how_to_balance}, "
            f"or set balance: null to use raw counts.{nearest(balance, found)}"
        )
    vector, divides = file.vector(balance), file.divides(balance)
    if divides is None:
        return _evening(file, balance, vector)
    return 1 / _usable(vector) if divides else vector


def _raw_weights(file: MapFile) -> np.ndarray:
    weight = np.full(file.num_bins, np.nan)
    for first, second, count in file.pixels():
        met = count > 0
        weight[first[met]] = 1.0
        weight[second[met]] = 1.0
    return weight


def _evening(file: MapFile, balance: str, vector: np.ndarray) -> np.ndarray:
    """The weights, or one over them: whichever makes the contacts of bins more even."""
    factor = _usable(vector)
    choices = {"multiplied": factor, "divided": 1 / factor}
    raw, *spread = _unevenness(file, [factor / factor, *choices.values()])
    if not min(spread) <= raw * (1 + 1e-6):
        by = ", ".join(f"{name} {value:.2f}" for name, value in zip(choices, spread, strict=True))
        raise InputError(
            f"'{balance}' of '{file.uri}' does not balance the map: bins sum to contacts with a coefficient of "
            f"variation of {raw:.2f} as counted, {by}. Choose other weights, or set balance: null to use raw counts."
        )
    return list(choices.values())[int(np.argmin(spread))]


def _usable(vector: np.ndarray) -> np.ndarray:
    """The vector, NaN where it is not positive and finite."""
    return np.where(np.isfinite(vector) & (vector > 0), vector, np.nan)


def _unevenness(file: MapFile, weights: list[np.ndarray]) -> list[float]:
    """The coefficient of variation of what bins sum to within their chromosome, under each of some weights.

    Each chromosome is scaled to a mean of 1, as `.hic` files balance it by itself. Bins that meet nothing are left out.
    """
    chrom = np.concatenate([np.full(np.diff(file.extent(name))[0], i) for i, name in enumerate(file.sizes)])
    sums = np.zeros((len(weights), file.num_bins))
    for first, second, count in file.pixels(trans=False):
        is_within = chrom[first] == chrom[second]
        first, second, count = first[is_within], second[is_within], count[is_within]
        for total, weight in zip(sums, weights, strict=True):
            contacts = np.nan_to_num(count * weight[first] * weight[second])
            total += np.bincount(first, contacts, minlength=len(total))
            other = first != second
            total += np.bincount(second[other], contacts[other], minlength=len(total))
    met = sums[0] > 0
    number = np.bincount(chrom[met])
    totals = [np.bincount(chrom[met], each[met]) for each in sums]
    return [float(np.std(each[met] * (number / total)[chrom[met]])) for each, total in zip(sums, totals, strict=True)]


def map_bins_to_nodes(file: MapFile, nodes: Bins, aliases: Mapping[str, str]) -> np.ndarray:
    """The node that each bin of the map lies in: (bins of the map,) int64, -1 outside of the genome.

    Raises:
        InputError: If the resolution does not divide `nodes.bin_size`, or the chromosomes do not match.
    """
    _check_divides(file, nodes.bin_size)
    sizes = file.sizes
    names = match_names(
        nodes.sizes,
        sizes,
        aliases=aliases,
        source=file.uri,
        sizes=nodes.sizes,
        found_sizes=sizes,
        tolerance=_size_tolerance(sizes.values(), file.resolution),
    )
    node = np.full(file.num_bins, -1, dtype=np.int64)
    for chrom, name in names.items():
        span = nodes.span(chrom)
        first, last = file.extent(name)
        own = span.start + np.arange(last - first) * file.resolution // nodes.bin_size
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


def _check_divides(file: MapFile, node_size: int) -> None:
    resolution = file.resolution
    if node_size % resolution == 0:
        return
    below = node_size // resolution * resolution
    allowed = " or ".join(str(size) for size in (below, below + resolution) if size)
    raise InputError(
        f"'{file.uri}' has a resolution that does not divide the node size: {resolution} bp and "
        f"{node_size} bp. The nearest node sizes are {allowed}."
    )
