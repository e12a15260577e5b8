"""What a window really shows to a model: its nodes, the edges among them and the bases that are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from genograph.audit.shortcuts import drawn
from genograph.dataset import EmbeddingReader, WindowDataset
from genograph.experiment import Experiment
from genograph.genome.assembly import N
from genograph.genome.interval import Interval
from genograph.genome.sites import Sites
from genograph.genome.splits import SPLITS
from genograph.graph.batch import GenomeBatch
from genograph.graph.genome_graph import GenomeGraph

MAX_WINDOWS = 200  # looked at: half drawn evenly, half where a run of bins begins or ends, where other splits are near
BLOCK = 2**20  # edges at a time


@dataclass(frozen=True)
class Exposure:
    """The batch of one window.

    Attributes:
        dataset: Whose window it is.
        window: Its number there.
        shift: bp that its sequence is read further on.
        own: (n,) nodes of the genome that its bins lie in.
        partners: (m,) its contact partners, likewise.
        batch: As the model gets it.
    """

    dataset: WindowDataset
    window: int
    shift: int
    own: np.ndarray
    partners: np.ndarray
    batch: GenomeBatch

    @classmethod
    def of(cls, dataset: WindowDataset, window: int, *, shift: int = 0) -> Exposure:
        """What a window shows, its sequence read `shift` bp further on."""
        return cls(dataset, window, shift, *_nodes(dataset, window), dataset.make_batch([window], shift=shift))

    @property
    def edges(self) -> np.ndarray:
        """Source and destination of every edge, as nodes of the genome: (2, edges)."""
        return self.edges_at(0)

    def edges_at(self, level: int) -> np.ndarray:
        """The same of a level, as nodes there: (2, edges)."""
        return np.concatenate(self.nodes_at(level))[self.batch.level(level).edge_index.numpy()]

    def nodes_at(self, level: int) -> tuple[np.ndarray, np.ndarray]:
        """The nodes of a level that hold the window's bins, and its partners; all are its own but at level 0."""
        if level == 0:
            return self.own, self.partners
        larger = self.dataset.levels[level - 1].nodes(np.concatenate([self.own, self.partners]))
        return larger, larger[:0]

    def bins_read(self) -> np.ndarray:
        """The bin of every base, N apart, of every piece of sequence and its context: (bases,).

        Left out are bases of no bin, which are of no split, and pieces of a circular chromosome that lies in one split
        as a whole, which have nothing else to read.
        """
        bins, reader = self.dataset.store.bins, self.dataset.reader
        if isinstance(reader, EmbeddingReader):
            return self._bins_embedded(reader)
        chrom, first = self._pieces()
        if isinstance(bins, Sites):
            return self._sites_read(bins, bins.offsets[chrom] + first)
        chroms = np.asarray(bins.chroms)
        circles = bins.chrom_index(self.dataset.runs[reader.is_circle, 0])
        position = (first - reader.halo)[:, None] * bins.bin_size + self.shift + np.arange(self.batch.codes.shape[1])
        sizes = np.array(list(bins.sizes.values()))[chrom, None]
        position = np.where(np.isin(chroms[chrom], list(bins.circular))[:, None], position % sizes, position)
        number = bins.offsets[chrom, None] + position // bins.bin_size
        is_read = (self.batch.codes.numpy() < 4) & (number < bins.offsets[chrom + 1, None])
        return number[is_read & ~np.isin(chrom, circles)[:, None]]

    def _bins_embedded(self, reader: EmbeddingReader) -> np.ndarray:
        """The bins that stored embeddings depend on, as often as they have bases: each as a whole."""
        bins, (run, first) = self.dataset.store.bins, self.dataset.windows[[self.window]].T
        own = self.dataset._bins_of(run, first, self.dataset.batch.window)
        seen = np.concatenate([own.ravel(), self.dataset._partner_stretches(self.partners).bins.ravel()])
        seen = seen[(seen >= 0) & (self.batch.source.numpy() >= 0)]
        low, high = reader.embeddings.encoded_with(seen, bins.offsets)
        reached = np.unique(np.concatenate([np.arange(*each) for each in zip(low, high, strict=True)] or [seen]))
        return np.repeat(reached, bins.bin_size)

    def _sites_read(self, bins: Sites, pieces: np.ndarray) -> np.ndarray:
        """The sites that share a base with what is read about each of some sites; one may come several times."""
        touched = [np.empty(0, dtype=np.int64)]
        for codes, site in zip(self.batch.codes.numpy(), pieces.tolist(), strict=True):
            read = np.flatnonzero(codes < N)
            if len(read):  # nothing of what stands for a site beyond its run
                place = bins.interval(site)
                read += place.start - self.dataset.reader.halo * bins.bin_size + self.shift
                near = bins.touching(Interval(place.chrom, max(int(read[0]), 0), int(read[-1]) + 1))
                touched.append(np.arange(near.start, near.stop))
        return np.concatenate(touched)

    def _pieces(self) -> tuple[np.ndarray, np.ndarray]:
        """Chromosome, and first bin counted from its start, of every piece of sequence, context apart: (pieces,)."""
        dataset, (length, partner_length) = self.dataset, (shape[1] for shape in self.batch.layout)
        run, first = dataset.windows[self.window]
        start = np.append(first, dataset.store.bins_of_node[self.partners, 0])
        lengths = np.array([length] + [partner_length] * len(self.partners))
        chrom = dataset.store.bins.chrom_index(np.append(dataset.runs[run, 0], start[1:]))
        inside = np.concatenate([np.arange(each) for each in lengths])
        source, chunk = self.batch.source.numpy(), dataset.reader.chunk
        piece, at = np.unique(np.where(source >= 0, source // chunk, -1), return_index=True)
        at = at[piece >= 0]
        stretch = np.repeat(np.arange(len(start)), lengths)[at]
        first = start[stretch] + inside[at] - source[at] % chunk
        return chrom[stretch], first - dataset.store.bins.offsets[chrom[stretch]]


def exposures(dataset: WindowDataset, *, shift: int = 0) -> Iterator[Exposure]:
    """What at most `MAX_WINDOWS` windows of a split show."""
    run = dataset.windows[:, 0]
    is_end = np.diff(run, prepend=-1).astype(bool) | np.diff(run, append=-1).astype(bool)
    windows, limit = np.arange(len(run)), MAX_WINDOWS // 2
    for window in np.union1d(drawn(windows, limit), drawn(windows[is_end], limit)):
        yield Exposure.of(dataset, int(window), shift=shift)


def bins_shown(dataset: WindowDataset) -> np.ndarray:
    """The bins that lie in a window of a split, or in a node that may be a window's partner: (bins,) bool."""
    store, shown = dataset.store, np.zeros(len(dataset.store.bins), dtype=bool)
    for windows in np.array_split(dataset.windows, 1 + len(dataset) // MAX_WINDOWS):
        bins = dataset._bins_of(*windows.T, dataset.batch.window)
        shown[bins[bins >= 0]] = True
    if dataset.num_partners:
        source, destination = (dataset.graph.partners_from or dataset.graph).edge_index
        is_own, is_partner = np.zeros((2, len(store.nodes)), dtype=bool)
        has_node = store.node_of_bin >= 0
        is_own[store.node_of_bin[shown & has_node]] = True
        is_partner[source[is_own[destination]]] = True
        shown |= has_node & (is_partner & dataset._may_be_partner)[store.node_of_bin]
    return shown


def splits_of_nodes(experiment: Experiment, level: int = 0) -> np.ndarray:
    """Whether each node of a level has bins of train, valid and test: (nodes, 3)."""
    holds = np.zeros((experiment.levels[level].num_nodes, len(SPLITS)), dtype=bool)
    node = experiment.node_of_bin(level)
    for code in SPLITS.values():
        holds[node[(experiment.split_of_bin == code) & (node >= 0)], code] = True
    return holds


def divided_chroms(experiment: Experiment) -> list[str]:
    """The chromosomes with bins of several splits."""
    bins, split = experiment.store.bins, experiment.split_of_bin
    found = {chrom: np.unique(split[bins.span(chrom)]) for chrom in bins.chroms}
    return [chrom for chrom, codes in found.items() if np.isin(codes, [*SPLITS.values()]).sum() > 1]


def judged_bp(experiment: Experiment, stretch: tuple[int, int], size: int) -> np.ndarray:
    """The bp of bins that enter loss or metrics in each tile of `size` bp of a run of bins: (tiles,)."""
    bins, (first, end) = experiment.store.bins, stretch
    starts = bins.starts(np.arange(first, end)) - bins.starts(np.array(first))
    num_tiles = -(-(int(starts[-1]) + bins.bin_size) // size)
    is_judged = experiment.store.mask[first:end]
    return bins.bin_size * np.bincount(starts[is_judged] // size, minlength=num_tiles)


def strangers(exposure: Exposure, holds: np.ndarray, code: int, level: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The nodes of a window, at a level, that have bins of another split than its own, `code`.

    Returns:
        Those that it should not see, partners or wholly of other splits; and its own that a border divides, of which
        only the bins of its split are shown.
    """
    of_others = np.delete(holds, code, axis=1).any(axis=1)
    own, partners = (nodes[of_others[nodes]] for nodes in exposure.nodes_at(level))
    is_divided = holds[own, code]
    return np.concatenate([own[~is_divided], partners]), own[is_divided]


def foreign_edges(exposure: Exposure, holds: Sequence[np.ndarray], code: int) -> tuple[int, int]:
    """How many edges of a window, on all levels, end in the one and in the other kind of `strangers`.

    Args:
        exposure: Of a window of the split `code`.
        holds: `splits_of_nodes` of each level.
    """
    counts = np.zeros(2, dtype=int)
    for level, held in enumerate(holds):
        edges = exposure.edges_at(level)
        counts += [np.isin(edges, nodes).any(axis=0).sum() for nodes in strangers(exposure, held, code, level)]
    return counts[0], counts[1]


def edges_between(graph: GenomeGraph, holds: np.ndarray) -> int:
    """How many edges of the genome join two splits, either way round counted once; `holds` as of `splits_of_nodes`."""
    count = 0
    for start in range(0, graph.num_edges, BLOCK):
        source, destination = graph.edge_index[:, start : start + BLOCK]
        count += int(((holds[source] | holds[destination]).sum(axis=1) > 1).sum())
    return count // 2


def _nodes(dataset: WindowDataset, window: int) -> tuple[np.ndarray, np.ndarray]:
    """The nodes that a window's bins lie in, and its partners."""
    run, first = dataset.windows[[window]].T
    (sample,) = dataset._samples(dataset._bins_of(run, first, dataset.batch.window))
    return sample.own, sample.partners
