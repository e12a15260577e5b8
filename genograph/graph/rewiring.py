"""Pairs of nodes exchange partners: random graphs in which every node keeps its degree and about its strength."""

from __future__ import annotations

import numpy as np

from genograph.genome.bins import Bins
from genograph.graph.genome_graph import Pairs

SWAPS = 10  # per pair
CLASSES = 8  # of weight
MAX_ROUNDS = 100  # where hardly any swap is possible, such as in a star


def group_pair(groups: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """A number for the two groups that each pair joins, the same either way round: (pairs,)."""
    one, other = groups[first].astype(np.int64), groups[second].astype(np.int64)
    return np.minimum(one, other) * (int(groups.max(initial=0)) + 1) + np.maximum(one, other)


def pair_key(num_nodes: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """A number for each pair of nodes, the same either way round: (pairs,)."""
    return np.minimum(first, second) * np.int64(num_nodes) + np.maximum(first, second)


def weight_class(pairs: Pairs) -> np.ndarray:
    """The class of every pair's weight: (pairs,) int, 0 to 7.

    The classes of a type are cut at the eighths of its weights, so that each has about as many pairs; equal weights
    are in one class.
    """
    found = np.zeros(len(pairs.kind), dtype=np.int64)
    for kind in np.unique(pairs.kind):
        rows = pairs.kind == kind
        weight = pairs.attr[rows, 0]
        found[rows] = np.searchsorted(np.quantile(weight, np.arange(1, CLASSES) / CLASSES), weight)
    return found


def swap_partners(pairs: Pairs, groups: np.ndarray, rng: np.random.Generator) -> Pairs:
    """Random pairs in which every node has as many of each type and class of weight to each group as before.

    Double-edge swaps (Maslov and Sneppen 2002, Science 296:910): a-b and c-d become a-d and c-b, unless that joins a
    node to itself or two nodes twice by one type. Many are tried at once, on distinct pairs. For each type, class of
    weight and two groups there are `SWAPS` swaps a pair, as far as `MAX_ROUNDS` rounds find them.

    Args:
        pairs: What is rewired. Its rows of `attr` stay as they are: what they say of distance is then wrong.
        groups: (nodes,) int, group of each node, from 0 on.
        rng: Of the swaps.
    """
    cell, first, second = _cells(pairs, groups, weight_class(pairs))
    is_within = groups[first] == groups[second]
    count = np.bincount(cell)
    missing = np.where(count > 1, SWAPS * count, 0)
    for _ in range(MAX_ROUNDS):
        rows = np.flatnonzero(missing[cell] > 0)
        if len(rows) == 0:
            break
        turn = rows[is_within[rows] & (rng.random(len(rows)) < 0.5)]
        first[turn], second[turn] = second[turn], first[turn]
        one, other = _partnered(cell, rows, rng.random(len(rows)))
        is_allowed = _stays_simple(pairs._replace(first=first, second=second), one, other, len(groups))
        one, other = one[is_allowed], other[is_allowed]
        second[one], second[other] = second[other], second[one]
        missing -= np.bincount(cell[one], minlength=len(missing))
    return pairs._replace(first=first, second=second)


def part_again(pairs: Pairs, before: Pairs, groups: np.ndarray, rng: np.random.Generator) -> Pairs:
    """Pairs of `swap_partners`, of which those that there were before have swapped on where that makes no such pair.

    The more pairs a few nodes have, the more come back by chance. Every node has as many as with `swap_partners`.

    Args:
        pairs: As `swap_partners` gives them.
        before: What it was given.
        groups: (nodes,) int, group of each node, from 0 on.
        rng: Of the swaps.
    """
    cell, first, second = _cells(pairs, groups, weight_class(pairs))
    known = _keys(before, len(groups))
    order = np.argsort(cell, kind="stable")
    start, end = (np.searchsorted(cell[order], cell, side=side) for side in ("left", "right"))
    rows = np.flatnonzero(end - start > 1)
    for _ in range(MAX_ROUNDS):
        now = pairs._replace(first=first, second=second)
        rows = rows[np.isin(_keys(now.take(rows), len(groups)), known)]
        if len(rows) == 0:
            break
        one, other = rows, order[start[rows] + (rng.random(len(rows)) * (end - start)[rows]).astype(np.int64)]
        turn = other[(groups[first[other]] == groups[second[other]]) & (rng.random(len(other)) < 0.5)]
        first[turn], second[turn] = second[turn], first[turn]
        is_first = np.isin(np.arange(2 * len(one)), np.unique(np.stack([one, other], axis=1), return_index=True)[1])
        is_apart = is_first.reshape(-1, 2).all(axis=1)  # no pair swaps twice at once, or with itself
        one, other = one[is_apart], other[is_apart]
        is_allowed = _stays_simple(now._replace(first=first, second=second), one, other, len(groups), known)
        one, other = one[is_allowed], other[is_allowed]
        second[one], second[other] = second[other], second[one]
    return pairs._replace(first=first, second=second)


def octave(nodes: Bins, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The class of every pair's distance, each twice as wide as the one before: (pairs,) int, binary digits of the bp.

    Between chromosomes it is 0.
    """
    return np.frexp(np.maximum(nodes.bp_between(first, second), 0).astype(np.float64))[1].astype(np.int64)


def swap_at_distance(pairs: Pairs, nodes: Bins, groups: np.ndarray, rng: np.random.Generator) -> Pairs:
    """Random pairs in which every node has as many of each type to each group, and each pair its class of distance.

    Swaps as those of `swap_partners`, but two pairs of one `octave` trade partners only if both stay in it, whatever
    their weights. Only pairs near each other can, so these are tried: in order of a random place within their distance
    from an end. Then those that there were before swap on, where that makes no such pair, in at most `MAX_ROUNDS`
    rounds more.

    Args:
        pairs: What is rewired. Its rows of `attr` stay as they are: what they say of distance is then wrong.
        nodes: The genome's nodes.
        groups: (nodes,) int, group of each node, from 0 on.
        rng: Of the swaps.
    """
    distance = octave(nodes, pairs.first, pairs.second)
    cell, first, second = _cells(pairs, groups, distance)
    is_within, known = groups[first] == groups[second], _keys(pairs, len(groups))
    reach = np.where(distance > 0, 2.0**distance, max(nodes.sizes.values()))

    def swap_some(is_tried: np.ndarray, avoided: np.ndarray | None = None) -> np.ndarray:
        """Let those pairs that are tried, and others of their cell, trade partners: the rows that did, one of two."""
        rows = np.flatnonzero(np.isin(cell, cell[is_tried]))
        turn = rows[is_within[rows] & (rng.random(len(rows)) < 0.5)]
        first[turn], second[turn] = second[turn], first[turn]
        one, other = _partnered(cell, rows, nodes.starts(first[rows]) + reach[rows] * rng.random(len(rows)))
        is_near = is_tried[one] | is_tried[other]
        is_near &= octave(nodes, first[one], second[other]) == distance[one]
        is_near &= octave(nodes, first[other], second[one]) == distance[one]
        one, other = one[is_near], other[is_near]
        now = pairs._replace(first=first, second=second)
        is_allowed = _stays_simple(now, one, other, len(groups), avoided)
        one, other = one[is_allowed], other[is_allowed]
        second[one], second[other] = second[other], second[one]
        return one

    count = np.bincount(cell)
    missing = np.where(count > 1, SWAPS * count, 0)
    for _ in range(MAX_ROUNDS):
        if not (missing > 0).any():
            break
        missing -= np.bincount(cell[swap_some(missing[cell] > 0)], minlength=len(missing))
    for _ in range(MAX_ROUNDS):
        is_known = _is_among(_keys(pairs._replace(first=first, second=second), len(groups)), known)
        if not is_known.any():
            break
        swap_some(is_known, known)
    return pairs._replace(first=first, second=second)


def _cells(pairs: Pairs, groups: np.ndarray, part: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A number for type, class and two groups of each pair, and its ends, that of the lower group first.

    Args:
        pairs: The pairs.
        groups: (nodes,) int, group of each node.
        part: (pairs,) int, the class of each, from 0 on, such as that of its weight.
    """
    cell = pairs.kind.astype(np.int64) * (int(part.max(initial=0)) + 1) + part
    cell *= (int(groups.max(initial=0)) + 1) ** 2
    cell = np.unique(cell + group_pair(groups, pairs.first, pairs.second), return_inverse=True)[1]
    is_turned = groups[pairs.first] > groups[pairs.second]  # ends that trade places must be of one group
    first = np.where(is_turned, pairs.second, pairs.first)
    return cell, first, np.where(is_turned, pairs.first, pairs.second)


def _partnered(cell: np.ndarray, rows: np.ndarray, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows two by two, both of one cell, neighbours by `place`, (rows,) from 0 on; an odd one is left out."""
    rows = rows[np.argsort(cell[rows] + place / (2 * place.max(initial=1)))]  # in a cell the place adds half at most
    rank = np.arange(len(rows)) - np.searchsorted(cell[rows], cell[rows])
    is_first = (rank[:-1] % 2 == 0) & (cell[rows[:-1]] == cell[rows[1:]])
    return rows[:-1][is_first], rows[1:][is_first]


def _stays_simple(
    pairs: Pairs, one: np.ndarray, other: np.ndarray, num_nodes: int, known: np.ndarray | None = None
) -> np.ndarray:
    """Whether pairs `one` and `other` may trade second ends, all of them at once: (len(one),) bool.

    They may not make a pair that there is, nor one of those `known`.
    """
    first, second = pairs.take(one), pairs.take(other)
    new = np.stack(
        [_keys(first._replace(second=second.second), num_nodes), _keys(second._replace(second=first.second), num_nodes)]
    )
    has_ends = (first.first != second.second) & (second.first != first.second)
    present = _keys(pairs, num_nodes)
    is_new = ~_is_among(new, present if known is None else np.append(present, known))
    _, place, count = np.unique(new, return_inverse=True, return_counts=True)
    return has_ends & (is_new & (count[place].reshape(new.shape) == 1)).all(axis=0)


def _is_among(values: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Whether each value is one of those, as `np.isin` says, in a fraction of its time: the shape of the values."""
    among = np.sort(among)
    return among[np.searchsorted(among[:-1], values)] == values


def _keys(pairs: Pairs, num_nodes: int) -> np.ndarray:
    """A number for the type and the two nodes of each pair: (pairs,)."""
    return pairs.kind.astype(np.int64) * num_nodes**2 + pair_key(num_nodes, pairs.first, pairs.second)
