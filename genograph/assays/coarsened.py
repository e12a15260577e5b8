"""A contact map summed to larger nodes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace

import numpy as np

from genograph.assays.contacts import ContactMap, DerivedMap, contacts_by_distance
from genograph.assays.expected import expected_within
from genograph.errors import InputError
from genograph.genome.bins import Bins, bins_to_nodes

PARTS = 2520  # divisible by 1 to 10: what shares of a node are counted in, exact for as many map bins


def coarsened(contacts: ContactMap, nodes: Bins) -> ContactMap:
    """The map over larger nodes, each a group of its own: contacts are summed while they are read, none are written.

    It is what `write_contacts` makes of the same file for these nodes: a node is masked when all of its parts are, its
    weight is the mean over the map bins that are not, and what is expected is counted anew. One thing differs: where
    the map has a `max_distance`, the pairs of nodes just that far apart lack the contacts that lie beyond.

    Args:
        contacts: The map.
        nodes: Of the same genome, their size a multiple of that of the map's nodes.

    Raises:
        InputError: If it is none.
    """
    if nodes.bin_size % contacts.nodes.bin_size:
        raise InputError(
            f"contacts between nodes of {contacts.nodes.bin_size} bp cannot be summed to nodes of {nodes.bin_size} bp; "
            "choose a multiple."
        )
    factor = nodes.bin_size // contacts.nodes.bin_size
    of_node = bins_to_nodes(contacts.nodes, nodes).astype(np.int64)  # pairs of nodes are numbered by products
    mapped = np.bincount(of_node, weights=contacts.mapped, minlength=len(nodes))
    weight = np.bincount(of_node, weights=np.nan_to_num(contacts.weight) * contacts.mapped, minlength=len(nodes))
    own = {each.name: getattr(contacts, each.name) for each in fields(ContactMap)}
    own |= {
        "nodes": nodes,
        "weight": np.divide(weight, mapped, out=np.full(len(nodes), np.nan), where=mapped > 0),
        "mapped": (mapped / factor).astype(np.float32),
        "trans_expected": contacts.trans_expected * factor**2,
    }
    coarse = _CoarseMap(**own, parts=contacts, of_node=of_node)
    valid = np.bincount(of_node, weights=np.rint(contacts.mapped * PARTS), minlength=len(nodes))
    cis, _ = contacts_by_distance(coarse)
    return replace(coarse, expected=expected_within(cis, valid, nodes, PARTS * factor, contacts.max_distance))


@dataclass(frozen=True, kw_only=True)
class _CoarseMap(DerivedMap):
    """A map summed to larger nodes."""

    parts: ContactMap = field(repr=False)
    of_node: np.ndarray = field(repr=False)  # (nodes of `parts`,) the node here

    def pixels(self, size: int = 2_000_000) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        last = np.empty(0, dtype=np.int64), np.empty(0)  # a row of nodes goes on where the next pixels begin
        for row, col, balanced in self.parts.pixels(size):
            pair = self.of_node[row] * len(self.nodes) + self.of_node[col]
            pair, total = _summed(np.append(last[0], pair), np.append(last[1], balanced))
            is_last = pair // len(self.nodes) == pair.max(initial=-1) // len(self.nodes)
            last = pair[is_last], total[is_last]
            yield from self._shown(pair[~is_last], total[~is_last], size)
        yield from self._shown(*last, size)

    def thinned(self, share: float, seed: int) -> ContactMap:
        """The same reads are kept as of the map that is summed."""
        return coarsened(self.parts.thinned(share, seed), self.nodes)

    def _shown(
        self, pair: np.ndarray, total: np.ndarray, size: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Pairs by number as pixels, at most `size` at a time, without those that are too far apart to be whole."""
        row, col = np.divmod(pair, max(len(self.nodes), 1))
        if self.max_distance is not None:
            kept = self.nodes.bp_between(row, col) <= self.max_distance
            row, col, total = row[kept], col[kept], total[kept]
        for start in range(0, len(row), size):
            part = slice(start, start + size)
            yield row[part].astype(np.int32), col[part].astype(np.int32), total[part].astype(np.float32)


def _summed(pair: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of pairs in order, each once, and the sum of the values of each."""
    order = np.argsort(pair, kind="stable")
    pair = pair[order]
    first = np.flatnonzero(np.diff(pair, prepend=-1))
    return pair[first], np.add.reduceat(values[order], first) if len(first) else values
