"""A genome in which every bin spells its own number, so that a test can read off which bin a sequence is.

Bin i spells i in base 3 with A, C and G; T stands only in the remainder of a chromosome, which belongs to no bin,
and where a test puts it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from genograph.assays.targets import Target
from genograph.genome.bins import Bins
from genograph.graph.batch import GenomeBatch
from genograph.graph.building import build_graph
from genograph.graph.genome_graph import Edges, GenomeGraph
from genograph.graph.linear import LinearEdges
from genograph.store import Store, write_manifest

BIN, NODE = 8, 20  # bp; a node holds two or three bins
COUNTS = {"line": 30, "ring": 17, "short": 5}
REMAINDER = 5  # bp at the end of each chromosome
NOT_READ = -2
UNKNOWN = -1

TARGETS = {
    "expression": [
        Target(identifier="fwd", file=Path("fwd.bw"), assay="expression", strand="+", strand_pair="rev"),
        Target(identifier="both", file=Path("both.bw"), assay="expression"),
        Target(identifier="rev", file=Path("rev.bw"), assay="expression", strand="-", strand_pair="fwd"),
    ],
    "methylation": [Target(identifier="meth", file=Path("cells.cov"), assay="methylation")],
}


def write_store(folder: Path, *, painted: Sequence[int] = (), unmasked: np.ndarray | None = None) -> Store:
    """A store of the numbered genome, `ring` circular; the `painted` bins are all T.

    Of bin i the expression is 3 i, 3 i + 1 and 3 i + 2, the methylation i with a coverage of i + 1; every seventh
    bin's methylation is missing.
    """
    sizes = {chrom: count * BIN + REMAINDER for chrom, count in COUNTS.items()}
    bins = Bins(sizes, BIN)
    spelled = np.arange(len(bins))[:, None] // 3 ** np.arange(BIN)[::-1] % 3
    spelled[list(painted)] = 3
    codes = [np.append(spelled[bins.span(chrom)].ravel(), [3] * REMAINDER) for chrom in sizes]
    np.save(folder / "codes.npy", np.concatenate(codes).astype(np.uint8))
    np.save(folder / "mask.npy", np.ones(len(bins), bool) if unmasked is None else unmasked)
    number = np.arange(len(bins), dtype=np.float32)[:, None]
    for kind in ("signals", "coverage"):
        (folder / kind).mkdir()
    np.save(folder / "signals" / "expression.npy", 3 * number + np.arange(3, dtype=np.float32))
    np.save(folder / "signals" / "methylation.npy", np.where(number % 7 == 6, np.float32(np.nan), number))
    np.save(folder / "coverage" / "methylation.npy", np.where(number % 7 == 6, np.float32(0), number + 1))
    write_manifest(
        folder,
        recipe={},
        sources={},
        sizes=sizes,
        circular=["ring"],
        bin_size=BIN,
        node_size=NODE,
        targets=TARGETS,
        report=[],
    )
    return Store.open(folder)


@dataclass(frozen=True)
class Pairs:
    """Edges written out by hand: (node, node, weight)."""

    name: ClassVar[str] = "hic"
    pairs: Sequence[tuple[int, int, float]]

    def __call__(self, nodes: Bins, known: object) -> Edges:
        first, second, weight = np.array(self.pairs, dtype=float).reshape(-1, 3).T
        return Edges(first.astype(int), second.astype(int), weight)


def make_graph(store: Store, pairs: Sequence[tuple[int, int, float]] = ()) -> GenomeGraph:
    """Linear edges and those pairs."""
    return build_graph([LinearEdges(), Pairs(pairs)], store.nodes)


def bin_codes(batch: GenomeBatch, halo: int) -> np.ndarray:
    """(bins, bp) sequence that each bin of a batch is encoded from, -1 where it is not read."""
    codes = batch.codes.numpy()
    inner = codes[:, halo * BIN : codes.shape[1] - halo * BIN].reshape(-1, BIN).astype(int)
    source = batch.source.numpy()
    spelled = np.full((len(source), BIN), -1)
    spelled[source >= 0] = inner[source[source >= 0]]
    return spelled


def read_numbers(codes: np.ndarray, source: np.ndarray, halo: int) -> np.ndarray:
    """(bins,) number that the sequence of each bin spells; UNKNOWN if it is N, NOT_READ if it has none."""
    inner = codes[:, halo * BIN : codes.shape[1] - halo * BIN].reshape(-1, BIN).astype(int)
    number = inner @ 3 ** np.arange(BIN)[::-1]
    number[(inner == 4).all(axis=1)] = UNKNOWN
    assert (inner[number >= 0] < 3).all(), "a bin is read from parts of several"
    spelled = np.full(len(source), NOT_READ)
    spelled[source >= 0] = number[source[source >= 0]]
    return spelled
