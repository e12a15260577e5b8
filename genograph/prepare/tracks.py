"""The tracks of a store: read one after another, turned to rows, and looked at for what was measured where.

What is written of a track outlives a kill: the build that goes on reads on after the last whole one.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from genograph.assays.assay import ASSAYS
from genograph.assays.methylation import read_methylation
from genograph.assays.peak_matrix import forget_matrix
from genograph.assays.signals import read_signal
from genograph.assays.targets import Target
from genograph.genome.bins import Bins
from genograph.genome.genes import Genes
from genograph.genome.names import shorten
from genograph.prepare.sites import SiteList
from genograph.rebuild import finish, finished
from genograph.store import read_codes

log = logging.getLogger("genograph")
_STDERR = Console(stderr=True)
_BLOCK = 64_000_000  # bytes of signal held at a time
_VALUE = np.dtype(np.float32)


def write_tracks(
    targets: Mapping[str, list[Target]], bins: Bins, folder: Path, *, sites: SiteList | None, **reading: Any
) -> list[dict[str, Any]]:
    """Write each assay's tracks, `signals/<assay>.npy` and of ratios `coverage/<assay>.npy`, (bins, tracks) each.

    Args:
        targets: The tracks of each assay.
        bins: That they are read at.
        folder: Of the store; tracks that a killed build finished there are not read again.
        sites: If bins are those.
        reading: What readers of tracks take: genes, paint, aliases, whole_genome.

    Returns:
        The clip report of each track of counts.

    Raises:
        InputError: If a track cannot be read.
    """
    codes = read_codes(folder, sum(bins.sizes.values()))
    reports: dict[str, list[list[dict[str, Any]]]] = finished(folder, "tracks")
    for assay, rows in targets.items():
        of_assay = reports.setdefault(assay, [])
        for number, target in enumerate(track(rows, f"Reading {assay}", transient=True, console=_STDERR)):
            if number < len(of_assay):
                continue
            columns, report = _read_track(target, bins, codes=codes, **reading)
            if sites is not None:
                sites.put_peaks(columns["signals"], target.identifier)
            for kind, column in columns.items():
                _put(column, _raw(folder, kind, assay), number)
            of_assay.append(report)
            finish(folder, "tracks", reports)
        forget_matrix()
        for kind in ("signals", "coverage"):
            _interleave(_raw(folder, kind, assay), len(rows))
    return [report for of_assay in reports.values() for of_track in of_assay for report in of_track]


def measured_bins(targets: Mapping[str, list[Target]], bins: Bins, folder: Path) -> np.ndarray:
    """True for bins at which some track has a value: (bins,). Chromosomes on which there is none are logged.

    Args:
        targets: The tracks of each assay.
        bins: That they were read at.
        folder: Of the store that holds them.
    """
    measured = np.zeros(len(bins), dtype=bool)
    unmeasured: dict[tuple[str, ...], list[str]] = {}
    for assay, rows in targets.items():
        has_value = np.zeros((len(rows), len(bins.chroms)), dtype=bool)
        step = max(1, _BLOCK // (len(rows) * _VALUE.itemsize))
        for chrom, (first, end) in enumerate(pairwise(bins.offsets.tolist())):
            for start in range(first, end, step):
                block = slice(start, min(start + step, end))
                # A mapped page stays resident as long as its mapping lives, so each block maps the file anew.
                is_value = np.isfinite(np.load(folder / "signals" / f"{assay}.npy", mmap_mode="r")[block])
                measured[block] |= is_value.any(axis=1)
                has_value[:, chrom] |= is_value.any(axis=0)
        for target, on_chrom in zip(rows, has_value, strict=True):
            unmeasured.setdefault(_with_bins(~on_chrom, bins), []).append(target.identifier)
    for chroms, identifiers in unmeasured.items():
        if chroms:
            log.warning("No value of %s on %s: missing there.", shorten(identifiers), shorten(chroms))
    nowhere = chroms_without(measured, bins)
    if nowhere:
        log.warning("No track has a value on %s, which leaves loss and metrics.", shorten(nowhere))
    return measured


def chroms_without(kept: np.ndarray, bins: Bins) -> tuple[str, ...]:
    """The chromosomes that have bins, but none of those kept, (bins,)."""
    spans = pairwise(bins.offsets.tolist())
    return _with_bins(np.array([not kept[first:end].any() for first, end in spans]), bins)


def _with_bins(chosen: np.ndarray, bins: Bins) -> tuple[str, ...]:
    """Those of some chromosomes, (chroms,), that have bins."""
    return tuple(np.array(bins.chroms)[chosen & (np.diff(bins.offsets) > 0)].tolist())


def _read_track(
    target: Target, bins: Bins, *, genes: Genes | None, paint: str, codes: np.ndarray, **names: Any
) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    """What the store keeps of a track, (bins,) each, by the folder that it goes to; and its clip report, if any."""
    if ASSAYS[target.assay].kind == "ratio":
        signal, coverage = read_methylation(target, bins, codes=codes, **names)
        return {"signals": signal, "coverage": coverage}, []
    signal, report = read_signal(target, bins, genes=genes, paint=paint, **names)
    return {"signals": signal}, [asdict(report)]


def _raw(folder: Path, kind: str, assay: str) -> Path:
    """Where an assay's tracks lie one after another, before they are turned to rows."""
    return folder / kind / f"{assay}.raw"


def _put(column: np.ndarray, raw: Path, number: int) -> None:
    """Write a track, (bins,), to its place; what a kill left of it there is written over."""
    raw.parent.mkdir(exist_ok=True)
    raw.touch()
    with raw.open("r+b") as file:
        file.seek(number * len(column) * _VALUE.itemsize)
        file.write(np.ascontiguousarray(column, dtype=_VALUE).data)
        file.flush()
        os.fsync(file.fileno())


def _interleave(raw: Path, num_tracks: int) -> None:
    """Turn a `.raw` file, one track after another, into a `.npy` file of (bins, tracks); nothing if it is done.

    The `.raw` file goes last: where it is, the other may be half written.
    """
    if not raw.exists():
        return
    num_bins = raw.stat().st_size // (num_tracks * _VALUE.itemsize)
    step = max(1, _BLOCK // (num_tracks * _VALUE.itemsize))
    with raw.with_suffix(".npy").open("wb") as file:
        descr = np.lib.format.dtype_to_descr(_VALUE)
        header = {"descr": descr, "fortran_order": False, "shape": (num_bins, num_tracks)}
        np.lib.format.write_array_header_1_0(file, header)
        for first in range(0, num_bins, step):
            columns = np.memmap(raw, dtype=_VALUE, mode="r", shape=(num_tracks, num_bins))
            file.write(np.ascontiguousarray(columns[:, first : first + step].T).data)
        file.flush()
        os.fsync(file.fileno())
    raw.unlink()
