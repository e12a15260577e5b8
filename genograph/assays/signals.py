"""Tracks of counts and peaks: bigWig and bedGraph are pooled into bins, genes and peaks painted onto them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pybigtools

from genograph.assays.assay import ASSAYS
from genograph.assays.bigwig import readable_bigwig
from genograph.assays.expression import gene_values, paint_genes
from genograph.assays.peaks import PEAK_ASSAYS, PEAKS, is_peaks, read_peaks
from genograph.assays.tables import TABLES
from genograph.assays.targets import Target
from genograph.assays.transforms import ClipReport, clip, pool, root
from genograph.errors import InputError
from genograph.genome.bins import Bins
from genograph.genome.genes import Genes
from genograph.genome.lines import read_bytes, read_lines
from genograph.genome.names import match_names

_PIECE = 1_000_000  # bases of a bigWig held in memory at a time
_HEADERS = (b"#", b"track", b"browser")


def read_signal(
    target: Target,
    bins: Bins,
    *,
    aliases: Mapping[str, str],
    genes: Genes | None = None,
    paint: str = "gene",
    whole_genome: bool = False,
) -> tuple[np.ndarray, ClipReport]:
    """The track of a target, one value per bin: (bins,) float32, and what its clipping touched.

    On a chromosome that the file has, a base without a value counts as zero, in every `sum_stat`. A
    chromosome that the file does not have is missing (NaN), and so is a bin with a NaN among its values.
    For an expression table see `paint_genes`; the values of its genes are scaled and, under `sum_sqrt`,
    `mean_sqrt` and `peak`, take their root, but are not pooled over bases. For peaks see `read_peaks`.

    Args:
        target: What to read.
        bins: Whole bins, `partial` false.
        aliases: Further names of chromosomes, alias -> name.
        genes: The genome's genes; only an expression table needs them.
        paint: How genes become a track, `gene` or `tss`.
        whole_genome: Whether to log other chromosomes among a bedGraph's rows, see `match_names`.

    Raises:
        InputError: If the file cannot be read, does not fit the genome or is zero or missing throughout.
    """
    if ASSAYS[target.assay].kind != "count":
        raise InputError(f"Target '{target.identifier}': {target.assay} is no track of counts.")
    suffix = Path(target.file.name.lower().removesuffix(".gz")).suffix
    names = {"aliases": aliases, "whole_genome": whole_genome}
    if suffix in READERS:
        pooled = np.full(len(bins), np.nan, dtype=np.float32)
        match = partial(match_names, bins.chroms, source=target.file.name, **names)
        for tiles, bases in READERS[suffix](target.file, bins, match):
            pooled[tiles] = pool(bases, target)
    elif is_peaks(target):
        pooled = _read_peaks(target, bins, **names)
    elif suffix in TABLES:
        pooled = _read_table(target, bins, genes, paint)
    else:
        raise InputError(
            f"Target '{target.identifier}': {target.assay} is read from {', '.join(_suffixes(target))} files; "
            f"got {target.file}."
        )
    if not np.any(np.nan_to_num(pooled)):
        raise InputError(f"{target.file} holds no signal in this genome: every bin is zero or missing.")
    if np.nanmin(pooled) < 0:
        raise InputError(
            f"Target '{target.identifier}': {target.file} holds negative values, down to {np.nanmin(pooled):g}, which "
            "counts do not. Give the track as it was before its logarithm or background was taken."
        )
    return clip(pooled, target)


def _suffixes(target: Target) -> tuple[str, ...]:
    return (*READERS, *(PEAKS if target.assay in PEAK_ASSAYS else TABLES))


def _read_peaks(target: Target, bins: Bins, **names: Any) -> np.ndarray:
    if (target.scale, target.sum_stat, target.clip, target.clip_soft) != (1, "mean", None, None):
        raise InputError(f"Target '{target.identifier}' is of peaks and takes no clip, clip_soft, scale or sum_stat.")
    return read_peaks(target, bins, **names)


def _read_table(target: Target, bins: Bins, genes: Genes | None, paint: str) -> np.ndarray:
    if genes is None:
        raise InputError(f"Target '{target.identifier}' is an expression table, which needs the genome's genes.")
    values = gene_values(target.file, genes, target.column or target.identifier)
    return root(paint_genes(values * target.scale, genes, bins, paint=paint, strand=target.strand), target)


def _read_bigwig(path: Path, bins: Bins, match: Callable[..., dict[str, str]]) -> Iterator[tuple[slice, np.ndarray]]:
    """Bins and the values of their bases, zero where uncovered, (bins, bin_size), of one stretch after another."""
    with readable_bigwig(path):
        file = pybigtools.open(str(path))
        sizes = file.chroms()
    # The header may list every contig of an assembly, with values or without.
    names = match([*sizes], sizes=bins.sizes, found_sizes=sizes, whole_genome=False)
    for name, other in names.items():
        for tiles in bins.pieces(name, _PIECE):
            start, end = int(bins.starts(np.asarray(tiles.start))), int(bins.ends(np.asarray(tiles.stop - 1)))
            # Only the exact sum over one-base bins tells a base without a value (0) from a NaN value (NaN).
            per_base = {"bins": end - start, "summary": "sum", "exact": True, "uncovered": 0, "fillna": None}
            with readable_bigwig(path):
                values = file.values(other, start, end, **per_base)
            yield tiles, bins.bases(values, tiles, start)


def _read_bedgraph(path: Path, bins: Bins, match: Callable[..., dict[str, str]]) -> Iterator[tuple[slice, np.ndarray]]:
    """Bins and the values of their bases, zero where uncovered, (bins, bin_size), of one stretch after another."""
    lines = (line for line in read_bytes(path) if line.strip() and not line.startswith(_HEADERS))
    found = list(dict.fromkeys(line.split(maxsplit=1)[0].decode(errors="replace") for line in lines))
    genome_name = {other: name for name, other in match(found).items()}
    seen: set[str] = set()
    for other, rows in groupby(_bedgraph_rows(path), key=itemgetter(0)):
        if other in seen:
            raise InputError(f"{path} is not sorted: {other} comes in two places. Sort it: sort -k1,1 -k2,2n.")
        seen.add(other)
        if other in genome_name:
            name = genome_name[other]
            values = np.zeros(bins.sizes[name], dtype=np.float32)
            _fill(values, rows, path)
            yield from ((tiles, bins.bases(values, tiles, 0)) for tiles in bins.pieces(name, _PIECE))


def _bedgraph_rows(path: Path) -> Iterator[tuple[str, int, int, float, int]]:
    """Chromosome, start, end, value and line number of every interval."""
    for number, line in read_lines(path):
        if line.startswith(("track", "browser")):
            continue
        try:
            chrom, start, end, value = line.split()
            yield chrom, int(start), int(end), float(value), number
        except ValueError:
            raise InputError(f"{path}, line {number}: expected chrom, start, end and value; got '{line}'.") from None


def _fill(values: np.ndarray, rows: Iterable[tuple[str, int, int, float, int]], path: Path) -> None:
    previous = 0
    for chrom, start, end, value, number in rows:
        if not previous <= start < end <= len(values):
            reason = (
                f"wrong assembly: {chrom} has {len(values):,} bp"
                if end > len(values)
                else "intervals must be sorted and apart from each other"
            )
            raise InputError(f"{path}, line {number}: {reason}; got {chrom}:{start}-{end}.")
        values[start:end] = value
        previous = end


READERS = {".bw": _read_bigwig, ".bigwig": _read_bigwig, ".bedgraph": _read_bedgraph, ".bg": _read_bedgraph}
