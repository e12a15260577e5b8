"""How held-out sites are judged as DeepCpG judges them: each output by its kind, in all and in every annotation.

    accuracy_by_output.tsv       columns metric, output, value, assay
    accuracy_by_annotation.tsv   columns anno, metric, output, value, assay
    curves_by_annotation.tsv     columns anno, curve, output, x, y, threshold, assay

Sites are bins of methylation and of peaks, and those of statistics across cells (Angermueller, Lee, Reik & Stegle 2017,
Genome Biology 18:67).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import pandas as pd

from genograph.assays.assay import ASSAYS
from genograph.assays.cpg_statistics import CLASSES
from genograph.assays.targets import Target
from genograph.config import Config
from genograph.errors import InputError
from genograph.experiment import Experiment
from genograph.genome.names import read_aliases
from genograph.metrics import accuracy_by_annotation, annotate, curves_by_annotation
from genograph.metrics.annotations import with_enough_sites
from genograph.prepare.statistics import ASSAY, wanted_statistics


class Output(NamedTuple):
    """What is judged as one: a track, or the tracks of a statistic's classes."""

    name: str
    kind: str  # a key of `genograph.metrics.classification.METRICS_OF`
    tracks: slice

    @property
    def is_of_classes(self) -> bool:
        """Whether its tracks are 0 or 1, or fractions that stand for that, and predicted as probabilities."""
        return self.kind == "cpg" or self.kind in CLASSES


def outputs_of(config: Config, assay: str, targets: Sequence[Target]) -> list[Output]:
    """The outputs of an assay: a track of methylation or peaks each, or a statistic; none of other assays."""
    if assay == ASSAY:
        wanted = wanted_statistics(config)
        spans = zip(wanted.items(), accumulate(wanted.values()), strict=True)
        return [
            Output(f"methylation_{name.replace('/', '_')}", name.rpartition("/")[2], slice(end - number, end))
            for (name, number), end in spans
        ]
    if ASSAYS[assay].kind == "ratio" or config.model.heads[assay].get("loss") == "bce":
        return [Output(target.identifier, "cpg", slice(row, row + 1)) for row, target in enumerate(targets)]
    return []


def read_annotations(experiment: Experiment, bins: np.ndarray) -> dict[str, np.ndarray]:
    """Which of some bins have their middle in each annotation of `evaluation.annotations`: (bins,) bool, by name.

    Raises:
        InputError: If a file is no BED file of the genome, or nothing is judged so.
    """
    store, config = experiment.store, experiment.config
    files, genome = config.evaluation.annotations, config.genome
    if not files:
        return {}
    if genome is None:
        raise InputError("evaluation.annotations: TFRecords do not say how long chromosomes are; leave them out.")
    if not any(outputs_of(config, assay, targets) for assay, targets in experiment.targets.items()):
        raise InputError("evaluation.annotations are of methylation and peaks (loss: bce), which no head is of.")
    names = {"sizes": store.sizes, "aliases": read_aliases(genome.aliases) if genome.aliases else {}}
    place = store.bins.chrom_index(bins), store.bins.starts(bins) + (store.bins.bin_size - 1) // 2
    found = {}
    for name, file in files.items():
        try:
            found |= annotate(*place, {name: file}, **names)
        except InputError as error:
            raise InputError(f"evaluation.annotations.{name}: {error}") from None
    return with_enough_sites(found)


def by_output(outputs: Sequence[Output], prediction: np.ndarray, target: np.ndarray, mask: np.ndarray) -> pd.DataFrame:
    """`metric output value` of all values, a row for each metric of each output; arguments as of `by_annotation`.

    Raises:
        ValueError: If there is no output.
    """
    judged = _judged(outputs, prediction, target, mask)
    return pd.concat(
        [accuracy_by_annotation(each, {}).drop(columns="anno").assign(output=name) for name, each in judged],
        ignore_index=True,
    )


def by_annotation(
    outputs: Sequence[Output],
    prediction: np.ndarray,
    target: np.ndarray,
    mask: np.ndarray,
    annotations: Mapping[str, np.ndarray],
) -> dict[str, pd.DataFrame]:
    """The two tables, by the names of their files but for the assay; a table without a row is left out.

    Args:
        outputs: Of an assay.
        prediction: (tracks, n) of its tracks; may be memory-mapped, as the others.
        target: (tracks, n)
        mask: (tracks, n) True where a value counts.
        annotations: (n,) True inside, by name.
    """
    tables = {"accuracy_by_annotation": [], "curves_by_annotation": []}
    for output, judged in _judged(outputs, prediction, target, mask):
        for name, function in ("accuracy", accuracy_by_annotation), ("curves", curves_by_annotation):
            tables[f"{name}_by_annotation"].append(function(judged, annotations).assign(output=output))
    full = {name: [each for each in parts if len(each)] for name, parts in tables.items()}
    return {name: pd.concat(parts, ignore_index=True) for name, parts in full.items() if parts}


def _judged(
    outputs: Sequence[Output], prediction: np.ndarray, target: np.ndarray, mask: np.ndarray
) -> Iterator[tuple[str, dict[str, tuple[np.ndarray, np.ndarray]]]]:
    """Each output's name, and its target and prediction by its kind."""
    for output in outputs:
        measured = np.where(mask[output.tracks], target[output.tracks], np.nan).T
        predicted = np.asarray(prediction[output.tracks]).T
        is_one = measured.shape[1] == 1
        yield output.name, {output.kind: (measured[:, 0], predicted[:, 0]) if is_one else (_class(measured), predicted)}


def _class(measured: np.ndarray) -> np.ndarray:
    """The number of the class that is 1, NaN where none is known: (n,) of (n, classes)."""
    return np.where(np.isnan(measured).any(axis=1), np.nan, measured.argmax(axis=1))
