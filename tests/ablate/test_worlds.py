"""Is the verdict right where the truth is known? Worlds small enough to be learnt in seconds.

A node is rich in G and C or poor; who partners whom is drawn. `benchmarks/worlds.py` asks the same of worlds with
motifs, elements and genes.
"""

from __future__ import annotations

import cooler
import numpy as np
import pandas as pd
import pyBigWig
import pytest

from genograph.ablate import ablate
from genograph.ablate.grid import finish
from genograph.ablate.launchers import LAUNCHERS
from genograph.config import parse_config
from genograph.errors import InputError
from tests.tiny import write_fasta

NODE, BIN, READS = 2000, 500, 10
SIZES = {"chr1": 240_000, "chr2": 240_000, "chr3": 240_000, "chr4": 120_000, "chr5": 320_000}
MEAN = {"name": "sage", "dropout": 0}
SUM = {"name": "sage", "aggregate": "sum", "dropout": 0}  # shows a node how many neighbours it has


@pytest.fixture(autouse=True, scope="module")
def _here():
    """Runs in this process save the time in which processes start."""

    def here(runs, workers, folder, options):
        for run in runs:
            finish(run)
            yield run, None

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(LAUNCHERS, "local", here)
        yield


def draw_partners(rng, chrom, picks):
    """(nodes, nodes) True for pairs that loop: each node picks some, 10 to 100 kb away."""
    place = np.arange(len(chrom))
    away = np.abs(place[:, None] - place)
    may = (chrom[:, None] == chrom) & (away >= 5) & (away <= 50)
    loops = np.zeros(may.shape, dtype=bool)
    for node, count in enumerate(picks):
        others = np.flatnonzero(may[node])
        loops[node, rng.choice(others, min(count, len(others)), replace=False)] = True
    return loops | loops.T


def write_map(path, rng, bins, loops, seen):
    first, second = np.triu_indices(len(bins))
    chrom = bins["chrom"].astype(str).to_numpy()
    near = (chrom[first] == chrom[second]) / (1 + second - first)
    count = rng.poisson(80 * near + 40 * loops[first, second]) * (seen[first] & seen[second])
    pixels = pd.DataFrame({"bin1_id": first, "bin2_id": second, "count": count})
    weight = np.where(seen, 1.0, np.nan)
    cooler.create_cooler(str(path), bins.assign(weight=weight), pixels[pixels["count"] > 0], ordered=True)


def write_coverage(path, rng, bins, mean):
    """Reads of every bin of the tracks, over `READS`."""
    with pyBigWig.open(str(path), "w") as file:
        file.addHeader(list(SIZES.items()))
        for chrom in SIZES:
            rate = np.repeat(mean[(bins["chrom"] == chrom).to_numpy()], NODE // BIN)
            values = (rng.poisson(READS * rate) / READS).tolist()
            file.addEntries(chrom, 0, values=values, span=BIN, step=BIN)


def make_world(folder, kind):
    """FASTA, map and coverage: of `contacts` by partners, of `own` by the node, of `degree` by the number of loops."""
    rng = np.random.default_rng(0)
    bins = cooler.binnify(pd.Series(SIZES), NODE)
    chrom, rich = bins["chrom"].astype(str).to_numpy(), rng.random(len(bins)) < 0.5
    loops = draw_partners(rng, chrom, rng.integers(0, 5, len(bins)) if kind == "degree" else np.full(len(bins), 2))
    seen = np.ones(len(bins), dtype=bool) if kind != "unseen" else rng.random(len(bins)) > 0.15
    degree = loops.sum(axis=1)
    effect = {
        "contacts": (loops * rich).sum(axis=1) / np.maximum(degree, 1),
        "degree": degree / 6,
    }.get(kind, rich.astype(float))
    share = np.repeat(np.where(rich, 0.7, 0.3), NODE)
    codes = np.where(rng.random(len(share)) < share, rng.integers(1, 3, len(share)), rng.choice([0, 3], len(share)))
    ends = np.cumsum(list(SIZES.values()))[:-1]
    write_fasta(folder / "genome.fa", dict(zip(SIZES, np.split(codes.astype(np.uint8), ends), strict=True)))
    write_map(folder / "map.cool", rng, bins, loops, seen)
    write_coverage(folder / "reads.bw", rng, bins, (0.5 + 4 * effect) * seen)
    (folder / "targets.tsv").write_text("index\tidentifier\tfile\tassay\n0\treads\treads.bw\tcoverage\n")


def verdict(folder, kind, arms, layer=MEAN, **contacts):
    make_world(folder, kind)
    config = {
        "name": kind,
        "store": "store",
        "genome": {"fasta": "genome.fa"},
        "tracks": {"targets": "targets.tsv"},
        "contacts": {"file": "map.cool", **contacts},
        "bins": {"bin_size": BIN, "node_size": NODE},
        "splits": {"valid": ["chr4"], "test": ["chr5"]},
        "graph": {"edges": [{"name": "hic", "top_k": 8, "min_distance": 10_000, "min_oe": 3.0}]},
        "batch": {"window": 80, "size": 2, "partners": 80, "chunk": 4},
        "model": {
            "encoder": {
                "name": "basenji",
                "blocks": [{"filters": 8, "kernel": 5, "pool": 20}, {"filters": 16, "kernel": 1, "pool": 25}],
            },
            "processor": [layer],
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
    said = ablate(parse_config(config, folder=folder), folder / "ablation", workers=1)
    print(said.sentence, *said.reasons, sep="\n")
    return said.label


def test_where_contacts_carry_effects_they_help(tmp_path):
    assert verdict(tmp_path, "contacts", ["features_only", "rewired", "distance_matched"]) == "contacts help"


def test_where_contacts_carry_nothing_there_is_no_difference(tmp_path):
    assert verdict(tmp_path, "own", ["features_only", "rewired"]) == "no difference found"


def test_where_contacts_are_counted_and_carry_nothing_degree_explains_the_gain(tmp_path):
    assert verdict(tmp_path, "degree", ["features_only", "rewired"], SUM) == "degree explains it"


def test_what_neither_map_nor_track_sees_is_refused_where_it_is_scored(tmp_path):
    with pytest.raises(InputError, match=r"the audit found .* leak"):
        verdict(tmp_path, "unseen", ["features_only"], mask=False)


def test_what_neither_map_nor_track_sees_makes_no_difference_where_it_is_masked(tmp_path):
    assert verdict(tmp_path, "unseen", ["features_only", "rewired"]) == "no difference found"
