"""What a config puts together: the store, the graph over it, the model and the datasets of its splits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from genograph.assays.peaks import is_peaks
from genograph.assays.targets import Target
from genograph.config import Config
from genograph.config_check import check_parts
from genograph.dataset import NO_AUGMENTATION, WindowDataset
from genograph.embeddings import Embeddings
from genograph.errors import InputError
from genograph.genome.bed import read_bed
from genograph.genome.names import read_aliases
from genograph.genome.sites import SITE_KINDS
from genograph.genome.splits import SPLITS
from genograph.graph import GenomeGraph, Known
from genograph.graph.features import FeatureScale, NodeFeatures, read_features
from genograph.graph.levels import build_levels, control_levels, larger_nodes
from genograph.nn.model import GenomeModel, build_model
from genograph.prepare import prepare
from genograph.rebuild import fingerprint
from genograph.splits import split_by
from genograph.store import Store


@dataclass(frozen=True)
class Experiment:
    """A config with its store. A Basenji run and a graph run differ in `graph.edges` and `model.processor` alone.

    >>> from genograph import load_config
    >>> experiment = Experiment.open(load_config("tiny.yaml"))
    >>> experiment.graph.edge_types, len(experiment.store.nodes)
    (('linear', 'hic'), 41)
    """

    config: Config
    store: Store
    learned: FeatureScale | None = None  # of a trained model, else that of the training split

    @classmethod
    def open(cls, config: Config) -> Experiment:
        """Prepare what the config names, or find it prepared, check that it fits, and set torch's threads.

        Raises:
            InputError: As `prepare` does, or if an assay has a head but no tracks, or tracks but no head, or if a
                window is more than twice as long as the longest chromosome, or the config is of several genomes.
        """
        config = config.of(None)
        if config.training.threads:
            torch.set_num_threads(config.training.threads)
        check_parts(config)
        store = prepare(config)
        if config.tracks is not None and config.tracks.use is not None:
            store = store.with_tracks(config.tracks.use)
        experiment = cls(config, store)
        experiment.check_window()
        experiment.check_heads()
        if config.model.embeddings:
            _ = experiment.embeddings  # checked as they are opened
        return experiment

    @cached_property
    def graph(self) -> GenomeGraph:
        """Nodes over the whole genome, with the edges of `graph.edges`, as `graph.controls` change them."""
        return self._levels[0]

    @cached_property
    def coarse(self) -> list[GenomeGraph]:
        """The graphs of larger nodes of `graph.coarse`, as `graph.controls` change them."""
        return self._levels[1:]

    @property
    def levels(self) -> list[GenomeGraph]:
        """The graphs of all levels, that of the smallest nodes first."""
        return [self.graph, *self.coarse]

    def node_of_bin(self, level: int) -> np.ndarray:
        """The node of each bin at a level: (bins,)."""
        return larger_nodes(self.store.node_of_bin, self.store.nodes, self.levels[level])

    @cached_property
    def _levels(self) -> list[GenomeGraph]:
        """The graph of the smallest nodes and those of `coarse`, as `graph.controls` change them."""
        controls = [control.build() for control in self.config.graph.controls]
        if not controls:
            return self.built_levels
        store = self.store
        return control_levels(self.built_levels, controls, store.node_of_bin, self.split_of_bin, self.config.seed)

    @cached_property
    def built_levels(self) -> list[GenomeGraph]:
        """The graphs of all levels, as edge builders make them; large ones are kept in the store."""
        config, store = self.config.graph, self.store
        names = {"aliases": self._aliases, "whole_genome": self._whole_genome}
        known = Known(contacts=store.contacts, genes=store.genes, **names)
        builders = [[edge.build() for edge in edges] for edges in config.levels]
        sizes = [each.node_size for each in config.coarse]
        return build_levels(builders, store.nodes, sizes, known, store.path / "graphs" / store.key)

    @cached_property
    def features(self) -> np.ndarray | None:
        """What nodes bring along, as a model takes it, the last row for bins of none: (nodes + 1, columns) float32."""
        return None if self.scale is None else self.scale.apply(self._features)

    @cached_property
    def scale(self) -> FeatureScale | None:
        """How features are scaled: as `learned`, else over nodes that have bins of the training split."""
        if self.learned is not None or self._features is None:
            return self.learned
        is_train = np.zeros(len(self._features.values), dtype=bool)
        is_train[self.store.node_of_bin[self.split_of_bin == SPLITS["train"]]] = True  # -1, of no node, is the last
        return FeatureScale.of(self._features, is_train)

    @cached_property
    def _features(self) -> NodeFeatures | None:
        """The features of nodes, the last row for bins of none, which lack all."""
        path = self.config.graph.features
        if path is None:
            return None
        found = read_features(path, self.store.nodes, aliases=self._aliases, whole_genome=self._whole_genome)
        nowhere = np.full_like(found.values[:1], np.nan if (self.store.node_of_bin < 0).any() else 0)
        return found._replace(values=np.concatenate([found.values, nowhere]))

    @property
    def inputs(self) -> dict[str, Any]:
        """What a model takes besides sequence: the edge attributes of each level, and features with their scale."""
        attributes = [list(graph.attribute_names) for graph in self.levels]
        return {"edge_attributes": attributes, "features": self.scale and self.scale._asdict()}

    @property
    def _whole_genome(self) -> bool:
        """Whether the chromosomes are all that the FASTA has."""
        return self.config.genome is not None and self.config.genome.chroms is None

    @cached_property
    def sources(self) -> dict[str, dict[str, Any]]:
        """Path, size, time and SHA-256 of every file that a run depends on, by what names it."""
        return {**self.store.manifest["sources"], **fingerprint(self.config.files, {})}

    @cached_property
    def targets(self) -> dict[str, list[Target]]:
        """The tracks of each assay that has a head."""
        return {assay: self.store.targets[assay] for assay in self.config.model.heads}

    @cached_property
    def split_of_bin(self) -> np.ndarray:
        """TRAIN, VALID, TEST or NONE for every bin: (bins,)."""
        return split_by(self.config, self.store)

    def counted(self, split: str) -> np.ndarray:
        """True for bins that a split counts: not masked, and if bins are sites, of the kinds that it takes: (bins,)."""
        kinds = getattr(self.config.sites, split, None)
        if kinds is None or self.store.sites is None:
            return self.store.mask
        return self.store.mask & np.isin(self.store.sites[:, 2], [SITE_KINDS.index(kind) for kind in kinds])

    @cached_property
    def _aliases(self) -> dict[str, str]:
        """Further names of chromosomes, alias -> name."""
        genome = self.config.genome
        return read_aliases(genome.aliases) if genome is not None and genome.aliases else {}

    @cached_property
    def candidates(self) -> np.ndarray | None:
        """True for the bins that are read from sequence: (bins,); None for all."""
        bed = self.config.graph.candidates
        if bed is None:
            return None
        intervals = read_bed(bed, sizes=self.store.sizes, aliases=self._aliases)
        candidates = self.store.bins.mark(intervals)
        if not candidates.any():
            raise InputError(f"graph.candidates: {bed} touches no bin of this genome.")
        return candidates

    @cached_property
    def embeddings(self) -> Embeddings | None:
        """What is read in place of sequence; None if sequence is."""
        path = self.config.model.embeddings
        return path and Embeddings.open(path, self.store.bins)

    @cached_property
    def _read(self) -> dict[str, Any]:
        """What a model reads of bins, as a dataset takes it: the candidates, or none without an encoder; neighbours."""
        model = self.config.model
        if model.neighbours is None:
            return {"candidates": self.candidates, "embeddings": self.embeddings}
        with torch.device("meta"):
            count = model.neighbours.build().count
        nowhere = np.zeros(len(self.store.bins), dtype=bool)
        candidates = self.candidates if model.encoder else nowhere
        return {"candidates": candidates, "embeddings": self.embeddings, "neighbours": count}

    def model(self) -> GenomeModel:
        """A new model, as the config describes it, for the store's tracks."""
        model = build_model(
            self.config.model,
            bin_size=self.store.bins.bin_size,
            edge_dim=len(self.graph.attribute_names),
            features=0 if self.features is None else self.features.shape[1],
            coarse_edge_dims=[len(each.attribute_names) for each in self.coarse],
            tracks={assay: len(rows) for assay, rows in self.targets.items()},
            whole_windows=self.config.whole_windows,
            masked=self.candidates is not None or bool(self.embeddings and self.embeddings.description.missing != 0),
        )
        for assay, head in model.heads.items():
            if head.weighting is not None:
                head.weigh_classes(torch.from_numpy(self._share_of_positives(assay)))
        return model

    def _share_of_positives(self, assay: str) -> np.ndarray:
        """The mean of each track over what trains, which is 0 to 1: (tracks,) float32; 0 where nothing was measured."""
        signals, coverage = self.store.signals(assay), self.store.coverage(assay)
        total, positive = np.zeros((2, signals.shape[1]))
        for block in self._training_bins():
            weight = np.isfinite(signals[block]) * (1.0 if coverage is None else coverage[block])
            total += weight.sum(axis=0)
            positive += (np.nan_to_num(signals[block]) * weight).sum(axis=0)
        return np.divide(positive, total, out=np.zeros_like(total), where=total > 0).astype(np.float32)

    def dataset(self, split: str, halo: int, *, augment: bool = False, keep_empty: bool = False) -> WindowDataset:
        """The windows of `train`, `valid` or `test`; those in which nothing counts too, if they are to be kept.

        Raises:
            InputError: If nothing was measured in any of them, or a track nowhere in the training split.
        """
        config = self.config
        if split == "train":
            self._check_measured()
        dataset = WindowDataset(
            self.store,
            self.graph,
            config.batch,
            coarse=self.coarse,
            halo=halo,
            allowed=self.split_of_bin == SPLITS[split],
            counted=self.counted(split),
            features=self.features,
            **self._read,
            stride=config.batch.stride if split == "train" else None,
            augment=config.augment if augment else NO_AUGMENTATION,
            seed=config.seed,
            keep_empty=keep_empty,
        )
        if not len(dataset):
            raise InputError(f"splits.{split}: no bin there has a measured, unmasked value; choose other regions.")
        return dataset

    def _training_bins(self) -> Iterator[np.ndarray]:
        """The bins that train and count, those of 100,000 at a time."""
        counted = self.counted("train")
        for first in range(0, len(counted), 100_000):
            block = slice(first, first + 100_000)
            yield first + np.flatnonzero((self.split_of_bin[block] == SPLITS["train"]) & counted[block])

    def _check_measured(self) -> None:
        """Every track has a value to learn from."""
        for assay, targets in self.targets.items():
            signals, is_measured = self.store.signals(assay), np.zeros(len(targets), dtype=bool)
            for block in self._training_bins():
                is_measured |= np.isfinite(signals[block]).any(axis=0)
                if is_measured.all():
                    break
            for target, measured in zip(targets, is_measured, strict=True):
                if not measured:
                    raise InputError(
                        f"track '{target.identifier}' has no measured, unmasked value in the training split. "
                        "Choose other splits.train, or leave it out of the targets table."
                    )

    def _highest(self, assay: str) -> np.ndarray:
        """The largest value of each track, 0 where nothing was measured: (tracks,)."""
        signals = self.store.signals(assay)
        highest = np.zeros(signals.shape[1], dtype=signals.dtype)
        for first in range(0, len(signals), 100_000):
            highest = np.fmax(highest, np.fmax.reduce(signals[first : first + 100_000], axis=0))
        return highest

    def genome_windows(self, halo: int, *, stride: int) -> WindowDataset:
        """Windows over whole chromosomes, every bin allowed, for a prediction."""
        return WindowDataset(
            self.store,
            self.graph,
            self.config.batch,
            coarse=self.coarse,
            halo=halo,
            allowed=np.ones(len(self.store.bins), dtype=bool),
            features=self.features,
            **self._read,
            stride=stride,
            keep_empty=True,
        )

    def check_window(self) -> None:
        """A window is not mostly empty whatever it is laid on."""
        bins, store = self.config.batch.window, self.store
        if store.sites is not None:
            return
        longest = max(store.sizes.values()) // store.bins.bin_size
        if bins - 2 * self.config.batch.crop > 2 * longest:
            raise InputError(
                f"batch.window: {bins:,} bins are more than twice the longest chromosome, of {longest:,} bins of "
                f"{store.bins.bin_size} bp. Lower batch.window."
            )

    def check_heads(self) -> None:
        """Every head has tracks, every assay of the targets table a head, and peaks are 0 to 1."""
        heads, assays = set(self.config.model.heads), set(self.store.targets)
        if heads != assays:
            raise InputError(
                f"model.heads are {sorted(heads)}, but the targets table has tracks of {sorted(assays)}. "
                "Give each assay of the table a head."
            )
        for assay, options in self.config.model.heads.items():
            peaks = [target.identifier for target in self.store.targets[assay] if is_peaks(target)]
            if peaks and options.get("loss") != "bce":
                raise InputError(
                    f"model.heads.{assay}: '{peaks[0]}' is of peaks, 0 to 1, which need loss: bce. Give peaks and "
                    "counts in two configs."
                )
            highest = self._highest(assay) if options.get("loss") == "bce" else np.zeros(1)
            if highest.max() > 1:
                identifier = self.store.targets[assay][int(highest.argmax())].identifier
                raise InputError(
                    f"model.heads.{assay}: loss bce is for peaks, 0 to 1, but '{identifier}' reaches "
                    f"{highest.max():g}. Choose loss: poisson, or sum_stat: peak in the targets table."
                )
