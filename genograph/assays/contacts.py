"""A contact map on disk: sparse, sorted, balanced, with what distance alone would expect of each pair."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from genograph.assays.cool import CHUNK
from genograph.assays.expected import expected_between, expected_within, mean_at_distance
from genograph.assays.map_file import MapFile, bin_weights, map_bins_to_nodes, open_map_file
from genograph.assays.replicates import merge_maps
from genograph.genome.bins import Bins

COLUMNS = {"row": np.int32, "col": np.int32, "balanced": np.float32}  # on disk
PIXEL = np.dtype([("row", np.int32), ("col", np.int32), ("balanced", np.float64)])


@dataclass(frozen=True, kw_only=True)
class ContactMap:
    """Contacts between the nodes of a genome, opened from the folder that `write_contacts` filled.

    A pair is stored once, as `row <= col`, sorted by row and then column. A masked node has no contacts.

    Attributes:
        nodes: The genome's nodes; rows and columns are their numbers.
        weight: (nodes,) mean balancing weight of the node's unmasked map bins, NaN where masked.
            `weight[i] * weight[j]` is what one read between two nodes adds to `balanced`.
        mapped: (nodes,) share of the node that is unmasked, 0 to 1.
        expected: (nodes,) see `expected_within`.
        trans_expected: Contacts expected of a pair on two chromosomes; NaN if such pairs were not kept.
        max_distance: In bp, how far apart pairs were kept; None for all.
    """

    folder: Path
    nodes: Bins
    weight: np.ndarray = field(repr=False)
    mapped: np.ndarray = field(repr=False)
    expected: np.ndarray = field(repr=False)
    trans_expected: float
    max_distance: int | None

    @classmethod
    def open(cls, folder: Path, nodes: Bins) -> ContactMap:
        """The map in `folder`; only arrays as long as the genome are read into memory."""
        arrays = {name: np.load(folder / f"{name}.npy") for name in ("weight", "mapped", "expected")}
        scalars = json.loads((folder / "contacts.json").read_text())
        if scalars["trans_expected"] is None:  # JSON has no NaN
            scalars["trans_expected"] = float("nan")
        return cls(folder=folder, nodes=nodes, **arrays, **scalars)

    @property
    def row(self) -> np.ndarray:
        return self._column("row")

    @property
    def col(self) -> np.ndarray:
        return self._column("col")

    @property
    def balanced(self) -> np.ndarray:
        return self._column("balanced")

    def _column(self, name: str) -> np.ndarray:
        return self._on_disk(name)

    def _on_disk(self, name: str) -> np.ndarray:
        # A mapped page stays resident as long as its mapping lives, so each use maps the file anew.
        return np.load(self.folder / f"{name}.npy", mmap_mode="r")

    @property
    def masked(self) -> np.ndarray:
        """(nodes,) True where the map sees nothing of a node; such a node leaves loss and metrics."""
        return self.mapped == 0

    def __len__(self) -> int:
        return len(self.row)

    def expected_at(self, row: np.ndarray, col: np.ndarray) -> np.ndarray:
        """Contacts that chance gives each pair, less where a node is mapped in part: (pairs,) float64."""
        distance = self.nodes.distance(row, col)
        by_distance = self.expected[self.nodes.offsets[self.nodes.chrom_index(row)] + distance]
        expected = np.where(distance < 0, self.trans_expected, by_distance)
        return expected * self.mapped[row] * self.mapped[col]

    def pixels(self, size: int = 2_000_000) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Row, column and balanced contacts, at most `size` pairs at a time, in order."""
        for start in range(0, len(self._on_disk("row")), size):
            row, col, balanced = (np.array(self._on_disk(each)[start : start + size]) for each in COLUMNS)
            yield row, col, balanced

    def blocks(self, size: int = 2_000_000) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        """Row, column, balanced contacts and observed over expected, at most `size` pairs at a time, in order."""
        for row, col, balanced in self.pixels(size):
            yield row, col, balanced, (balanced / self.expected_at(row, col)).astype(np.float32)

    def thinned(self, share: float, seed: int) -> ContactMap:
        """The map as a shallower experiment would have given it: each read is kept with probability `share`.

        Reads of a pair are what `weight` makes of its balanced contacts, rounded, and at least one. What is expected
        is computed anew from the kept ones. Balancing weights and mask stay those of the full map; balancing a
        shallow map on its own would mask more. The same seed keeps the same reads.
        """
        full = {each.name: getattr(self, each.name) for each in fields(self)}
        thin = _ThinnedMap(**full, share=share, seed=seed)
        (cis, between), (thin_cis, thin_between) = contacts_by_distance(self), contacts_by_distance(thin)
        expected = self.expected * _pooled_ratio(thin_cis, cis, self.nodes)
        trans_expected = self.trans_expected * (thin_between / between if between > 0 else 1.0)
        return replace(thin, expected=expected, trans_expected=trans_expected)


