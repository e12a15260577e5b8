"""The sites of a config: places, merged or tiled peaks, or covered CpGs, and their negatives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from genograph.assays.assay import ASSAYS
from genograph.assays.methylation import covered_sites
from genograph.assays.negative_sites import Measure, flanking_sites, gc_of_sites, random_sites, sites_in
from genograph.assays.peak_sites import merge_peaks, tile_peaks
from genograph.assays.peaks import is_peaks, peaks_by_chrom
from genograph.assays.signals import read_signal
from genograph.assays.targets import Target
from genograph.config import NegativesConfig, SitesConfig
from genograph.errors import InputError
from genograph.genome.bed import read_bed
from genograph.genome.interval import Interval
from genograph.genome.sites import SITE_KINDS, Sites

_PIECE = 10_000_000  # bp that are looked at at a time


@dataclass(frozen=True)
class SiteList:
    """Sites and where they come from.

    Attributes:
        sites: In order.
        kind: (sites,) position in `SITE_KINDS`.
        has_peak: For each track of merged peaks (sites,) True where one of its peaks went into a site; by identifier.
    """

    sites: Sites
    kind: np.ndarray
    has_peak: dict[str, np.ndarray]

    def put_peaks(self, track: np.ndarray, identifier: str) -> None:
        """Give each site of merged peaks 1 if a peak of the track went into it, else 0, in place; negatives stay."""
        if identifier in self.has_peak:
            is_source = (self.kind == SITE_KINDS.index("source")) & ~np.isnan(track)
            track[is_source] = self.has_peak[identifier][is_source]

    @property
    def rows(self) -> np.ndarray:
        """As the store keeps them: (sites, 3) of chromosome, first base and kind."""
        return np.stack([self.sites.chrom, self.sites.start, self.kind], axis=1).astype(np.int64)


def make_sites(
    config: SitesConfig,
    targets: Mapping[str, list[Target]],
    sizes: Mapping[str, int],
    *,
    bin_size: int,
    codes: np.ndarray,
    **names: Any,
) -> SiteList:
    """The sites that a config asks for.

    Args:
        config: Which.
        targets: The tracks of each assay, which peaks and covered CpGs are taken from.
        sizes: Chromosome sizes in bp.
        bin_size: Length of a site in bp.
        codes: (bases,) the genome's sequence, chromosomes end to end.
        names: `aliases` and `whole_genome`, see `match_names`.

    Raises:
        InputError: If the tracks are not of the kind that the source needs, or no site is found.
    """
    rows = [target for each in targets.values() for target in each]
    peaks = {target.identifier: _peaks(target, sizes, **names) for target in rows if is_peaks(target)}
    source, has_peak = _source(config, rows, peaks, sizes, bin_size=bin_size, codes=codes, **names)
    if not len(source):
        raise InputError(f"sites: source {config.source} gives no site of {bin_size} bp.")
    parts = [source, *_negatives(config, source, peaks, codes, **names)]
    kind = np.repeat(np.arange(len(SITE_KINDS)), [len(part) for part in parts])
    chrom, start = (np.concatenate([getattr(part, name) for part in parts]) for name in ("chrom", "start"))
    order = np.lexsort((kind, start, chrom))
    sites = Sites(sizes, bin_size, chrom=chrom[order], start=start[order])
    padded = {
        name: np.concatenate([has, np.zeros(len(order) - len(source), dtype=bool)])[order]
        for name, has in has_peak.items()
    }
    return SiteList(sites, kind[order], padded)


def _peaks(target: Target, sizes: Mapping[str, int], **names: Any) -> list[Interval]:
    """The peaks of a track, cut at the end of their chromosome."""
    return [
        Interval(chrom, int(start), min(int(end), sizes[chrom]))
        for chrom, starts, ends, values in peaks_by_chrom(target, sizes, **names)
        for start, end in zip(starts[values > 0], ends[values > 0], strict=True)
    ]


def _source(
    config: SitesConfig,
    targets: list[Target],
    peaks: Mapping[str, list[Interval]],
    sizes: Mapping[str, int],
    *,
    bin_size: int,
    codes: np.ndarray,
    **names: Any,
) -> tuple[Sites, dict[str, np.ndarray]]:
    """The sites of the source, and of merged peaks which track has one in which."""
    if config.source == "bed":
        assert config.bed is not None, "checked by the config"
        return Sites.centred(read_bed(config.bed, sizes=sizes, **names), sizes, bin_size), {}
    if config.source == "covered":
        return _covered(targets, sizes, bin_size=bin_size, codes=codes, **names), {}
    if not peaks:
        raise InputError("sites.source: no track of the targets table is of peaks. Give BED files, or source: bed.")
    if config.stride is None:
        sites, has_peak = merge_peaks([*peaks.values()], sizes, length=bin_size, overlap=config.overlap)
        return sites, dict(zip(peaks, has_peak.T, strict=True))
    everything = [each for track in peaks.values() for each in track]
    return tile_peaks(everything, sizes, length=bin_size, stride=config.stride), {}


def _covered(
    targets: list[Target], sizes: Mapping[str, int], *, bin_size: int, codes: np.ndarray, **names: Any
) -> Sites:
    """Every CpG that any track of methylation has a read at; without the sequence every site."""
    found: dict[str, np.ndarray] = {}
    for target in targets:
        if ASSAYS[target.assay].kind == "ratio":
            positions = covered_sites(target, Sites(sizes, bin_size), codes=codes, **names)
            for chrom, each in positions.items():
                found[chrom] = np.union1d(found.get(chrom, np.empty(0, dtype=np.int64)), each)
    if not found:
        raise InputError("sites.source: no track of the targets table is of methylation, whose sites could be covered.")
    by_chrom = [found.get(chrom, np.empty(0, dtype=np.int64)) for chrom in sizes]
    chrom = np.repeat(np.arange(len(sizes)), [len(each) for each in by_chrom])
    start = np.concatenate(by_chrom) - (bin_size - 1) // 2
    ends = np.asarray([*sizes.values()])[chrom]
    kept = (start >= 0) & (start + bin_size <= ends)
    return Sites(sizes, bin_size, chrom=chrom[kept], start=start[kept])


def write_covered(sites: Sites, states: np.ndarray, folder: Path) -> None:
    """Write what each cell covers, as `genograph.assays.cpg_neighbours.CoveredSites` holds it, into a folder.

    Args:
        sites: Of `source: covered`.
        states: (sites, cells) methylated fraction, NaN where a cell does not cover a site; may be memory-mapped.
        folder: Where to.
    """
    folder.mkdir(exist_ok=True)
    blocks = [(index, rows) for index, chrom in enumerate(sites.chroms) for rows in sites.pieces(chrom, _PIECE)]
    count = np.zeros((states.shape[1], len(sites.chroms)), dtype=np.int64)
    for chrom, rows in blocks:
        count[:, chrom] += np.count_nonzero(~np.isnan(states[rows]), axis=0)
    end = count.cumsum().reshape(count.shape)
    np.save(folder / "span.npy", np.stack([end - count, end], axis=-1))
    kinds = {"position": np.int64, "state": np.float32}
    position, state = (
        np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=kind, shape=(int(count.sum()),))
        for name, kind in kinds.items()
    )
    at = end - count
    for chrom, rows in blocks:
        centres = sites.centres(np.arange(rows.start, rows.stop))
        for cell, column in enumerate(states[rows].T):
            is_covered = ~np.isnan(column)
            part = slice(at[cell, chrom], at[cell, chrom] + np.count_nonzero(is_covered))
            position[part], state[part], at[cell, chrom] = centres[is_covered], column[is_covered], part.stop


def _negatives(
    config: SitesConfig, source: Sites, peaks: Mapping[str, list[Interval]], codes: np.ndarray, **names: Any
) -> list[Sites]:
    """Flanking, accessible and random sites; none is one that peaks mark, nor touches one of a kind before it."""
    wanted, every_peak = config.negatives, [each for track in peaks.values() for each in track]
    flanking = _without(flanking_sites(source, wanted.flanking, stride=config.stride), every_peak)
    taken = _joined(source, flanking)
    places = [] if wanted.accessible is None else read_bed(wanted.accessible, sizes=source.sizes, **names)
    accessible = _without(sites_in(places, taken), every_peak)
    taken = _joined(taken, accessible)
    rng, count = np.random.default_rng(wanted.seed), round(wanted.random * len(source))
    measures = _matched(wanted, codes, **names)
    like = source if measures else None
    return [
        flanking,
        accessible,
        random_sites(taken, count, codes, rng, peaks=every_peak, like=like, measures=measures),
    ]


def _matched(wanted: NegativesConfig, codes: np.ndarray, **names: Any) -> list[Measure]:
    """What random negatives share with the source, as measures of sites."""
    measures: list[Measure] = []
    if wanted.match_gc:
        length = None if wanted.match_gc is True else wanted.match_gc
        measures.append(partial(gc_of_sites, codes, length=length))
    if wanted.match_mappability is not None:
        measures.append(partial(_mappability, wanted.match_mappability, **names))
    return measures


def _mappability(file: Path, sites: Sites, **names: Any) -> np.ndarray:
    """The mean over each site of a track of 0 to 1, NaN on a chromosome that it does not have: (sites,)."""
    key = "sites.negatives.match_mappability"
    target = Target(identifier=key, file=file)
    if is_peaks(target):
        raise InputError(f"{key}: mappability is read from bigWig or bedGraph; got {file}.")
    values, _ = read_signal(target, sites, **names)
    if np.nanmax(values) > 1:
        raise InputError(f"{key}: mappability is 0 to 1; {file} reaches {np.nanmax(values):g} over a site.")
    return values


def _without(sites: Sites, peaks: list[Interval]) -> Sites:
    """The sites that no peak marks."""
    kept = ~sites.marked_by(peaks)
    return Sites(sites.sizes, sites.bin_size, chrom=sites.chrom[kept], start=sites.start[kept])


def _joined(one: Sites, other: Sites) -> Sites:
    """The sites of both, in order."""
    chrom, start = np.concatenate([one.chrom, other.chrom]), np.concatenate([one.start, other.start])
    order = np.lexsort((start, chrom))
    return Sites(one.sizes, one.bin_size, chrom=chrom[order], start=start[order])
