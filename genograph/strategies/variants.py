"""The studies: what is trained for each row of their tables, as changes to a config, and what judges it.

A study is a function from an experiment and a folder to a `Plan`, and a line in `STUDIES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, Literal

from genograph.config import ArmConfig, Config, changed_keys, load_config, parse_config
from genograph.describe import CONFIGS
from genograph.errors import InputError
from genograph.experiment import Experiment
from genograph.genome.sites import SITE_KINDS
from genograph.genome.splits import SPLITS
from genograph.overrides import apply_override
from genograph.strategies.differential import write_tasks

NEGATIVES = {
    "flanking+accessible": ("flanking", "accessible"),
    "random": ("random",),
    "all": ("flanking", "accessible", "random"),
}
PUBLISHED = {"cnn": "study_cnn", "cnn-rnn": "study_cnn_rnn", "resnet": "study_resnet"}
PUBLISHED_LENGTH = 1000  # bp
OF_A_MODEL = {"model", "graph", "batch", "augment", "training"}  # sections that an architecture may change


@dataclass(frozen=True)
class Variant:
    """A row of a table: the models that are trained for it with each seed.

    Attributes:
        place: Folder of its runs; studies that share a variant share its runs.
        models: Config of each model by the name of its folder, which is empty for an only one.
        forest: Whether its models are random forests, a single one for each track or one for all; None for networks.
        start: The variant of one model whose weights, but for the heads, the models begin with; None for none.
    """

    place: str
    models: Mapping[str, Config]
    forest: Literal["single", "multi"] | None = None
    start: Variant | None = None

    @property
    def name(self) -> str:
        """What the table calls it."""
        return self.place.rpartition("/")[2]


@dataclass(frozen=True)
class Plan:
    """A table: its rows, and what they are judged on.

    Attributes:
        variants: Its rows; all read the sites of one store.
        tests: Config whose test split and kinds of sites judge, and whose tracks count, by name.
    """

    variants: list[Variant]
    tests: Mapping[str, Config]


def negatives(experiment: Experiment, folder: Path) -> Plan:
    """Models trained with one choice of negatives, each judged beside all of them."""
    _check_negatives(experiment)
    config = experiment.config
    variants, tests = [], {}
    for name, kinds in NEGATIVES.items():
        sites = ["source", *kinds]
        trained = changed(config, {"sites.train": sites, "sites.valid": sites})
        variants.append(Variant(f"negatives/{name}", {"": trained}))
        tests[name] = changed(config, {"sites.test": sites})
    return Plan(variants, tests)


def reverse_complement(experiment: Experiment, folder: Path) -> Plan:
    """One strand, batches or epochs turned round, or an encoder that reads both strands."""
    choices = {"off": (False, False), "batches": (True, False), "epochs": ("epochs", False), "both": (False, True)}
    config, variants = experiment.config, []
    for name, (augment, both) in choices.items():
        change = {"augment.reverse_complement": augment, "model.both_strands": both}
        variants.append(Variant(f"strands/{name}", {"": changed(config, change)}))
    return Plan(variants, {"": config})


def multitask(experiment: Experiment, folder: Path) -> Plan:
    """A model for each task, one for all, and one for all and how they differ; random forests besides."""
    tasks = _Tasks.written(experiment, folder)
    forest = changed(tasks.config, {"tracks.use": tasks.names})
    trees = f"{experiment.config.study.trees} trees"  # part of the folder, as a config of a run does not say it
    forests = [Variant(f"tasks/forest-{kind}", {trees: forest}, forest=kind) for kind in ("single", "multi")]
    return Plan([*forests, *tasks.variants()], tasks.tests)


def architectures(experiment: Experiment, folder: Path) -> Plan:
    """The config's model beside others, all trained as the config says."""
    config, others = experiment.config, experiment.config.study.architectures
    models = {config.name: config}
    models |= _published(experiment) if others is None else _own(config, others)
    return Plan([Variant(f"architectures/{name}", {"": each}) for name, each in models.items()], {"": config})


def pretraining(experiment: Experiment, folder: Path) -> Plan:
    """Models from scratch, and models that begin with what one has learned of the reference tracks."""
    config = experiment.config
    assert config.study.reference is not None, "checked by the study"
    change = {"tracks": {"targets": str(config.study.reference)}}
    change["store"] = str(folder.resolve() / "stores" / "reference")
    reference = Variant("tasks/reference", {"": changed(config, change)})
    tasks = _Tasks.written(experiment, folder)
    pairs = zip(tasks.variants(), tasks.variants(start=reference), strict=True)
    return Plan([each for pair in pairs for each in pair], tasks.tests)


