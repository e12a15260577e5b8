"""A trained model on disk: `model.safetensors` holds weights and config; with the data it is enough to run.

The file's metadata carry the resolved config, the tracks it predicts, the digest of the store it was trained
on and the versions it was trained with. Lightning's own checkpoints serve `--resume` and nothing else.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import yaml
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from genograph.config import Config, parse_config
from genograph.errors import InputError
from genograph.experiment import Experiment
from genograph.nn.model import GenomeModel

WEIGHTS = "model.safetensors"
PACKAGES = ("genograph", "torch", "torch-geometric", "pytorch-lightning", "numpy")


def save_model(model: GenomeModel, experiment: Experiment, folder: Path) -> Path:
    """Write `model.safetensors` into a run folder, whole or not at all; returns its path."""
    metadata = {
        "config": experiment.config.to_yaml(),
        "tracks": json.dumps(track_names(experiment)),
        "store": json.dumps(experiment.store.manifest["sources"]),
        "versions": json.dumps({name: version(name) for name in PACKAGES}),
    }
    path = folder / WEIGHTS
    partial = path.with_suffix(".partial")
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, partial, metadata)
    partial.rename(path)
    return path


def load_run(folder: str | Path, config: Config | None = None) -> tuple[Experiment, GenomeModel]:
    """The experiment and the trained model of a run folder, ready to evaluate.

    Args:
        folder: A run folder, or the path of its `model.safetensors`.
        config: The run's config, perhaps with changes; None for the one it was trained with.

    Raises:
        InputError: If there is no finished run, or its tracks are not those of the store.
    """
    path = Path(folder)
    path = path if path.name == WEIGHTS else path / WEIGHTS
    if not path.is_file():
        raise InputError(f"no trained model at {path}. Train one: genograph train CONFIG")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata()
    except SafetensorError as error:
        raise InputError(f"{path} is damaged or no safetensors file: {error}") from None
    config = config or parse_config(yaml.safe_load(metadata["config"]))
    experiment = Experiment.open(config)
    if json.loads(metadata["tracks"]) != track_names(experiment):
        raise InputError(
            f"{path} was trained on other tracks than {config.section('tracks').targets} names now. "
            "Train anew, or give it the table it was trained on."
        )
    model = experiment.model()
    model.load_state_dict(load_file(path))
    return experiment, model.eval()


def track_names(experiment: Experiment) -> dict[str, list[str]]:
    """The identifiers of each assay's tracks, in the order of the model's outputs."""
    return {assay: [target.identifier for target in rows] for assay, rows in experiment.targets.items()}
