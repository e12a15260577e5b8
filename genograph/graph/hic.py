"""Edges from a contact map: pairs that meet more often than their distance explains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from genograph.assays.contacts import ContactMap
from genograph.errors import InputError
from genograph.genome.bins import Bins
from genograph.graph.building import Known
from genograph.graph.genome_graph import Edges

MAX_WEIGHT = 6.0  # log2(1 + O/E) at 63 times the expected; more is an artefact of the map


@dataclass(frozen=True, kw_only=True)
class HiCEdges:
    """Join every node to the `top_k` nodes it meets most often for their distance.

    Pairs are ranked by observed over expected contacts (O/E), shrunk towards 1 by `pseudocount` reads:
    (reads + pseudocount) / (expected reads + pseudocount). Without that a single read far away, where
    hardly any is expected, outranks a loop seen in fifty. A pair stays if either end ranks it, so a node
    may have more than `top_k` edges; a repeat that reads of many places map to becomes a hub, which the
    greatest degree in `GenomeGraph.summary` shows. The weight of an edge is log2(1 + O/E), at most 6: it is 1 for a
    pair that meets as often as expected and 2 for three times that.

    With `downsample` the edges are those of a shallower map, see `ContactMap.thinned`.
    """

    name: ClassVar[str] = "hic"
    needs_contacts: ClassVar[bool] = True

    top_k: int = 8
    min_distance: int = 20_000  # bp; closer pairs meet whatever the fold, and linear edges join them
    max_distance: int | None = None  # bp
    min_oe: float = 1.0
    pseudocount: float = 1.0  # reads
    trans: bool = False  # also the top_k of each node on other chromosomes
    downsample: float = 1.0  # share of the reads that are kept, at random
    seed: int = 0  # of that choice

    def __post_init__(self) -> None:
        if self.top_k < 1:
            raise InputError(f"hic: top_k must be at least 1; got {self.top_k}.")
        if self.max_distance is not None and self.max_distance < self.min_distance:
            raise InputError(f"hic: max_distance {self.max_distance} is below min_distance {self.min_distance} bp.")
        if not 0 < self.downsample <= 1:
            raise InputError(f"hic: downsample is a share of the reads, more than 0 to 1; got {self.downsample}.")
        for option in ("min_distance", "min_oe", "pseudocount", "seed"):
            if getattr(self, option) < 0:
                raise InputError(f"hic: {option} must not be negative; got {getattr(self, option)}.")

    def __call__(self, nodes: Bins, known: Known) -> Edges:
        contacts = known.contacts
        if contacts is None:
            raise InputError("'hic' edges need a contact map; set contacts.file in the config and prepare again.")
        self._check_reach(contacts)
        if self.downsample < 1:
            contacts = contacts.thinned(self.downsample, self.seed)
        near, far = _Partners(len(nodes), self.top_k), _Partners(len(nodes), self.top_k)
        for row, col, oe in self._candidates(contacts):
            distance = nodes.distance(row, col)
            is_near = self._in_reach(distance * nodes.bin_size) & (distance > 0)
            near.offer(row[is_near], col[is_near], oe[is_near])
            if self.trans:
                is_far = distance < 0
                far.offer(row[is_far], col[is_far], oe[is_far])
        source, destination, oe = (np.concatenate(each) for each in zip(near.ranked(), far.ranked(), strict=True))
        return Edges(source, destination, np.minimum(np.log2(1 + oe), MAX_WEIGHT))

    def _check_reach(self, contacts: ContactMap) -> None:
        asked = self.min_distance if self.max_distance is None else self.max_distance
        if contacts.max_distance is not None and asked > contacts.max_distance:
            raise InputError(
                f"hic: edges up to {asked} bp need contacts up to there, but the store keeps those within "
                f"{contacts.max_distance} bp. Raise contacts.max_distance and prepare again."
            )
        if self.trans and np.isnan(contacts.trans_expected):
            raise InputError(
                "hic: trans edges need contacts between chromosomes. "
                "Set contacts.trans: true in the config and prepare again."
            )

    def _in_reach(self, distance: np.ndarray) -> np.ndarray:
        reach = np.inf if self.max_distance is None else self.max_distance
        return (distance >= self.min_distance) & (distance <= reach)

    def _candidates(self, contacts: ContactMap) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Pairs with their shrunken O/E, where that is at least `min_oe`."""
        for row, col, balanced, oe in contacts.blocks():
            pseudo = self.pseudocount * contacts.weight[row] * contacts.weight[col]
            shrunken = ((balanced + pseudo) / (balanced / oe + pseudo)).astype(np.float32)
            enough = shrunken >= self.min_oe
            yield row[enough], col[enough], shrunken[enough]


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
        node, rank = np.nonzero(self.partner >= 0)
        return node, self.partner[node, rank], self.score[node, rank]
