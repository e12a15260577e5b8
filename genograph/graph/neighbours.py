"""The neighbourhood of a few nodes, from the edges sorted by destination: what every training step asks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from genograph.graph.genome_graph import GenomeGraph


def strongest_partners(graph: GenomeGraph, seeds: np.ndarray, k: int, allowed: np.ndarray | None = None) -> np.ndarray:
    """The nodes outside of `seeds` with the greatest summed weight of edges to them, strongest first.

    Linear edges do not count: what lies beside a window is no news. Ties go to the lower node.

    Args:
        graph: The genome's graph; its `partners_from` is asked if it has one.
        seeds: (seeds,) nodes of a window.
        k: How many at most; fewer come back where there are no more.
        allowed: (nodes,) True for nodes that may be used, such as those of one split. Masked nodes
            never are.
    """
    if not k:
        return np.empty(0, dtype=np.int64)
    graph = graph.partners_from or graph
    edges = edges_into(graph, seeds)
    source = graph.edge_index[0, edges]
    usable = graph.is_contact(graph.edge_type[edges]) & ~(graph.masked[source] | np.isin(source, seeds))
    if allowed is not None:
        usable &= allowed[source]
    partners, place = np.unique(source[usable], return_inverse=True)
    weight = np.bincount(place, weights=graph.weight[edges[usable]], minlength=len(partners))
    return partners[np.argsort(-weight, kind="stable")[:k]]


def induced_edges(graph: GenomeGraph, nodes: np.ndarray, lookup: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The edges among some nodes, which are numbered by their place in `nodes`.

    Args:
        graph: The genome's graph.
        nodes: (n,) distinct nodes.
        lookup: (graph.num_nodes,) int64, all -1; it is used as scratch space and left as it was found,
            so that one array serves every call.

    Returns:
        `edge_index` (2, edges) int64 sorted by destination, and `edge_attr` (edges, attributes).
    """
    edges = edges_into(graph, nodes)
    lookup[nodes] = np.arange(len(nodes))
    source, destination = lookup[graph.edge_index[:, edges]]
    lookup[nodes] = -1
    inside = source >= 0
    return np.stack([source[inside], destination[inside]]), graph.edge_attr[edges[inside]]


def edges_of_samples(
    graph: GenomeGraph, samples: Sequence[np.ndarray], lookup: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The edges among the nodes of each of some samples; none joins two samples.

    Args:
        graph: The genome's graph.
        samples: The nodes of each, distinct ones; they are numbered on from one sample to the next.
        lookup: As of `induced_edges`.

    Returns:
        As `induced_edges`.
    """
    found = [induced_edges(graph, nodes, lookup) for nodes in samples]
    offset = np.cumsum([0, *(len(nodes) for nodes in samples)])
    index = [each + first for (each, _), first in zip(found, offset[:-1], strict=True)]
    return np.concatenate(index, axis=1), np.concatenate([attributes for _, attributes in found])


def edges_into(graph: GenomeGraph, nodes: np.ndarray) -> np.ndarray:
    """Numbers of the edges into each node, in the order of `nodes`."""
    first, counts = graph.indptr[nodes], graph.indptr[nodes + 1] - graph.indptr[nodes]
    before = np.cumsum(counts) - counts
    return np.arange(counts.sum()) + np.repeat(first - before, counts)
