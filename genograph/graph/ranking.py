"""The strongest contacts of every node: what edges within and between chromosomes are chosen by."""

from __future__ import annotations

import numpy as np

from genograph.assays.contacts import ContactMap
from genograph.assays.significance import SignificantPairs
from genograph.errors import InputError
from genograph.graph.genome_graph import Edges

MAX_WEIGHT = 6.0  # log2(1 + O/E) at 63 times the expected; more is an artefact of the map


def strongest_contacts(
    contacts: ContactMap,
    distances: range | None,
    *,
    top_k: int,
    min_oe: float,
    pseudocount: float,
    max_fdr: float | None,
) -> Edges:
    """The pairs that either end ranks among its `top_k`, by observed over expected contacts (O/E).

    The ratio is shrunk towards 1: (reads + pseudocount) / (expected reads + pseudocount). The weight is log2(1 + that),
    at most 6: 1 for a pair that meets as often as expected and 2 for three times that.

    Args:
        contacts: The map.
        distances: In nodes, of the pairs that may be ranked; None for pairs between chromosomes.
        top_k: Partners that each node ranks.
        min_oe: Pairs with a smaller ratio are left out.
        pseudocount: In reads.
        max_fdr: Ranked are only pairs that `SignificantPairs` has at this false discovery rate; None for all.
    """
    partners = _Partners(len(contacts.nodes), top_k)
    significant = None if max_fdr is None else SignificantPairs.of(contacts, distances, max_fdr)
    for row, col, balanced, oe in contacts.blocks():
        oe = _shrunken(contacts, row, col, balanced, oe, pseudocount)
        kept = np.flatnonzero(_is_within(contacts.nodes.distance(row, col), distances) & (oe >= min_oe))
        if significant is not None:
            kept = kept[significant.has(row[kept], col[kept], balanced[kept])]
        partners.offer(row[kept], col[kept], oe[kept])
    node, partner, oe = partners.ranked()
    return Edges(node, partner, np.minimum(np.log2(1 + oe), MAX_WEIGHT))


def check_ranking(
    name: str, *, top_k: int, max_fdr: float | None, downsample: float, **not_negative: float | None
) -> None:
    """Raise `InputError` if an option of edge type `name` is out of range."""
    if top_k < 1:
        raise InputError(f"{name}: top_k must be at least 1; got {top_k}.")
    if not 0 < downsample <= 1:
        raise InputError(f"{name}: downsample is a share of the reads, more than 0 to 1; got {downsample}.")
    if max_fdr is not None and not 0 < max_fdr < 1:
        raise InputError(f"{name}: max_fdr is a share of the pairs, between 0 and 1, or null; got {max_fdr}.")
    for option, value in not_negative.items():
        if value is not None and value < 0:
            raise InputError(f"{name}: {option} must not be negative; got {value}.")


def known_contacts(name: str, contacts: ContactMap | None, downsample: float, seed: int) -> ContactMap:
    """The map, with a share of its reads; `InputError` that names the edge type if there is none."""
    if contacts is None:
        raise InputError(f"'{name}' edges need a contact map; set contacts.file in the config and prepare again.")
    return contacts if downsample == 1 else contacts.thinned(downsample, seed)


def _shrunken(
    contacts: ContactMap, row: np.ndarray, col: np.ndarray, balanced: np.ndarray, oe: np.ndarray, pseudocount: float
) -> np.ndarray:
    pseudo = pseudocount * contacts.weight[row] * contacts.weight[col]
    return ((balanced + pseudo) / (balanced / oe + pseudo)).astype(np.float32)


def _is_within(distance: np.ndarray, distances: range | None) -> np.ndarray:
    if distances is None:
        return distance < 0
    return (distance >= distances.start) & (distance < distances.stop)


class _Partners:
    """The best partners of every node among the pairs offered so far; ties go to the lower node.

    Memory is nodes times `top_k`, however many pairs are offered, and the order of offers is of no
    consequence.
    """

    def __init__(self, num_nodes: int, top_k: int) -> None:
        self.partner = np.full((num_nodes, top_k), -1, dtype=np.int64)
        self.score = np.full((num_nodes, top_k), -np.inf, dtype=np.float32)

    def offer(self, row: np.ndarray, col: np.ndarray, score: np.ndarray) -> None:
        node, partner, score = np.concatenate([row, col]), np.concatenate([col, row]), np.tile(score, 2)
        has_chance = score >= self.score[node, -1]
        node, partner, score = node[has_chance], partner[has_chance], score[has_chance]
        touched = np.unique(node)
        top_k = self.partner.shape[1]
        node = np.concatenate([node, np.repeat(touched, top_k)])
        partner = np.concatenate([partner, self.partner[touched].ravel()])
        score = np.concatenate([score, self.score[touched].ravel()])
        order = np.lexsort((partner, -score, node))
        node, partner, score = node[order], partner[order], score[order]
        rank = np.arange(len(node)) - np.searchsorted(node, node)
        best = rank < top_k
        self.partner[node[best], rank[best]] = partner[best]
        self.score[node[best], rank[best]] = score[best]

    def ranked(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Node, partner and score of every ranked pair, each (pairs,)."""
        is_ranked = self.partner >= 0
        node = np.repeat(np.arange(len(is_ranked)), is_ranked.sum(axis=1))
        return node, self.partner[is_ranked], self.score[is_ranked]
