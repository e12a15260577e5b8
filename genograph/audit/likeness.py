"""Are the labels of nodes that contact edges join more alike than those of other nodes as far apart?

In a map of contacts they are a little, as active regions meet active ones. Where edges were made from the labels, such
as from loops between peaks of the track to be predicted, they are alike by construction, in held-out regions too.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from genograph.assays.assay import ASSAYS
from genograph.audit.exposure import splits_of_nodes
from genograph.audit.shortcuts import MAX_BINS, blocks_of_tracks, drawn, group_means, mean_of
from genograph.experiment import Experiment
from genograph.genome.bins import Bins
from genograph.genome.splits import TRAIN
from genograph.graph.matching import distance_class
from genograph.graph.rewiring import pair_key
from genograph.metrics import TrackSums

FEWEST = 50  # nodes with edges that tell something
TRIES = 20  # to find another pair as far apart
SEED = 0


def likeness(experiment: Experiment, level: int = 0) -> dict[str, float]:
    """Pearson r of the labels of the two ends of contact edges of a level, and of other pairs of nodes as far apart.

    Edges whose ends lie in one split, in training and in what is held out apart. A label is the mean of a node's bins
    that enter loss or metrics, for counts of log(1 + x). The other pairs lie on the same chromosome and in the same
    split as those that they are matched to. Both are drawn, with a fixed seed, where there are many.

    Returns:
        `<assay>.train.edges`, `<assay>.train.others` and the same of `held_out`: means over the assay's tracks; NaN
        where undefined, or where edges join fewer than `FEWEST` nodes.
    """
    rng, values = np.random.default_rng(SEED), {}
    for part, (edges, others) in _pairs(experiment, level, rng).items():
        nodes, place = np.unique(np.stack([edges, others]), return_inverse=True)
        edges, others = place.reshape(2, 2, -1)
        is_told = len(np.unique(edges)) >= FEWEST
        for assay in experiment.targets:
            labels = _labels(experiment, level, assay, nodes) if is_told else []
            found = [_alike(label, edges, others) for label in labels]
            for row, name in enumerate(("edges", "others")):
                values[f"{assay}.{part}.{name}"] = mean_of([np.full(1, np.nan), *(each[row] for each in found)])
    return values


def excess(values: Mapping[str, float]) -> dict[str, float]:
    """How much more alike labels are that edges join than those of others as far apart: by `<assay>.<part>`."""
    parts = [key.removesuffix(".edges") for key in values if key.endswith(".edges")]
    return {part: values[f"{part}.edges"] - values[f"{part}.others"] for part in parts}


def _pairs(experiment: Experiment, level: int, rng: np.random.Generator) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Ends of contact edges and of other pairs as far apart, (2, pairs) each, within training and within held-out."""
    graph, store = experiment.levels[level], experiment.store
    holds, number = splits_of_nodes(experiment, level), np.arange(graph.num_nodes)
    is_used = (holds.sum(axis=1) == 1) & ~graph.masked
    node = experiment.node_of_bin(level)
    is_used &= np.bincount(node[node >= 0], store.mask[node >= 0], minlength=graph.num_nodes) > 0
    split = holds.argmax(axis=1)
    group = np.where(is_used, graph.nodes.chrom_index(number) * holds.shape[1] + split, -1)
    contacts = graph.pairs().take(graph.is_contact(graph.pairs().kind))
    edges = np.stack([contacts.first, contacts.second])
    edges = edges[:, is_used[edges].all(axis=0) & (split[edges[0]] == split[edges[1]])]
    limit = max(MAX_BINS * graph.num_nodes // (4 * len(store.bins)), 1)
    known, parts = pair_key(graph.num_nodes, *edges), {}
    for part, inside in (("train", split[edges[0]] == TRAIN), ("held_out", split[edges[0]] != TRAIN)):
        kept = edges[:, drawn(np.flatnonzero(inside), limit)]
        others = _as_far_apart(graph.nodes, kept, group, known, rng)
        is_found = others[0] >= 0
        parts[part] = kept[:, is_found], others[:, is_found]
    return parts


def _as_far_apart(
    nodes: Bins, pairs: np.ndarray, group: np.ndarray, known: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """For each pair of nodes another of the same two groups, as far apart, drawn at random: (2, pairs); -1 for none.

    Args:
        nodes: The genome's nodes.
        pairs: (2, pairs) nodes; of one on two chromosomes the distance does not count.
        group: (nodes,) chromosome and split; -1 for nodes that are not used.
        known: Keys of the pairs that edges join, which are no other pairs.
        rng: Of the draw.
    """
    order = np.argsort(group, kind="stable")
    start, end = (np.searchsorted(group[order], group[pairs], side=side) for side in ("left", "right"))
    found = np.full(pairs.shape, -1)
    is_near = group[pairs[0]] == group[pairs[1]]
    number = np.arange(len(nodes))
    place = nodes.chrom_index(number) * 2 * max(nodes.sizes.values()) + nodes.starts(number)  # ascending
    distance = distance_class(nodes, *pairs)
    for _ in range(TRIES):
        first, second = order[start + (rng.random(pairs.shape) * (end - start)).astype(np.int64)]
        near = np.searchsorted(place, place[first] + place[pairs[1]] - place[pairs[0]])
        second = np.where(is_near, near, second)
        is_inside = second < len(group)
        second = np.where(is_inside, second, 0)
        is_other = ~np.isin(pair_key(len(group), first, second), known)
        is_as_far = ~is_near | (distance_class(nodes, first, second) == distance)
        fits = is_inside & is_other & is_as_far & (group[second] == group[pairs[1]]) & (found[0] < 0)
        found[:, fits] = np.stack([first, second])[:, fits]
    return found


def _labels(experiment: Experiment, level: int, assay: str, nodes: np.ndarray) -> list[np.ndarray]:
    """The mean label of each node, for some tracks at a time: (nodes, tracks) each, NaN where nothing is measured."""
    node_of_bin = experiment.node_of_bin(level)
    bins = np.flatnonzero(np.isin(node_of_bin, nodes) & experiment.store.mask)
    first = np.flatnonzero(np.diff(node_of_bin[bins], prepend=-1))
    is_count = ASSAYS[assay].kind == "count"
    return [
        group_means(np.log1p(np.maximum(values, 0)) if is_count else values, first)
        for _, values in blocks_of_tracks(experiment, assay, bins)
    ]


def _alike(label: np.ndarray, *pairs: np.ndarray) -> list[np.ndarray]:
    """r of the labels of both ends of pairs, either way round: (tracks,) for each set of pairs."""
    found = []
    for ends in pairs:
        one, other = label[np.append(*ends)], label[np.append(*ends[::-1])]
        sums, known = TrackSums(label.shape[1]), np.isfinite(one) & np.isfinite(other)
        sums.update(np.where(known, one, 0), other, known)
        found.append(sums.pearsonr())
    return found
