"""The store of a config: what it is built from, and the genome, tracks, contacts and genes that are written into it."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from genograph.assays.contacts import ContactMap, write_contacts
from genograph.assays.peaks import files_of
from genograph.assays.targets import Target, read_targets
from genograph.config import Config, ContactsConfig, GenomeConfig
from genograph.errors import InputError, nearest
from genograph.genome.assembly import is_sequenced, read_chrom_sizes, read_fasta
from genograph.genome.bed import read_bed
from genograph.genome.bins import Bins, bins_to_nodes
from genograph.genome.genes import read_genes
from genograph.genome.names import match_names, read_aliases, shorten
from genograph.genome.regions import read_regions
from genograph.prepare.sites import make_sites, write_covered
from genograph.prepare.statistics import ASSAY as STATISTICS
from genograph.prepare.statistics import wanted_statistics, write_statistics
from genograph.prepare.tfrecords import Plan, plan_tfrecords
from genograph.prepare.tracks import chroms_without, measured_bins, write_tracks
from genograph.rebuild import building, fingerprint, finish, finished, locked, restamp, unfinished, what_changed
from genograph.store import Store, read_codes, read_manifest, write_manifest

log = logging.getLogger("genograph")
_STDERR = Console(stderr=True)
_PIECE = 1_000_000  # bases of the genome looked at at a time


def prepare(config: Config) -> Store:
    """The store of a config, built if it is not there yet or if what it was built from has changed.

    Sources are compared by SHA-256 (a file of the same size and time is not read again), settings by
    value. The reason of a rebuild is logged. A build that fails or is killed leaves what was there before. After a kill
    the next one of the same settings and sources goes on after the last whole chromosome or track.

    Raises:
        InputError: If a source is missing, damaged, of another assembly, a setting does not fit, or the store
            cannot be written.
    """
    path = config.store
    manifest = read_manifest(path)
    try:
        recipe, sources, build = _plan(config) if config.tfrecords is None else plan_tfrecords(config)
        prints = fingerprint(sources, manifest.get("sources", {}) | unfinished(path).get("sources", {}))
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
                with building(path, recipe, prints) as folder:
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
        "merged as Basset does": (
            config.sites is not None and config.sites.source == "peaks" and config.sites.stride is None
        )
        or None,  # stores from before were merged with other weights
        "covered": "CpGs" if config.sites is not None and config.sites.source == "covered" else None,
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
    reports = write_tracks(targets, bins, folder, sites=sites, **reading)
    np.save(folder / "mask.npy", mask & measured_bins(targets, bins, folder))
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
        "report": reports,
    }


def _write_codes(config: Config, folder: Path) -> dict[str, int]:
    """Write the genome's codes, chromosomes end to end, on after those of a killed build; returns their sizes in bp."""
    genome, raw = config.section("genome"), folder / "codes.raw"
    if genome.fasta is None:
        return _listed_sizes(genome)
    wanted = genome.chroms and [*genome.chroms, *genome.circular]
    sizes: dict[str, int] = finished(folder, "codes")
    if sizes and not raw.exists():  # it goes last
        return sizes
    raw.touch()
    with raw.open("r+b") as file:
        file.seek(sum(sizes.values()))
        file.truncate()
        sequences = read_fasta(genome.fasta, wanted, without=[*sizes])
        for name, codes in track(sequences, "Reading the genome", transient=True, console=_STDERR):
            if genome.chroms is None or name in genome.chroms:
                file.write(codes.data)
                file.flush()
                os.fsync(file.fileno())
                sizes[name] = len(codes)
                finish(folder, "codes", sizes)
    for name in genome.circular:
        if genome.chroms is None and name not in sizes:
            raise InputError(f"genome.circular: {genome.fasta} has no chromosome '{name}'.{nearest(name, sizes)}")
    np.save(folder / "codes.npy", np.memmap(raw, dtype=np.uint8, mode="r"))
    raw.unlink()
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
    sequenced, offset = np.zeros(len(bins), dtype=bool), 0
    for chrom, size in bins.sizes.items():
        codes = np.load(folder / "codes.npy", mmap_mode="r")  # anew: pages that were read stay as long as a mapping
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
    if not finished(folder.parent, "contacts"):
        shutil.rmtree(folder, ignore_errors=True)  # half of what a killed build wrote
        folder.mkdir()
        kept = {"max_distance": contacts.max_distance, "trans": contacts.trans}
        write_contacts(contacts.file, nodes, folder, aliases=aliases, balance=contacts.balance, **kept)
        finish(folder.parent, "contacts", {"written": True})
    if not contacts.mask:
        return np.ones(len(bins), dtype=bool)
    seen = ~ContactMap.open(folder, nodes).masked[bins_to_nodes(bins, nodes)]
    unseen = chroms_without(seen, bins)
    if unseen:
        log.warning(
            "contacts.file: the map sees nothing of %s, which leaves loss and metrics; contacts.mask=false keeps it.",
            shorten(unseen),
        )
    return seen
