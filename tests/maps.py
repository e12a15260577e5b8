"""Contact maps from dense matrices, for tests that compare with a dense computation."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import cooler
import numpy as np
import pandas as pd

from genograph.assays.contacts import ContactMap, write_contacts
from genograph.genome.bins import Bins

SIZES = {"chr1": 700, "chr2": 450}  # 7 and 5 bins of 100 bp
NODES = Bins(SIZES, 100, partial=True)
WRITE_HIC = """
import json, sys, hictkpy
path, sizes, resolution, folder, pixels = json.load(sys.stdin)
with hictkpy.hic.FileWriter(path, sizes, resolution, tmpdir=folder, compression_lvl=1) as file:
    file.add_pixels_from_dict(pixels)
"""


def random_map(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Counts, and weights of which two are NaN, for the bins of `NODES`."""
    rng = np.random.default_rng(seed)
    weight = rng.uniform(0.5, 2.0, 12)
    weight[[2, 9]] = np.nan
    return rng.poisson(3.0, (12, 12)), weight


def write_map(
    path: Path, sizes: Mapping[str, int], resolution: int, counts: np.ndarray, weight: np.ndarray | None = None
) -> str:
    """Write the upper triangle of `counts` as a cooler; returns its URI."""
    bins = cooler.binnify(pd.Series(dict(sizes)), resolution)
    if weight is not None:
        bins["weight"] = weight
    first, second = np.nonzero(np.triu(counts))
    pixels = pd.DataFrame({"bin1_id": first, "bin2_id": second, "count": counts[first, second]})
    cooler.create_cooler(str(path), bins, pixels, ordered=True)
    return str(path)


def read(uri, folder, nodes=NODES, **options) -> ContactMap:
    """The map of a file, or of a list of them, read into `folder` and opened."""
    folder.mkdir(parents=True, exist_ok=True)
    uri = uri if isinstance(uri, list) else str(uri)
    write_contacts(uri, nodes, folder, aliases=options.pop("aliases", {}), **options)
    return ContactMap.open(folder, nodes)


def open_map(folder: Path, nodes: Bins, counts: np.ndarray, weight: np.ndarray | None = None, **options) -> ContactMap:
    """A map whose bins are the nodes, written as a cooler, read and opened; no weights mean weights of 1."""
    folder.mkdir(parents=True, exist_ok=True)
    weight = np.ones(len(nodes)) if weight is None else weight
    uri = write_map(folder / "map.cool", nodes.sizes, nodes.bin_size, counts, weight)
    return read(uri, folder, nodes, **options)


def dense(contacts: ContactMap) -> np.ndarray:
    """(nodes, nodes) balanced contacts, upper triangle."""
    matrix = np.zeros((len(contacts.nodes), len(contacts.nodes)))
    matrix[contacts.row, contacts.col] = contacts.balanced
    return matrix


def write_hic(
    path: Path,
    sizes: Mapping[str, int],
    resolution: int,
    counts: np.ndarray,
    vectors: Mapping[str, np.ndarray] | None = None,
) -> str:
    """Write the upper triangle of `counts`, and vectors over all bins, as a `.hic` file; returns its URI."""
    first, second = np.nonzero(np.triu(counts))
    pixels = {"bin1_id": first.tolist(), "bin2_id": second.tolist(), "count": counts[first, second].tolist()}
    return write_hic_pixels(path, sizes, resolution, pixels, vectors)


def write_hic_pixels(
    path: Path,
    sizes: Mapping[str, int],
    resolution: int,
    pixels: Mapping[str, list],
    vectors: Mapping[str, np.ndarray] | None = None,
) -> str:
    """Write pixels in a process of its own, as hictkpy must not be loaded where other tests fork."""
    what = json.dumps([str(path), dict(sizes), resolution, str(path.parent), dict(pixels)])
    subprocess.run([sys.executable, "-c", WRITE_HIC], input=what, text=True, check=True)
    if vectors:
        _append_vectors(path, sizes, resolution, vectors)
    return f"{path}::/resolutions/{resolution}"


def _append_vectors(path: Path, sizes: Mapping[str, int], resolution: int, vectors: Mapping[str, np.ndarray]) -> None:
    """Put normalisation vectors, one a chromosome, where version 9 of the format has them, as hictkpy writes none."""
    content = bytearray(path.read_bytes())
    place = content.index(0, 16) + 1  # of the index's position in the header, behind the name of the assembly
    (position,) = struct.unpack_from("<q", content, place)
    ends = np.cumsum([-(-size // resolution) for size in sizes.values()])
    parts = [
        (name, number, part.astype("<f4").tobytes())
        for name, vector in vectors.items()
        for number, part in enumerate(np.split(vector, ends[:-1]), start=1)  # 0 is the whole genome
    ]
    length = 4 + sum(len(name) + 1 + 4 + 3 + 4 + 16 for name, _, _ in parts)
    index, start = struct.pack("<i", len(parts)), position + length
    for name, number, values in parts:
        index += name.encode() + b"\0" + struct.pack("<i", number) + b"BP\0"
        index += struct.pack("<iqq", resolution, start, 8 + len(values))
        start += 8 + len(values)
    content[position:] = index + b"".join(struct.pack("<q", len(values) // 4) + values for *_, values in parts)
    struct.pack_into("<qq", content, place, position, length)
    path.write_bytes(content)
