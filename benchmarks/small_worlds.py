"""Genomes so small that a model learns them in seconds: is the verdict of an ablation right, time after time?

    python benchmarks/small_worlds.py --kinds own --repeat 20

prints markdown: how often each verdict was given, and what the models had learnt by then. A node is rich in G and C or
poor; who loops with whom is drawn. Coverage is of `contacts` what a node's partners are, of `own` what the node itself
is, of `degree` how many loops it has, and `unseen` is `own` with nodes that neither map nor track sees. Other than in
`benchmarks/worlds.py` there are no motifs, elements or genes.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cooler
import numpy as np
import pandas as pd
import pyBigWig

from genograph.ablate import ablate
from genograph.config import Config, parse_config
from genograph.statistics.verdict import Verdict

NODE, BIN, READS = 2000, 500, 10
SIZES = {"chr1": 240_000, "chr2": 240_000, "chr3": 240_000, "chr4": 120_000, "chr5": 320_000}
MEAN = {"name": "sage", "dropout": 0}
SUM = {"name": "sage", "aggregate": "sum", "dropout": 0}  # shows a node how many neighbours it has
LAYERS = {"contacts": MEAN, "own": MEAN, "degree": SUM, "unseen": MEAN}
ARMS = ["features_only", "rewired"]


def make_world(folder: Path, kind: str, seed: int = 0) -> None:
    """Write FASTA, contact map, coverage and targets table."""
    rng = np.random.default_rng(seed)
    bins = cooler.binnify(pd.Series(SIZES), NODE)
    chrom, rich = bins["chrom"].astype(str).to_numpy(), rng.random(len(bins)) < 0.5
    loops = draw_loops(rng, chrom, rng.integers(0, 5, len(bins)) if kind == "degree" else np.full(len(bins), 2))
    seen = np.ones(len(bins), dtype=bool) if kind != "unseen" else rng.random(len(bins)) > 0.15
    degree = loops.sum(axis=1)
    effect = {
        "contacts": (loops * rich).sum(axis=1) / np.maximum(degree, 1),
        "degree": degree / 6,
    }.get(kind, rich.astype(float))
    _write_fasta(folder / "genome.fa", rng, rich)
    _write_map(folder / "map.cool", rng, bins, loops, seen)
    _write_coverage(folder / "reads.bw", rng, bins, (0.5 + 4 * effect) * seen)
    (folder / "targets.tsv").write_text("index\tidentifier\tfile\tassay\n0\treads\treads.bw\tcoverage\n")


def draw_loops(rng: np.random.Generator, chrom: np.ndarray, picks: np.ndarray) -> np.ndarray:
    """(nodes, nodes) True for pairs that loop: each node picks some, 10 to 100 kb away."""
    place = np.arange(len(chrom))
    away = np.abs(place[:, None] - place)
    may = (chrom[:, None] == chrom) & (away >= 5) & (away <= 50)
    loops = np.zeros(may.shape, dtype=bool)
    for node, count in enumerate(picks):
        others = np.flatnonzero(may[node])
        loops[node, rng.choice(others, min(count, len(others)), replace=False)] = True
    return loops | loops.T


def config(folder: Path, kind: str, *, arms: list[str], seed: int = 0, **contacts: Any) -> Config:
    """An ablation of three seeds over the world in a folder."""
    blocks = [{"filters": 8, "kernel": 5, "pool": 20}, {"filters": 16, "kernel": 1, "pool": 25}]
    tree = {
        "name": kind,
        "seed": seed,
        "store": "store",
        "genome": {"fasta": "genome.fa"},
        "tracks": {"targets": "targets.tsv"},
        "contacts": {"file": "map.cool", **contacts},
        "bins": {"bin_size": BIN, "node_size": NODE},
        "splits": {"valid": ["chr4"], "test": ["chr5"]},
        "graph": {"edges": [{"name": "hic", "top_k": 8, "min_distance": 10_000, "min_oe": 3.0}]},
        "batch": {"window": 80, "size": 2, "partners": 80, "chunk": 4},
        "model": {
            "encoder": {"name": "basenji", "blocks": blocks},
            "processor": [LAYERS[kind]],
            "trunk": {"filters": 16},
            "heads": {"coverage": {}},
        },
        "training": {
            "optimizer": "adamw",
            "learning_rate": 0.01,
            "schedule": "cosine",
            "max_epochs": 6,
            "accelerator": "cpu",
            "devices": 1,
            "threads": 1,
        },
        "ablation": {"arms": arms, "seeds": 3},
    }
    return parse_config(tree, folder=folder)


def judge(folder: Path, kind: str, *, arms: list[str], seed: int = 0, **contacts: Any) -> Verdict:
    """Make a world, ablate it, and say what the verdict is."""
    make_world(folder, kind, seed)
    return ablate(config(folder, kind, arms=arms, seed=seed, **contacts), folder / "ablation", workers=1)


def _write_fasta(path: Path, rng: np.random.Generator, rich: np.ndarray) -> None:
    share = np.repeat(np.where(rich, 0.7, 0.3), NODE)
    codes = np.where(rng.random(len(share)) < share, rng.integers(1, 3, len(share)), rng.choice([0, 3], len(share)))
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)[codes]
    chroms = np.split(letters, np.cumsum(list(SIZES.values()))[:-1])
    path.write_bytes(
        b"".join(b">%s\n%s\n" % (name.encode(), each.tobytes()) for name, each in zip(SIZES, chroms, strict=True))
    )


def _write_map(path: Path, rng: np.random.Generator, bins: pd.DataFrame, loops: np.ndarray, seen: np.ndarray) -> None:
    chrom = bins["chrom"].astype(str).to_numpy()
    first, second = np.triu_indices(len(bins))
    near = (chrom[first] == chrom[second]) / (1 + second - first)
    count = rng.poisson(80 * near + 40 * loops[first, second]) * (seen[first] & seen[second])
    pixels = pd.DataFrame({"bin1_id": first, "bin2_id": second, "count": count})
    weight = np.where(seen, 1.0, np.nan)
    cooler.create_cooler(str(path), bins.assign(weight=weight), pixels[pixels["count"] > 0], ordered=True)


def _write_coverage(path: Path, rng: np.random.Generator, bins: pd.DataFrame, mean: np.ndarray) -> None:
    """Reads of every bin of the tracks, over `READS`."""
    with pyBigWig.open(str(path), "w") as file:
        file.addHeader(list(SIZES.items()))
        for chrom in SIZES:
            rate = np.repeat(mean[(bins["chrom"] == chrom).to_numpy()], NODE // BIN)
            values = (rng.poisson(READS * rate) / READS).tolist()
            file.addEntries(chrom, 0, values=values, span=BIN, step=BIN)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", choices=LAYERS, default=list(LAYERS))
    parser.add_argument("--repeat", type=int, default=20, help="worlds of each kind, of seeds 0, 1, ...")
    parser.add_argument("--arms", nargs="+", default=ARMS)
    arguments = parser.parse_args()
    print("| world | verdict | worlds | r of hic, lowest to highest |\n| --- | --- | --- | --- |")
    for kind in arguments.kinds:
        said, learnt = Counter(), []
        for seed in range(arguments.repeat):
            with TemporaryDirectory() as folder:
                said[judge(Path(folder), kind, arms=arguments.arms, seed=100 * seed).label] += 1
                table = pd.read_csv(Path(folder) / "ablation" / "arms.tsv", sep="\t", index_col="arm")
                learnt.append(table.loc["hic", "r"])
        for label, count in said.most_common():
            print(f"| {kind} | {label} | {count} | {min(learnt):.3f} to {max(learnt):.3f} |", flush=True)


if __name__ == "__main__":
    main()
