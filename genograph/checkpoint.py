"""A trained model on disk: `model.safetensors` holds weights and config; with the data it is enough to run.

The file's metadata carry the resolved config, the tracks it predicts, the digests of the files it was trained
on and the versions it was trained with. Lightning's own checkpoints serve `--resume` and nothing else.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from genograph.atomic import replacing
from genograph.config import Config, changed_keys, parse_config
from genograph.config.own_class import label
from genograph.errors import InputError
from genograph.experiment import Experiment
from genograph.graph.features import FeatureScale
from genograph.joint import JointExperiment
from genograph.nn.model import GenomeModel
from genograph.rebuild import sha256

WEIGHTS = "model.safetensors"
# What may change in a run's config and leaves what is scored, and how; files may move, and `load_run` looks at models.
FREE = re.compile(
    r"name|source|store|seed|downloads|augment|model|training|ablation|study|evaluation\.(split|annotations)|"
    r"batch\.(size|stride|balance)"
)
LISTED = 5  # tracks that a message names
HEADS = "heads."  # how names of their weights begin
PACKAGES = ("genograph", "torch", "torch-geometric", "pytorch-lightning", "numpy")

log = logging.getLogger("genograph")


def save_model(model: GenomeModel, experiment: Experiment | JointExperiment, folder: Path) -> Path:
    """Write `model.safetensors` into a run folder, whole or not at all; returns its path."""
    metadata = {
        "config": experiment.config.to_yaml(),
        "tracks": json.dumps(track_names(experiment)),
        "inputs": json.dumps(experiment.inputs),
        "store": json.dumps(experiment.sources),
        "versions": json.dumps({name: version(name) for name in PACKAGES}),
    }
    path = folder / WEIGHTS
    with replacing(path) as written:
        written.write_bytes(save({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, metadata))
    return path


def load_run(
    folder: str | Path, config: Config | None = None, genome: str | None = None
) -> tuple[Experiment, GenomeModel]:
    """The experiment and the trained model of a run folder, ready to evaluate.

    Args:
        folder: A run folder, or the path of its `model.safetensors`.
        config: The run's config, perhaps with changes; None for the one it was trained with.
        genome: Which one, of a run of several; the data of the others are not needed.

    Raises:
        InputError: If there is no finished run, its tracks are not those of the store, `config` describes
            another model than was trained, or the run is of several genomes and none is named.

    >>> experiment, model = load_run("run")
    >>> model.tracks
    {'coverage': 1, 'expression': 2, 'methylation': 1}
    """
    path, metadata = read_metadata(folder)
    trained = parse_config(yaml.safe_load(metadata["config"]))
    config, trained = (config or trained).of(genome), trained.of(genome)
    _check_same_model(trained, config)
    experiment = Experiment.open(config)
    _warn_of_other_sources(entries_of(json.loads(metadata["store"]), genome), experiment.sources, path)
    if entries_of(json.loads(metadata["tracks"]), genome) != track_names(experiment):
        source = config.tracks.targets if config.tracks else config.section("tfrecords").folder
        raise InputError(
            f"{path} was trained on other tracks than {source} names now. "
            "Train anew, or give it the table it was trained on."
        )
    experiment = _with_inputs(experiment, entries_of(json.loads(metadata.get("inputs", "{}")), genome))
    model = experiment.model()
    model.load_state_dict(_weights_of(load_file(path), genome))
    return experiment, model.eval()


def _weights_of(weights: Mapping[str, Tensor], genome: str | None) -> dict[str, Tensor]:
    """The weights of the model of one genome: what is shared, and its own heads."""
    heads = {name.removeprefix(HEADS): each for name, each in weights.items() if name.startswith(HEADS)}
    shared = {name: each for name, each in weights.items() if not name.startswith(HEADS)}
    return shared | {HEADS + name: each for name, each in entries_of(heads, genome).items()}


def entries_of(tree: Mapping[str, Any], genome: str | None) -> dict[str, Any]:
    """The entries of one genome, of those named `genome/...`, without its name; all of them for None."""
    start = f"{genome}/" if genome else ""
    return {key.removeprefix(start): value for key, value in tree.items() if key.startswith(start)}


def trained_config(folder: str | Path) -> Config:
    """The config that a run folder, or its `model.safetensors`, was trained with.

    Raises:
        InputError: If there is no finished run.
    """
    return parse_config(yaml.safe_load(read_metadata(folder)[1]["config"]))


def check_own_tables(run: str | Path, config: Config) -> None:
    """Refuse to put what another config scores where the tables of the run are; data may have moved.

    Raises:
        InputError: If the config scores other bins than the run's own, on other data or otherwise; the keys are named.
    """
    before, now = (dict(_leaves(each.model_dump(mode="json"))) for each in (trained_config(run), config))
    changed = [key for key in {*before, *now} if before.get(key) != now.get(key) or (key in before) != (key in now)]
    changed = [key for key in changed if not (_is_path(before.get(key)) and _is_path(now.get(key)))]
    other = sorted(key for key in changed if not FREE.match(re.sub(r"^genomes\.[^.]+\.", "", key)))
    if other:
        raise InputError(
            f"{', '.join(other)}: not as {run} was trained, whose own tables stay as they are. Name a folder for "
            "these: --out FOLDER"
        )


def _leaves(tree: object, key: str = "") -> Iterator[tuple[str, object]]:
    """Every value of nested dicts and lists, and its key, as `graph.edges.1.top_k`."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else None
    if items is None:
        yield key, tree
    else:
        for name, value in items:
            yield from _leaves(value, f"{key}.{name}" if key else str(name))


