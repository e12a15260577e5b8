"""Memory and time of preparing a genome and training a graph model on it, against its size, edges or tracks.

    python benchmarks/whole_genome.py 10 100 1000 3100 --tracks 1
    python benchmarks/whole_genome.py 300 --tracks 1 --edges-per-node 5 20 80
    python benchmarks/whole_genome.py 300 --tracks 1 5 20

Sizes are in Mb; one of size, edges and tracks has several values. A genome is random sequence on 24 chromosomes in the
proportions of hg38, with tracks of random counts in bins of 128 bp and a contact map of 5-kb bins, each of which meets
some others 20 kb to about 2 Mb away; all of them become edges. Three processes prepare its store, build its graph,
which the store keeps if it is large, and train some steps on it. Of each are printed the seconds, the peak of the
memory that is its own, the peak of all that is resident, and of training the CPU time of a step (median). Last come the
slopes of straight lines through the values.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import yaml
from peak_memory import measured, printed_by

# fmt: off
HG38 = {  # Mb
    "1": 249.0, "2": 242.2, "3": 198.3, "4": 190.2, "5": 181.5, "6": 170.8, "7": 159.3, "8": 145.1, "9": 138.4,
    "10": 133.8, "11": 135.1, "12": 133.3, "13": 114.4, "14": 107.0, "15": 102.0, "16": 90.3, "17": 83.3, "18": 80.4,
    "19": 58.6, "20": 64.4, "21": 46.7, "22": 50.8, "X": 156.0, "Y": 57.2,
}
# fmt: on
BIN_SIZE, NODE_SIZE = 128, 5000  # bp
NEAREST, APART = 4, 20  # nodes: to the nearest contact, and between two of them on average
LINE = 100  # bases
BLOCK = 20_000  # lines, bins or nodes written at a time
STAGES, STEP = ("prepare", "graph", "train"), "CPU ms a step"


class Row(NamedTuple):
    """What one stage took on one genome: see `peak_memory.Usage`; ms of CPU of a step, NaN if it makes none."""

    mb: float
    tracks: int
    nodes: int
    edges: int
    stage: str
    seconds: float
    own: float
    resident: float
    step: float


VARIED: dict[str, tuple[str, Callable[[Row], float]]] = {
    "size": ("Gb", lambda row: row.mb / 1000),
    "tracks": ("track", lambda row: row.tracks),
    "edges": ("million", lambda row: row.edges / 1e6),
}


def chrom_sizes(mb: float) -> dict[str, int]:
    """Chromosomes of a genome of so many Mb, in bp, as long beside each other as those of hg38."""
    return {f"chr{name}": round(each / sum(HG38.values()) * mb * 1e6) for name, each in HG38.items()}


def write_world(folder: Path, mb: float, *, tracks: int, edges_per_node: int) -> None:
    """FASTA, bigWigs, their targets table, a cooler and a config; of each a block at a time."""
    sizes, rng = chrom_sizes(mb), np.random.default_rng(0)
    write_fasta(folder / "genome.fa", sizes, rng)
    for track in range(tracks):
        write_bigwig(folder / f"track{track}.bw", sizes, rng)
    rows = "".join(f"track{track}\ttrack{track}.bw\tmean\tcoverage\n" for track in range(tracks))
    (folder / "targets.tsv").write_text(f"identifier\tfile\tsum_stat\tassay\n{rows}")
    write_cool(folder / "map.cool", sizes, edges_per_node, rng)
    (folder / "genome.yaml").write_text(yaml.safe_dump(config_tree(edges_per_node)))


def write_fasta(path: Path, sizes: dict[str, int], rng: np.random.Generator) -> None:
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    with path.open("wb") as file:
        for chrom, size in sizes.items():
            file.write(f">{chrom}\n".encode())
            for first in range(0, size, BLOCK * LINE):
                lines = np.full((min(BLOCK, -(-(size - first) // LINE)), LINE + 1), ord("\n"), dtype=np.uint8)
                lines[:, :LINE] = letters[rng.integers(0, 4, (len(lines), LINE), dtype=np.uint8)]
                left_out = max(0, first + len(lines) * LINE - size)
                file.write(lines.tobytes()[: lines.size - 1 - left_out] + b"\n")


def write_bigwig(path: Path, sizes: dict[str, int], rng: np.random.Generator) -> None:
    import pyBigWig

    with pyBigWig.open(str(path), "w") as file:
        file.addHeader([*sizes.items()], maxZooms=0)
        for chrom, size in sizes.items():
            for first in range(0, size // BIN_SIZE, BLOCK):
                values = rng.integers(0, 8, min(BLOCK, size // BIN_SIZE - first)).astype(np.float64)
                file.addEntries(chrom, first * BIN_SIZE, values=values, span=BIN_SIZE, step=BIN_SIZE)


def write_cool(path: Path, sizes: dict[str, int], edges_per_node: int, rng: np.random.Generator) -> None:
    import cooler
    import pandas as pd

    bins = cooler.binnify(pd.Series(sizes), NODE_SIZE)
    bins["weight"] = 1.0
    ends = np.cumsum([-(-size // NODE_SIZE) for size in sizes.values()])

    def pixels() -> Iterator[pd.DataFrame]:
        for first in range(0, len(bins), BLOCK):
            row = np.arange(first, min(first + BLOCK, len(bins)))
            steps = rng.integers(1, 2 * APART, (len(row), edges_per_node))
            col = row[:, None] + NEAREST - 1 + np.cumsum(steps, axis=1)
            inside = col < ends[np.searchsorted(ends, row, side="right")][:, None]
            row = np.broadcast_to(row[:, None], col.shape)[inside]
            yield pd.DataFrame({"bin1_id": row, "bin2_id": col[inside], "count": rng.integers(1, 9, len(row))})

    cooler.create_cooler(str(path), bins, pixels(), ordered=True)


def config_tree(edges_per_node: int) -> dict:
    """A small model over all contacts of the map."""
    blocks = [{"filters": 8, "kernel": 7, "pool": 8}, {"filters": 16, "kernel": 3, "pool": 16}]
    every = {"top_k": 2 * edges_per_node, "min_distance": NEAREST * NODE_SIZE, "min_oe": 0.0}
    return {
        "name": "genome",
        "store": "store",
        "genome": {"fasta": "genome.fa"},
        "tracks": {"targets": "targets.tsv"},
        "contacts": {"file": "map.cool"},
        "bins": {"bin_size": BIN_SIZE, "node_size": NODE_SIZE},
        "splits": {"valid": ["chr8"], "test": ["chr9"]},
        "graph": {"edges": [{"name": "linear"}, {"name": "hic", **every}]},
        "batch": {"window": 128, "size": 2, "partners": 4, "chunk": 40},
        "model": {
            "encoder": {"name": "basenji", "blocks": blocks},
            "processor": [{"name": "gat", "heads": 2}],
            "heads": {"coverage": {}},
        },
        "training": {"learning_rate": 0.001, "monitor": "loss", "accelerator": "cpu", "devices": 1, "threads": 1},
        "evaluation": {"kmer_ridge": None},
    }


def run_stage(stage: str, folder: Path, steps: int) -> dict[str, float]:
    """Run a stage; of the graph how large it is, of training the CPU time of a step in ms."""
    from genograph.config import load_config
    from genograph.prepare import prepare

    config = load_config(folder / "genome.yaml")
    if stage == "prepare":
        prepare(config)
        return {}
    from genograph.experiment import Experiment

    experiment = Experiment.open(config)
    if stage == "graph":
        return {"nodes": experiment.graph.num_nodes, "edges": experiment.graph.num_edges}
    return {"step": train(experiment, steps)}


def train(experiment, steps: int) -> float:
    """Some steps as `genograph train` makes them, each with its batch: the median of their CPU time in ms."""
    import pytorch_lightning as pl

    from genograph.trainer import TrainingModule

    class Clock(pl.Callback):
        ends: ClassVar[list[float]] = []

        def on_train_batch_end(self, *args: object) -> None:
            self.ends.append(time.process_time())

    model = experiment.model()
    datasets = {split: experiment.dataset(split, model.halo) for split in ("train", "valid")}
    module = TrainingModule(model, experiment.config.training, seed=0, **datasets)
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    limits = {"max_steps": steps, "max_epochs": -1, "limit_val_batches": 0, "num_sanity_val_steps": 0}
    clock = Clock()
    pl.Trainer(accelerator="cpu", devices=1, use_distributed_sampler=False, callbacks=[clock], **limits, **quiet).fit(
        module
    )
    return float(np.median(np.diff(clock.ends)) * 1000)


def table(rows: list[Row]) -> str:
    heads = ["genome, Mb", "tracks", "nodes", "edges", "stage", "seconds", "own, peak MB", "resident, peak MB", STEP]
    lines = [" | ".join(heads), " | ".join("---" if head == "stage" else "--:" for head in heads)]
    for row in rows:
        step = "" if np.isnan(row.step) else f"{row.step:.0f}"
        size = f"{row.mb:,g} | {row.tracks} | {row.nodes:,} | {row.edges:,}"
        lines.append(f"{size} | {row.stage} | {row.seconds:.0f} | {row.own:.0f} | {row.resident:.0f} | {step}")
    return "\n".join(f"| {line} |" for line in lines)


def slopes(rows: list[Row], by: str) -> str:
    """By how much each stage grows, fitted through all values of what is varied."""
    unit, of = VARIED[by]
    lines = [f"| stage | own, MB per {unit} | resident, MB per {unit} | {STEP}, per {unit} |", "|---|--:|--:|--:|"]
    for stage in STAGES:
        of_stage = [row for row in rows if row.stage == stage]
        x = [of(row) for row in of_stage]
        fitted = [np.polyfit(x, [getattr(row, key) for row in of_stage], 1)[0] for key in ("own", "resident")]
        step = f"{np.polyfit(x, [row.step for row in of_stage], 1)[0]:z.1f}" if stage == "train" else ""
        lines.append(f"| {stage} | {fitted[0]:z.0f} | {fitted[1]:z.0f} | {step} |")
    return "\n".join(lines)


def figure(rows: list[Row], by: str) -> str:
    """Peaks of own memory against what is varied, a line for each stage, as SVG."""
    from genograph.charts.drawing import FULL, Scale, polyline, svg, tag, text, x_axis, y_axis

    unit, of = VARIED[by]
    x = Scale.covering([0, *map(of, rows)], 56, FULL - 70)
    y = Scale.covering([0, *(row.own for row in rows)], 200, 24)
    style = "svg{background:#fff}text{font:12px sans-serif}.axis,.mean{stroke:#333;fill:none}.mean{stroke-width:2}"
    parts = [tag("style", style), x_axis(x, 204, f"{by}, {unit}"), y_axis(y, 56), text(8, 14, "own memory, peak MB")]
    for stage in STAGES:
        value, own = np.array([(of(row), row.own) for row in rows if row.stage == stage]).T
        parts.append(tag("path", d=polyline(x(value), y(own)), class_="mean"))
        parts.append(text(float(x(value[-1])) + 6, float(y(own[-1])) + 4, stage))
    drawn = svg("memory", f"Memory against {by}", "A line for each stage.", FULL, 244, parts)
    return drawn.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)


def run_genome(folder: Path, mb: float, tracks: int, edges_per_node: int, steps: int) -> list[Row]:
    """A row for each stage, each run in a process of its own."""
    write_world(folder, mb, tracks=tracks, edges_per_node=edges_per_node)
    found = {}
    for stage in STAGES:
        options = ["--stage", stage, "--folder", str(folder), "--steps", str(steps)]
        found[stage] = json.loads(printed_by(__file__, options))
    size = [found["graph"].pop(key) for key in ("nodes", "edges")]
    return [Row(mb, tracks, *size, stage, **{"step": float("nan"), **each}) for stage, each in found.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("size", type=float, nargs="*", default=[10, 100], help="of the genome in Mb")
    parser.add_argument("--tracks", type=int, nargs="+", default=[20])
    parser.add_argument("--edges-per-node", type=int, nargs="+", default=[20], help="contacts of a node further on")
    parser.add_argument("--steps", type=int, default=50, help="of training")
    parser.add_argument("--figure", type=Path, help="SVG to write")
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help="where genomes are written meanwhile")
    arguments = parser.parse_args()
    if arguments.stage:
        told: dict[str, float] = {}
        usage = measured(lambda: told.update(run_stage(arguments.stage, arguments.folder, arguments.steps)))
        print(json.dumps(usage._asdict() | told))
        return
    values = {"size": arguments.size, "tracks": arguments.tracks, "edges": arguments.edges_per_node}
    varied = [name for name, each in values.items() if len(each) > 1]
    if len(varied) > 1:
        parser.error(f"{' and '.join(varied)} have several values; vary one at a time")
    rows = []
    for mb, tracks, edges_per_node in itertools.product(*values.values()):
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            rows += run_genome(Path(folder), mb, tracks, edges_per_node, arguments.steps)
    print(table(rows))
    if varied:
        print(f"\n{slopes(rows, *varied)}")
    if arguments.figure:
        arguments.figure.write_text(figure(rows, (varied or ["size"])[0]))


if __name__ == "__main__":
    main()
