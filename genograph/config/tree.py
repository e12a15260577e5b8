"""The config tree: what a run is, as YAML, checked before anything is read or written.

Sections follow the road: genome, tracks, contacts, bins and sites make the store (`genograph.config.data`); splits,
graph and batch make the batches; model, augment and training make the run. Graph and model are made of components, see
`genograph.config.graph_and_model`; how a run predicts and is judged, `genograph.config.evaluation`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import Field, field_validator, model_validator

from genograph.config.baskerville import read_params
from genograph.config.data import (
    BinsConfig,
    ContactsConfig,
    FilePath,
    GenomeConfig,
    MapURI,
    SitesConfig,
    SplitsConfig,
    TfrecordsConfig,
    TracksConfig,
)
from genograph.config.evaluation import EvaluationConfig, PredictionConfig
from genograph.config.genomes import OwnConfig, check_together, sections_of
from genograph.config.graph_and_model import GraphConfig, ModelConfig
from genograph.errors import InputError, nearest
from genograph.nn.model import ModelPart
from genograph.overrides import apply_override
from genograph.sections import Section, parse_section

NAME = r"^\.*[\w+-][\w.+-]*$"  # of a folder; one of dots alone is another folder's


class BatchConfig(Section):
    window: int = Field(1024, gt=0)  # bins
    crop: int = Field(0, ge=0)  # bins at both ends of a window that give context only
    stride: int | None = Field(None, gt=0)  # bins between training windows; None: window - 2 crop
    size: int = Field(4, gt=0)  # windows in a batch
    balance: bool = False  # training batches have as many windows with a positive as without
    partners: int = Field(8, ge=0)  # contact partners per window, the strongest first
    chunk: int | None = Field(None, gt=0)  # bins encoded at a time, with their context; None: the window, with none

    @model_validator(mode="after")
    def _something_is_predicted(self) -> BatchConfig:
        if 2 * self.crop >= self.window:
            raise InputError(f"crop {self.crop} on both sides leaves nothing of a window of {self.window} bins.")
        return self

    @property
    def predicted(self) -> int:
        """Bins of a window that are predicted."""
        return self.window - 2 * self.crop


class AugmentConfig(Section):
    reverse_complement: bool | Literal["epochs"] = True  # of every other batch, by chance, or of every other epoch
    shift: int = Field(3, ge=0)  # bp, either way


class TrainingConfig(Section):
    # part of the model -> run folder whose weights it begins with
    start_from: dict[ModelPart | Literal["placeholder"], FilePath] = Field({})
    freeze: list[ModelPart] = Field([])  # parts that stay as they begin
    optimizer: Literal["sgd", "adam", "adamw", "rmsprop"] = "adam"
    learning_rate: float = Field(1e-3, gt=0)
    warmup: int = Field(0, ge=0)  # steps of linear warm-up
    schedule: Literal["constant", "cosine", "decay"] = "constant"  # cosine: down to 0 at max_epochs
    decay: float | None = Field(None, gt=0, le=1)  # of schedule decay: what an epoch leaves of the learning rate
    momentum: float = Field(0.9, ge=0, lt=1)  # of sgd and rmsprop, and the first beta of adam
    beta2: float = Field(0.999, ge=0, lt=1)  # of adam, and the decay of rmsprop
    weight_decay: float = Field(0.0, ge=0)
    l1: float = Field(0.0, ge=0)  # times the sum of absolute weights, biases and norms apart
    l2: float = Field(0.0, ge=0)  # times the sum of their squares
    clip_norm: float | None = Field(None, gt=0)
    clip: Literal["per_variable", "global"] = "per_variable"
    max_norm: float | None = Field(None, gt=0)  # of the weights into each filter and unit, after every step
    min_epochs: int = Field(1, ge=1)
    max_epochs: int = Field(100, ge=1)
    patience: int = Field(8, ge=1)  # epochs without a better validation score
    monitor: Literal["pearsonr", "loss", "auroc", "auprc"] = "pearsonr"
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: int | Literal["auto"] = "auto"
    sync_norm: bool = False  # batch normalisation over the batches of all processes
    workers: int = Field(0, ge=0)  # processes that prepare batches
    threads: int = Field(0, ge=0)  # of torch; 0: torch's own choice

    @field_validator("start_from", mode="before")
    @classmethod
    def _known_parts(cls, runs: Any) -> Any:
        for part in runs if isinstance(runs, dict) else ():
            if part not in (known := (*get_args(ModelPart), "placeholder")):
                raise InputError(f"no part '{part}'.{nearest(str(part), known)}")
        return runs

    @field_validator("devices")
    @classmethod
    def _some_device(cls, devices: int | str) -> int | str:
        if isinstance(devices, int) and devices < 1:
            raise InputError(f"at least 1, or auto; got {devices}.")
        return devices

    @model_validator(mode="after")
    def _epochs_and_rates_fit(self) -> TrainingConfig:
        if self.min_epochs > self.max_epochs:
            raise InputError(f"min_epochs {self.min_epochs} is more than max_epochs {self.max_epochs}.")
        if (self.schedule == "decay") != (self.decay is not None):
            raise InputError("decay is of schedule: decay, such as 0.975; give both or neither.")
        return self


class DownloadConfig(Section):
    file: FilePath
    url: str = Field(pattern=r"^https?://[^/]+/")
    checksum: str | None = Field(None, pattern=r"^(sha256:[0-9a-fA-F]{64}|md5:[0-9a-fA-F]{32})$")  # None: unverified


class ArmConfig(Section):
    name: str = Field(pattern=NAME)
    set: list[str] = Field(min_length=1)  # section.key=value, as on the command line
    description: str = ""
    folder: FilePath = Field(Path(), validate_default=True)  # that paths in `set` start from; left out: the config's


class AblationConfig(Section):
    arms: list[str | ArmConfig] | None = Field(None, min_length=1)  # None: all that the config allows
    seeds: int = Field(5, ge=1)  # of each arm: the config's seed and those that follow
    folds: int | list[SplitsConfig] | None = None  # None: the config's splits; k: every part is held out once
    assay: str | None = None  # that the verdict is about; None: the first that has a head
    over: Literal["bins", "genes"] | None = None  # None: genes where they are known
    block: int | None = Field(None, gt=0)  # bp drawn as a whole; None: a 20th of a fold, a window to 1 Mb
    ceiling: dict[str, Annotated[float, Field(gt=0, le=1)]] = Field({})  # assay -> r of a perfect model, where known
    other_contacts: MapURI | None = None  # the map of the arm of that name
    elements: FilePath | None = None  # BED of candidate elements; scores are also told by the distance to the nearest
    allow_leakage: dict[str, str] = Field({})  # check of the audit -> reason to go on in spite of it
    slurm: dict[str, Any] = Field({})  # parameters of submitit, such as slurm_partition and timeout_min


class StudyConfig(Section):
    seeds: int = Field(5, ge=1)  # of each variant: the config's seed and those that follow
    architectures: list[ArmConfig] | None = Field(None, min_length=1)  # beside the config; None: the published ones
    differential: bool = True  # whether to learn, too, what a time point has and the one before has not
    reference: FilePath | None = None  # targets table of tracks to learn before the config's
    trees: int = Field(100, ge=1)  # of a random forest


class Config(Section):
    """All of a run. See the sections for what each key means and its default."""

    name: str = Field(pattern=NAME)
    source: str = ""  # the paper a model comes from
    store: FilePath  # left out: stores/<name>, in the folder one works in
    seed: int = Field(0, ge=0)
    genomes: dict[Annotated[str, Field(pattern=r"^[\w-]+$")], OwnConfig] = Field({})  # that share one model, by name
    genome: GenomeConfig | None = None
    tracks: TracksConfig | None = None
    tfrecords: TfrecordsConfig | None = None
    contacts: ContactsConfig | None = None
    bins: BinsConfig = BinsConfig()
    sites: SitesConfig | None = None
    splits: SplitsConfig | None = None
    graph: GraphConfig = GraphConfig()
    batch: BatchConfig = BatchConfig()
    augment: AugmentConfig = AugmentConfig()
    model: ModelConfig
    training: TrainingConfig = TrainingConfig()
    prediction: PredictionConfig = PredictionConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    ablation: AblationConfig = AblationConfig()
    study: StudyConfig = StudyConfig()
    downloads: list[DownloadConfig] = Field([])  # what `genograph download` fetches

    @field_validator("downloads")
    @classmethod
    def _one_source_each(cls, downloads: list[DownloadConfig]) -> list[DownloadConfig]:
        files = [each.file for each in downloads]
        for file in files:
            if files.count(file) > 1:
                raise InputError(f"{file} comes twice. Give each file one URL.")
        return downloads

    @model_validator(mode="after")
    def _one_source_of_data(self) -> Config:
        given = [key for key in ("genome", "tracks", "contacts", "sites", "splits") if getattr(self, key) is not None]
        given += [] if self.graph.candidates is None else ["graph.candidates"]
        if self.tfrecords is not None and given:
            raise InputError(
                f"tfrecords: the folder has sequence, values and splits of its own; leave out {', '.join(given)}."
            )
        return self

    @model_validator(mode="after")
    def _contacts_need_one_size(self) -> Config:
        other = "contacts" if self.contacts is not None else "tfrecords" if self.tfrecords is not None else None
        if self.bins.nodes is not None and other:
            raise InputError(f"bins.nodes: {other} need nodes of one size; leave out {other}, or give bins.node_size.")
        return self

    @model_validator(mode="after")
    def _sites_stand_alone(self) -> Config:
        if self.sites is None:
            return self
        if self.batch.chunk is not None:
            raise InputError("batch.chunk: every site is read by itself; leave it out.")
        if self.tracks is not None and self.tracks.genes is not None:
            raise InputError("tracks.genes: genes are of bins that tile the genome; leave out genes, or sites.")
        if self.contacts is not None and self.bins.node_size is None:
            raise InputError("bins.node_size: contacts join nodes of one size, which hold sites; give it.")
        return self

    @model_validator(mode="after")
    def _levels_nest(self) -> Config:
        if self.graph.coarse and self.bins.node_size is None and (self.sites or self.bins.nodes):
            raise InputError("graph.coarse: larger nodes are groups of nodes of one size; give bins.node_size.")
        below = self.bins.node_size or self.bins.bin_size
        for number, level in enumerate(self.graph.coarse):
            if level.node_size == below or level.node_size % below:
                raise InputError(
                    f"graph.coarse[{number}].node_size: {level.node_size:,} bp is not two or more times the {below:,} "
                    f"bp of the level below; choose a multiple, such as {10 * below:,}."
                )
            below = level.node_size
        return self

    @model_validator(mode="after")
    def _bins_are_long_enough(self) -> Config:
        size = self.bins.bin_size
        for key, shifts in ("augment.shift", [self.augment.shift]), ("prediction.shifts", self.prediction.shifts):
            if far := [shift for shift in shifts if abs(shift) >= size]:
                raise InputError(
                    f"{key}: {far[0]} bp parts sequence from tracks in bins of {size} bp; choose at most {size - 1}."
                )
        if self.sites is None and (self.evaluation.kmer_ridge or 0) > 3 * size:
            raise InputError(
                f"evaluation.kmer_ridge: a {self.evaluation.kmer_ridge}-mer does not fit into the {3 * size} bp that "
                f"the ridge sees with bins of {size} bp; choose at most {3 * size}, or null."
            )
        return self

    @model_validator(mode="after")
    def _genomes_fit_together(self) -> Config:
        if self.genomes:
            check_together({genome: self.of(genome) for genome in self.genomes})
        return self

    def of(self, genome: str | None) -> Config:
        """The config of one of its genomes by itself; of one genome with None, the config as it is.

        Raises:
            InputError: If it has no such genome, or several and none is named.
        """
        if genome is None and not self.genomes:
            return self
        if genome in self.genomes:
            try:
                return parse_section(Config, sections_of(dict(self), genome))
            except InputError as error:
                raise InputError(f"genomes.{genome}: {error}") from None
        if genome is not None:
            raise InputError(f"config '{self.name}' has no genomes.{genome}.{nearest(genome, self.genomes)}")
        first = next(iter(self.genomes))
        raise InputError(
            f"config '{self.name}' has several genomes, {', '.join(self.genomes)}; this takes one. Name it: "
            f"--genome {first}, in Python load_config(FILE).of('{first}')."
        )

    @property
    def whole_windows(self) -> bool:
        """Whether a window is one piece of sequence with nothing beyond, and not pieces with their context."""
        return self.batch.chunk is None and self.sites is None

    @property
    def files(self) -> dict[str, Path]:
        """The files that a run depends on besides those of its store, by their keys."""
        return {**self.graph.files, **self.model.files, **(self.splits.files if self.splits else {})}

    def section(self, name: str) -> Any:
        """A section that a verb needs.

        Raises:
            InputError: If the config leaves it out, as the published architectures do.
        """
        section = getattr(self, name)
        if section is None:
            raise InputError(f"config '{self.name}' has no section '{name}', which this needs.")
        return section

    def to_yaml(self) -> str:
        """The resolved config, ready to be read back by `load_config`."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """The config of a YAML file, a params JSON of Basenji or a run folder, with `section.key=value` overrides put in.

    Relative paths start from the folder of the file; those of overrides of a run, whose own are absolute, from the
    working directory.

    Raises:
        InputError: If the file is missing or not YAML, or a key or value is wrong; the key is named.

    >>> load_config("tiny.yaml", ["training.max_epochs=5"]).training.max_epochs
    5
    """
    path = Path(path)
    file = path / "config.yaml" if path.is_dir() else path
    if not file.is_file():
        raise InputError(f"no config at {file}.")
    try:
        tree = read_params(file) if file.suffix == ".json" else yaml.safe_load(file.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{file} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(tree, dict):
        raise InputError(f"{file} holds no config: expected sections such as 'genome:' and 'model:'.")
    for override in overrides:
        apply_override(tree, override)
    return parse_config(tree, folder=Path() if path.is_dir() else file.parent)


def parse_config(tree: Mapping[str, Any], folder: Path = Path()) -> Config:
    """The config of a nested dict; relative paths start from `folder`.

    Raises:
        InputError: With the path of the first wrong key.
    """
    tree = {"store": Path.cwd() / "stores" / str(tree.get("name")), **tree}
    return parse_section(Config, tree, folder=folder.resolve())


def changed_keys(before: object, now: object, key: str = "") -> set[str]:
    """The keys, such as `training.patience`, in which two configs differ; both as nested dicts."""
    if isinstance(before, dict) and isinstance(now, dict):
        return {
            each
            for name in {*before, *now}
            for each in changed_keys(before.get(name), now.get(name), f"{key}.{name}" if key else name)
        }
    return set() if before == now else {key}
