"""Peaks: from BED files, tables and peak-by-cell matrices to the open bins of a genome."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from genograph.assays.peak_matrix import files_of_matrix, parse_peaks, read_matrix
from genograph.assays.tables import TABLES, read_column
from genograph.assays.targets import Target
from genograph.errors import InputError
from genograph.genome.bed import read_intervals
from genograph.genome.bins import Bins
from genograph.genome.names import match_names

_LOGGER = logging.getLogger("genograph")
_BED = (".bed", ".narrowpeak", ".broadpeak")
_MATRIX = ".mtx"
PEAKS = (*_BED, _MATRIX, *TABLES)
PEAK_ASSAYS = ("accessibility", "coverage")
_PLACE = (("chrom", "start", "end"), ("chr", "start", "end"))


def is_peaks(target: Target) -> bool:
    """Whether a target is read as peaks, whose values lie between 0 and 1."""
    return target.assay in PEAK_ASSAYS and _suffix(target.file) in PEAKS


def files_of(target: Target) -> list[Path]:
    """The files that a target is read from: its own first, and those that stand beside a matrix."""
    return files_of_matrix(target.file) if _suffix(target.file) == _MATRIX else [target.file]


def read_peaks(target: Target, bins: Bins, *, aliases: Mapping[str, str], whole_genome: bool = False) -> np.ndarray:
    """How open each bin is, 0 to 1: (bins,) float32; for a BED file of peaks it is 1 or 0.

    A peak marks every bin of which it covers at least half, as in DeepSEA (Zhou & Troyanskaya 2015, Nature
    Methods 12:931), and a peak shorter than a bin the one that holds its midpoint; so no peak is lost, unless in
    the remainder of its chromosome. A marked bin has the highest value of its peaks, and is missing if one of them
    is; the others are 0. A chromosome without any peak is missing: the file cannot tell whether it was looked at.

    In a matrix a peak has the value 1 for a cell with any read in it, and for a group the share of such cells. A
    table, of peaks (`chrom:start-end`, or columns chrom, start, end) by samples, holds values of 0 to 1, or whole
    numbers of reads, which count as 1.

    Args:
        target: Its file is BED, narrowPeak, broadPeak, a table or a matrix (see `read_matrix`); its `column`, else
            its identifier, is the sample of a table, or the group or cell of a matrix.
        bins: The bins to mark, `partial` false.
        aliases: Further names of chromosomes, alias -> name.
        whole_genome: Whether to log other chromosomes, see `match_names`.

    Raises:
        InputError: If a file is missing or damaged, does not fit the genome, or lacks the sample.
    """
    track = np.full(len(bins), np.nan, dtype=np.float32)
    for name, starts, ends, values in peaks_by_chrom(target, bins.sizes, aliases=aliases, whole_genome=whole_genome):
        track[bins.span(name)] = 0
        peak, tile = bins.marked(name, starts, ends)
        with np.errstate(invalid="ignore"):  # NaN wins, and numpy warns
            np.maximum.at(track, tile, values[peak].astype(np.float32))
    return track


def peaks_by_chrom(
    target: Target, sizes: Mapping[str, int], *, aliases: Mapping[str, str], whole_genome: bool = False
) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """Starts, ends and values (peaks,) of the peaks of each chromosome, under the genome's name for it.

    Args and errors are those of `read_peaks`, with the sizes of the chromosomes in bp.
    """
    peaks, values = _read(target)
    path = target.file
    if not len(peaks):
        raise InputError(f"{path} holds no peak.")
    found = peaks["chrom"].unique().tolist()
    names = match_names([*sizes], found, aliases=aliases, source=path.name, whole_genome=whole_genome)
    for name, other in names.items():
        rows = (peaks["chrom"] == other).to_numpy()
        starts, ends = (peaks[column].to_numpy()[rows] for column in ("start", "end"))
        if starts.max() >= sizes[name]:
            raise InputError(
                f"{path}: wrong assembly. A peak starts at base {starts.max():,} of {other}, but {name} has "
                f"{sizes[name]:,} bp."
            )
        yield name, starts, ends, values[rows]


def _read(target: Target) -> tuple[pd.DataFrame, np.ndarray]:
    """The peaks of a target's file and their values, 0 to 1, in its sample."""
    sample, path = target.column or target.identifier, target.file
    if _suffix(path) in _BED:
        places = [(each.chrom, each.start, each.end) for each in read_intervals(path)]
        return pd.DataFrame(places, columns=["chrom", "start", "end"]), np.ones(len(places))
    if _suffix(path) == _MATRIX:
        matrix = read_matrix(path)
        return matrix.peaks, matrix.share_open(sample)
    return _read_table(path, sample)


def _read_table(path: Path, sample: str) -> tuple[pd.DataFrame, np.ndarray]:
    """The peaks of a table and their values, 0 to 1, in a sample."""
    rows, values = read_column(path, sample, keys=_PLACE)
    is_place = rows.shape[1] == len(_PLACE[0])
    peaks = parse_peaks((rows[0] + ":" + rows[1] + "-" + rows[2] if is_place else rows[0]).tolist(), path)
    measured = values[~np.isnan(values)]
    if not (measured > 1).any() and not (measured < 0).any():
        return peaks, values
    wrong = measured[(measured < 0) | (measured % 1 != 0)]
    if len(wrong):
        raise InputError(
            f"{path}: column '{sample}' reaches {measured.max():g} and has {wrong[0]:g}. Peaks are 0 to 1, or whole "
            "numbers of reads; give another signal as bigWig or bedGraph."
        )
    is_open = (values > 0).sum()
    _LOGGER.warning(f"{path.name}, {sample}: reads, not 0 to 1; the {is_open} of {len(values)} peaks with any are open")
    return peaks, np.minimum(values, 1)


def _suffix(path: Path) -> str:
    return Path(path.name.lower().removesuffix(".gz")).suffix
