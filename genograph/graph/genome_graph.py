"""The graph of a genome: its nodes, and typed, weighted edges in both directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

import numpy as np

from genograph.assays.contacts import ContactMap
from genograph.errors import InputError, nearest
from genograph.genome.bins import Bins
from genograph.genome.genes import Genes
from genograph.graph.batch import EDGE_MEASURES

LINEAR = "linear"  # the edges of the genome itself; all others are contacts
MAX_TYPES = 127  # int8
QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


class Edges(NamedTuple):
    """What an edge builder returns: pairs of nodes, either way round or both, and a weight for each."""

    source: np.ndarray  # (pairs,) int
    destination: np.ndarray  # (pairs,) int
    weight: np.ndarray  # (pairs,) float


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
class Known:
    """What is known of a genome besides its nodes: what an edge builder may use.

    Attributes:
        contacts: The contact map over the nodes.
        genes: The annotated genes.
        aliases: Further names of chromosomes, alias -> name.
        whole_genome: Whether the chromosomes are all that the FASTA has, so that others in a file are logged.
    """

    contacts: ContactMap | None = None
    genes: Genes | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    whole_genome: bool = False

    @property
    def names(self) -> dict[str, Any]:
        """What readers of files ask to know of chromosome names."""
        return {"aliases": self.aliases, "whole_genome": self.whole_genome}


class EdgeBuilder(Protocol):
    """A kind of edge: a frozen dataclass with keyword options.

    Attributes:
        name: The type of its edges; builders of one type make one type.
        needs_contacts: Whether a config without a contact map is refused.
    """

    @property
    def name(self) -> str: ...

    @property
    def needs_contacts(self) -> bool: ...

    def __call__(self, nodes: Bins, known: Known) -> Edges: ...


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
        masked: (nodes,) True for a node that the contact map masks.
        indptr: (nodes + 1,) edges into node i are `indptr[i]` to `indptr[i + 1]`.
        partners_from: The graph of these nodes whose edges say which partners a window brings along; None: this one.
    """

    nodes: Bins
    edge_index: np.ndarray = field(repr=False)
    edge_attr: np.ndarray = field(repr=False)
    edge_type: np.ndarray = field(repr=False)
    edge_types: tuple[str, ...]
    masked: np.ndarray = field(repr=False)
    indptr: np.ndarray = field(repr=False)
    partners_from: GenomeGraph | None = field(default=None, repr=False)

    @property
    def num_nodes(self) -> int:
        return len(self.nodes)

    @property
    def num_edges(self) -> int:
        """Directed edges: two for every pair."""
        return self.edge_index.shape[1]

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """Columns of `edge_attr`: weight, log10 of the distance in bp, and one for each type, 0 or 1.

        Between chromosomes the distance is the length of the longest one: farther than any other.
        """
        return (*EDGE_MEASURES, *self.edge_types)

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
        source, destination = np.concatenate([first, second]), np.concatenate([second, first])
        order = np.lexsort((np.tile(kind, 2), source, destination))
        pair = order % max(len(first), 1)
        in_degree = np.bincount(destination, minlength=self.num_nodes)
        return replace(
            self,
            edge_index=np.stack([source[order], destination[order]]),
            edge_attr=attr[pair],
            edge_type=kind[pair].astype(np.int8),
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


def build_graph(
    edges: Sequence[EdgeBuilder],
    nodes: Bins,
    contacts: ContactMap | None = None,
    *,
    genes: Genes | None = None,
    aliases: Mapping[str, str] | None = None,
    whole_genome: bool = False,
) -> GenomeGraph:
    """The graph that some edge builders make of a genome.

    Pairs are joined in both directions; of a pair that a type names twice the larger weight stays, and
    a pair of a node with itself goes. The mask is the contact map's, whether or not an edge uses it, so
    that graphs to be compared leave out the same nodes.

    Args:
        edges: Builders; none gives a graph without edges.
        nodes: The genome's nodes.
        contacts: The contact map over these nodes, for the builders that need one.
        genes, aliases, whole_genome: What else builders may use, see `Known`.

    Raises:
        InputError: If an edge type has a name that it cannot have, or a builder cannot make its edges.
    """
    edge_types = tuple(dict.fromkeys(builder.name for builder in edges))
    _check_types(edge_types)
    known = Known(contacts=contacts, genes=genes, aliases=aliases or {}, whole_genome=whole_genome)
    found = [builder(nodes, known) for builder in edges]
    kinds = [edge_types.index(builder.name) for builder in edges]
    low, high, weight, kind = _unique_pairs(found, kinds)
    attr = np.zeros((len(low), 2 + len(edge_types)), dtype=np.float32)
    attr[:, 0] = weight
    attr[:, 1] = log10_distance(nodes, low, high)
    attr[np.arange(len(low)), 2 + kind] = 1.0
    empty = GenomeGraph(
        nodes=nodes,
        edge_index=np.empty((2, 0), dtype=np.int64),
        edge_attr=attr[:0],
        edge_type=np.empty(0, dtype=np.int8),
        edge_types=edge_types,
        masked=np.zeros(len(nodes), dtype=bool) if contacts is None else contacts.masked,
        indptr=np.zeros(len(nodes) + 1, dtype=np.int64),
    )
    return empty.with_pairs(Pairs(low, high, kind, attr))


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


def _check_types(edge_types: tuple[str, ...]) -> None:
    """Refuse types that could not be told from other columns, or more than their numbers have room for."""
    for name in edge_types:
        if not name or name in EDGE_MEASURES:
            raise InputError(f"edges cannot be of type '{name}': that is {'nothing' if not name else 'an attribute'}.")
    if len(edge_types) > MAX_TYPES:
        raise InputError(f"a graph has at most {MAX_TYPES} types of edges; got {len(edge_types)}. Merge some.")


def _unique_pairs(
    found: Sequence[Edges], kinds: Sequence[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Lower node, higher node, weight and type of every pair, each (pairs,)."""
    lows, highs, weights, types = [[np.empty(0, int)] for _ in range(4)]
    for (source, destination, weight), kind in zip(found, kinds, strict=True):
        joined = source != destination
        lows.append(np.minimum(source, destination)[joined])
        highs.append(np.maximum(source, destination)[joined])
        weights.append(weight[joined])
        types.append(np.full(np.count_nonzero(joined), kind))
    low, high, weight, kind = (np.concatenate(each) for each in (lows, highs, weights, types))
    order = np.lexsort((-weight, kind, high, low))
    low, high, weight, kind = low[order], high[order], weight[order], kind[order]
    is_first = np.ones(len(low), dtype=bool)
    is_first[1:] = (np.diff(low) != 0) | (np.diff(high) != 0) | (np.diff(kind) != 0)
    return low[is_first], high[is_first], weight[is_first], kind[is_first]
