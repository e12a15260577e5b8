"""The table of docs/results.md: train configs with several seeds, score them on held-out sequence, print markdown.

    python benchmarks/road.py configs/ecoli.yaml configs/ecoli_basenji.yaml --seeds 3

Runs that are finished are not repeated, one that was stopped goes on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
import torch

from genograph.checkpoint import WEIGHTS
from genograph.config import load_config
from genograph.evaluate import evaluate, summarize
from genograph.train import train

SCORES = ["pearsonr", "spearmanr", "r2"]


def score(config: Path, seed: int, out: Path, overrides: list[str]) -> pd.DataFrame:
    """The summary of one run: a row per assay and predictor."""
    settings = load_config(config, [*overrides, f"seed={seed}"])
    run = out / f"{settings.name}-seed{seed}"
    if not (run / WEIGHTS).is_file():
        train(settings, run, resume=run.is_dir())
    evaluate(run)
    return summarize(run).assign(config=settings.name, seed=seed)


def table(scores: pd.DataFrame) -> str:
    """Markdown of mean and standard deviation over seeds; baselines have no seed and so no spread."""
    predictor = scores["config"].where(scores["predictor"] == "model", scores["predictor"])
    rows = []
    for names, runs in scores.assign(predictor=predictor).groupby(["assay", "over", "predictor"], sort=False):
        has_seeds = len(runs) > 1 and (runs["predictor"] == runs["config"]).all()
        means = zip(runs[SCORES].mean(), runs[SCORES].std(), strict=True)
        rows.append([*names, *(f"{mean:.3f} ± {spread:.3f}" if has_seeds else f"{mean:.3f}" for mean, spread in means)])
    header = ["assay", "over", "predictor", *SCORES]
    lines = [header, ["---"] * len(header), *sorted(rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configs", nargs="+", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/road"))
    parser.add_argument("--set", action="append", default=[], metavar="section.key=value", dest="overrides")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    scores = [
        score(config, seed, arguments.out, arguments.overrides)
        for seed in range(arguments.seeds)
        for config in arguments.configs
    ]
    print(table(pd.concat(scores)))


if __name__ == "__main__":
    main()
