"""The graph of a genome: its nodes, and typed, weighted edges in both directions."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from genograph.atomic import replacing
from genograph.errors import InputError, nearest
from genograph.genome.bins import Bins
from genograph.graph.batch import EDGE_MEASURES
from genograph.graph.checking import (
    check_folder,
    check_names,
    check_nodes,
    check_parts,
    edge_attributes,
    edge_kinds,
    edge_weights,
    node_numbers,
)

LINEAR = "linear"  # the edges of the genome itself; all others are contacts
QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)

log = logging.getLogger("genograph")


class Edges(NamedTuple):
    """What an edge builder returns: pairs of nodes, either way round or both, with a weight and what else is known.

    >>> Edges(np.array([0, 1]), np.array([3, 4]), np.ones(2)).destination.tolist()
    [3, 4]
    """

    source: np.ndarray  # (pairs,) int
    destination: np.ndarray  # (pairs,) int
    weight: np.ndarray  # (pairs,) float
    attributes: Mapping[str, np.ndarray] = MappingProxyType({})  # by name, (pairs,) float each

    def take(self, rows: np.ndarray) -> Edges:
        """Some of the pairs, by number or as a mask."""
        attributes = {name: values[rows] for name, values in self.attributes.items()}
        return Edges(self.source[rows], self.destination[rows], self.weight[rows], attributes)


class Pairs(NamedTuple):
    """The pairs of nodes that a graph joins: each once per type, either way round."""

    first: np.ndarray  # (pairs,) int
    second: np.ndarray  # (pairs,) int
    kind: np.ndarray  # (pairs,) int, position in `edge_types`
    attr: np.ndarray  # (pairs, attributes) float32, a row of `edge_attr`

    def take(self, rows: np.ndarray) -> Pairs:
        """Some of the pairs, by number or as a mask."""
        return Pairs(*(each[rows] for each in self))


@dataclass(frozen=True, kw_only=True)
class GenomeGraph:
    """Nodes along a genome and the edges among them, sorted by destination, source and type.

    Every edge is there in both directions, none joins a node to itself, and two nodes may share one
    edge of each type.

    Attributes:
        nodes: The genome's nodes.
        edge_index: (2, edges) int64, source and destination.
        edge_attr: (edges, attributes) float32; the columns are `attribute_names`.
        edge_type: (edges,) int8, position in `edge_types`.
        edge_types: Names of the kinds of edges.
        attributes: Names of what else is known of edges; 0 for those of a type of which it is not.
        masked: (nodes,) True for a node that the contact map masks.
        indptr: (nodes + 1,) edges into node i are `indptr[i]` to `indptr[i + 1]`.
        partners_from: The graph of these nodes whose edges say which partners a window brings along; None: this one.

    >>> graph = GenomeGraph.from_edges(Bins({"chr1": 5000}, 1000), [0, 1], [3, 4], kind="loop")
    >>> graph.attribute_names, graph.degree("loop").tolist()
    (('weight', 'log10_distance', 'loop'), [1, 1, 0, 1, 1])
    """

    nodes: Bins
    edge_index: np.ndarray = field(repr=False)
    edge_attr: np.ndarray = field(repr=False)
    edge_type: np.ndarray = field(repr=False)
    edge_types: tuple[str, ...]
    attributes: tuple[str, ...] = ()
    masked: np.ndarray = field(repr=False)
    indptr: np.ndarray = field(repr=False)
    partners_from: GenomeGraph | None = field(default=None, repr=False)

    @classmethod
    def from_edges(
        cls,
        nodes: Bins,
        source: ArrayLike,
        destination: ArrayLike,
        *,
        weight: ArrayLike = 1.0,
        kind: str | Sequence[str] = "contact",
        attributes: Mapping[str, ArrayLike] = MappingProxyType({}),
    ) -> GenomeGraph:
        """The graph of a list of edges; without any, a graph without edges.

        Every edge runs both ways, whichever was given. Of several between two nodes of one type that of the largest
        weight stays. An edge of a node to itself is left out, and counted in the log.

        Args:
            nodes: The genome's nodes.
            source: (edges,) number of the node at one end.
            destination: (edges,) at the other.
            weight: (edges,) or one for all.
            kind: Type of each edge, or of all; `linear` for edges along the genome itself.
            attributes: What else is known of edges, (edges,) each, by name: further columns of `edge_attr`.

        Raises:
            InputError: If an edge ends in no node, a weight is negative or no number, an attribute is no number or is
                called as a column that there is, or lists are not as long.

        >>> nodes = Bins({"chr1": 5000}, 1000)
        >>> graph = GenomeGraph.from_edges(nodes, [0, 1], [3, 4], weight=[0.5, 2.0], kind="loop")
        >>> graph.edge_index.tolist()
        [[3, 4, 0, 1], [0, 1, 3, 4]]
        """
        check_nodes(nodes)
        first, second = (node_numbers(each, len(nodes)) for each in (source, destination))
        if len(first) != len(second):
            raise InputError(f"every edge has two ends; got {len(first)} sources and {len(second)} destinations.")
        weights, (types, number) = edge_weights(weight, len(first)), edge_kinds(kind, len(first))
        edges = Edges(first, second, weights, edge_attributes(attributes, len(first)))
        if own := np.count_nonzero(first == second):
            log.info("%d of %d edges join a node to itself and are left out.", own, len(first))
        return cls.of(nodes, [(name, edges.take(number == each)) for each, name in enumerate(types)])

    @classmethod
    def of(cls, nodes: Bins, found: Sequence[tuple[str, Edges]], masked: np.ndarray | None = None) -> GenomeGraph:
        """The graph of edges by type; those of one type may come in several parts.

        Args:
            nodes: The genome's nodes.
            found: Type and edges of each part.
            masked: (nodes,) True for masked nodes; None for none.

        Raises:
            InputError: If a type or attribute has a name that it cannot have, an attribute is no number, parts of one
                type have other attributes, or there are too many types.
        """
        edge_types = tuple(dict.fromkeys(name for name, _ in found))
        attributes = tuple(dict.fromkeys(name for _, edges in found for name in edges.attributes))
        check_names(edge_types, attributes)
        check_parts([(name, edges.attributes) for name, edges in found if len(edges.source)])
        low, high, kind, attr = _unique_pairs([(edge_types.index(name), edges) for name, edges in found], attributes)
        measures = np.stack([attr[:, 0], log10_distance(nodes, low, high)], axis=1)
        is_type = kind[:, None] == np.arange(len(edge_types))
        attr = np.concatenate([measures, is_type, attr[:, 1:]], axis=1, dtype=np.float32)
        empty = cls(
            nodes=nodes,
            edge_index=np.empty((2, 0), dtype=np.int64),
            edge_attr=attr[:0],
            edge_type=np.empty(0, dtype=np.int8),
            edge_types=edge_types,
            attributes=attributes,
            masked=np.zeros(len(nodes), dtype=bool) if masked is None else masked,
            indptr=np.zeros(len(nodes) + 1, dtype=np.int64),
        )
        return empty.with_pairs(Pairs(low, high, kind, attr))

    def save(self, path: str | Path) -> list[dict[str, str]]:
        """Write nodes and edges to a file; returns what a config says to use them: its `graph.edges`.

        The mask is not written, nor are distances: a run takes the mask of its contact map.

        Args:
            path: Such as `graph.npz`.

        Raises:
            InputError: If the folder is not there, or a control has taken edges away, but left the partners that
                windows bring along by them.

        >>> nodes = Bins({"chr1": 5000}, 1000)
        >>> edges = GenomeGraph.from_edges(nodes, [0, 1], [3, 4], kind="loop").save("graph.npz")
        >>> [(edge["name"], edge["type"]) for edge in edges]
        [('saved', 'loop')]
        """
        if self.partners_from is not None:
            raise InputError("a graph whose partners are those of another graph is not saved. Save that one.")
        path, pairs = Path(path).resolve(), self.pairs()
        check_folder(path)
        arrays = {f"nodes.{name}": values for name, values in self.nodes.layout().items()}
        arrays |= {"first": pairs.first, "second": pairs.second, "kind": pairs.kind, "weight": pairs.attr[:, 0]}
        arrays |= {name: np.array(getattr(self, name), dtype=str) for name in ("edge_types", "attributes")}
        arrays["values"] = pairs.attr[:, len(self.attribute_names) - len(self.attributes) :]
        with replacing(path) as written, written.open("wb") as file:
            np.savez_compressed(file, **arrays)
        return [{"name": "saved", "file": str(path), "type": name} for name in self.edge_types]

    @property
    def num_nodes(self) -> int:
        return len(self.nodes)

    @property
    def num_edges(self) -> int:
        """Directed edges: two for every pair."""
        return self.edge_index.shape[1]

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """Columns of `edge_attr`: weight, log10 of the distance in bp, one for each type, 0 or 1, and `attributes`.

        Between chromosomes the distance is the length of the longest one: farther than any other.
        """
        return (*EDGE_MEASURES, *self.edge_types, *self.attributes)

    @property
    def contact_types(self) -> tuple[str, ...]:
        """The edge types that say who meets whom: all but linear ones."""
        return tuple(name for name in self.edge_types if name != LINEAR)

    def is_contact(self, kind: np.ndarray) -> np.ndarray:
        """True for each position in `edge_types` that is of a contact type: shaped as `kind`."""
        return np.isin(kind, [self.edge_types.index(name) for name in self.contact_types])

    @property
    def weight(self) -> np.ndarray:
        return self.edge_attr[:, 0]

    def pairs(self) -> Pairs:
        """What the edges join, each pair once, the lower node first."""
        forward = np.flatnonzero(self.edge_index[0] < self.edge_index[1])
        return Pairs(*self.edge_index[:, forward], self.edge_type[forward], self.edge_attr[forward])

    def with_pairs(self, pairs: Pairs) -> GenomeGraph:
        """The same nodes and edge types with other edges: both directions of each pair, sorted anew."""
        first, second, kind, attr = pairs
        ends = np.stack([np.append(first, second), np.append(second, first)])
        order = np.lexsort((np.tile(kind, 2), *ends))
        in_degree = np.bincount(ends[1], minlength=self.num_nodes)
        edge_index = ends[:, order]
        del ends  # a whole genome's edges take gigabytes
        order %= max(len(first), 1)
        return replace(
            self,
            edge_index=edge_index,
            edge_attr=attr[order],
            edge_type=kind[order].astype(np.int8),
            indptr=np.concatenate([[0], np.cumsum(in_degree)]),
        )

    def of_type(self, name: str) -> np.ndarray:
        """(edges,) True for the edges of one type."""
        if name not in self.edge_types:
            raise InputError(f"This graph has no '{name}' edges.{nearest(name, self.edge_types)}")
        return self.edge_type == self.edge_types.index(name)

    def degree(self, name: str | None = None) -> np.ndarray:
        """How many edges of a type, or of any, each node has: (nodes,)."""
        if name is None:
            return np.diff(self.indptr)
        return np.bincount(self.edge_index[1, self.of_type(name)], minlength=self.num_nodes)

    def summary(self) -> dict[str, Any]:
        """Counts of nodes and edges and, for each type, quantiles of degree and of distance in bp."""
        return {
            "nodes": self.num_nodes,
            "masked": int(self.masked.sum()),
            "isolated": int((self.degree() == 0).sum()),
            "edges": {name: self._describe(name) for name in self.edge_types},
        }

    def _describe(self, name: str) -> dict[str, Any]:
        source, destination = self.edge_index[:, self.of_type(name)]
        distance = self.nodes.bp_between(source, destination)
        within = distance[distance >= 0]
        quantiles = np.quantile(within, QUANTILES).tolist() if len(within) else []
        return {
            "pairs": len(source) // 2,
            "between_chromosomes": int((distance < 0).sum()) // 2,
            "degree": np.quantile(self.degree(name), QUANTILES).tolist(),
            "distance": quantiles,
        }


def log10_distance(nodes: Bins, source: np.ndarray, destination: np.ndarray) -> np.ndarray:
    """log10 of the distance in bp; across chromosomes that of the longest chromosome."""
    distance = nodes.bp_between(source, destination)
    return np.log10(np.where(distance < 0, max(nodes.sizes.values()), np.maximum(distance, 1)))


def pairs_apart(nodes: Bins, chrom: str, distance: int) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of a chromosome's nodes that lie `distance` nodes apart, each once: two of (pairs,)."""
    span = nodes.span(chrom)
    first, count = np.arange(span.start, span.stop), span.stop - span.start
    if chrom not in nodes.circular:
        return first[: max(count - distance, 0)], first[distance:]
    if 2 * distance >= count:  # opposite each other on the circle: both ways are one pair
        first = first[: count // 2 if 2 * distance == count else 0]
    return first, span.start + (first - span.start + distance) % max(count, 1)


def _unique_pairs(
    found: Sequence[tuple[int, Edges]], attributes: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Lower node, higher node and type of every pair, (pairs,) each; and weight and attributes, (pairs, 1 + n)."""
    ends, kinds = [np.empty((2, 0), np.int32)], [np.empty(0, np.int8)]
    attrs = [np.empty((0, 1 + len(attributes)), np.float32)]
    for kind, edges in found:
        edges = edges.take(edges.source != edges.destination)
        known = edge_attributes(edges.attributes, len(edges.source))
        missing = np.zeros(len(edges.source))  # the column of its type tells an edge of which it is not known apart
        ends.append(np.sort(np.stack([edges.source, edges.destination], dtype=np.int32, casting="same_kind"), axis=0))
        kinds.append(np.full(len(edges.source), kind, dtype=np.int8))
        attrs.append(np.stack([edges.weight, *(known.get(name, missing) for name in attributes)], axis=1))
    (low, high), kind, attr = np.concatenate(ends, axis=1), np.concatenate(kinds), np.concatenate(attrs)
    order = np.lexsort((-attr[:, 0], kind, high, low))
    is_first = np.arange(len(order)) == 0
    for key in (low, high, kind):
        in_order = key[order]
        is_first[1:] |= in_order[1:] != in_order[:-1]
    order = order[is_first]
    return low[order].astype(np.int64), high[order].astype(np.int64), kind[order], attr[order]
