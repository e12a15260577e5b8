"""Several genomes that share one model but for its heads, as Basenji2's of human and mouse do (Kelley 2020)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import nn
from torch.utils.data import DataLoader, Dataset

from genograph.assays.targets import Target
from genograph.config import Config
from genograph.dataset import TurnSampler, WindowDataset
from genograph.errors import InputError
from genograph.experiment import Experiment
from genograph.graph.batch import GenomeBatch
from genograph.nn.model import GenomeModel


class JointWindows(Dataset):
    """The windows of several genomes; each batch is of one, and calls an assay `genome/assay`."""

    def __init__(self, parts: Mapping[str, WindowDataset], *, seed: int) -> None:
        self.parts, self.seed = parts, seed

    def __len__(self) -> int:
        return sum(map(len, self.parts.values()))

    def __getitem__(self, turn: tuple[str, list[tuple[int, int]]]) -> GenomeBatch:
        genome, draws = turn
        batch = self.parts[genome].collate(draws)
        named = {
            kind: {f"{genome}/{assay}": values for assay, values in getattr(batch, kind).items()}
            for kind in ("target", "coverage", "mask")
        }
        return replace(batch, **named)

    def loader(self, *, shuffle: bool, workers: int = 0, rank: int = 0, world_size: int = 1) -> DataLoader:
        """All batches of every genome once an epoch; those that train in an order drawn anew as the seed says.

        So a genome has as many steps as it has batches. All processes step through the genomes in the same order.
        """
        loaders = {
            genome: part.loader(shuffle=shuffle, rank=rank, world_size=world_size)
            for genome, part in self.parts.items()
        }
        batches = {genome: loader.batch_sampler for genome, loader in loaders.items()}
        sampler = TurnSampler(batches, seed=self.seed, shuffle=shuffle)  # pyright: ignore[reportArgumentType]
        return DataLoader(self, batch_size=None, sampler=sampler, num_workers=workers)


def _open(config: Config, genome: str) -> Experiment:
    """The experiment of one genome, which an error names."""
    own = config.of(genome)
    try:
        return Experiment.open(own)
    except InputError as error:
        raise InputError(f"genomes.{genome}: {error}") from None


@dataclass(frozen=True)
class JointExperiment:
    """A config of several genomes, and the experiment of each."""

    config: Config
    parts: Mapping[str, Experiment]

    @classmethod
    def open(cls, config: Config) -> JointExperiment:
        """As `Experiment.open` does, for every genome."""
        return cls(config, {genome: _open(config, genome) for genome in config.genomes})

    @property
    def targets(self) -> dict[str, list[Target]]:
        """The tracks of each `genome/assay`."""
        targets = {genome: part.targets for genome, part in self.parts.items()}
        return {f"{genome}/{assay}": rows for genome, own in targets.items() for assay, rows in own.items()}

    @property
    def sources(self) -> dict[str, dict[str, Any]]:
        """As of `Experiment`, by `genome/what names it`."""
        return {f"{genome}/{key}": each for genome, part in self.parts.items() for key, each in part.sources.items()}

    @property
    def inputs(self) -> dict[str, Any]:
        """As of `Experiment`, by `genome/what it is`."""
        return {f"{genome}/{key}": each for genome, part in self.parts.items() for key, each in part.inputs.items()}

    def model(self) -> GenomeModel:
        """A new model with heads named `genome/assay`; all else is shared.

        Raises:
            InputError: If what they are to share is not the same for all.
        """
        models = {genome: part.model() for genome, part in self.parts.items()}
        self._check_shared(models)
        joint = next(iter(models.values()))
        joint.heads = nn.ModuleDict(
            {f"{genome}/{assay}": head for genome, model in models.items() for assay, head in model.heads.items()}
        )
        return joint

    def dataset(self, split: str, halo: int, *, augment: bool = False) -> JointWindows:
        """The windows of `train`, `valid` or `test` of all genomes.

        Raises:
            InputError: As `Experiment.dataset` does, with the genome.
        """
        parts = {}
        for genome, part in self.parts.items():
            try:
                parts[genome] = part.dataset(split, halo, augment=augment)
            except InputError as error:
                raise InputError(f"genomes.{genome}: {error}") from None
        return JointWindows(parts, seed=self.config.seed)

    def _check_shared(self, models: Mapping[str, GenomeModel]) -> None:
        """Edges and nodes bring the same columns along, so that all shared weights are of one shape."""
        columns = {genome: [graph.attribute_names for graph in part.levels] for genome, part in self.parts.items()}
        shapes = {
            genome: {name: each.shape for name, each in model.state_dict().items() if not name.startswith("heads.")}
            for genome, model in models.items()
        }
        scales = {genome: part.scale for genome, part in self.parts.items()}
        first, *others = self.parts
        for other in others:
            if columns[first] != columns[other]:
                raise InputError(
                    f"genomes: edges of {first} have the attributes {columns[first]}, those of {other} "
                    f"{columns[other]}. Give both the same types of edges."
                )
            features = {
                genome: scale and [*scale.names, *(f"{name} missing" for name in scale.missing)]
                for genome, scale in scales.items()
            }
            if features[first] != features[other]:
                raise InputError(
                    f"genomes: the columns of graph.features differ: {features[first]} of {first}, {features[other]} "
                    f"of {other}. Genomes share their weights, so give both the same, in the same order."
                )
            differing = sorted({*shapes[first].items()} ^ {*shapes[other].items()})
            if differing:
                raise InputError(
                    f"genomes: {first} and {other} cannot share {differing[0][0]}, which would have other shapes. Give "
                    "both graph.candidates or neither."
                )
