"""CpG sites that few cells cover, in a store by hand and as files of a small genome."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml

from genograph.assays.targets import Target
from genograph.genome.sites import Sites
from genograph.prepare.sites import write_covered
from genograph.store import Store, write_manifest
from tests.tiny import write_fasta

NAN = np.nan
SIZES = {"chr1": 60_000, "chr2": 12_000, "chr3": 24_000}
CELLS = ("one", "two", "three")
EVERY = 40  # bp between CpGs
PLACES = [(0, position) for position in (2, 5, 9, 14, 15, 20, 28, 33, 34, 41)] + [
    (1, position) for position in (0, 3, 8)
]
STATES = np.array(
    [
        [0, 1, NAN],
        [1, NAN, NAN],
        [NAN, 0, NAN],
        [1, 1, NAN],
        [0, NAN, 0.5],
        [NAN, NAN, 1],
        [1, 0, NAN],
        [0, 0, NAN],
        [1, NAN, 0],
        [NAN, 1, NAN],
        [1, 0, 1],
        [NAN, 1, NAN],
        [0, 0, NAN],
    ],
    dtype=np.float32,
)


def write_store(folder: Path, *, size: int = 1) -> Store:
    """A store of those thirteen sites on two chromosomes and of three cells; all of its sequence is N."""
    chrom, position = np.array(PLACES, dtype=np.int64).T
    sizes = {"a": 50, "b": 20}
    targets = [Target(identifier=cell, file=Path(f"{cell}.tsv"), assay="methylation") for cell in CELLS]
    for kind, values in ("signals", STATES), ("coverage", np.where(np.isnan(STATES), np.float32(0), np.float32(1))):
        (folder / kind).mkdir()
        np.save(folder / kind / "methylation.npy", values)
    np.save(folder / "mask.npy", np.ones(len(PLACES), dtype=bool))
    np.save(folder / "sites.npy", np.stack([chrom, position, np.zeros_like(chrom)], axis=1))
    write_covered(Sites(sizes, size, chrom=chrom, start=position), STATES, folder / "covered")
    about = {"sizes": sizes, "circular": [], "bin_size": size, "node_size": None, "report": []}
    write_manifest(folder, recipe={}, sources={}, targets={"methylation": targets}, **about)
    return Store.open(folder)


def write_world(folder: Path) -> Path:
    """A genome whose CpGs are methylated in stretches, alike in three cells that cover a third each; returns a config.

    The sequence tells nothing of it. The config's model reads CpGs alone, and no sequence.
    """
    rng, lines = np.random.default_rng(0), {cell: [] for cell in CELLS}
    codes = {chrom: rng.choice(4, size, p=[0.3, 0.2, 0.2, 0.3]).astype(np.uint8) for chrom, size in SIZES.items()}
    for chrom, sequence in codes.items():
        state = 0
        for place in range(EVERY, len(sequence) - EVERY, EVERY):
            position = place + int(rng.integers(-10, 10))
            sequence[position : position + 2] = 1, 2
            state = 1 - state if rng.random() < 0.08 else state
            for cell in CELLS:
                if rng.random() < 0.35:
                    value = state if rng.random() < 0.95 else 1 - state
                    lines[cell].append(f"{chrom}\t{position + 1}\t{value}")
    write_fasta(folder / "genome.fa", codes)
    (folder / "chrom.sizes").write_text("".join(f"{chrom}\t{size}\n" for chrom, size in SIZES.items()))
    for cell, rows in lines.items():
        (folder / f"{cell}.tsv").write_text("\n".join(rows) + "\n")
    rows = "".join(f"{cell}\t{cell}.tsv\tmethylation\n" for cell in CELLS)
    (folder / "targets.tsv").write_text(f"identifier\tfile\tassay\n{rows}")
    path = folder / "cpgs.yaml"
    path.write_text(yaml.safe_dump(config_tree()))
    return path


def config_tree() -> dict:
    """The config over that world, as a nested dict with paths relative to its folder."""
    return {
        "name": "cpgs",
        "store": "store",
        "genome": {"chrom_sizes": "chrom.sizes"},
        "tracks": {"targets": "targets.tsv"},
        "bins": {"bin_size": 1},
        "sites": {"source": "covered"},
        "splits": {"valid": ["chr2"], "test": ["chr3"]},
        "batch": {"window": 1, "size": 32},
        "augment": {"shift": 0},
        "model": {
            "encoder": None,
            "neighbours": {
                "name": "deepcpg",
                "count": 3,
                "hidden": [16],
                "recurrent": [{"cell": "gru", "width": 8}],
            },
            "heads": {"methylation": {}},
        },
        "training": {"max_epochs": 4, "learning_rate": 0.01, "accelerator": "cpu", "devices": 1, "threads": 1},
        "evaluation": {"kmer_ridge": None},
    }
