"""Random pairs of nodes by genomic distance, as many as a graph has or the nearest there are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from genograph.graph.genome_graph import GenomeGraph, Pairs, pairs_apart
from genograph.graph.rewiring import group_pair, pair_key


def by_type_and_chrom(graph: GenomeGraph, pairs: Pairs) -> Iterator[tuple[int, str, Pairs]]:
    """The pairs of each type on each chromosome, that of their first node."""
    chroms = graph.nodes.chroms
    for key, rows in _alike(pairs.kind.astype(np.int64) * len(chroms) + graph.nodes.chrom_index(pairs.first)):
        kind, chrom = divmod(key, len(chroms))
        yield kind, chroms[chrom], pairs.take(rows)


def redrawn(graph: GenomeGraph, chrom: str, pairs: Pairs, groups: np.ndarray, rng: np.random.Generator) -> Pairs:
    """Other pairs of a chromosome's nodes, as many at each distance and of each two groups.

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
    for distance, rows in _alike(graph.nodes.distance(pairs.first, pairs.second)):
        old = pairs.take(rows)
        first, second = pairs_apart(graph.nodes, chrom, distance)
        chance = degree[first] * degree[second]
        first, second, chance = first[chance > 0], second[chance > 0], chance[chance > 0]
        cell, old_cell = group_pair(groups, first, second), group_pair(groups, old.first, old.second)
        # The earliest of exponential arrivals are a weighted draw without replacement.
        arrival = rng.exponential(size=len(cell)) / chance
        chosen = earliest(cell, arrival, *np.unique(old_cell, return_counts=True))
        shuffled = np.lexsort((rng.random(len(old_cell)), old_cell))
        parts.append(old.take(shuffled)._replace(first=first[chosen], second=second[chosen]))
    return joined(*parts)


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
