"""Contact maps from dense matrices, for tests that compare with a dense computation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cooler
import numpy as np
import pandas as pd

from genograph.assays.contacts import ContactMap, write_contacts
from genograph.genome.bins import Bins


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


def open_map(folder: Path, nodes: Bins, counts: np.ndarray, weight: np.ndarray | None = None, **options) -> ContactMap:
    """A map whose bins are the nodes, written as a cooler, read and opened; no weights mean weights of 1."""
    folder.mkdir(parents=True, exist_ok=True)
    weight = np.ones(len(nodes)) if weight is None else weight
    uri = write_map(folder / "map.cool", nodes.sizes, nodes.bin_size, counts, weight)
    write_contacts(uri, nodes, folder, aliases={}, **options)
    return ContactMap.open(folder, nodes)


def dense(contacts: ContactMap) -> np.ndarray:
    """(nodes, nodes) balanced contacts, upper triangle."""
    matrix = np.zeros((len(contacts.nodes), len(contacts.nodes)))
    matrix[contacts.row, contacts.col] = contacts.balanced
    return matrix