@dataclass(frozen=True, kw_only=True)
class DerivedMap(ContactMap):
    """A map that `pixels` makes of another while that is read; what lies in `folder` is the other's.

    `row`, `col` and `balanced` are put together from `pixels` at each use, in memory.
    """

    def _column(self, name: str) -> np.ndarray:
        number, dtype = [*COLUMNS].index(name), COLUMNS[name]
        return np.concatenate([np.empty(0, dtype), *(pixels[number] for pixels in self.pixels())])


@dataclass(frozen=True, kw_only=True)
class _ThinnedMap(DerivedMap):
    """A share of the reads of the full map."""

    share: float
    seed: int

    def pixels(self, size: int = 2_000_000) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        rng = np.random.default_rng(self.seed)
        for row, col, balanced in super().pixels(size):
            reads = np.maximum(np.rint(balanced / (self.weight[row] * self.weight[col])), 1).astype(np.int64)
            kept = rng.binomial(reads, self.share)
            seen = kept > 0
            yield row[seen], col[seen], (balanced * (kept / reads)).astype(np.float32)[seen]


def contacts_by_distance(contacts: ContactMap) -> tuple[np.ndarray, float]:
    """Summed contacts at each distance, laid out as `expected` is, and between chromosomes."""
    cis, between = np.zeros(len(contacts.nodes)), 0.0
    for row, col, balanced in contacts.pixels():
        distance = contacts.nodes.distance(row, col)
        is_within = distance >= 0
        place = contacts.nodes.offsets[contacts.nodes.chrom_index(row[is_within])] + distance[is_within]
        cis += np.bincount(place, weights=balanced[is_within], minlength=len(contacts.nodes))
        between += float(balanced[~is_within].sum(dtype=np.float64))
    return cis, between


def _pooled_ratio(part: np.ndarray, whole: np.ndarray, nodes: Bins) -> np.ndarray:
    """Part of whole at every distance, pooled as `expected_within` pools: (nodes,); 1 where both are nothing.

    The pairs that share the contacts are the same for both, so this is also the ratio of their means.
    """
    ratio = np.ones(len(nodes))
    for chrom in nodes.chroms:
        span = nodes.span(chrom)
        every = np.ones(span.stop - span.start)
        top, bottom = mean_at_distance(part[span], every), mean_at_distance(whole[span], every)
        np.divide(top, bottom, out=ratio[span], where=bottom > 0)
    return ratio


