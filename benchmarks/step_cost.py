"""What a training step costs per Mb: Basenji's small model against graph models with the same encoder.

    python benchmarks/step_cost.py

All models step once a round, in random order, on the same windows of the shipped E. coli, on one thread.
A step is forward, backward, clipping and the optimiser; making its batch is timed apart, all in CPU seconds.
Masks keep random regions of 2 kb, as cost follows how much is kept, not what. Prints medians (quartiles).
"""

from __future__ import annotations

import resource
import tempfile
import time
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from genograph.config import Config, parse_config
from genograph.experiment import Experiment
from genograph.trainer import TrainingModule

ROUNDS = 15
CONFIGS = Path(__file__).parent.parent / "configs"
GENOME_SIZE = 4_641_652  # bp of NC_000913.3
REGION = 2_048  # bp of a candidate region
BIN_SIZE = 128  # bp
PIECES, SMALL_PIECES = 80, 8  # bins encoded at a time; a contact partner has 77 or 78
DILATED = {"name": "dilated", "filters": 32, "layers": 6, "rate_multiplier": 2, "dropout": 0.25}
GAT = {"name": "gat", "heads": 4, "dropout": 0.1}


@dataclass(frozen=True)
class Arm:
    """A model, and how much of the genome it reads in what pieces."""

    name: str
    processor: tuple[dict[str, Any], ...]
    partners: int
    kept: float
    chunk: int | None

    def config(self, folder: Path) -> Config:
        """Basenji's small model with this arm's processor, on E. coli, prepared in `folder`."""
        small, tree = (yaml.safe_load((CONFIGS / f"{name}.yaml").read_text()) for name in ("basenji_small", "ecoli"))
        tree["store"] = folder / "store"
        tree["batch"] = small["batch"] | {"partners": self.partners, "chunk": self.chunk}
        tree["model"] |= {key: small["model"][key] for key in ("encoder", "trunk")} | {"processor": self.processor}
        if GAT not in self.processor:
            tree["graph"] = {"edges": []}
        if self.kept < 1:
            tree["graph"]["candidates"] = write_regions(folder / f"{self.kept:.0%}.bed", self.kept)
        return parse_config(tree, folder=CONFIGS)


MASKED = ((1.0, PIECES), (0.25, SMALL_PIECES), (0.1, SMALL_PIECES))
ARMS = [
    Arm("Basenji", (DILATED,), 0, 1.0, None),
    *[Arm("Basenji", (DILATED,), 0, kept, chunk) for kept, chunk in MASKED],
    Arm("graph, no partners", (GAT, GAT), 0, 1.0, PIECES),
    *[Arm("graph", (GAT, GAT), 8, kept, chunk) for kept, chunk in MASKED],
    *[Arm("dilated + graph", (DILATED, GAT), 8, kept, chunk) for kept, chunk in MASKED],
]


class Trial:
    """An arm's model with its windows and optimiser."""

    def __init__(self, arm: Arm, folder: Path) -> None:
        experiment = Experiment.open(arm.config(folder))
        self.model = experiment.model().train()
        self.windows = experiment.genome_windows(self.model.halo, stride=experiment.config.batch.window)
        self.module = TrainingModule(self.model, experiment.config.training, train=None, valid=None, seed=0)
        self.optimizer = self.module.configure_optimizers()["optimizer"]

    def step(self, seed: int) -> tuple[float, float, float, float]:
        """Seconds of a step and of making its batch; Mb predicted, and Mb encoded with context and partners."""
        drawn = np.random.default_rng(seed).permutation(len(self.windows))[: self.windows.batch.size]
        start = time.process_time()
        batch = self.windows.make_batch(drawn.tolist())
        made = time.process_time()
        self.optimizer.zero_grad()
        self.model.loss(batch)[0].backward()
        self.module.configure_gradient_clipping(self.optimizer)
        self.optimizer.step()
        predicted, encoded = batch.position.numel() * BIN_SIZE, batch.codes.numel()
        return time.process_time() - made, made - start, predicted / 1e6, encoded / 1e6


def write_regions(path: Path, kept: float) -> Path:
    """Regions that make up a share of the genome, one at random in each of its equal stretches."""
    count = round(GENOME_SIZE * kept / REGION)
    stretch = GENOME_SIZE // count  # bp
    starts = np.arange(count) * stretch + np.random.default_rng(0).integers(0, stretch - REGION, count)
    starts = starts // BIN_SIZE * BIN_SIZE
    path.write_text("".join(f"NC_000913.3\t{start}\t{start + REGION}\n" for start in starts))
    return path


def peak_memory(arm: Arm, folder: Path) -> float:
    """MB that a process takes at most for two steps; the libraries are in it."""
    torch.set_num_threads(1)
    trial = Trial(arm, folder)
    for seed in range(2):
        trial.step(seed)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def spread(values: np.ndarray) -> str:
    return "{1:.2f} ({0:.2f}-{2:.2f})".format(*np.quantile(values, [0.25, 0.5, 0.75]))


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Experiment.open(ARMS[0].config(folder))  # prepares the store that all share
        with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
            peaks = pool.starmap(peak_memory, [(arm, folder) for arm in ARMS], chunksize=1)
        trials = [Trial(arm, folder) for arm in ARMS]
        costs = np.zeros((1 + ROUNDS, len(ARMS), 4))  # the first round warms up
        for seed in range(1 + ROUNDS):
            for arm in np.random.default_rng(seed).permutation(len(ARMS)):
                costs[seed, arm] = trials[arm].step(seed)
    print_table(costs[1:], peaks)


def print_table(costs: np.ndarray, peaks: list[float]) -> None:
    """The costs (rounds, arms, 4), see `Trial.step`, as a row for each arm."""
    step, batch, predicted, encoded = np.moveaxis(costs, -1, 0)
    per_mb = step / predicted
    ratio = per_mb / per_mb[:, :1]  # to the same round's
    print("| model | kept | piece, bins | encoded | s per Mb | ratio | s per Mb encoded | batch, s per Mb | peak, MB |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    for i, arm in enumerate(ARMS):
        print(
            f"| {arm.name} | {arm.kept:.0%} | {arm.chunk or 'window'} | {(encoded / predicted)[:, i].mean():.2f} "
            f"| {spread(per_mb[:, i])} | {spread(ratio[:, i])} | {np.median((step / encoded)[:, i]):.2f} "
            f"| {np.median((batch / predicted)[:, i]):.3f} | {peaks[i]:.0f} |"
        )


if __name__ == "__main__":
    main()