def _is_path(value: object) -> bool:
    return isinstance(value, str) and value.startswith("/")


def read_metadata(folder: str | Path) -> tuple[Path, dict[str, str]]:
    """The path of a run's `model.safetensors`, and what it says besides weights; see `save_model`.

    Raises:
        InputError: If there is no finished run.
    """
    path = Path(folder)
    if path.suffix in (".yaml", ".yml"):
        raise InputError(f"{path} is a config. Give the folder of a run trained with it, such as runs/NAME.")
    path = path if path.name == WEIGHTS else path / WEIGHTS
    if not path.is_file():
        raise InputError(_no_model(path))
    try:
        with safe_open(path, "pt") as file:
            return path, file.metadata()
    except SafetensorError as error:
        raise InputError(f"{path} is damaged or no safetensors file: {error}") from None


def _no_model(path: Path) -> str:
    """What is wrong where a trained model is asked for and not there, and the way to one."""
    run = path.parent
    if (run / "config.yaml").is_file() and (run / "tensorboard").is_dir():  # both are there from the first step on
        return f"the training of {run} is not finished. Go on: genograph train {run} --resume"
    return f"no trained model at {path}. Train one: genograph train CONFIG"


def scaled_as(
    experiment: Experiment | JointExperiment, run: Path, genome: str | None = None
) -> Experiment | JointExperiment:
    """The experiment with features scaled as in a run, whose weights of them its model begins with.

    A genome of several is scaled as the run's genome of that name, or as the run's only one.

    Raises:
        InputError: If there is no finished run, or it has no features.
    """
    if isinstance(experiment, JointExperiment):
        return replace(experiment, parts={name: scaled_as(part, run, name) for name, part in experiment.parts.items()})
    inputs = json.loads(_read_start("features", run)[1].get("inputs", "{}"))
    features = (entries_of(inputs, genome) or inputs).get("features")
    if not features:
        own = f" of {genome}" if genome else ""
        raise InputError(f"training.start_from.features: the run at {run} has no features{own}. Leave it out.")
    return replace(experiment, learned=FeatureScale(**features))


def begin_with(
    model: GenomeModel, runs: Mapping[str, Path], experiment: Experiment | JointExperiment
) -> dict[str, str]:
    """Give parts of a new model the weights that these have in trained runs; returns the files' SHA-256, by part.

    Args:
        model: What to fill, in place.
        runs: Part of the model, such as `encoder` -> run folder.
        experiment: The model's.

    Raises:
        InputError: If there is no finished run, model or run lack the part, it is not of the same shape, or its heads
            predict other tracks.
    """
    digests = {}
    for part, run in runs.items():
        path, metadata = _read_start(part, run)
        given, own = (
            {name: tensor for name, tensor in state.items() if name == part or name.startswith(f"{part}.")}
            for state in (load_file(path), model.state_dict())
        )
        wrong = [name for name in {*given, *own} if name not in given or name not in own]
        wrong += [name for name in given.keys() & own.keys() if given[name].shape != own[name].shape]
        tracks = (json.loads(metadata["tracks"]), track_names(experiment)) if part == "heads" else ({}, {})
        if wrong or not own or tracks[0] != tracks[1]:
            raise InputError(f"training.start_from.{part}: {_misfit(part, path, given, own, sorted(wrong), tracks)}")
        model.load_state_dict(given, strict=False)
        digests[part] = sha256(path)
    return digests


