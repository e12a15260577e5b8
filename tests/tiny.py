"""A tiny genome in real formats: what tests of the road from FASTA to bigWig run on."""

from __future__ import annotations

from pathlib import Path

import cooler
import numpy as np
import pandas as pd
import pyBigWig
import yaml

SIZES = {"chrA": 40_000, "chrB": 24_000, "chrC": 16_100}
BIN, NODE = 128, 2000


def write_world(folder: Path, *, seed: int = 0) -> Path:
    """Write FASTA, bigWig, bedGraph-like tracks, a cooler and genes; returns the path of a config over them.

    The signal of a bin is its share of G and C times 8, so that a model can learn it.
    """
    rng = np.random.default_rng(seed)
    codes = {chrom: _sequence(rng, size) for chrom, size in SIZES.items()}
    write_fasta(folder / "genome.fa", codes)
    gc = {chrom: np.isin(each, [1, 2]).astype(float) * 8 for chrom, each in codes.items()}
    write_bigwig(folder / "gc.bw", gc)
    write_bigwig(folder / "fwd.bw", {chrom: (each == 1) * 8.0 for chrom, each in codes.items()})
    write_bigwig(folder / "rev.bw", {chrom: (each == 2) * 8.0 for chrom, each in codes.items()})
    write_cool(folder / "map.cool", rng)
    write_cov(folder / "cells.cov", codes, rng)
    _write_genes(folder / "genes.tsv")
    (folder / "targets.tsv").write_text(
        "index\tidentifier\tfile\tsum_stat\tstrand_pair\tassay\tstrand\tdescription\n"
        "0\tgc\tgc.bw\tmean\t\tcoverage\t.\tGC content\n"
        "1\tfwd\tfwd.bw\tmean\t2\texpression\t+\tC content\n"
        "2\trev\trev.bw\tmean\t1\texpression\t-\tG content\n"
        "3\tmeth\tcells.cov\t\t\tmethylation\t.\tmethylated where AT-rich\n"
    )
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(config_tree(), sort_keys=False))
    return path


def config_tree() -> dict:
    """The config over that world, as a nested dict with paths relative to its folder."""
    return {
        "name": "tiny",
        "store": "store",
        "genome": {"fasta": "genome.fa"},
        "tracks": {"targets": "targets.tsv", "genes": "genes.tsv"},
        "contacts": {"file": "map.cool"},
        "bins": {"bin_size": BIN, "node_size": NODE},
        "splits": {"valid": ["chrB"], "test": ["chrC"]},
        "graph": {"edges": [{"name": "linear"}, {"name": "hic", "top_k": 3, "min_distance": 4000}]},
        "batch": {"window": 64, "crop": 8, "size": 2, "partners": 2, "chunk": 16},
        "model": {
            "encoder": {
                "name": "basenji",
                "blocks": [{"filters": 8, "kernel": 7, "pool": 8}, {"filters": 8, "kernel": 3, "pool": 16}],
            },
            "processor": [
                {"name": "dilated", "filters": 4, "layers": 2, "rate_multiplier": 2, "dropout": 0.1},
                {"name": "gat", "heads": 2, "dropout": 0.1},
            ],
            "trunk": {"filters": 8},
            "heads": {"coverage": {}, "expression": {}, "methylation": {}},
        },
        "training": {"max_epochs": 2, "learning_rate": 0.01, "accelerator": "cpu", "devices": 1, "threads": 1},
    }


def write_fasta(path: Path, codes: dict[str, np.ndarray]) -> None:
    letters = np.frombuffer(b"ACGTN", dtype=np.uint8)
    path.write_text("".join(f">{chrom}\n{letters[each].tobytes().decode()}\n" for chrom, each in codes.items()))


def write_bigwig(path: Path, values: dict[str, np.ndarray]) -> None:
    """One value per base."""
    with pyBigWig.open(str(path), "w") as file:
        file.addHeader([(chrom, len(each)) for chrom, each in values.items()])
        for chrom, each in values.items():
            file.addEntries(chrom, 0, values=list(map(float, each)), span=1, step=1)


def write_cool(path: Path, rng: np.random.Generator, *, sizes: dict[str, int] = SIZES, resolution: int = NODE) -> None:
    """A balanced map of contacts that fall off with distance; the second bin of the first chromosome is masked."""
    bins = cooler.binnify(pd.Series(sizes), resolution)
    bins["weight"] = 1.0
    bins.loc[1, "weight"] = np.nan
    first, second = np.triu_indices(len(bins))
    chrom = bins["chrom"].astype(str).to_numpy()
    mean = np.where(chrom[first] == chrom[second], 60 / (1 + second - first), 0.5)
    pixels = pd.DataFrame({"bin1_id": first, "bin2_id": second, "count": rng.poisson(mean)})
    cooler.create_cooler(str(path), bins, pixels[pixels["count"] > 0], ordered=True)


def write_cov(path: Path, codes: dict[str, np.ndarray], rng: np.random.Generator) -> None:
    """Bismark coverage at every CG of the first half of each chromosome."""
    lines = []
    for chrom, each in codes.items():
        sites = np.flatnonzero((each[:-1] == 1) & (each[1:] == 2))
        for site in sites[sites < len(each) // 2]:
            reads = int(rng.integers(1, 9))
            methylated = int(rng.binomial(reads, 0.3))
            lines.append(
                f"{chrom}\t{site + 1}\t{site + 1}\t{100 * methylated / reads:g}\t{methylated}\t{reads - methylated}"
            )
    path.write_text("\n".join(lines) + "\n")


def _sequence(rng: np.random.Generator, size: int) -> np.ndarray:
    """Stretches of 500 bp that differ in GC content."""
    stretches = [
        rng.choice(4, size=500, p=[(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2])
        for gc in rng.uniform(0.1, 0.9, size=-(-size // 500))
    ]
    return np.concatenate(stretches)[:size].astype(np.uint8)


def _write_genes(path: Path) -> None:
    rows = [
        f"g{chrom[-1]}{start}\t{chrom}\t{start}\t{start + 900}\t{'+' if start % 2000 else '-'}"
        for chrom, size in SIZES.items()
        for start in range(1000, size - 1000, 1000)
    ]
    path.write_text("name\tchrom\tstart\tend\tstrand\n" + "\n".join(rows) + "\n")