def write_contacts(
    uri: str | Sequence[str],
    nodes: Bins,
    folder: Path,
    *,
    aliases: Mapping[str, str],
    max_distance: int | None = None,
    trans: bool = False,
    balance: str | None = "weight",
) -> None:
    """Read a map, or the sum of several, into `folder`, summed to the size of the nodes, for `ContactMap.open`.

    Contacts are count times both bins' weights. A bin without a weight is masked and its contacts are
    lost; a node is masked when all its bins are. Memory follows the nodes and the chunk, not the pixels.

    Args:
        uri: `file.cool`, `file.mcool::/resolutions/N` or `file.hic::/resolutions/N`; N divides the node size. Several
            are merged, see `merge_maps`.
        nodes: The genome's nodes; their `circular` chromosomes measure distance the short way round.
        folder: An existing folder.
        aliases: Chromosome names of the file for those of the genome, where they cannot be guessed.
        max_distance: Keep pairs up to this many bp apart; None for all.
        trans: Whether to keep pairs on two chromosomes.
        balance: Name of the balancing weights, see `bin_weights`; None for raw counts.

    Raises:
        InputError: If the file is unreadable, its resolution does not divide the node size, its
            chromosomes are others, or it is not balanced.
    """
    if isinstance(uri, str):
        _write(open_map_file(uri), nodes, folder, aliases, max_distance, trans, balance)
        return
    with tempfile.TemporaryDirectory(dir=folder) as merging:
        _write(merge_maps(uri, Path(merging), balance), nodes, folder, aliases, max_distance, trans, balance)


def _write(
    file: MapFile,
    nodes: Bins,
    folder: Path,
    aliases: Mapping[str, str],
    max_distance: int | None,
    trans: bool,
    balance: str | None,
) -> None:
    node, bin_weight = map_bins_to_nodes(file, nodes, aliases), bin_weights(file, balance)
    factor = nodes.bin_size // file.resolution

    def node_pixels() -> Iterator[np.ndarray]:
        for first, second, count in file.pixels(trans=trans):
            pixels = _join(node[first], node[second], count * bin_weight[first] * bin_weight[second])
            yield pixels[_is_kept(pixels, nodes, max_distance, trans)]

    per_row = np.zeros(len(nodes), dtype=np.int64)
    for pixels in node_pixels():
        per_row += np.bincount(pixels["row"], minlength=len(nodes))
    with tempfile.TemporaryFile(dir=folder) as spooled:
        spool = _Spool(spooled, per_row)
        for pixels in node_pixels():
            spool.add(pixels)
        cis, between = _write_pixels(spool, nodes, folder)
    valid, weight = _per_node(node, bin_weight, len(nodes))
    np.save(folder / "weight.npy", weight)
    np.save(folder / "mapped.npy", (valid / factor).astype(np.float32))
    np.save(folder / "expected.npy", expected_within(cis, valid, nodes, factor, max_distance))
    trans_expected = expected_between(between, valid, nodes, factor) if trans else np.nan
    scalars = {"trans_expected": None if np.isnan(trans_expected) else trans_expected, "max_distance": max_distance}
    (folder / "contacts.json").write_text(json.dumps(scalars, allow_nan=False))


def _join(first: np.ndarray, second: np.ndarray, balanced: np.ndarray) -> np.ndarray:
    """Pixels of the upper triangle; those outside of the genome, masked or without contacts are left out."""
    kept = (first >= 0) & (second >= 0) & (balanced > 0)
    pixels = np.empty(np.count_nonzero(kept), dtype=PIXEL)
    # The file may order the chromosomes otherwise, which puts pixels between them in the lower triangle.
    pixels["row"] = np.minimum(first, second)[kept]
    pixels["col"] = np.maximum(first, second)[kept]
    pixels["balanced"] = balanced[kept]
    return pixels


def _is_kept(pixels: np.ndarray, nodes: Bins, max_distance: int | None, trans: bool) -> np.ndarray:
    distance = nodes.distance(pixels["row"], pixels["col"])
    near = True if max_distance is None else distance * nodes.bin_size <= max_distance
    return np.where(distance < 0, trans, near)


