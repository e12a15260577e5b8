"""Pairs of places in a genome as pairs of nodes."""

from __future__ import annotations

import logging
from typing import Literal

import numpy as np

from genograph.assays.pairs import PlacePairs, Places
from genograph.errors import InputError
from genograph.genome.bins import Bins
from genograph.genome.interval import Interval
from genograph.graph.genome_graph import Edges

MAX_PAIRS = 20_000_000  # of nodes, from one file: two gigabytes of graph

log = logging.getLogger("genograph")

Anchors = Literal["midpoint", "touched"]


def join_places(pairs: PlacePairs, nodes: Bins, anchors: Anchors, source: str) -> Edges:
    """Edges between the nodes of both places of each pair.

    Pairs that lie within one node, or whose ends lie in none, are left out, and counted in the log.

    Args:
        pairs: On the genome of the nodes.
        nodes: The genome's nodes.
        anchors: Whether a place is the node that holds its point, or all nodes that it touches.
        source: What the pairs come from, for messages.

    Raises:
        InputError: If no pair joins two nodes, or so many nodes are joined that they would not fit into memory.
    """
    (row, first), (other, second) = (_nodes_of(each, nodes, anchors) for each in pairs[:2])
    number, first, second = _crossed(row, first, other, second, len(pairs.weight), source)
    joins = first != second
    placed, joined = len(np.unique(number)), len(np.unique(number[joins]))
    nowhere, within = len(pairs.weight) - placed, placed - joined
    told = [f"{within} within one node"] * (within > 0) + [f"{nowhere} beside all nodes"] * (nowhere > 0)
    if not joined:
        raise InputError(
            f"{source}: no pair joins two nodes of {nodes.length}; of {len(pairs.weight)} lie "
            f"{' and '.join(told) or 'none on this genome'}. Use other nodes, or leave these edges out."
        )
    if told:
        log.info("%s: of %d pairs %s are left out.", source, len(pairs.weight), " and ".join(told))
    return Edges(first[joins], second[joins], pairs.weight[number[joins]])


def check_size(count: int, source: str, advice: str) -> None:
    """Refuse pairs of nodes that would not fit into memory.

    Raises:
        InputError: If there are more than `MAX_PAIRS`.
    """
    if count > MAX_PAIRS:
        raise InputError(f"{source}: joins {count:,} pairs of nodes, more than {MAX_PAIRS:,}. {advice}")


def _nodes_of(places: Places, nodes: Bins, anchors: Anchors) -> tuple[np.ndarray, np.ndarray]:
    """The nodes of each place, as pairs of its row and a node, by row: two of (pairs,)."""
    if anchors == "touched":
        spans = [
            nodes.touching(Interval(nodes.chroms[chrom], start, end))
            for chrom, start, end in zip(
                *(each.tolist() for each in (places.chrom, places.start, places.end)), strict=True
            )
        ]
        first, end = np.array([(span.start, span.stop) for span in spans], dtype=np.int64).reshape(-1, 2).T
        count = end - first
        row = np.repeat(np.arange(len(places)), count)
        return row, np.arange(len(row)) + np.repeat(first - (np.cumsum(count) - count), count)
    node = np.full(len(places), -1, dtype=np.int64)
    for chrom in np.unique(places.chrom):
        rows = places.chrom == chrom
        node[rows] = nodes.find(nodes.chroms[chrom], places.start[rows], places.end[rows], places.point[rows])
    row = np.flatnonzero(node >= 0)
    return row, node[row]


def _crossed(
    row: np.ndarray, first: np.ndarray, other: np.ndarray, second: np.ndarray, count: int, source: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every node of a pair's first place with every node of its second: number of the pair, and both nodes."""
    num_first, num_second = (np.bincount(each, minlength=count) for each in (row, other))
    crossed = num_first * num_second
    check_size(int(crossed.sum()), source, "Use anchors: midpoint, or larger nodes.")
    number = np.repeat(np.arange(count), crossed)
    place = np.arange(len(number)) - np.repeat(np.cumsum(crossed) - crossed, crossed)
    start_first, start_second = (np.cumsum(each) - each for each in (num_first, num_second))
    return (
        number,
        first[start_first[number] + place // num_second[number]],
        second[start_second[number] + place % num_second[number]],
    )
