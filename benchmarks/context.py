"""How far do layers along the sequence see? Convolutions, dilated ones and a BiLSTM of as many parameters.

    python benchmarks/context.py

A window is 512 bins. One bin in twenty is an element, with a signal of its own; one in twenty is a promoter, whose
value is the sum of the signals between d / 2 and d bins away, with noise of a fifth of its variance. Bins arrive as
embeddings, so that what is compared is how layers carry information, and not how an encoder learns motifs. Each stack
of layers stands between the same linear layers, learns for the same steps from the same windows, and is judged on new
ones by Pearson's r over promoters; a perfect model reaches about .91. Prints markdown: mean and deviation over seeds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from genograph.graph.batch import GenomeBatch
from genograph.metrics import TrackSums
from genograph.nn.layers import LAYERS
from genograph.nn.model import count_parameters
from genograph.nn.processor import Processor

BINS, WINDOWS, CHANNELS = 512, 8, 32
RARE, NOISE = 0.05, 0.2
LENGTHS = (2, 8, 32, 128)  # d, in bins
DEPTHS = (1, 2, 3, 4, 5, 6, 7, 8)


@dataclass(frozen=True)
class Stack:
    """Layers of about 25,000 parameters."""

    name: str
    layer: str
    options: dict[str, float]

    def build(self) -> nn.Module:
        return Processor(CHANNELS, [LAYERS[self.layer](CHANNELS, 0, **self.options)])


STACKS = (
    Stack("convolutions", "dilated", {"filters": 32, "layers": 6, "rate_multiplier": 1}),
    Stack("dilated convolutions", "dilated", {"filters": 32, "layers": 6, "rate_multiplier": 2}),
    Stack("BiLSTM", "bilstm", {"width": 39}),
)


class Model(nn.Module):
    """Two features of a bin to its value, by way of a stack of layers."""

    def __init__(self, stack: nn.Module) -> None:
        super().__init__()
        self.embed, self.stack, self.head = nn.Linear(2, CHANNELS), stack, nn.Linear(CHANNELS, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(windows, bins, 2) -> (windows, bins)."""
        flat = self.stack(self.embed(x.flatten(0, 1)), window_batch(len(x)))
        return self.head(flat).view(len(x), BINS)


def window_batch(windows: int) -> GenomeBatch:
    """Windows without sequence, nodes or edges."""
    nothing = torch.empty(0, 0, dtype=torch.long)
    return GenomeBatch(
        codes=nothing,
        source=nothing,
        layout=((windows, BINS),),
        crop=0,
        node_of_bin=nothing,
        num_nodes=0,
        edge_index=nothing,
        edge_attr=nothing,
        position=nothing,
    )


def draw(rng: np.random.Generator, length: int) -> tuple[Tensor, Tensor, Tensor]:
    """Features (windows, bins, 2), values and which bins are promoters (windows, bins)."""
    signal = rng.normal(size=(WINDOWS, BINS)) * (rng.random((WINDOWS, BINS)) < RARE)
    promoter = rng.random((WINDOWS, BINS)) < RARE
    away = np.abs(np.arange(BINS)[:, None] - np.arange(BINS))
    reached = (away <= length) & (away > length // 2)
    value = signal @ reached / np.sqrt(RARE * reached.sum(axis=0).mean())
    value += rng.normal(size=value.shape) * np.sqrt(NOISE)
    features = torch.tensor(np.stack([signal, promoter], axis=-1), dtype=torch.float32)
    return features, torch.tensor(value, dtype=torch.float32), torch.tensor(promoter)


def train(stack: Stack, length: int, seed: int, steps: int) -> tuple[float, float]:
    """Pearson's r over promoters of new windows, and the median seconds of a step."""
    torch.manual_seed(seed)
    rng, model = np.random.default_rng(seed), Model(stack.build())
    optimizer, seconds = torch.optim.Adam(model.parameters(), lr=3e-3), []
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        features, value, promoter = draw(rng, length)
        started = time.perf_counter()
        loss = (model(features) - value)[promoter].square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seconds.append(time.perf_counter() - started)
        schedule.step()
    sums, new = TrackSums(1), np.random.default_rng([seed, 1])
    model.eval()
    for _ in range(20):
        features, value, promoter = draw(new, length)
        with torch.no_grad():
            prediction = model(features)
        sums.update(prediction[promoter].numpy()[:, None], value[promoter].numpy()[:, None])
    return float(sums.pearsonr()[0]), statistics.median(seconds)


def scores(stack: Stack, lengths: tuple[int, ...], seeds: int, steps: int) -> tuple[list[str], float]:
    """For each dependency length mean and deviation of r over seeds, and the median milliseconds of a step."""
    cells, times = [], []
    for length in lengths:
        found = [train(stack, length, seed, steps) for seed in range(seeds)]
        r = [each for each, _ in found]
        times += [each for _, each in found]
        cells.append(f"{statistics.mean(r):.3f} ± {statistics.stdev(r) if seeds > 1 else float('nan'):.3f}")
    return cells, 1000 * statistics.median(times)


def row(stack: Stack, lengths: tuple[int, ...], seeds: int, steps: int) -> str:
    """A row of markdown."""
    cells, milliseconds = scores(stack, lengths, seeds, steps)
    built = stack.build()
    reach = f"{built.span + 1:.0f}" if np.isfinite(built.span) else "window"
    parameters = f"{count_parameters(built).trainable:,}"
    return f"| {' | '.join([stack.name, parameters, reach, f'{milliseconds:.1f}', *cells])} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=400)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    each = partial(row, lengths=LENGTHS, seeds=arguments.seeds, steps=arguments.steps)
    header = ["layers", "parameters", "receptive field, bins", "ms a step", *(f"r, d = {d}" for d in LENGTHS)]
    print("| " + " | ".join(header) + " |\n|" + "---|" * len(header))
    for stack in STACKS:
        print(each(stack), flush=True)
    for depth in DEPTHS:
        options = {"filters": 32, "layers": depth, "rate_multiplier": 2}
        print(each(Stack(f"{depth} dilated", "dilated", options)), flush=True)


if __name__ == "__main__":
    main()
