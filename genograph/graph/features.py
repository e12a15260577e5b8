"""What is known of nodes besides their sequence: a table of places and numbers, as a model takes it."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from genograph.errors import InputError
from genograph.genome.bins import Bins
from genograph.genome.names import match_names

PLACE = ("chrom", "start", "end")

log = logging.getLogger("genograph")


class NodeFeatures(NamedTuple):
    """Numbers that belong to nodes.

    Attributes:
        names: Of the features.
        values: (nodes, features) float64, NaN where missing.
    """

    names: tuple[str, ...]
    values: np.ndarray


class FeatureScale(NamedTuple):
    """How features become what a model takes, as the training split has it; a run keeps it with its weights.

    Attributes:
        names: Of the features.
        mean: Of each over training nodes.
        deviation: Of each over training nodes.
        missing: Those that some training node lacks. Each has one more column, 1 where it is missing; these come last.
    """

    names: Sequence[str]
    mean: Sequence[float]
    deviation: Sequence[float]
    missing: Sequence[str]

    @classmethod
    def of(cls, features: NodeFeatures, is_train: np.ndarray) -> FeatureScale:
        """The scale of features over training nodes, of which `is_train` (nodes,) says True.

        Raises:
            InputError: If a feature is missing at all training nodes, or one and the same there.
        """
        training = features.values[is_train]
        for name, values in zip(features.names, training.T, strict=True):
            known = np.unique(values[np.isfinite(values)])
            if len(known) < 2:
                told = f"is {known[0]:g} at" if len(known) else "is missing at"
                raise InputError(
                    f"graph.features: '{name}' {told} every training node and tells nothing. Leave it out."
                )
        mean, deviation = np.nanmean(training, axis=0).tolist(), np.nanstd(training, axis=0).tolist()
        is_missing = np.isnan(training).any(axis=0)
        return cls(features.names, mean, deviation, [str(each) for each in np.array(features.names)[is_missing]])

    def apply(self, features: NodeFeatures) -> np.ndarray:
        """What a model takes: mean 0 and variance 1 over training nodes, 0 for what is missing.

        Returns:
            (nodes, columns) float32.

        Raises:
            InputError: If the features are not those of the scale, in whatever order.
        """
        if sorted(features.names) != sorted(self.names):
            raise InputError(
                f"graph.features: the run was trained with {', '.join(self.names)}; the table has "
                f"{', '.join(features.names)}. Give it the same features."
            )
        values = features.values[:, [features.names.index(name) for name in self.names]]
        is_missing, has_column = np.isnan(values), np.isin(self.names, self.missing)
        for name, count in zip(np.array(self.names)[~has_column], is_missing[:, ~has_column].sum(axis=0), strict=True):
            if count:
                log.info("graph.features: '%s' is missing at %d nodes, none in training: it is 0 there.", name, count)
        scaled = np.where(is_missing, 0, (values - np.array(self.mean)) / np.array(self.deviation))
        return np.concatenate([scaled, is_missing[:, has_column]], axis=1, dtype=np.float32)


def read_features(path: Path, nodes: Bins, **names: Any) -> NodeFeatures:
    """The features of nodes in a table with a header: chrom, start, end, and one column for each feature.

    Columns are parted by tabs, in a .csv by commas. A row is of the node that is exactly its place, else of the one
    that holds the midpoint. An empty cell, and a node without a row, are missing. Rows of other chromosomes, or of no
    node, are left out.

    Args:
        path: The table, plain or gzip.
        nodes: The genome's nodes.
        names: `aliases` and `whole_genome`, as `match_names` takes them.

    Raises:
        InputError: If it is no such table, two rows are of one node, none is of any, or a cell is no number.
    """
    table = _read(path)
    node = _nodes_of(table, nodes, path, **names)
    table, node = table[node >= 0], node[node >= 0]
    if not len(node):
        raise InputError(f"{path}: no row is of a node.")
    if len(twice := np.flatnonzero(pd.Series(node).duplicated())):
        raise InputError(f"{path}: two rows are of the node at {nodes.interval(int(node[twice[0]]))}. Merge them.")
    features = [name for name in table.columns if name not in PLACE]
    values = np.full((len(nodes), len(features)), np.nan)
    for column, name in enumerate(features):
        values[node, column] = _numbers(table[name], path)
    return NodeFeatures(tuple(features), values)


def _read(path: Path) -> pd.DataFrame:
    separator = "," if ".csv" in path.suffixes else "\t"
    try:
        table = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False)
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} is no table of features: {error}") from None
    table.columns = [str(name).lstrip("#") for name in table.columns]
    if not {*PLACE} < {*table.columns}:
        listed = ", ".join(table.columns)
        raise InputError(f"{path} needs a header with chrom, start, end and the names of features; got {listed}.")
    return table


def _nodes_of(table: pd.DataFrame, nodes: Bins, path: Path, **names: Any) -> np.ndarray:
    """The node of each row, -1 for none: (rows,)."""
    found = list(dict.fromkeys(table["chrom"]))
    matched = match_names(list(nodes.sizes), found, source=str(path), **names)
    start, end = (_numbers(table[name], path) for name in ("start", "end"))
    if len(wrong := np.flatnonzero(~((start >= 0) & (end > start) & (start % 1 == 0) & (end % 1 == 0)))):
        place = " ".join(table.iloc[wrong[0]][list(PLACE)])
        raise InputError(f"{path}: expected chrom, start and end; got '{place}'.")
    start, end = start.astype(np.int64), end.astype(np.int64)
    node = np.full(len(table), -1, dtype=np.int64)
    for chrom, other in matched.items():
        rows = np.flatnonzero(table["chrom"] == other)
        node[rows] = nodes.find(chrom, start[rows], end[rows], (start[rows] + end[rows]) // 2)
    return node


def _numbers(column: pd.Series, path: Path) -> np.ndarray:
    """Numbers of a column, NaN for an empty cell, `NA` or `NaN`: (rows,) float64."""
    missing = column.str.strip().str.lower().isin(["", "na", "nan"])
    values = pd.to_numeric(column.where(~missing), errors="coerce").to_numpy(dtype=np.float64)
    wrong = np.flatnonzero(~missing.to_numpy() & ~np.isfinite(values))
    if len(wrong):
        raise InputError(f"{path}: '{column.name}' is no number in row {wrong[0] + 1}: '{column.iloc[wrong[0]]}'.")
    return values
