"""`genograph prepare`: read genome, tracks, contacts and genes once and write the store."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from genograph.assays.assay import ASSAYS
from genograph.assays.contacts import ContactMap, write_contacts
from genograph.assays.methylation import read_methylation
from genograph.assays.peak_matrix import forget_matrix
from genograph.assays.peaks import files_of
from genograph.assays.signals import read_signal
from genograph.assays.targets import Target, read_targets
from genograph.assays.transforms import ClipReport
from genograph.config import Config, ContactsConfig
from genograph.data_config import GenomeConfig
from genograph.errors import InputError, nearest
from genograph.genome.assembly import is_sequenced, read_chrom_sizes, read_fasta
from genograph.genome.bed import read_bed
from genograph.genome.bins import Bins, bins_to_nodes
from genograph.genome.genes import Genes, read_genes
from genograph.genome.names import match_names, read_aliases, shorten
from genograph.genome.regions import read_regions
from genograph.prepare_sites import SiteList, make_sites, write_covered
from genograph.prepare_statistics import ASSAY as STATISTICS
from genograph.prepare_statistics import wanted_statistics, write_statistics
from genograph.prepare_tfrecords import Plan, plan_tfrecords
from genograph.rebuild import building, fingerprint, locked, restamp, what_changed
from genograph.store import Store, read_codes, read_manifest, write_manifest

log = logging.getLogger("genograph")
_STDERR = Console(stderr=True)
_PIECE = 1_000_000  # bases of the genome looked at at a time
_BLOCK = 256_000_000  # bytes of signal turned from columns to rows at a time


def prepare(config: Config) -> Store:
    """The store of a config, built if it is not there yet or if what it was built from has changed.

    Sources are compared by SHA-256 (a file of the same size and time is not read again), settings by
    value. The reason of a rebuild is logged. A build that fails or is killed leaves what was there before.

    Raises:
        InputError: If a source is missing, damaged, of another assembly, a setting does not fit, or the store
            cannot be written.
    """
    path = config.store
    manifest = read_manifest(path)
    try:
        recipe, sources, build = _plan(config) if config.tfrecords is None else plan_tfrecords(config)
        prints = fingerprint(sources, manifest.get("sources", {}))
    except InputError as error:
        raise InputError(f"{error}{_to_download(config)}") from None
    if not what_changed(manifest, recipe, prints):
        if prints != manifest["sources"]:
            restamp(path, prints)
        return Store.open(path)
    try:
        with locked(path):
            prints = fingerprint(sources, prints)
            reasons = what_changed(read_manifest(path), recipe, prints)
            if reasons:  # else another process built it while this one waited
                log.info("Preparing %s: %s.", path, "; ".join(reasons))
                with building(path) as folder:
                    write_manifest(folder, recipe=recipe, sources=prints, **build(folder))
    except OSError as error:
        raise InputError(
            f"store: {path} cannot be built: {error.strerror or error}. Name a folder that may be written to."
        ) from None
    return Store.open(path)


def _to_download(config: Config) -> str:
    """` Fetch ...` if files that `genograph download` fetches are not there."""
    missing = sum(not wanted.file.exists() for wanted in config.downloads)
    return (missing and f" Fetch the {missing} missing files of downloads: genograph download CONFIG") or ""


def _plan(config: Config) -> Plan:
    """What a store of genome, tracks and contacts is made of, and how."""
    targets = _targets(config)
    return Plan(_recipe(config), _sources(config, targets), partial(_build, config, targets))


def _targets(config: Config) -> dict[str, list[Target]]:
    """The rows of the targets table, by assay."""
    tracks = config.section("tracks")
    if not tracks.targets.is_file():
        raise InputError(f"tracks.targets: no such file: {tracks.targets}")
    by_assay: dict[str, list[Target]] = {}
    for row in read_targets(tracks.targets, tracks.folder):
        by_assay.setdefault(row.assay, []).append(row)
    return by_assay


def _recipe(config: Config) -> dict[str, Any]:
    """The settings that decide what the store holds; where files lie is not among them."""
    genome, contacts = config.section("genome"), config.contacts
    return {
        "bins": config.bins.model_dump(exclude={"nodes"}),
        "sites": config.sites
        and config.sites.model_dump(
            include={"source", "overlap", "stride", "negatives"},
            exclude={"negatives": {"accessible", "match_mappability"}},
        ),
        "statistics": [*wanted_statistics(config)] or None,
        "covered": (config.sites is not None and config.sites.source == "covered") or None,
        "genome": genome.model_dump(include={"chroms", "circular"}),
        "paint": config.section("tracks").paint,
        "contacts": contacts and contacts.model_dump(exclude={"file"}),
        "contacts group": contacts and contacts.groups,
    }


def _sources(config: Config, targets: Mapping[str, list[Target]]) -> dict[str, Path]:
    """Every file that goes into the store, by the config key, or the first track, that names it."""
    genome, tracks = config.section("genome"), config.section("tracks")
    named = {
        "genome.fasta": genome.fasta,
        "genome.chrom_sizes": genome.chrom_sizes,
        "genome.blacklist": genome.blacklist,
        "genome.aliases": genome.aliases,
        "tracks.targets": tracks.targets,
        "tracks.genes": tracks.genes,
        "bins.nodes": config.bins.nodes,
        "sites.bed": config.sites and config.sites.bed,
        "sites.negatives.accessible": config.sites and config.sites.negatives.accessible,
        "sites.negatives.match_mappability": config.sites and config.sites.negatives.match_mappability,
        **(config.contacts.paths if config.contacts else {}),
    }
    first: dict[Path, str] = {}
    for target in (target for rows in targets.values() for target in rows):
        own, *beside = files_of(target)
        first.setdefault(own.resolve(), f"track {target.identifier}")
        for file in beside:
            first.setdefault(file.resolve(), f"track {target.identifier}, {file.name}")
    return {key: path for key, path in named.items() if path} | {key: path for path, key in first.items()}


def _build(config: Config, targets: Mapping[str, list[Target]], folder: Path) -> dict[str, Any]:
    """Write the arrays; returns what the manifest says of them."""
    genome = config.section("genome")
    aliases = read_aliases(genome.aliases) if genome.aliases else {}
    names = {"aliases": aliases, "whole_genome": genome.chroms is None}
    sizes = _write_codes(config, folder)
    if genome.chrom_sizes:
        listed = read_chrom_sizes(genome.chrom_sizes)
        match_names(sizes, listed, source=genome.chrom_sizes.name, sizes=sizes, found_sizes=listed, **names)
    circular = frozenset(genome.circular) & sizes.keys()
    node_size = config.bins.node_size or (config.bins.bin_size if config.sites is None else None)
    bins, sites = Bins(sizes, config.bins.bin_size, circular=circular), None
    if config.sites is not None:
        codes = read_codes(folder, sum(sizes.values()))
        sites = make_sites(config.sites, targets, sizes, bin_size=bins.bin_size, codes=codes, **names)
        bins = replace(sites.sites, circular=circular)
        np.save(folder / "sites.npy", sites.rows)
    nodes = Bins(sizes, node_size, partial=True, circular=circular) if node_size else bins
    if config.bins.nodes:
        nodes = read_regions(config.bins.nodes, sizes, circular=circular, **names)
        node_size = nodes.bin_size
        np.save(folder / "nodes.npy", np.stack([nodes.chrom, nodes.start, nodes.end], axis=1))
    mask = _sequenced(folder, bins) if genome.fasta else np.ones(len(bins), dtype=bool)
    if genome.blacklist:
        mask &= ~bins.mark(read_bed(genome.blacklist, sizes=sizes, **names))
    if config.contacts:
        mask &= _write_contacts(config.contacts, bins, nodes, folder / "contacts", aliases)
    genes = None
    if config.tracks.genes:
        genes = read_genes(config.tracks.genes, sizes, **names)
        genes.to_frame().to_csv(folder / "genes.tsv", sep="\t", index=False)
    reading = {"genes": genes, "paint": config.tracks.paint, **names}
    measured, reports = _write_signals(targets, bins, folder, sites=sites, **reading)
    np.save(folder / "mask.npy", mask & measured)
    if config.sites is not None and config.sites.source == "covered":
        states = np.load(folder / "signals" / "methylation.npy", mmap_mode="r")
        write_covered(bins, states, folder / "covered")
    wanted = wanted_statistics(config)
    if wanted:
        targets = {**targets, STATISTICS: write_statistics(wanted, bins, folder)}
    return {
        "sizes": sizes,
        "circular": sorted(circular),
        "bin_size": bins.bin_size,
        "node_size": node_size,
        "targets": targets,
        "report": [asdict(report) for report in reports],
    }


def _write_codes(config: Config, folder: Path) -> dict[str, int]:
    """Write the genome's codes, chromosomes end to end; returns their sizes in bp."""
    genome = config.section("genome")
    if genome.fasta is None:
        return _listed_sizes(genome)
    wanted = genome.chroms and [*genome.chroms, *genome.circular]
    sizes: dict[str, int] = {}
    with (folder / "codes.raw").open("wb") as raw:
        sequences = read_fasta(genome.fasta, wanted)
        for name, codes in track(sequences, "Reading the genome", transient=True, console=_STDERR):
            if genome.chroms is None or name in genome.chroms:
                sizes[name] = len(codes)
                codes.tofile(raw)
    for name in genome.circular:
        if genome.chroms is None and name not in sizes:
            raise InputError(f"genome.circular: {genome.fasta} has no chromosome '{name}'.{nearest(name, sizes)}")
    codes = np.memmap(folder / "codes.raw", dtype=np.uint8, mode="r")
    np.save(folder / "codes.npy", codes)
    (folder / "codes.raw").unlink()
    return sizes


