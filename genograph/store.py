"""The store: genome, signals, contacts and genes of one assembly, prepared once, on disk, versioned.

    store/
      manifest.json            format version, the recipe, size and SHA-256 of every source; written last
      codes.npy                the genome, one byte a base, chromosomes end to end
      signals/<assay>.npy      (bins, tracks) float32 (float16 if the source is), NaN where missing
      coverage/<assay>.npy     likewise, for assays that are a ratio of counts
      mask.npy                 (bins,) False where a bin leaves loss and metrics
      contacts/                the contact map over nodes, if there is one
      genes.tsv                if there are any

A store is built beside its place and moved there whole, so a half-written one is never opened.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, astuple, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from genograph.assays.contacts import ContactMap
from genograph.assays.targets import Target
from genograph.errors import InputError
from genograph.genome.bins import Bins, bins_to_nodes
from genograph.genome.genes import Genes

FORMAT_VERSION = 3
MANIFEST = "manifest.json"


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
    """A prepared genome, opened read-only; arrays stay on disk until they are sliced."""

    path: Path
    manifest: Mapping[str, Any]

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

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Chromosome sizes in bp, in the genome's order."""
        return dict(self.manifest["chroms"])

    @cached_property
    def bins(self) -> Bins:
        """The tiles that tracks are read at."""
        return Bins(self.sizes, self.manifest["bin_size"], circular=frozenset(self.manifest["circular"]))

    @cached_property
    def nodes(self) -> Bins:
        """The tiles that contacts join."""
        return Bins(
            self.sizes,
            self.manifest["node_size"],
            partial=True,
            circular=frozenset(self.manifest["circular"]),
        )

    @cached_property
    def node_of_bin(self) -> np.ndarray:
        """The node of each bin: (bins,)."""
        return bins_to_nodes(self.bins, self.nodes)

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
        return np.load(self.path / "mask.npy", mmap_mode="r")

    @cached_property
    def contacts(self) -> ContactMap | None:
        """The contact map over `nodes`."""
        folder = self.path / "contacts"
        return ContactMap.open(folder, self.nodes) if folder.is_dir() else None

    @cached_property
    def genes(self) -> Genes | None:
        """The annotated genes."""
        file = self.path / "genes.tsv"
        return (
            Genes.from_frame(pd.read_csv(file, sep="\t", dtype=str, keep_default_na=False)) if file.is_file() else None
        )

    @cached_property
    def _codes(self) -> np.ndarray:
        return np.load(self.path / "codes.npy", mmap_mode="r")

    @cached_property
    def _offsets(self) -> dict[str, int]:
        return dict(zip(self.sizes, np.cumsum([0, *self.sizes.values()]).tolist(), strict=False))

    def signals(self, assay: str) -> np.ndarray:
        """(bins, tracks) float32 (float16 if the source is) of one assay, NaN where missing."""
        return np.load(self.path / "signals" / f"{assay}.npy", mmap_mode="r")

    def missing(self, assay: str, column: int) -> int:
        """How many bins have no value of a track."""
        return int(np.count_nonzero(np.isnan(self.signals(assay)[:, column])))

    def coverage(self, assay: str) -> np.ndarray | None:
        """(bins, tracks) float32 of reads behind each value, for assays that are a ratio; else None."""
        file = self.path / "coverage" / f"{assay}.npy"
        return np.load(file, mmap_mode="r") if file.is_file() else None

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


