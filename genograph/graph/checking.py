"""Edges that come as arrays: that they are between nodes that there are, with weights and types that can be used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from genograph.errors import InputError
from genograph.genome.bins import Bins
from genograph.graph.batch import EDGE_MEASURES

MAX_TYPES = 127  # int8


def check_nodes(nodes: Any) -> None:
    """Refuse what is no genome's nodes.

    Raises:
        InputError: If it is something else, such as their number or a table.
    """
    if not isinstance(nodes, Bins):
        raise InputError(
            f"nodes are Bins or Regions, such as Experiment.open(config).store.nodes; got {type(nodes).__name__}."
        )


def check_folder(path: Path) -> None:
    """Refuse a file to be written into a folder that is not there, with an `InputError`."""
    if not path.parent.is_dir():
        raise InputError(f"cannot write {path}: there is no folder {path.parent}. Make it first.")


def node_numbers(values: ArrayLike, num_nodes: int) -> np.ndarray:
    """Numbers of nodes, one for each edge: (edges,) int64.

    Raises:
        InputError: If they are not whole, or one is not that of a node.
    """
    numbers = np.asarray(values)
    if numbers.size == 0:
        return np.empty(0, dtype=np.int64)
    if numbers.ndim != 1 or not np.issubdtype(numbers.dtype, np.integer):
        raise InputError(
            f"edges are between nodes by number, a list of whole numbers; got {numbers.dtype}, shape {numbers.shape}."
        )
    outside = np.flatnonzero((numbers < 0) | (numbers >= num_nodes))
    if len(outside):
        at = int(outside[0])
        raise InputError(f"edge {at} ends in node {numbers[at]}, but the {num_nodes:,} nodes are numbered from 0.")
    return numbers.astype(np.int64)


def edge_weights(values: ArrayLike, count: int) -> np.ndarray:
    """A weight for each edge, or one for all: (edges,) float64.

    Raises:
        InputError: If there are more or fewer than edges, or one is negative, NaN or infinite.
    """
    try:
        weight = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"a weight is a number of 0 or more: {error}.") from None
    if weight.ndim and weight.shape != (count,):
        raise InputError(f"{count} edges have {count} weights, or one for all; got an array of shape {weight.shape}.")
    weight = np.broadcast_to(weight, count)
    wrong = np.flatnonzero(~(np.isfinite(weight) & (weight >= 0)))
    if len(wrong):
        raise InputError(f"edge {wrong[0]} has a weight of {weight[wrong[0]]}; a weight is a number of 0 or more.")
    return weight


def edge_kinds(values: str | Sequence[str] | np.ndarray, count: int) -> tuple[tuple[str, ...], np.ndarray]:
    """The types of edges as they first come, and the position of each edge's among them: (edges,).

    Raises:
        InputError: If there are more or fewer than edges, or one is no text.
    """
    if isinstance(values, str):
        return (values,), np.zeros(count, dtype=np.int64)
    kinds = list(values) if np.iterable(values) else [values]
    if len(kinds) != count or not all(isinstance(kind, str) for kind in kinds):
        wrong = next((kind for kind in kinds if not isinstance(kind, str)), None)
        told = f"{len(kinds)} types" if wrong is None else f"'{wrong}', which is no text"
        raise InputError(f"{count} edges have {count} types, or one for all, as text; got {told}.")
    types = {kind: number for number, kind in enumerate(dict.fromkeys(kinds))}
    return tuple(types), np.array([types[kind] for kind in kinds], dtype=np.int64)


def edge_attributes(values: Mapping[str, ArrayLike], count: int) -> dict[str, np.ndarray]:
    """What else is known of each edge, by name: (edges,) float64 each.

    Raises:
        InputError: If they are not by name, there are more or fewer than edges, or one is NaN, infinite or no number.
    """
    check_named(values)
    found = {}
    for name, each in values.items():
        try:
            found[name] = np.asarray(each, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(f"attribute '{name}' is a number for each edge: {error}.") from None
        if found[name].shape != (count,):
            raise InputError(f"attribute '{name}' is a number for each of {count} edges; got {found[name].shape}.")
        wrong = np.flatnonzero(~np.isfinite(found[name]))
        if len(wrong):
            raise InputError(
                f"edge {wrong[0]} has a '{name}' of {found[name][wrong[0]]}. Leave out such edges, or make them a type "
                "of their own, without this attribute."
            )
    return found


def check_list(attributes: Any) -> None:
    """Refuse one name in place of a list of names, which would be read letter by letter.

    Raises:
        InputError: If it is one.
    """
    if isinstance(attributes, str):
        raise InputError(f"attributes are a list of names: attributes=['{attributes}'].")


def check_named(attributes: Any) -> None:
    """Refuse attributes of edges that are not by name.

    Raises:
        InputError: If they are a list or anything else.
    """
    if not isinstance(attributes, Mapping):
        raise InputError(f"attributes are numbers by name, such as {{'score': [0.5, 2.0]}}; got {attributes!r}.")


def check_parts(parts: Sequence[tuple[str, Iterable[str]]]) -> None:
    """Refuse parts of one type, (type, attributes) each, of which not the same is known: 0 would mean two things.

    Raises:
        InputError: If there are such.
    """
    known: dict[str, list[str]] = {}
    for name, attributes in parts:
        own = sorted(attributes)
        if known.setdefault(name, own) != own:
            one, other = (", ".join(each) or "none" for each in (known[name], own))
            raise InputError(
                f"edges of type '{name}' come in parts with other attributes: {one}; {other}. "
                "Give all the same, or make them two types."
            )


def check_names(edge_types: Sequence[str], attributes: Sequence[str]) -> None:
    """Refuse types and attributes that could not be told from other columns, or more types than numbers have room for.

    Raises:
        InputError: If there are such.
    """
    for name in edge_types:
        if not name or name in EDGE_MEASURES:
            raise InputError(f"edges cannot be of type '{name}': that is {'an attribute' if name else 'nothing'}.")
    for name in attributes:
        if not name or name in (*EDGE_MEASURES, *edge_types):
            raise InputError(
                f"an attribute cannot be called '{name}': {'so is another column' if name else 'nothing'}."
            )
    if len(edge_types) > MAX_TYPES:
        raise InputError(f"a graph has at most {MAX_TYPES} types of edges; got {len(edge_types)}. Merge some.")
