"""Accuracy of site predictions in each annotation: CpG islands, exons, whatever a BED file holds.

Rows are those of DeepCpG's `dcpg_eval_perf` (Angermueller, Lee, Reik & Stegle 2017, Genome Biology 18:67). Its curves
of an annotation are those of all sites; here they are those of the annotation.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from genograph.genome.bed import read_bed
from genograph.metrics.classification import BINARY, CURVES, curve, kind_of, output_accuracy

_LOGGER = logging.getLogger("genograph")
GLOBAL = "global"
MIN_SITES = 100

Outputs = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""Target and prediction, (sites,) each (of `cat_var` the latter (sites, classes)), of every output by its name."""


def annotate(
    chrom_index: np.ndarray,
    position: np.ndarray,
    files: Mapping[str, Path],
    *,
    sizes: Mapping[str, int],
    aliases: Mapping[str, str],
) -> dict[str, np.ndarray]:
    """Which sites lie in an interval of each annotation: (sites,) bool, by its name.

    As in the original, whose sites count from 1, both ends of a BED row belong to it: beside its own bases, a site on
    the base before it is inside.

    Args:
        chrom_index: (sites,) chromosome of each, in `sizes`.
        position: (sites,) 0-based.
        files: BED file of each annotation, by name.
        sizes: Chromosome sizes in bp.
        aliases: Further names of chromosomes.

    Raises:
        InputError: If a file is no BED file of the genome.
    """
    return {name: _inside(chrom_index, position, path, sizes, aliases) for name, path in files.items()}


def _inside(
    chrom_index: np.ndarray, position: np.ndarray, path: Path, sizes: Mapping[str, int], aliases: Mapping[str, str]
) -> np.ndarray:
    intervals = sorted(read_bed(path, sizes=sizes, aliases=aliases))
    is_inside = np.zeros(len(position), dtype=bool)
    for index, chrom in enumerate(sizes):
        bounds = np.array([(each.start, each.end) for each in intervals if each.chrom == chrom], dtype=np.int64)
        here = np.flatnonzero(chrom_index == index)
        if len(bounds) and len(here):
            reach = np.maximum.accumulate(bounds[:, 1])  # intervals may overlap
            last = np.searchsorted(bounds[:, 0], position[here] + 1, side="right") - 1
            is_inside[here] = (last >= 0) & (position[here] + 1 <= reach[np.maximum(last, 0)])
    return is_inside


def with_enough_sites(annotations: Mapping[str, np.ndarray], min_sites: int = MIN_SITES) -> dict[str, np.ndarray]:
    """The annotations that hold so many sites; the others are left out, as in the original, and named in the log."""
    for name, is_inside in annotations.items():
        if (count := np.count_nonzero(is_inside)) < min_sites:
            _LOGGER.warning(f"Annotation '{name}' holds {count} sites, fewer than {min_sites}; left out.")
    return {name: each for name, each in annotations.items() if np.count_nonzero(each) >= min_sites}


def accuracy_by_annotation(outputs: Outputs, annotations: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """The metrics of every output on all sites, called `global`, and on those of each annotation.

    Args:
        outputs: Named as in `classification.kind_of`.
        annotations: (sites,) True inside, by name.

    Returns:
        Columns `anno metric output value`.

    Raises:
        InputError: If the name of an output is not known.
    """
    rows = [
        (anno, metric, name, value)
        for anno, here in _contexts(annotations)
        for name, (target, prediction) in outputs.items()
        for metric, value in output_accuracy(name, target[here], prediction[here]).items()
    ]
    return pd.DataFrame(rows, columns=["anno", "metric", "output", "value"])


def curves_by_annotation(
    outputs: Outputs, annotations: Mapping[str, np.ndarray], *, num_points: int = 1000
) -> pd.DataFrame:
    """ROC (x false, y true positive rate) and PR curves (x recall, y precision) of the outputs with two classes.

    Where there is one class only there is no curve. Arguments are those of `accuracy_by_annotation`, and the points
    that a curve may have.

    Returns:
        Columns `anno curve output x y threshold`.
    """
    binary_outputs = [name for name in outputs if kind_of(name) in BINARY]
    frames = []
    for anno, here in _contexts(annotations):
        for name in binary_outputs:
            target, prediction = (values[here] for values in outputs[name])
            for kind in CURVES:
                points = curve(kind, target, prediction, num_points)
                if points is not None:
                    frames.append(pd.DataFrame(zip(*points, strict=True)).assign(anno=anno, curve=kind, output=name))
    columns = ["x", "y", "threshold", "anno", "curve", "output"]
    table = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)
    return table.set_axis(columns, axis=1)[["anno", "curve", "output", "x", "y", "threshold"]]


def _contexts(annotations: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray | slice]]:
    """`global`, then each annotation, and which sites it holds."""
    yield GLOBAL, slice(None)
    yield from annotations.items()
