"""Levels of a graph: larger nodes, each a group of the smallest ones, with edges of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from genograph.assays.coarsened import coarsened
from genograph.errors import InputError
from genograph.genome.bins import Bins, bins_to_nodes
from genograph.graph.batch import NodeGraph
from genograph.graph.building import EdgeBuilder, Known, build_graph
from genograph.graph.controls import NothingToChange, node_groups
from genograph.graph.genome_graph import GenomeGraph
from genograph.graph.neighbours import edges_of_samples
from genograph.graph.stored import graph_key, stored_graph

Control = Callable[[GenomeGraph, np.ndarray, np.random.Generator], GenomeGraph]


def build_levels(
    edges: Sequence[Sequence[EdgeBuilder]], nodes: Bins, sizes: Sequence[int], known: Known, folder: Path | None = None
) -> list[GenomeGraph]:
    """The graph of the smallest nodes of a genome, and those of larger ones.

    The contacts of larger nodes are those that are known, summed; see `coarsened`. A remainder at a chromosome's end is
    a node of its own.

    Args:
        edges: Builders of each level; none gives a graph without edges.
        nodes: The smallest ones.
        sizes: bp of the larger ones, level by level, multiples of the size of the smallest.
        known: Of the smallest nodes, as `build_graph` takes it.
        folder: Where large graphs are kept, see `stored_graph`; None for nowhere.

    Raises:
        InputError: As `build_graph`, and if a size is no multiple.
    """
    levels = []
    for builders, size in zip(edges, [None, *sizes], strict=True):
        tiles = nodes if size is None else Bins(nodes.sizes, size, partial=True, circular=nodes.circular)
        key = folder and graph_key(builders, known, size)
        build = partial(_build_level, builders, tiles, size, known)
        levels.append(stored_graph(folder / key, tiles, build) if folder and key else build())
    return levels


def _build_level(builders: Sequence[EdgeBuilder], nodes: Bins, size: int | None, known: Known) -> GenomeGraph:
    contacts = known.contacts
    if contacts is not None and size is not None:
        contacts = coarsened(contacts, nodes)
    return build_graph(builders, nodes, contacts, genes=known.genes, **known.names)


def larger_nodes(node: np.ndarray, nodes: Bins, level: GenomeGraph) -> np.ndarray:
    """The node of a level that holds each of some of the smallest nodes, -1 for -1: shaped as `node`."""
    return np.append(bins_to_nodes(nodes, level.nodes), -1)[node]  # -1 is the last


def control_levels(
    levels: Sequence[GenomeGraph],
    controls: Sequence[Control],
    node_of_bin: np.ndarray,
    split_of_bin: np.ndarray,
    seed: int,
) -> list[GenomeGraph]:
    """The graph of each level as controls change it, one after the other.

    Args:
        levels: The graphs, that of the smallest nodes first.
        controls: See `genograph.graph.controls`. A level in which one finds nothing to change stays.
        node_of_bin: (bins,) the smallest node of each bin, -1 for none.
        split_of_bin: (bins,) TRAIN, VALID, TEST or NONE.
        seed: Of what is random, for each control and level anew.

    Raises:
        InputError: If a control finds nothing to change in any level, or refuses one.
    """
    nodes = [larger_nodes(node_of_bin, levels[0].nodes, each) for each in levels]
    groups = [node_groups(each.nodes, node, split_of_bin) for each, node in zip(levels, nodes, strict=True)]
    found = list(levels)
    for position, control in enumerate(controls):
        refusals = []
        for number, group in enumerate(groups):
            rng = np.random.default_rng([seed, 1000 + position, number][: 2 + (number > 0)])
            try:
                found[number] = control(found[number], group, rng)
            except NothingToChange as error:
                refusals.append(error)
            except InputError as error:
                raise (InputError(f"graph.coarse[{number - 1}]: {error}") if number else error) from None
        if len(refusals) == len(found):
            raise refusals[0]
    return found


class LevelReader:
    """A level's part of batches: the larger nodes that the bins of each sample lie in, and the edges among them.

    A node has no more bins in a batch than its sample shows: those of its own split.

    Args:
        graph: Of the level.
        nodes: The smallest nodes.
    """

    def __init__(self, graph: GenomeGraph, nodes: Bins) -> None:
        self.graph, self.at = graph, larger_nodes(np.arange(len(nodes)), nodes, graph)
        self._lookup = np.full(graph.num_nodes, -1, dtype=np.int64)

    def nodes(self, smallest: np.ndarray) -> np.ndarray:
        """The nodes that hold some of the smallest, in order."""
        return np.unique(self.at[smallest])

    def read(self, samples: Sequence[np.ndarray], node_of_bin: np.ndarray) -> NodeGraph:
        """The level of a batch.

        Args:
            samples: The smallest nodes of each sample, numbered on from one to the next.
            node_of_bin: (bins,) number of each bin's smallest node, -1 for none.
        """
        larger = [self.nodes(nodes) for nodes in samples]
        offset = np.cumsum([0, *(len(nodes) for nodes in larger)])
        held = zip(larger, samples, offset[:-1], strict=True)
        number = np.concatenate([first + np.searchsorted(own, self.at[nodes]) for own, nodes, first in held])
        edge_index, edge_attr = edges_of_samples(self.graph, larger, self._lookup)
        return NodeGraph(
            node_of_bin=torch.from_numpy(np.append(number, -1)[node_of_bin]),  # -1 is the last
            num_nodes=int(offset[-1]),
            edge_index=torch.from_numpy(edge_index),
            edge_attr=torch.from_numpy(edge_attr),
        )