def sha256(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(sources: Mapping[str, Path], known: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Size, modification time and SHA-256 of each source.

    A file whose size and time stand in `known` is not read again.

    Raises:
        InputError: If a file is missing or cannot be read.
    """
    prints = {}
    for key, path in sources.items():
        if not path.is_file():
            raise InputError(f"{key}: no such file: {path}")
        stat = path.stat()
        quick = {"path": str(path), "bytes": stat.st_size, "modified_ns": stat.st_mtime_ns}
        before = known.get(key, {})
        try:
            digest = before["sha256"] if before == {**quick, "sha256": before.get("sha256")} else sha256(path)
        except OSError as error:
            raise InputError(f"{key}: cannot read {path}: {error.strerror}") from None
        prints[key] = {**quick, "sha256": digest}
    return prints


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of the store at `path`; empty if there is no readable one, or one of something else."""
    try:
        manifest = json.loads((path / MANIFEST).read_text())
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) and {"format_version", "recipe"} <= manifest.keys() else {}


def what_changed(manifest: Mapping[str, Any], recipe: Mapping[str, Any], prints: Mapping[str, Any]) -> list[str]:
    """In words, all that keeps a store with this manifest from serving this recipe and these sources."""
    if not manifest:
        return ["there is no store yet"]
    if manifest["format_version"] != FORMAT_VERSION:
        return [f"format version {manifest['format_version']} -> {FORMAT_VERSION}"]
    changes = [
        f"{key}: {manifest['recipe'].get(key)} -> {recipe.get(key)}"
        for key in sorted({*manifest["recipe"], *recipe})
        if manifest["recipe"].get(key) != recipe.get(key)
    ]
    for key in sorted({*manifest["sources"], *prints}):
        before, now = manifest["sources"].get(key), prints.get(key)
        if before is None or now is None:
            changes.append(f"{key} is {'new' if before is None else 'gone'}")
        elif before["sha256"] != now["sha256"]:
            changes.append(f"the content of {key} ({now['path']})")
    return changes


def restamp(path: Path, prints: Mapping[str, Any]) -> None:
    """Note in a manifest where sources of the same content lie now and when they were touched.

    Otherwise they would be read again each time. A store that may not be written to stays as it is.
    """
    with suppress(OSError), locked(path):
        manifest = read_manifest(path)
        if _digests(manifest.get("sources", {})) == _digests(prints):
            _write_json(path / MANIFEST, manifest | {"sources": prints})


def _digests(prints: Mapping[str, Any]) -> dict[str, str]:
    return {key: each["sha256"] for key, each in prints.items()}


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the right to build the store at `path`; other processes wait.

    What a killed build left behind is removed first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with (path.parent / f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _clear(path)
        yield


@contextmanager
def building(path: Path) -> Iterator[Path]:
    """A folder to build a store in; it takes the place of `path` when the block ends without an error.

    To be used while `locked`.

    Raises:
        InputError: If `path` is there and holds something else than a store, which is not ours to replace.
    """
    is_taken = path.is_file() or (path.is_dir() and any(path.iterdir()))
    if is_taken and not read_manifest(path):
        raise InputError(f"store: {path} is there already and is no store. Name a folder of its own, or remove it.")
    folder, old = _beside(path)
    folder.mkdir()
    try:
        yield folder
        if path.exists():
            path.rename(old)
        folder.rename(path)
    finally:
        _clear(path)


def _beside(path: Path) -> tuple[Path, Path]:
    """Where a store is built, and where the one that it replaces goes meanwhile."""
    return path.parent / f".{path.name}.building", path.parent / f".{path.name}.old"


def _clear(path: Path) -> None:
    """Leave nothing beside `path`; a store that was moved away, but not replaced, goes back."""
    folder, old = _beside(path)
    if old.exists() and not path.exists():
        old.rename(path)
    for leftover in (folder, old):
        if leftover.exists():
            shutil.rmtree(leftover)


def write_manifest(
    folder: Path,
    *,
    recipe: Mapping[str, Any],
    sources: Mapping[str, Any],
    sizes: Mapping[str, int],
    circular: list[str],
    bin_size: int,
    node_size: int,
    targets: Mapping[str, list[Target]],
    report: list[dict[str, Any]],
    contigs: list[Contig] | None = None,
) -> None:
    """Write the manifest, the last file of a store: without it there is none."""
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
    _write_json(folder / MANIFEST, manifest)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file whole or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(json.dumps(content, indent=1))
    partial.rename(path)
