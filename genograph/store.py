"""The store: genome, signals, contacts and genes of one assembly, prepared once, on disk, versioned.

    store/
      manifest.json            format version, the recipe, size and SHA-256 of every source; written last
      codes.npy                the genome, one byte a base, chromosomes end to end; none where no sequence is known
      signals/<assay>.npy      (bins, tracks) float32 (float16 if the source is), NaN where missing
      coverage/<assay>.npy     likewise, for assays that are a ratio of counts
      mask.npy                 (bins,) False where a bin leaves loss and metrics
      sites.npy                (bins, 3) chromosome, first base and kind of each bin, if bins are sites
      covered/                 the sites that each track of methylation covers, if sites are those
      nodes.npy                (nodes, 3) chromosome, first base and end of each node, if nodes are places of a file
      node_of_bin.npy          (bins,) number of the node that holds each bin, -1 for none
      contacts/                the contact map over nodes, if there is one
      genes.tsv                if there are any
      graphs/                  large graphs over nodes, kept as they are built (`genograph.graph.stored`)

A store is built beside its place and moved there whole (`genograph.rebuild`), so a half-written one is never opened.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, astuple, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from genograph.assays.contacts import ContactMap
from genograph.assays.cpg_neighbours import CoveredSites
from genograph.assays.targets import Target
from genograph.atomic import replacing
from genograph.errors import InputError, nearest
from genograph.genome.assembly import N
from genograph.genome.bins import Bins, bins_of_nodes, bins_to_nodes
from genograph.genome.genes import Genes
from genograph.genome.regions import Regions
from genograph.genome.sites import Sites

FORMAT_VERSION = 4
MANIFEST, NODE_OF_BIN = "manifest.json", "node_of_bin.npy"


@dataclass(frozen=True)
class Contig:
    """A window of a chromosome that stands in a store as a chromosome of its own.

    Attributes:
        chrom: The true chromosome.
        start: Its first base there; below 0 where the window reaches beyond the chromosome's start.
        crop: bp at both ends that give context only.
        split: The split or fold that it belongs to.
    """

    chrom: str
    start: int
    crop: int
    split: str


@dataclass(frozen=True)
class Store:
    """A prepared genome, opened read-only; arrays stay on disk until they are sliced.

    Attributes:
        path: Of its folder.
        manifest: What stands in `manifest.json`.
        columns: Those of each assay's tracks that are used; None for all.
    """

    path: Path
    manifest: Mapping[str, Any]
    columns: Mapping[str, list[int]] | None = None

    @classmethod
    def open(cls, path: str | Path) -> Store:
        """The store at `path`.

        Raises:
            InputError: If there is none, or another version of genograph wrote it.
        """
        path = Path(path)
        manifest = read_manifest(path)
        if not manifest:
            raise InputError(f"no store at {path}. Build it: genograph prepare CONFIG")
        if manifest["format_version"] != FORMAT_VERSION:
            raise InputError(
                f"store {path} has format {manifest['format_version']}, this genograph reads {FORMAT_VERSION}. "
                "Rebuild it: genograph prepare CONFIG"
            )
        return cls(path, manifest)

    def with_tracks(self, identifiers: Collection[str]) -> Store:
        """The store with some of its tracks, in its own order. Bins that none of these measures leave the mask.

        Raises:
            InputError: If there is no such track, or one is given without its other strand.
        """
        rows = {target.identifier: target for each in self.targets.values() for target in each}
        for name in identifiers:
            if name not in rows:
                raise InputError(f"tracks.use: no track '{name}'.{nearest(name, rows)}")
            if (rows[name].strand_pair or name) not in identifiers:
                raise InputError(f"tracks.use: '{name}' needs its other strand, '{rows[name].strand_pair}', too.")
        columns = {
            assay: [column for column, target in enumerate(each) if target.identifier in identifiers]
            for assay, each in self.targets.items()
        }
        listed = self.manifest["targets"]
        kept = {assay: [listed[assay][column] for column in each] for assay, each in columns.items() if each}
        return replace(self, manifest={**self.manifest, "targets": kept}, columns=columns)

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Chromosome sizes in bp, in the genome's order."""
        return dict(self.manifest["chroms"])

    @cached_property
    def bins(self) -> Bins:
        """The tiles, or sites, that tracks are read at."""
        circular = frozenset(self.manifest["circular"])
        if self.sites is None:
            return Bins(self.sizes, self.manifest["bin_size"], circular=circular)
        chrom, start, _ = self.sites.T
        return Sites(self.sizes, self.manifest["bin_size"], circular=circular, chrom=chrom, start=start)

    @cached_property
    def sites(self) -> np.ndarray | None:
        """Chromosome, first base and kind (in `SITE_KINDS`) of each site: (bins, 3) int64; None if bins are tiles."""
        file = self.path / "sites.npy"
        return np.load(file) if file.is_file() else None

    @cached_property
    def nodes(self) -> Bins:
        """The tiles that contacts join, or the places of `bins.nodes`; each site by itself if neither is given."""
        file = self.path / "nodes.npy"
        if file.is_file():
            places = dict(zip(("chrom", "start", "end"), np.load(file).T, strict=True))
            circular = frozenset(self.manifest["circular"])
            return Regions(self.sizes, self.manifest["node_size"], circular=circular, **places)
        if self.manifest["node_size"] is None:
            return self.bins
        return Bins(
            self.sizes,
            self.manifest["node_size"],
            partial=True,
            circular=frozenset(self.manifest["circular"]),
        )

    @cached_property
    def key(self) -> str:
        """What the store holds, in 16 digits: of the recipe and of what its sources contain."""
        sources = {name: each["sha256"] for name, each in self.manifest["sources"].items()}
        content = json.dumps([self.manifest["recipe"], sources], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    @cached_property
    def node_of_bin(self) -> np.ndarray:
        """The node of each bin: (bins,) int32; -1 for a bin of none."""
        return np.asarray(np.load(self.path / NODE_OF_BIN, mmap_mode="r"))

    @cached_property
    def bins_of_node(self) -> np.ndarray:
        """First bin of every node, and one past its last: (nodes, 2); 0 and 0 for a node without bins."""
        return bins_of_nodes(self.node_of_bin, len(self.nodes))

    @cached_property
    def targets(self) -> dict[str, list[Target]]:
        """The tracks of each assay, in the order of the signals' columns."""
        return {
            assay: [Target(**{**row, "file": Path(row["file"])}) for row in rows]
            for assay, rows in self.manifest["targets"].items()
        }

    @cached_property
    def contigs(self) -> dict[str, Contig] | None:
        """What each of the store's chromosomes is a window of, if it was built of windows."""
        contigs = self.manifest.get("contigs")
        return contigs and {name: Contig(*each) for name, each in zip(self.sizes, contigs, strict=True)}

    def without_crop(self, first: int, end: int) -> tuple[int, int]:
        """A run of bins without the ends of its contig that give context only; the run as it is of a chromosome."""
        if self.contigs is None:
            return first, end
        index = int(self.bins.chrom_index(np.asarray(first)))
        crop = Contig(*self.manifest["contigs"][index]).crop // self.bins.bin_size
        return max(first, int(self.bins.offsets[index]) + crop), min(end, int(self.bins.offsets[index + 1]) - crop)

    @cached_property
    def mask(self) -> np.ndarray:
        """False for bins that leave loss and metrics: blacklisted, unsequenced, unmeasured, or masked by the map."""
        mask = np.load(self.path / "mask.npy", mmap_mode="r")
        if self.columns is None:
            return mask
        return mask & np.any([np.isfinite(self.signals(assay)).any(axis=1) for assay in self.targets], axis=0)

    @cached_property
    def contacts(self) -> ContactMap | None:
        """The contact map over `nodes`."""
        folder = self.path / "contacts"
        return ContactMap.open(folder, self.nodes) if folder.is_dir() else None

    @cached_property
    def covered(self) -> CoveredSites | None:
        """The sites that each track of methylation covers, if bins are sites of `source: covered`; else None."""
        folder = self.path / "covered"
        if not folder.is_dir():
            return None
        covered = CoveredSites.open(folder)
        used = slice(None) if self.columns is None else self.columns["methylation"]
        return replace(covered, span=covered.span[used])

    @cached_property
    def genes(self) -> Genes | None:
        """The annotated genes."""
        file = self.path / "genes.tsv"
        return (
            Genes.from_frame(pd.read_csv(file, sep="\t", dtype=str, keep_default_na=False)) if file.is_file() else None
        )

    @cached_property
    def _codes(self) -> np.ndarray:
        return read_codes(self.path, sum(self.sizes.values()))

    @cached_property
    def _offsets(self) -> dict[str, int]:
        return dict(zip(self.sizes, np.cumsum([0, *self.sizes.values()]).tolist(), strict=False))

    def signals(self, assay: str) -> np.ndarray:
        """(bins, tracks) float32 (float16 if the source is) of one assay, NaN where missing."""
        return self._used(np.load(self.path / "signals" / f"{assay}.npy", mmap_mode="r"), assay)

    def missing(self, assay: str, column: int) -> int:
        """How many bins have no value of a track."""
        return int(np.count_nonzero(np.isnan(self.signals(assay)[:, column])))

    def coverage(self, assay: str) -> np.ndarray | None:
        """(bins, tracks) float32 of reads behind each value, for assays that are a ratio; else None."""
        file = self.path / "coverage" / f"{assay}.npy"
        return self._used(np.load(file, mmap_mode="r"), assay) if file.is_file() else None

    def _used(self, values: np.ndarray, assay: str) -> np.ndarray:
        return values if self.columns is None else values[:, self.columns[assay]]

    def codes(self, chrom: str, start: int, end: int) -> np.ndarray:
        """Bases `start` to `end` as codes: (end - start,) uint8.

        Beyond a linear chromosome there is N; a circular one goes on at its other end.
        """
        size, offset = self.sizes[chrom], self._offsets[chrom]
        if start >= 0 and end <= size:
            return self._codes[offset + start : offset + end]
        positions = np.arange(start, end)
        if chrom in self.bins.circular:
            return self._codes[offset + positions % size]
        codes = np.full(len(positions), 4, dtype=np.uint8)
        inside = (positions >= 0) & (positions < size)
        codes[inside] = self._codes[offset + positions[inside]]
        return codes


def read_codes(folder: Path, bases: int) -> np.ndarray:
    """The genome's codes, (bases,) uint8, chromosomes end to end: all N, which takes no memory, where none are kept."""
    file = folder / "codes.npy"
    return np.load(file, mmap_mode="r") if file.is_file() else np.broadcast_to(np.uint8(N), bases)


def read_manifest(path: Path, name: str = MANIFEST) -> dict[str, Any]:
    """The manifest of the store at `path`; empty if there is no readable one, or one of something else."""
    try:
        manifest = json.loads((path / name).read_text())
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) and {"format_version", "recipe"} <= manifest.keys() else {}


def write_manifest(
    folder: Path,
    *,
    recipe: Mapping[str, Any],
    sources: Mapping[str, Any],
    sizes: Mapping[str, int],
    circular: list[str],
    bin_size: int,
    node_size: int | None,
    targets: Mapping[str, list[Target]],
    report: list[dict[str, Any]],
    contigs: list[Contig] | None = None,
) -> None:
    """Write the manifest, the last file of a store: without it there is none; before it the node of each bin."""
    manifest = {
        "format_version": FORMAT_VERSION,
        "recipe": recipe,
        "sources": sources,
        "chroms": list(sizes.items()),
        "circular": circular,
        "bin_size": bin_size,
        "node_size": node_size,
        "targets": {
            assay: [{**asdict(target), "file": str(target.file)} for target in rows] for assay, rows in targets.items()
        },
        "clip_report": report,
        "contigs": contigs and [astuple(contig) for contig in contigs],
    }
    store = Store(folder, manifest)
    np.save(folder / NODE_OF_BIN, bins_to_nodes(store.bins, store.nodes))
    write_json(folder / MANIFEST, manifest)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file whole or not at all."""
    with replacing(path) as written:
        written.write_text(json.dumps(content, indent=1))
