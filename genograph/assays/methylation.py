"""Methylation from bisulfite sequencing: the methylated fraction of a bin, and the reads behind it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from genograph.assays.targets import Target
from genograph.errors import InputError
from genograph.genome.bins import Bins
from genograph.genome.lines import read_bytes
from genograph.genome.names import match_names

_COLUMNS = {
    "chrom": str,
    "start": np.int64,
    "end": np.int64,
    "percent": float,
    "methylated": np.int64,
    "not": np.int64,
}
_ROWS = 1_000_000  # read at a time


def read_methylation(
    target: Target, bins: Bins, *, aliases: Mapping[str, str], whole_genome: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Methylated fraction and coverage of every bin, summed over its sites: (bins,) float32 each.

    A bin's fraction is its methylated reads over all its reads, so deep sites count for more. Where no
    read is, the fraction is NaN and the coverage 0: uncovered is not unmethylated.

    Args:
        target: Its file is a Bismark coverage file (.cov, .cov.gz): chromosome, start and end (both 1-based),
            percent, methylated reads, unmethylated reads.
        bins: The bins to read.
        aliases: Further names of chromosomes, alias -> name.
        whole_genome: Whether to log other chromosomes, see `match_names`.

    Raises:
        InputError: If the file is not one, has no read, or does not fit the genome.
    """
    if not target.file.name.lower().removesuffix(".gz").endswith(".cov"):
        raise InputError(
            f"Target '{target.identifier}': methylation is read from Bismark coverage files "
            f"(.cov, .cov.gz), which tell unmethylated from uncovered; got {target.file}."
        )
    found = list(dict.fromkeys(line.split(b"\t", 1)[0].decode(errors="replace") for line in read_bytes(target.file)))
    names = match_names(bins.chroms, found, aliases=aliases, source=target.file.name, whole_genome=whole_genome)
    genome_name = {other: name for name, other in names.items()}
    methylated, coverage = np.zeros(len(bins)), np.zeros(len(bins))
    for rows in _read_cov(target):
        for other, sites in rows.groupby("chrom", sort=False):
            if other in genome_name:
                tiles = _locate(sites["start"].to_numpy() - 1, genome_name[other], bins, target)
                inside = tiles >= 0
                np.add.at(methylated, tiles[inside], sites["methylated"].to_numpy()[inside])
                np.add.at(coverage, tiles[inside], (sites["methylated"] + sites["not"]).to_numpy()[inside])
    if not coverage.any():
        raise InputError(f"{target.file} covers no bin of the genome with a read.")
    fraction = np.divide(methylated, coverage, out=np.full(len(bins), np.nan), where=coverage > 0)
    return fraction.astype(np.float32), coverage.astype(np.float32)


def _read_cov(target: Target) -> Iterator[pd.DataFrame]:
    try:
        with pd.read_csv(
            target.file,
            sep="\t",
            header=None,
            names=list(_COLUMNS),
            dtype=_COLUMNS,
            index_col=False,
            chunksize=_ROWS,
        ) as reader:
            for rows in reader:
                if (rows[["methylated", "not"]] < 0).any(axis=None):
                    raise ValueError("a count is negative")
                yield rows
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"{target.file} is not a Bismark coverage file (chromosome, start, end, percent, "
            f"methylated reads, unmethylated reads; tab-separated, no header): {error}"
        ) from None


def _locate(positions: np.ndarray, chrom: str, bins: Bins, target: Target) -> np.ndarray:
    outside = (positions < 0) | (positions >= bins.sizes[chrom])
    if outside.any():
        raise InputError(
            f"{target.file}: wrong assembly. A site lies at {chrom}:{positions[outside][0] + 1} (1-based), "
            f"but {chrom} has {bins.sizes[chrom]:,} bp."
        )
    return bins.locate(chrom, positions)
