"""Contact maps from dense matrices, for tests that compare with a dense computation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cooler
import numpy as np
import pandas as pd

from genograph.assays.contacts import ContactMap, write_contacts
from genograph.genome.bins import Bins

SIZES = {"chr1": 700, "chr2": 450}  # 7 and 5 bins of 100 bp
NODES = Bins(SIZES, 100, partial=True)


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
    """The map of a cooler, read into `folder` and opened."""
    folder.mkdir(parents=True, exist_ok=True)
    write_contacts(str(uri), nodes, folder, aliases=options.pop("aliases", {}), **options)
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
