"""Graphs that keep one thing of a genome's graph and lose another: what its edges have to beat.

A control is called as `control(graph, groups, rng)` and gives a graph with the same nodes, edge types and columns of
`edge_attr`, so that a model over it has the same parameters. `groups` is (nodes,) int from 0 on, see `node_groups`: an
edge gives way only to one between the same two groups, as windows never see an edge across a split and would
otherwise lose some. Linear edges are the genome's own and stay, unless a control says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from genograph.errors import InputError, nearest
from genograph.genome.bins import Bins
from genograph.genome.regions import Regions
from genograph.genome.splits import NONE, SPLITS
from genograph.graph.genome_graph import GenomeGraph, Pairs, log10_distance
from genograph.graph.matching import by_type_and_chrom, joined, nearest_free, redrawn
from genograph.graph.rewiring import group_pair, part_again, swap_at_distance, swap_partners


def node_groups(nodes: Bins, node_of_bin: np.ndarray, split_of_bin: np.ndarray) -> np.ndarray:
    """The group of every node, by chromosome and split of its bins: (nodes,) int.

    On each chromosome the nodes with bins of two splits, of none, or without bins make one more group.

    Args:
        nodes: The genome's nodes.
        node_of_bin: (bins,) node of each bin, -1 for none.
        split_of_bin: (bins,) TRAIN, VALID, TEST or NONE.
    """
    in_node = node_of_bin >= 0
    has = np.zeros((len(nodes), len(SPLITS) + 1), dtype=bool)  # the last column is NONE, -1
    has[node_of_bin[in_node], split_of_bin[in_node]] = True
    is_whole = (has.sum(axis=1) == 1) & ~has[:, NONE]
    split = np.where(is_whole, has.argmax(axis=1), len(SPLITS))
    return nodes.chrom_index(np.arange(len(nodes))) * (len(SPLITS) + 1) + split


class NothingToChange(InputError):
    """A graph that has none of the edges that a control would change."""


@dataclass(frozen=True, kw_only=True)
class Rewired:
    """Random partners, but for every node as many of each type, class of weight and group, to the last one.

    Pairs of one type, two groups and one of eight classes of weight (`weight_class`) exchange partners, about ten times
    each (Maslov and Sneppen 2002, Science 296:910); those that come out as they were go on, where they can. What is
    left of a graph's gain is what the number and strength of a node's contacts tell. Kept are the degree of every node,
    exactly, and its summed weight, up to the width of a class. Own attributes go with the weight to pairs of the same
    class. Not kept are partners and distances: random ones are mostly far, and the distance of an edge is that of its
    new ends. Nor is the degree that a model sees: a window takes only its strongest partners, and random ones rarely
    have edges among themselves (`genograph.dataset.WindowDataset.contacts_shown`). A pair that is alone with its type,
    groups and class stays.
    """

    name: ClassVar[str] = "rewired"

    def __call__(self, graph: GenomeGraph, groups: np.ndarray, rng: np.random.Generator) -> GenomeGraph:
        linear, contacts = _linear_and_contacts(self.name, graph)
        swapped = part_again(swap_partners(contacts, groups, rng), contacts, groups, rng)
        return graph.with_pairs(joined(linear, _measured(graph.nodes, swapped)))


@dataclass(frozen=True, kw_only=True)
class DistanceMatched:
    """Random pairs, but as many of each type, distance and two groups.

    Distance counts in nodes. Of nodes of unequal length, or with gaps between, it is the bp from middle to middle, in
    classes of a tenth of log10, each of a quarter more than the one before.

    A pair is drawn with a probability proportional to the product of its nodes' degrees, so that one without edges of
    the type, such as a masked node, stays without. How many edges a node has is kept approximately only: its
    correlation with before is .57 to .99, the lower the fewer edges nodes have. Some pairs come out as they were, more
    where nodes are few: to leave them out would cost degrees (in E. coli a correlation of .47 in place of .79). Weights
    and own attributes are those of the pairs at that distance, shuffled together, so that a node's strength is not
    kept. Pairs between chromosomes have no distance and are rewired. Time grows with nodes of a chromosome times
    distances on it, memory with the nodes.
    """

    name: ClassVar[str] = "distance_matched"

    def __call__(self, graph: GenomeGraph, groups: np.ndarray, rng: np.random.Generator) -> GenomeGraph:
        linear, contacts = _linear_and_contacts(self.name, graph)
        is_between = graph.nodes.distance(contacts.first, contacts.second) < 0
        between = contacts.take(is_between)
        between = part_again(swap_partners(between, groups, rng), between, groups, rng)
        within = [
            redrawn(graph, chrom, pairs, groups, rng)
            for _, chrom, pairs in by_type_and_chrom(graph, contacts.take(~is_between))
        ]
        return graph.with_pairs(joined(linear, _measured(graph.nodes, joined(between, *within))))


@dataclass(frozen=True, kw_only=True)
class RewiredByDistance:
    """Random partners, but for every node as many of each type and group, and for every edge its class of distance.

    Pairs of one type, two groups and one class of distance, of which each is twice as wide as the one before, exchange
    partners where both stay in it. Kept are the degree of every node and the number of edges in every class, both to
    the last one; also their weights, with which own attributes go, but by their nodes about only. An edge changes its
    distance within the class. Swaps need pairs near each other: some come out as they were, more where nodes are few.
    Pairs between chromosomes have one class.
    """

    name: ClassVar[str] = "rewired_by_distance"

    def __call__(self, graph: GenomeGraph, groups: np.ndarray, rng: np.random.Generator) -> GenomeGraph:
        linear, contacts = _linear_and_contacts(self.name, graph)
        swapped = swap_at_distance(contacts, graph.nodes, groups, rng)
        return graph.with_pairs(joined(linear, _measured(graph.nodes, swapped)))


@dataclass(frozen=True, kw_only=True)
class NodePermuted:
    """The same graph over other sequences: the nodes of a group trade places in it.

    Structure, weights, distances and own attributes stay, so what is left of a gain does not come from which sequences
    meet, nor from the degree of the nodes themselves. Masked nodes stay where they are.
    """

    name: ClassVar[str] = "node_permuted"

    def __call__(self, graph: GenomeGraph, groups: np.ndarray, rng: np.random.Generator) -> GenomeGraph:
        linear, contacts = _linear_and_contacts(self.name, graph)
        movable = np.flatnonzero(~graph.masked)
        place, shuffled = (movable[np.lexsort((rng.random(len(movable)), groups[movable]))] for _ in range(2))
        moved = np.arange(graph.num_nodes)
        moved[place] = shuffled
        traded = contacts._replace(first=moved[contacts.first], second=moved[contacts.second])
        return graph.with_pairs(joined(linear, traded))


@dataclass(frozen=True, kw_only=True)
class Isolated:
    """No edges at all, linear ones included: what a node's own features tell, with the graph model's parameters.

    Windows still bring along the partners that the edges gave them, so that a batch reads the same sequence and what is
    estimated over it, such as batch statistics, is of as many pieces. A larger node holds a window's bins or its
    partners', never both; those of a window that lie in one larger node still pool there.
    """

    name: ClassVar[str] = "isolated"

    def __call__(self, graph: GenomeGraph, groups: np.ndarray, rng: np.random.Generator) -> GenomeGraph:
        emptied = graph.with_pairs(graph.pairs().take(np.empty(0, dtype=np.int64)))
        return replace(emptied, partners_from=graph.partners_from or graph)


@dataclass(frozen=True, kw_only=True)
class LinearMatched:
    """As many edges of every type and two groups, but to the nearest nodes that no linear edge joins yet.

    Nearest first, from `min_distance` on; of the last distance that is needed, pairs are drawn at random. They have
    weight 1, as linear edges do, and contacts that are as many as their distance makes one expect: from the least
    distance of `hic` edges on these are the contacts of a map in which distance is all there is (power law,
    Lieberman-Aiden et al. 2009, Science 326:289). Own attributes are the mean of the type. A pair between chromosomes
    gives way to one near its end in the larger group. Masked nodes get none. Windows bring along the partners that
    these edges give them, near ones and mostly fewer, so that batches read other sequence than with the edges as they
    were, and less.

    Raises:
        InputError: If the groups have fewer pairs than are to be placed, or nodes are of unequal length and there is a
            `min_distance`.
    """

    name: ClassVar[str] = "linear_matched"

    min_distance: int | None = 0  # bp; None: the least of the type's pairs within chromosomes

    def __post_init__(self) -> None:
        if self.min_distance is not None and self.min_distance < 0:
            raise InputError(f"linear_matched: min_distance must not be negative; got {self.min_distance}.")

    def __call__(self, graph: GenomeGraph, groups: np.ndarray, rng: np.random.Generator) -> GenomeGraph:
        if self.min_distance != 0 and isinstance(graph.nodes, Regions):
            raise InputError("linear_matched: min_distance counts in nodes of one size; these are not. Leave it out.")
        linear, contacts = _linear_and_contacts(self.name, graph)
        parts, contacts = [linear], _with_mean_attributes(graph, contacts)
        starts = {kind: self._start(graph, contacts.take(contacts.kind == kind)) for kind in np.unique(contacts.kind)}
        for kind, chrom, pairs in by_type_and_chrom(graph, _within_chromosomes(graph, groups, contacts)):
            cells = group_pair(groups, pairs.first, pairs.second)
            first, second = nearest_free(graph, chrom, cells, linear, groups, rng, start=starts[kind])
            if len(first) < len(cells):
                raise InputError(
                    f"linear_matched: {chrom} has room for {len(first)} edges in place of its {len(cells)} "
                    f"'{graph.edge_types[kind]}' edges. Build fewer of those (top_k), or leave this control out."
                )
            parts.append(_measured(graph.nodes, pairs._replace(first=first, second=second), weight=1.0))
        return graph.with_pairs(joined(*parts))

    def _start(self, graph: GenomeGraph, pairs: Pairs) -> int:
        """The least distance in nodes at which pairs of one type are placed."""
        if self.min_distance is not None:
            return max(-(-self.min_distance // graph.nodes.bin_size), 1)
        distance = graph.nodes.distance(pairs.first, pairs.second)
        return int(distance[distance > 0].min(initial=graph.num_nodes)) if (distance > 0).any() else 1


@dataclass(frozen=True, kw_only=True)
class DropType:
    """No edges of one type, linear included; its column stays."""

    name: ClassVar[str] = "drop_type"

    type: str

    def __call__(self, graph: GenomeGraph, groups: np.ndarray, rng: np.random.Generator) -> GenomeGraph:
        if self.type not in graph.edge_types:
            raise NothingToChange(
                f"drop_type: the graph has no '{self.type}' edges.{nearest(self.type, graph.edge_types)}"
            )
        forward = graph.edge_index[0] < graph.edge_index[1]
        rest = graph.with_pairs(graph.pairs().take(~graph.of_type(self.type)[forward]))
        return _for_partners_too(self, rest, groups, rng)


@dataclass(frozen=True, kw_only=True)
class DropAttribute:
    """One column of `edge_attr` takes its mean over all edges everywhere, so that edges tell nothing by it.

    Without `weight` contact partners of a window are no longer the strongest but those that the most edges join to
    it, ties to the lower node, as `strongest_partners` adds up weights. A column of a type says nothing to the
    layers, but who is a partner still goes by the type.
    """

    name: ClassVar[str] = "drop_attribute"

    attribute: str  # weight, log10_distance, an edge type or an attribute of the edges' own

    def __call__(self, graph: GenomeGraph, groups: np.ndarray, rng: np.random.Generator) -> GenomeGraph:
        names = graph.attribute_names
        if self.attribute not in names:
            raise NothingToChange(f"drop_attribute: edges have no '{self.attribute}'.{nearest(self.attribute, names)}")
        column, attr = names.index(self.attribute), graph.edge_attr.copy()
        if len(attr):
            attr[:, column] = attr[:, column].mean(dtype=np.float64)
        return _for_partners_too(self, replace(graph, edge_attr=attr), groups, rng)


CONTROLS: dict[str, type] = {
    "rewired": Rewired,
    "distance_matched": DistanceMatched,
    "rewired_by_distance": RewiredByDistance,
    "node_permuted": NodePermuted,
    "isolated": Isolated,
    "linear_matched": LinearMatched,
    "drop_type": DropType,
    "drop_attribute": DropAttribute,
}


def _for_partners_too(
    control: DropType | DropAttribute, graph: GenomeGraph, groups: np.ndarray, rng: np.random.Generator
) -> GenomeGraph:
    """What is dropped no longer says who is a partner either, where another graph says that."""
    if graph.partners_from is None:
        return graph
    return replace(graph, partners_from=control(graph.partners_from, groups, rng))


def _linear_and_contacts(name: str, graph: GenomeGraph) -> tuple[Pairs, Pairs]:
    """Pairs that stay, and those that control `name` changes."""
    pairs = graph.pairs()
    is_contact = graph.is_contact(pairs.kind)
    if not is_contact.any():
        raise NothingToChange(f"{name}: the graph has no contact edges to change. Leave this control out.")
    return pairs.take(~is_contact), pairs.take(is_contact)


def _measured(nodes: Bins, pairs: Pairs, weight: float | None = None) -> Pairs:
    """The pairs with the distance of their ends, and a weight if one is given."""
    attr = pairs.attr.copy()
    attr[:, 1] = log10_distance(nodes, pairs.first, pairs.second)
    if weight is not None:
        attr[:, 0] = weight
    return pairs._replace(attr=attr)


def _with_mean_attributes(graph: GenomeGraph, pairs: Pairs) -> Pairs:
    """The pairs with own attributes that are the mean of their type."""
    attr, first = pairs.attr.copy(), len(graph.attribute_names) - len(graph.attributes)
    for kind in np.unique(pairs.kind):
        rows = pairs.kind == kind
        attr[rows, first:] = attr[rows, first:].mean(axis=0, dtype=np.float64)
    return pairs._replace(attr=attr)


def _within_chromosomes(graph: GenomeGraph, groups: np.ndarray, pairs: Pairs) -> Pairs:
    """A pair between chromosomes becomes its end in the larger group, twice: it says chromosome and groups."""
    size = np.bincount(groups, weights=~graph.masked)
    home = np.where(size[groups[pairs.first]] >= size[groups[pairs.second]], pairs.first, pairs.second)
    is_between = graph.nodes.distance(pairs.first, pairs.second) < 0
    first, second = (np.where(is_between, home, each) for each in (pairs.first, pairs.second))
    return pairs._replace(first=first, second=second)
