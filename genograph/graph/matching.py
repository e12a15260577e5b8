"""Random pairs of nodes by genomic distance, as many as a graph has or the nearest there are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from genograph.genome.bins import Bins
from genograph.genome.regions import Regions
from genograph.genome.sites import Sites
from genograph.graph.genome_graph import GenomeGraph, Pairs, pairs_apart
from genograph.graph.rewiring import group_pair, pair_key

PER_DECADE = 10  # classes of distance of nodes that do not follow one another


def distance_class(nodes: Bins, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Nodes from one to the other: (pairs,). If of unequal length or with gaps between, tenths of log10 of the bp."""
    if not isinstance(nodes, Regions | Sites):
        return nodes.distance(first, second)
    return np.floor(PER_DECADE * np.log10(np.maximum(nodes.bp_between(first, second), 1))).astype(np.int64)


def by_type_and_chrom(graph: GenomeGraph, pairs: Pairs) -> Iterator[tuple[int, str, Pairs]]:
    """The pairs of each type on each chromosome, that of their first node."""
    chroms = graph.nodes.chroms
    for key, rows in _alike(pairs.kind.astype(np.int64) * len(chroms) + graph.nodes.chrom_index(pairs.first)):
        kind, chrom = divmod(key, len(chroms))
        yield kind, chroms[chrom], pairs.take(rows)


def redrawn(graph: GenomeGraph, chrom: str, pairs: Pairs, groups: np.ndarray, rng: np.random.Generator) -> Pairs:
    """Other pairs of a chromosome's nodes, as many at each distance (`distance_class`) and of each two groups.

    Drawn without replacement with a chance proportional to the product of the degrees that `pairs` give the two
    nodes. The rows of `attr` are shuffled among the pairs of one distance and two groups.

    Args:
        graph: Whose nodes they are.
        chrom: A chromosome.
        pairs: Pairs of one type on it.
        groups: (nodes,) int, group of each node, from 0 on.
        rng: Of the draw.
    """
    degree = np.bincount(np.concatenate([pairs.first, pairs.second]), minlength=graph.num_nodes)
    parts = []
    for distance, rows in _alike(distance_class(graph.nodes, pairs.first, pairs.second)):
        old = pairs.take(rows)
        first, second = _candidates(graph.nodes, chrom, distance, degree > 0)
        chance = degree[first] * degree[second]
        first, second, chance = first[chance > 0], second[chance > 0], chance[chance > 0]
        cell, old_cell = group_pair(groups, first, second), group_pair(groups, old.first, old.second)
        # The earliest of exponential arrivals are a weighted draw without replacement.
        arrival = rng.exponential(size=len(cell)) / chance
        chosen = earliest(cell, arrival, *np.unique(old_cell, return_counts=True))
        shuffled = np.lexsort((rng.random(len(old_cell)), old_cell))
        parts.append(old.take(shuffled)._replace(first=first[chosen], second=second[chosen]))
    return joined(*parts)


def _candidates(nodes: Bins, chrom: str, distance: int, is_used: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of a chromosome's nodes of one class of distance, each once: two of (pairs,).

    Args:
        nodes: The genome's nodes.
        chrom: A chromosome.
        distance: The class, see `distance_class`.
        is_used: (nodes,) True for nodes that are needed; others may be left out.
    """
    if not isinstance(nodes, Regions | Sites):
        return pairs_apart(nodes, chrom, distance)
    span, size = nodes.span(chrom), nodes.sizes[chrom]
    number = span.start + np.flatnonzero(is_used[span])
    middle = (nodes.starts(number) + nodes.ends(number)) // 2
    number, middle = number[order := np.argsort(middle, kind="stable")], middle[order]
    round_trip = np.append(middle, middle + size) if chrom in nodes.circular else middle
    low, high = (10 ** ((distance + more) / PER_DECADE) for more in (0, 1))
    place, count = np.arange(len(number)), len(number)
    start = np.maximum(np.searchsorted(round_trip, middle + int(low) - 1), place + 1)
    end = np.minimum(np.searchsorted(round_trip, middle + int(high) + 1, side="right"), place + count)
    found = np.maximum(end - start, 0)
    one = np.repeat(place, found)
    other = np.repeat(start - (np.cumsum(found) - found), found) + np.arange(len(one))
    way = 2 * (round_trip[other] - middle[one])  # of a circle's two ways the shorter one
    is_once = (way < size) | ((way == size) & (one < other % count)) if chrom in nodes.circular else way >= 0
    first, second = number[one[is_once]], number[other[is_once] % max(count, 1)]
    is_alike = distance_class(nodes, first, second) == distance
    return first[is_alike], second[is_alike]


def nearest_free(
    graph: GenomeGraph,
    chrom: str,
    cells: np.ndarray,
    taken: Pairs,
    groups: np.ndarray,
    rng: np.random.Generator,
    *,
    start: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest pairs of a chromosome's unmasked nodes: two of (pairs,), fewer than asked for if there are no more.

    Of the last distance that is needed, pairs are drawn at random.

    Args:
        graph: Whose nodes they are.
        chrom: A chromosome.
        cells: (pairs,) which two groups each is to join, see `group_pair`.
        taken: Pairs that are not free.
        groups: (nodes,) int, group of each node, from 0 on.
        rng: Of the draw.
        start: The least distance in nodes.
    """
    wanted, missing = np.unique(cells, return_counts=True)
    taken_keys = pair_key(graph.num_nodes, taken.first, taken.second)
    taken_distance = graph.nodes.distance(taken.first, taken.second)
    found, span = [np.empty((2, 0), dtype=np.int64)], graph.nodes.span(chrom)
    for distance in range(start, span.stop - span.start):
        first, second = pairs_apart(graph.nodes, chrom, distance)
        is_taken = np.isin(pair_key(graph.num_nodes, first, second), taken_keys[taken_distance == distance])
        is_free = ~(is_taken | graph.masked[first] | graph.masked[second])
        first, second = first[is_free], second[is_free]
        cell = group_pair(groups, first, second)
        chosen = earliest(cell, rng.random(len(cell)), wanted, missing)
        found.append(np.stack([first[chosen], second[chosen]]))
        missing = missing - np.bincount(np.searchsorted(wanted, cell[chosen]), minlength=len(wanted))
        if not missing.any():
            break
    first, second = np.concatenate(found, axis=1)
    return first, second


def earliest(cell: np.ndarray, arrival: np.ndarray, wanted: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Numbers of the first to arrive of each cell, sorted by cell.

    Args:
        cell: (candidates,) int.
        arrival: (candidates,) float, smaller is earlier.
        wanted: (cells,) int, sorted; candidates of other cells are left out.
        count: (cells,) how many of each.
    """
    order = np.lexsort((arrival, cell))
    ordered = cell[order]
    rank = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    place = np.minimum(np.searchsorted(wanted, ordered), len(wanted) - 1)
    return order[(wanted[place] == ordered) & (rank < count[place])]


def joined(*parts: Pairs) -> Pairs:
    """All pairs of some parts."""
    return Pairs(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def _alike(key: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Each value of `key`, and where it stands."""
    order = np.argsort(key, kind="stable")
    values, starts = np.unique(key[order], return_index=True)
    for value, start, end in zip(values.tolist(), starts, [*starts[1:], len(key)], strict=False):
        yield value, order[start:end]
