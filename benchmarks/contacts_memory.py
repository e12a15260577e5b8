"""Peak memory and time of reading a chromosome as long as human chr1 at 5 kb and building its graph.

    python benchmarks/contacts_memory.py

A map with every pair within 2 Mb and a million pixels beyond, 21 million in all, is drawn with the
1/distance decay of real contacts. Reading it and building the graph then run in a process of their own,
whose peak resident memory is printed. Dense float64, as published pipelines hold it, would take 20 GB.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cooler
import numpy as np
import pandas as pd

from genograph.assays.contacts import ContactMap, write_contacts
from genograph.genome.bins import Bins
from genograph.graph import HiCEdges, LinearEdges, build_graph

CHROM_SIZE = 248_956_422  # bp, chr1 of hg38
RESOLUTION = 5_000  # bp
NEAR = 2_000_000  # bp; every pair within is in the map
FAR_PIXELS = 20  # per row
ROWS = 1_000  # drawn at once
LIMIT = 1_000_000_000  # bytes


def write_cool(path: Path, size: int, seed: int = 0) -> None:
    """Write a map of one chromosome of `size` bp with weights, 5 % of them NaN."""
    rng = np.random.default_rng(seed)
    bins = cooler.binnify(pd.Series({"chr1": size}), RESOLUTION)
    bins["weight"] = np.where(rng.random(len(bins)) < 0.05, np.nan, rng.lognormal(-3, 0.3, len(bins)))
    cooler.create_cooler(str(path), bins, _pixel_tables(len(bins), rng), ordered=True)


def _pixel_tables(num_bins: int, rng: np.random.Generator) -> Iterator[pd.DataFrame]:
    near = np.arange(NEAR // RESOLUTION + 1)
    for first in range(0, num_bins, ROWS):
        row = np.arange(first, min(first + ROWS, num_bins))
        close = (row[:, None] + near).ravel()
        distant = rng.integers(0, num_bins, len(row) * FAR_PIXELS)
        pixels = pd.DataFrame(
            {
                "bin1_id": np.concatenate([np.repeat(row, len(near)), np.repeat(row, FAR_PIXELS)]),
                "bin2_id": np.concatenate([close, distant]),
            }
        )
        pixels = pixels[(pixels.bin2_id >= pixels.bin1_id) & (pixels.bin2_id < num_bins)].drop_duplicates()
        distance = pixels.bin2_id - pixels.bin1_id
        yield pixels.assign(count=rng.poisson(400 / (1 + distance)) + 1).sort_values(["bin1_id", "bin2_id"])


def read_and_build(path: Path, size: int) -> None:
    """Print time and peak memory of each step; fail above `LIMIT`."""
    nodes = Bins({"chr1": size}, RESOLUTION, partial=True)
    folder = path.parent / "contacts"
    folder.mkdir()
    _report("imports")
    start = time.perf_counter()
    write_contacts(str(path), nodes, folder, aliases={})
    contacts = ContactMap.open(folder, nodes)
    _report(f"write_contacts, {len(contacts):,} pixels", start)
    start = time.perf_counter()
    graph = build_graph([LinearEdges(), HiCEdges()], nodes, contacts)
    _report(f"build_graph, {graph.num_edges:,} edges", start)
    if _peak() > LIMIT:
        sys.exit(f"peak memory {_peak() / 1e6:.0f} MB is above {LIMIT / 1e6:.0f} MB")


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _report(step: str, start: float | None = None) -> None:
    seconds = "" if start is None else f"{time.perf_counter() - start:6.1f} s, "
    print(f"{step}: {seconds}peak {_peak() / 1e6:.0f} MB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=CHROM_SIZE, help="chromosome size in bp")
    parser.add_argument("--cool", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.cool:
        read_and_build(arguments.cool, arguments.size)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chr1.cool"
        write_cool(path, arguments.size)
        command = [sys.executable, __file__, "--cool", str(path), "--size", str(arguments.size)]
        sys.exit(subprocess.run(command).returncode)


if __name__ == "__main__":
    main()