class _Spool:
    """Pixels laid out on disk in stretches of rows, each short enough to be sorted in memory.

    Args:
        file: An open, empty file.
        per_row: (nodes,) how many pixels each row will get.
    """

    def __init__(self, file: BinaryIO, per_row: np.ndarray) -> None:
        self.file = file
        self.stretch = (np.cumsum(per_row) - per_row) // CHUNK  # (nodes,)
        counts = np.bincount(self.stretch, weights=per_row).astype(np.int64)
        self.ends = np.cumsum(counts)
        self.next = self.ends - counts

    def add(self, pixels: np.ndarray) -> None:
        stretch = self.stretch[pixels["row"]]
        pixels = pixels[np.argsort(stretch, kind="stable")]
        counts = np.bincount(stretch, minlength=len(self.ends))
        first = 0
        for index in np.flatnonzero(counts):
            self.file.seek(int(self.next[index]) * PIXEL.itemsize)
            self.file.write(pixels[first : first + counts[index]].tobytes())
            self.next[index] += counts[index]
            first += counts[index]

    def stretches(self) -> Iterator[np.ndarray]:
        """Pixels by row and column, each pair once: those that fall on one pair of nodes are summed."""
        self.file.seek(0)
        for count in np.diff(self.ends, prepend=0):
            pixels = np.frombuffer(self.file.read(int(count) * PIXEL.itemsize), dtype=PIXEL)
            pair = pixels["row"].astype(np.int64) << 32 | pixels["col"]
            order = np.argsort(pair, kind="stable")
            pair = pair[order]
            first = np.flatnonzero(np.diff(pair, prepend=-1))
            summed = pixels[order[first]]
            if len(first) < len(pair):
                summed["balanced"] = np.add.reduceat(pixels["balanced"][order], first)
            yield summed


class _GrowingNpy:
    """A one-dimensional `.npy` file that is appended to; its length is written when it is closed."""

    def __init__(self, path: Path, dtype: type) -> None:
        self.dtype, self.length = np.dtype(dtype), 0
        self.file = path.open("wb")
        self._write_header()

    def append(self, values: np.ndarray) -> None:
        self.file.write(values.astype(self.dtype).tobytes())
        self.length += len(values)

    def close(self) -> None:
        self.file.seek(0)
        self._write_header()
        self.file.close()

    def _write_header(self) -> None:
        # numpy pads the header for any length, so that it can be written over in place.
        descr = np.lib.format.dtype_to_descr(self.dtype)
        header = {"descr": descr, "fortran_order": False, "shape": (self.length,)}
        np.lib.format.write_array_header_1_0(self.file, header)


def _write_pixels(spool: _Spool, nodes: Bins, folder: Path) -> tuple[np.ndarray, float]:
    """Write the sorted pixels; return the contacts at each distance (see `expected_within`) and in trans."""
    files = {name: _GrowingNpy(folder / f"{name}.npy", dtype) for name, dtype in COLUMNS.items()}
    cis, between = np.zeros(len(nodes)), 0.0
    for pixels in spool.stretches():
        for name, file in files.items():
            file.append(pixels[name])
        distance = nodes.distance(pixels["row"], pixels["col"])
        within = pixels[distance >= 0]
        place = nodes.offsets[nodes.chrom_index(within["row"])] + distance[distance >= 0]
        cis += np.bincount(place, weights=within["balanced"], minlength=len(nodes))
        between += float(pixels["balanced"][distance < 0].sum())
    for file in files.values():
        file.close()
    return cis, between


def _per_node(node: np.ndarray, bin_weight: np.ndarray, num_nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """How many unmasked map bins each node holds, and their mean weight (NaN where none): both (nodes,)."""
    unmasked = (node >= 0) & ~np.isnan(bin_weight)
    valid = np.bincount(node[unmasked], minlength=num_nodes)
    total = np.bincount(node[unmasked], weights=bin_weight[unmasked], minlength=num_nodes)
    return valid, np.divide(total, valid, out=np.full(num_nodes, np.nan), where=valid > 0)