def _listed_sizes(genome: GenomeConfig) -> dict[str, int]:
    """The chromosomes to use, in bp, of a genome whose sequence is not given."""
    listed = read_chrom_sizes(genome.chrom_sizes)  # pyright: ignore[reportArgumentType]
    for key, names in ("chroms", genome.chroms or []), ("circular", genome.circular):
        for name in names:
            if name not in listed:
                raise InputError(f"genome.{key}: {genome.chrom_sizes} has no '{name}'.{nearest(name, listed)}")
    return {name: size for name, size in listed.items() if genome.chroms is None or name in genome.chroms}


def _sequenced(folder: Path, bins: Bins) -> np.ndarray:
    """True for bins of which at least half is known sequence: (bins,)."""
    codes = np.load(folder / "codes.npy", mmap_mode="r")
    sequenced, offset = np.zeros(len(bins), dtype=bool), 0
    for chrom, size in bins.sizes.items():
        for tiles in bins.pieces(chrom, _PIECE):
            first, end = int(bins.starts(np.asarray(tiles.start))), int(bins.ends(np.asarray(tiles.stop - 1)))
            bases = bins.bases(codes[offset + first : offset + end], tiles, first)
            sequenced[tiles] = is_sequenced(bases.ravel(), bins.bin_size)
        offset += size
    return sequenced


