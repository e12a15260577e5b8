"""Peaks: from BED files, tables and peak-by-cell matrices to the open bins of a genome."""

from __future__ import annotations

import logging
from collections.abc import Mapping
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
    sample, path = target.column or target.identifier, target.file
    if _suffix(path) in _BED:
        peaks = pd.DataFrame(
            [(each.chrom, each.start, each.end) for each in read_intervals(path)], columns=["chrom", "start", "end"]
        )
        values = np.ones(len(peaks))
    elif _suffix(path) == _MATRIX:
        matrix = read_matrix(path)
        peaks, values = matrix.peaks, matrix.share_open(sample)
    else:
        peaks, values = _read_table(path, sample)
    if not len(peaks):
        raise InputError(f"{path} holds no peak.")
    found = peaks["chrom"].unique().tolist()
    names = match_names(bins.chroms, found, aliases=aliases, source=path.name, whole_genome=whole_genome)
    track = np.full(len(bins), np.nan, dtype=np.float32)
    for name, other in names.items():
        rows = (peaks["chrom"] == other).to_numpy()
        starts, ends = (peaks[column].to_numpy()[rows] for column in ("start", "end"))
        if starts.max() >= bins.sizes[name]:
            raise InputError(
                f"{path}: wrong assembly. A peak starts at base {starts.max():,} of {other}, but {name} has "
                f"{bins.sizes[name]:,} bp."
            )
        span = bins.span(name)
        track[span] = 0
        peak, tile = marked_bins(starts, ends, bins.bin_size)
        inside = span.start + tile < span.stop
        with np.errstate(invalid="ignore"):  # NaN wins, and numpy warns
            np.maximum.at(track, span.start + tile[inside], values[rows][peak[inside]].astype(np.float32))
    return track


def marked_bins(starts: np.ndarray, ends: np.ndarray, bin_size: int) -> tuple[np.ndarray, np.ndarray]:
    """The bins that peaks of one chromosome mark, as pairs of peak and bin: two arrays (pairs,).

    Bins are counted from 0 at the chromosome's start, and beyond its end. See `read_peaks` for the rule.
    """
    is_short, middle = ends - starts < bin_size, (starts + ends) // 2 // bin_size
    # A peak as long as a bin covers half of those bins whose midpoint it reaches.
    first = np.where(is_short, middle, -((bin_size - 2 * starts) // (2 * bin_size)))
    last = np.where(is_short, middle, (2 * ends - bin_size) // (2 * bin_size))
    count = last - first + 1
    peak = np.repeat(np.arange(len(starts)), count)
    return peak, np.arange(len(peak)) + np.repeat(first - (np.cumsum(count) - count), count)


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
