"""What is known of nodes besides their sequence: a table of places and numbers, as a model takes it."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from genograph.errors import InputError
from genograph.genome.bins import Bins
from genograph.genome.names import match_names

PLACE = ("chrom", "start", "end")


class NodeFeatures(NamedTuple):
    """Numbers that belong to nodes.

    Attributes:
        names: Of the features.
        values: (nodes, features) float64, NaN where missing.
    """

    names: tuple[str, ...]
    values: np.ndarray

    def scaled(self, is_train: np.ndarray) -> np.ndarray:
        """What a model takes: mean 0 and variance 1 over training nodes, and 0 for what is missing.

        A feature that is missing anywhere has one more column, 1 where it is; these come last.

        Args:
            is_train: (nodes,) True for nodes of the training split.

        Returns:
            (nodes, columns) float32.

        Raises:
            InputError: If a feature is missing at all training nodes, or one and the same there.
        """
        is_missing = np.isnan(self.values)
        for name, values in zip(self.names, self.values[is_train].T, strict=True):
            known = np.unique(values[np.isfinite(values)])
            if len(known) < 2:
                told = f"is {known[0]:g} at" if len(known) else "is missing at"
                raise InputError(
                    f"graph.features: '{name}' {told} every training node and tells nothing. Leave it out."
                )
        mean, deviation = np.nanmean(self.values[is_train], axis=0), np.nanstd(self.values[is_train], axis=0)
        scaled = np.where(is_missing, 0, (self.values - mean) / deviation)
        return np.concatenate([scaled, is_missing[:, is_missing.any(axis=0)]], axis=1, dtype=np.float32)


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