def _read_start(part: str, run: Path) -> tuple[Path, dict[str, str]]:
    """As `read_metadata`, of a run that a part of a model is to begin with, which an error names."""
    try:
        return read_metadata(run)
    except InputError as error:
        elsewhere = "" if run.exists() else " Relative paths start from the folder of the config."
        raise InputError(f"training.start_from.{part}: {str(error).rstrip('.')}.{elsewhere}") from None


def _misfit(
    part: str,
    path: Path,
    given: Mapping[str, Tensor],
    own: Mapping[str, Tensor],
    wrong: Sequence[str],
    tracks: tuple[Mapping[str, Sequence[str]], Mapping[str, Sequence[str]]],
) -> str:
    """Why a part of a model cannot begin with that of a run, and the way out."""
    if not own:
        only = ", which is of bins that are not read, as with graph.candidates" if part == "placeholder" else ""
        return f"the model of this config has no {part}{only}. Leave it out."
    if not given:
        made = "A run on stored embeddings has none: name the run that made these, or leave it out."
        return f"{path} has no {part} with weights. {made if part == 'encoder' else 'Leave it out.'}"
    if tracks[0] != tracks[1]:
        assay = next(each for each in {**tracks[0], **tracks[1]} if tracks[0].get(each) != tracks[1].get(each))
        there, here = (_listed(each.get(assay, [])) for each in tracks)
        return f"{path} predicts {there} of {assay}, this config {here}. Give both the same tracks, or leave it out."
    return f"{path} has another {part} than this config: {wrong[0]} differs. Give it the options of that run."


def _listed(names: Sequence[str]) -> str:
    """Their number and the first of them."""
    more = ", ..." if len(names) > LISTED else ""
    return f"{len(names)} track{'s' * (len(names) > 1)} ({', '.join(names[:LISTED])}{more})" if names else "no track"


def _check_same_model(trained: Config, config: Config) -> None:
    """Options of the edges may differ, as they change which edges there are; their types may not.

    Files that parts of the model are read from may lie elsewhere.
    """
    before, now = (
        {
            "model": _labelled(each.model.model_dump()),
            "bins": each.bins.model_dump(),
            "graph": {
                "edges": each.graph.edge_types,
                "coarse": [level.node_size for level in each.graph.coarse] + each.graph.coarse_edge_types,
                "features": each.graph.features is not None,
            },
        }
        for each in (trained, config)
    )
    changed = sorted(changed_keys(before, now))
    if changed:
        raise InputError(
            f"{', '.join(changed)}: cannot differ from what the run was trained with. "
            "Train another run with this change."
        )


def _with_inputs(experiment: Experiment, trained: Mapping[str, Any]) -> Experiment:
    """The experiment with features scaled as in training, `trained` being its `inputs` then; {} if they are not known.

    Raises:
        InputError: If edges have other attributes than in training, or in another order.
    """
    features = trained.get("features")
    experiment = replace(experiment, learned=FeatureScale(**features)) if features else experiment
    for level, names in enumerate(trained.get("edge_attributes", [])):
        now = list(experiment.levels[level].attribute_names)
        if names != now:
            where = f"graph.coarse[{level - 1}].edges" if level else "graph.edges"
            raise InputError(
                f"{where}: edges have the attributes {', '.join(now)}; the run was trained with {', '.join(names)}. "
                "Give it edges with the same, in the same order."
            )
    return experiment


def _labelled(tree: Any) -> Any:
    """A nested dict in which components and their files have their names without the folders that these lie in."""
    if isinstance(tree, Path):
        return tree.name
    if isinstance(tree, dict):
        return {key: label(value) if key == "name" else _labelled(value) for key, value in tree.items()}
    return [_labelled(each) for each in tree] if isinstance(tree, list) else tree


def _warn_of_other_sources(before: Mapping[str, Any], now: Mapping[str, Any], path: Path) -> None:
    """Log which sources are not, byte for byte, those that a model was trained on."""
    other = [key for key in before if key not in now or now[key]["sha256"] != before[key]["sha256"]]
    if other:
        log.warning("%s was trained on other data than it is given now: %s.", path, ", ".join(other))


def track_names(experiment: Experiment | JointExperiment) -> dict[str, list[str]]:
    """The identifiers of each assay's tracks, in the order of the model's outputs."""
    return {assay: [target.identifier for target in rows] for assay, rows in experiment.targets.items()}