def _write_contacts(
    contacts: ContactsConfig, bins: Bins, nodes: Bins, folder: Path, aliases: Mapping[str, str]
) -> np.ndarray:
    """Write the contact map; returns True for the bins that it sees, or for all with `mask: false`."""
    folder.mkdir()
    write_contacts(
        contacts.file,
        nodes,
        folder,
        aliases=aliases,
        max_distance=contacts.max_distance,
        trans=contacts.trans,
        balance=contacts.balance,
    )
    if not contacts.mask:
        return np.ones(len(bins), dtype=bool)
    seen = ~ContactMap.open(folder, nodes).masked[bins_to_nodes(bins, nodes)]
    unseen = _chroms_without(seen, bins)
    if unseen:
        log.warning(
            "contacts.file: the map sees nothing of %s, which leaves loss and metrics; contacts.mask=false keeps it.",
            shorten(unseen),
        )
    return seen


def _write_signals(
    targets: Mapping[str, list[Target]], bins: Bins, folder: Path, *, sites: SiteList | None, **reading: Any
) -> tuple[np.ndarray, list[ClipReport]]:
    """Write each assay's tracks; returns True for bins with a measured value, (bins,), and the clip reports."""
    codes = read_codes(folder, sum(bins.sizes.values()))
    measured = np.zeros(len(bins), dtype=bool)
    reports: list[ClipReport] = []
    unmeasured: dict[tuple[str, ...], list[str]] = {}
    for assay, rows in targets.items():
        raws: set[Path] = set()
        for target in track(rows, f"Reading {assay}", transient=True, console=_STDERR):
            columns, report = _read_track(target, bins, codes=codes, **reading)
            if sites is not None:
                sites.put_peaks(columns["signals"], target.identifier)
            reports += report
            for kind, column in columns.items():
                raws.add(_append(column, folder / kind / f"{assay}.raw"))
            has_value = np.isfinite(columns["signals"])
            measured |= has_value
            unmeasured.setdefault(_chroms_without(has_value, bins), []).append(target.identifier)
        forget_matrix()
        for raw in raws:
            _interleave(raw, len(rows))
    for chroms, identifiers in unmeasured.items():
        if chroms:
            log.warning("No value of %s on %s: missing there.", shorten(identifiers), shorten(chroms))
    nowhere = _chroms_without(measured, bins)
    if nowhere:
        log.warning("No track has a value on %s, which leaves loss and metrics.", shorten(nowhere))
    return measured, reports


def _read_track(
    target: Target, bins: Bins, *, genes: Genes | None, paint: str, codes: np.ndarray, **names: Any
) -> tuple[dict[str, np.ndarray], list[ClipReport]]:
    """What the store keeps of a track, (bins,) each, by the folder that it goes to; and its clip report, if any."""
    if ASSAYS[target.assay].kind == "ratio":
        signal, coverage = read_methylation(target, bins, codes=codes, **names)
        return {"signals": signal, "coverage": coverage}, []
    signal, report = read_signal(target, bins, genes=genes, paint=paint, **names)
    return {"signals": signal}, [report]


def _append(column: np.ndarray, raw: Path) -> Path:
    raw.parent.mkdir(exist_ok=True)
    with raw.open("ab") as file:
        column.tofile(file)
    return raw


def _chroms_without(kept: np.ndarray, bins: Bins) -> tuple[str, ...]:
    """The chromosomes that have bins, but none of those kept."""
    spans = zip(bins.chroms, bins.offsets[:-1], bins.offsets[1:], strict=True)
    return tuple(chrom for chrom, first, last in spans if first < last and not kept[first:last].any())


def _interleave(raw: Path, num_tracks: int) -> None:
    """Turn a `.raw` file, one track after another, into a `.npy` file of (bins, tracks).

    Written there directly, every track would touch every page of it.
    """
    columns = np.memmap(raw, dtype=np.float32, mode="r").reshape(num_tracks, -1)
    path = raw.with_suffix(".npy")
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=columns.T.shape)
    step = max(1, _BLOCK // (num_tracks * columns.itemsize))
    for first in range(0, len(array), step):
        array[first : first + step] = columns[:, first : first + step].T
    array.flush()
    raw.unlink()