STUDIES: dict[str, Callable[[Experiment, Path], Plan]] = {
    "negatives": negatives,
    "reverse-complement": reverse_complement,
    "multitask": multitask,
    "architectures": architectures,
    "pretraining": pretraining,
}


def changed(config: Config, changes: Mapping[str, Any]) -> Config:
    """The config with other values at some keys, such as `sites.train`."""
    tree = config.model_dump(mode="json")
    for key, value in changes.items():
        *sections, last = key.split(".")
        reduce(dict.__getitem__, sections, tree)[last] = value
    return parse_config(tree)


@dataclass(frozen=True)
class _Tasks:
    """Tasks and differential tasks in one store, so that all models read the same sites.

    Attributes:
        config: With all tracks.
        names: Of the tasks.
        differential: Of the tracks that tell where two tasks differ.
    """

    config: Config
    names: list[str]
    differential: list[str]

    @classmethod
    def written(cls, experiment: Experiment, folder: Path) -> _Tasks:
        """The tasks of an experiment, their table written below a folder."""
        (assay,) = experiment.targets
        names = [target.identifier for target in experiment.targets[assay]]
        if len(names) < 2:
            raise InputError(f"tracks: '{names[0]}' is the only track; many tasks and one are compared on two or more.")
        wanted = experiment.config.study.differential
        table, differential = write_tasks(experiment, assay, folder / "tasks", differential=wanted)
        change = {"tracks.targets": str(table.resolve()), "tracks.folder": None, "tracks.use": None}
        change["store"] = str(folder.resolve() / "stores" / "tasks")
        return cls(changed(experiment.config, change), names, differential)

    def variants(self, start: Variant | None = None) -> list[Variant]:
        """Single-task and multi-task models, and one of differential tasks too if there are any."""
        parts = {"single": {name: [name] for name in self.names}, "multi": {"": self.names}}
        if self.differential:
            parts["multi+differential"] = {"": [*self.names, *self.differential]}
        end = "-pretrained" if start else ""
        return [
            Variant(
                f"tasks/{name}{end}",
                {model: changed(self.config, {"tracks.use": used}) for model, used in models.items()},
                start=start,
            )
            for name, models in parts.items()
        ]

    @property
    def tests(self) -> dict[str, Config]:
        """The tasks alone are judged."""
        return {"": changed(self.config, {"tracks.use": self.names})}


def _check_negatives(experiment: Experiment) -> None:
    """Refuse a config without sites of a kind that is asked for, where they train or judge."""
    kind = experiment.store.sites[:, 2]  # pyright: ignore[reportOptionalSubscript]
    for split in ("train", "test"):
        here = kind[(experiment.split_of_bin == SPLITS[split]) & experiment.store.mask]
        for number, name in enumerate(SITE_KINDS):
            if not (here == number).any():
                key = "sites.source" if name == "source" else f"sites.negatives.{name}"
                raise InputError(f"{key}: the table needs '{name}' sites, and splits.{split} has none.")


def _published(experiment: Experiment) -> dict[str, Config]:
    """The encoders of the published study in place of the config's, with nothing between them and the heads."""
    config, length = experiment.config, experiment.model().encoder.receptive_field
    if length != PUBLISHED_LENGTH:
        raise InputError(
            f"study.architectures: the published ones read {PUBLISHED_LENGTH:,} bp around a site, this config's "
            f"encoder {length:,}. Let it read {PUBLISHED_LENGTH:,}, or list architectures of your own."
        )
    alone = {"model.processor": [], "model.trunk": None}
    alone |= {"graph.edges": [], "graph.coarse": [], "graph.controls": []}
    read = {name: load_config(CONFIGS / f"{file}.yaml").model.encoder for name, file in PUBLISHED.items()}
    return {
        name: changed(config, {"model.encoder": each and each.model_dump(mode="json"), **alone})
        for name, each in read.items()
    }


def _own(config: Config, arms: list[ArmConfig]) -> dict[str, Config]:
    """The config's own architectures, by name."""
    configs: dict[str, Config] = {}
    before = config.model_dump(mode="json")
    for arm in arms:
        if arm.name in (config.name, *configs):
            raise InputError(f"study.architectures: '{arm.name}' comes twice; the config itself is one of them.")
        tree = config.model_dump(mode="json")
        for change in arm.set:
            apply_override(tree, change)
        configs[arm.name] = parse_config(tree, folder=arm.folder)
        keys = changed_keys(before, configs[arm.name].model_dump(mode="json"))
        if other := sorted(key for key in keys if key.split(".")[0] not in OF_A_MODEL):
            raise InputError(f"study.architectures: '{arm.name}' changes {', '.join(other)}, which all share.")
    return configs
