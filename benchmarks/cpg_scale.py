"""Memory and time of preparing and training DeepCpG's CpG network on many sites of many cells.

    python benchmarks/cpg_scale.py 10000 100000 1000000

Every cell has a read at a fifth of the sites, which lie 100 bp apart on average on four chromosomes; states are random,
alike over some sites. For every number of sites three processes make the files, prepare the store and train some
hundred steps and validate on as many batches. Of each are printed the seconds, the peak of the memory that is its own
(anonymous, sampled) and the peak of all that is resident, which counts pages of memory-mapped files that it has read
and that the system may take back.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import yaml
from peak_memory import measured, printed_by

CHROMS, SPACING = 4, 100  # bp
COVERED, ALIKE = 0.2, 0.97  # share of sites that a cell covers; of sites that are as the one before
STEPS = 300


def write_world(folder: Path, *, sites: int, cells: int) -> None:
    """Tables of cells, their targets table, chromosome sizes and a config."""
    rng = np.random.default_rng(0)
    each = sites // CHROMS
    position = [np.cumsum(rng.integers(2, 2 * SPACING - 1, each)) for _ in range(CHROMS)]
    state = [np.cumsum(rng.random(each) > ALIKE) % 2 for _ in range(CHROMS)]
    for cell in range(cells):
        with (folder / f"cell{cell}.tsv").open("w") as file:
            for chrom in range(CHROMS):
                rows = np.flatnonzero(rng.random(each) < COVERED)
                value = state[chrom][rows] ^ (rng.random(len(rows)) < 0.1)
                pairs = zip(position[chrom][rows].tolist(), value.tolist(), strict=True)
                file.writelines(f"chr{chrom + 1}\t{at}\t{methylated}\n" for at, methylated in pairs)
    names = [f"cell{cell}\tcell{cell}.tsv\tmethylation\n" for cell in range(cells)]
    (folder / "cells.tsv").write_text("identifier\tfile\tassay\n" + "".join(names))
    sizes = [f"chr{number + 1}\t{int(each[-1]) + 100}\n" for number, each in enumerate(position)]
    (folder / "chrom.sizes").write_text("".join(sizes))
    (folder / "cells.yaml").write_text(yaml.safe_dump(config_tree()))


def config_tree() -> dict:
    """DeepCpG's CpG network, narrowed to 32 units."""
    neighbours = {"name": "deepcpg", "hidden": [32], "recurrent": [{"cell": "gru", "width": 32}]}
    return {
        "name": "cells",
        "store": "store",
        "genome": {"chrom_sizes": "chrom.sizes"},
        "tracks": {"targets": "cells.tsv"},
        "bins": {"bin_size": 1},
        "sites": {"source": "covered"},
        "splits": {"valid": ["chr3"], "test": ["chr4"]},
        "batch": {"window": 1, "size": 128},
        "augment": {"reverse_complement": False, "shift": 0},
        "model": {
            "encoder": None,
            "neighbours": neighbours,
            "heads": {"methylation": {"class_weights": "balanced"}},
        },
        "training": {"learning_rate": 0.001, "monitor": "loss", "accelerator": "cpu", "devices": 1, "threads": 1},
        "evaluation": {"kmer_ridge": None},
    }


def prepare_world(folder: Path) -> None:
    from genograph.config import load_config
    from genograph.prepare import prepare

    prepare(load_config(folder / "cells.yaml"))


def train_world(folder: Path) -> None:
    """Some steps as `genograph train` makes them, and a validation of as many batches."""
    import pytorch_lightning as pl

    from genograph.config import load_config
    from genograph.experiment import Experiment
    from genograph.trainer import TrainingModule

    experiment = Experiment.open(load_config(folder / "cells.yaml"))
    model = experiment.model()
    datasets = {split: experiment.dataset(split, model.halo) for split in ("train", "valid")}
    module = TrainingModule(model, experiment.config.training, seed=0, **datasets)
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    limits = {"max_epochs": 1, "limit_train_batches": STEPS, "limit_val_batches": STEPS, "num_sanity_val_steps": 0}
    pl.Trainer(accelerator="cpu", devices=1, use_distributed_sampler=False, **limits, **quiet).fit(module)


STAGES = {"prepare": prepare_world, "train": train_world}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sites", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--cells", type=int, default=50)
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stage:
        print("{:.0f} | {:.0f} | {:.0f}".format(*measured(partial(STAGES[arguments.stage], arguments.folder))))
        return
    print(
        "| sites | cells | stage | seconds | own, peak MB | resident, peak MB |\n|--:|--:|---|--:|--:|--:|", flush=True
    )
    for sites in arguments.sites:
        with tempfile.TemporaryDirectory() as folder:
            write_world(Path(folder), sites=sites, cells=arguments.cells)
            for stage in STAGES:
                figures = printed_by(__file__, ["--stage", stage, "--folder", folder])
                print(f"| {sites:,} | {arguments.cells} | {stage} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
