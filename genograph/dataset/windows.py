"""Store and graph -> batches: windows of bins, their strongest contact partners, the edges among them.

A batch is bounded by the config, never by the chromosome: `size` windows, for each at most `partners`
nodes that it touches in 3D, and the edges among those. Sequence is read in pieces of `chunk` bins with
context on both sides, so that a window, a partner node and a chromosome's end go the same way.

Nothing crosses a split: beyond the run of bins that a window or a partner lies in there is no sequence (N),
no target and no node.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from genograph.config import AugmentConfig, BatchConfig
from genograph.dataset.augment import reverse_complement
from genograph.dataset.covered import CoveredReader
from genograph.dataset.pieces import PieceReader, Stretches
from genograph.dataset.sampler import FILL, EpochSampler
from genograph.dataset.stored_pieces import EmbeddingReader
from genograph.embeddings import Embeddings
from genograph.errors import InputError
from genograph.genome.splits import runs
from genograph.graph.batch import GenomeBatch
from genograph.graph.genome_graph import GenomeGraph
from genograph.graph.levels import LevelReader
from genograph.graph.neighbours import edges_into, edges_of_samples, strongest_partners
from genograph.metrics import is_positive
from genograph.store import Store

COUNTED_WINDOWS = 50  # to tell how many contacts windows show
NO_AUGMENTATION = AugmentConfig(reverse_complement=False, shift=0)


@dataclass(frozen=True)
class _Sample:
    """One window's graph: its own nodes, then its partners, numbered from `offset` in the batch."""

    own: np.ndarray
    partners: np.ndarray
    offset: int

    def number_own(self, nodes: np.ndarray) -> np.ndarray:
        return np.where(nodes >= 0, self.offset + np.searchsorted(self.own, nodes), -1)

    @property
    def nodes(self) -> np.ndarray:
        return np.concatenate([self.own, self.partners])

    @property
    def partner_numbers(self) -> np.ndarray:
        return self.offset + len(self.own) + np.arange(len(self.partners))


class WindowDataset(Dataset):
    """Windows over the bins of one split, and the batches made of them.

    Args:
        store: The prepared genome.
        graph: Nodes and edges over the whole genome.
        batch: Sizes of windows and batches.
        coarse: The graphs of larger nodes over the whole genome, see `genograph.graph.levels`.
        halo: Bins of context on both sides of a piece, as the encoder needs them.
        allowed: (bins,) True for the bins of the split; windows, partners and sequence stay inside.
        counted: (bins,) True for the bins that count in loss and metrics; None for the store's mask.
        candidates: (bins,) True for the bins that are read from sequence; None for all of them.
        embeddings: What is read in place of sequence; None for sequence.
        features: (nodes + 1, columns) what nodes bring along, the last row for bins of none; None for nothing.
        neighbours: Covered CpGs that are looked up on each side of a bin; None for none.
        stride: Bins from one window to the next; None for the predicted part, so that each bin is met once. With
            a stride the last window of a circular chromosome goes on into the first.
        augment: Reverse complement and shift of a batch, drawn anew for each.
        seed: Of the order and of the augmentation.
        keep_empty: Keep windows in which nothing was measured, as a prediction does.

    Raises:
        InputError: If partners are asked for, but not the size of the pieces they are encoded in.
    """

    def __init__(
        self,
        store: Store,
        graph: GenomeGraph,
        batch: BatchConfig,
        *,
        coarse: Sequence[GenomeGraph] = (),
        halo: int,
        allowed: np.ndarray,
        counted: np.ndarray | None = None,
        candidates: np.ndarray | None = None,
        embeddings: Embeddings | None = None,
        features: np.ndarray | None = None,
        neighbours: int | None = None,
        stride: int | None = None,
        augment: AugmentConfig = NO_AUGMENTATION,
        seed: int = 0,
        keep_empty: bool = False,
    ) -> None:
        self.store, self.graph, self.batch, self.augment, self.seed = store, graph, batch, augment, seed
        self.features = features
        self.num_partners = batch.partners if graph.contact_types else 0
        is_of_sites = store.sites is not None
        self.counted = store.mask if counted is None else counted
        if self.num_partners and batch.chunk is None and not is_of_sites and embeddings is None:
            raise InputError(
                "batch.chunk: contact partners are encoded apart from their window, so say how many bins are "
                "encoded at a time, such as chunk: 16; or set batch.partners: 0."
            )
        self.runs = np.asarray(runs(allowed, store.bins), dtype=np.int64).reshape(-1, 2)  # first bin, end
        chunk = 1 if is_of_sites else batch.chunk or batch.window
        if embeddings is None:
            self.reader = PieceReader(store, self.runs, chunk, halo, candidates)
        else:
            self.reader = EmbeddingReader(store, self.runs, 1, 0, candidates, embeddings=embeddings)
        self.covered = neighbours and CoveredReader(store, self.runs, neighbours)
        self._may_be_partner = self._whole_nodes()
        self._longest_node = int(np.diff(store.bins_of_node).max())  # in bins
        self._lookup = np.full(len(store.nodes), -1, dtype=np.int64)
        self.levels = [LevelReader(each, store.nodes) for each in coarse]
        self._signals = {assay: store.signals(assay) for assay in store.targets}
        self._coverage = {assay: store.coverage(assay) for assay in store.targets}
        self._may_overlap = stride is not None
        self.windows = self._tile(stride or batch.predicted, keep_empty)  # (windows, 2): run, first bin

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, draw: tuple[int, int]) -> tuple[int, int]:
        return draw  # (epoch, window): a batch is made at once, by `collate`

    def collate(self, draws: Sequence[tuple[int, int]]) -> GenomeBatch:
        """The batch of some (epoch, window) draws, augmented as the seed, epoch and first window say.

        In place of `FILL` stands the first window, with nothing measured.
        """
        drawn = np.array([window for _, window in draws])
        windows, epoch = np.where(drawn == FILL, 0, drawn), draws[0][0]
        rng = np.random.default_rng([self.seed, epoch, windows[0]])
        is_reversed = bool(self.augment.reverse_complement) and rng.random() < 0.5
        if self.augment.reverse_complement == "epochs":
            is_reversed = epoch % 2 == 1
        shift = int(rng.integers(-self.augment.shift, self.augment.shift + 1))
        batch = self.make_batch(windows, shift=shift)
        for mask in batch.mask.values():
            mask[torch.from_numpy(drawn == FILL)] = False
        return reverse_complement(batch, self.reader.chunk, self.store.targets) if is_reversed else batch

    def make_batch(self, windows: Sequence[int] | np.ndarray, *, shift: int = 0) -> GenomeBatch:
        """The batch of these windows, with their sequence read `shift` bp further on."""
        run, first = self.windows[list(windows)].T
        window = Stretches(run, first, self._bins_of(run, first, self.batch.window))
        samples = self._samples(window.bins)
        partners = np.concatenate([sample.partners for sample in samples])
        partner = self._partner_stretches(partners)
        codes, source = self.reader.read([window, partner], shift=shift)
        nodes = [sample.nodes for sample in samples]
        edge_index, edge_attr = edges_of_samples(self.graph, nodes, self._lookup)
        node_of_bin = self._node_numbers(window.bins, partner.bins, samples)
        predicted = self.predicted_bins(windows)
        return GenomeBatch(
            codes=torch.from_numpy(codes),
            source=torch.from_numpy(source),
            layout=(window.bins.shape, partner.bins.shape),
            crop=self.batch.crop,
            node_of_bin=torch.from_numpy(node_of_bin),
            num_nodes=sum(map(len, nodes)),
            features=self._features(samples),
            edge_index=torch.from_numpy(edge_index),
            edge_attr=torch.from_numpy(edge_attr),
            coarse=tuple(level.read(self._pooled(samples), node_of_bin) for level in self.levels),
            neighbours=self._neighbours(window, partner, samples, predicted),
            position=torch.from_numpy(predicted),
            **self.observed(predicted),
        )

    def predicted_bins(self, windows: Sequence[int] | np.ndarray) -> np.ndarray:
        """The bins that these windows predict, -1 for one beyond the genome: (windows, predicted bins)."""
        run, first = self.windows[list(windows)].T
        return self._bins_of(run, first + self.batch.crop, self.batch.predicted, goes_round=self._may_overlap)

    def contacts_shown(self, partners: int | None = None, level: int = 0) -> tuple[float, float]:
        """How many contact edges of its own nodes a window shows: the mean over nodes, and the share of all they have.

        Of an edge to a node that is neither the window's nor one of its partners a model sees nothing. At most 50
        windows are counted, drawn evenly. NaN without nodes, or for the share without contacts.

        Args:
            partners: Of a window at most; None for `batch.partners`.
            level: Of the nodes; larger ones than those of level 0 are all the window's own.
        """
        reader = self.levels[level - 1] if level else None
        graph, (shown, had, nodes) = reader.graph if reader else self.graph, np.zeros(3)
        drawn = np.linspace(0, len(self) - 1, min(len(self), COUNTED_WINDOWS)).astype(np.int64)
        run, first = self.windows[drawn].T
        for sample in self._samples(self._bins_of(run, first, self.batch.window), partners):
            own, all_nodes = (reader.nodes(each) if reader else each for each in (sample.own, sample.nodes))
            edges = edges_into(graph, own)
            edges = edges[graph.is_contact(graph.edge_type[edges])]
            shown += np.count_nonzero(np.isin(graph.edge_index[0, edges], all_nodes))
            had += len(edges)
            nodes += len(own)
        return shown / nodes if nodes else float("nan"), shown / had if had else float("nan")

    def loader(self, *, shuffle: bool, workers: int = 0, rank: int = 0, world_size: int = 1) -> DataLoader:
        """Batches in order, or shuffled anew each epoch as the seed says; shared out among processes."""
        positive = self.has_positive() if shuffle and self.batch.balance else None
        sampler = EpochSampler(
            len(self), seed=self.seed, shuffle=shuffle, rank=rank, world_size=world_size, positive=positive
        )
        return DataLoader(
            self,  # pyright: ignore[reportArgumentType]
            batch_size=self.batch.size,
            sampler=sampler,
            collate_fn=self.collate,
            num_workers=workers,
            # A last batch of one bin has no variance that could normalise it.
            drop_last=shuffle and self.batch.window == 1 and len(sampler) % self.batch.size == 1 < len(sampler),
        )

    def has_positive(self) -> np.ndarray:
        """Whether any measured value of a window's predicted bins is above a half: (windows,).

        Raises:
            InputError: If all windows have one, or none.
        """
        positive = self.counted & np.any([is_positive(each).any(axis=1) for each in self._signals.values()], axis=0)
        bins = self.predicted_bins(range(len(self)))
        found = (positive[bins] & (bins >= 0)).any(axis=1)
        if found.all() or not found.any():
            raise InputError(
                f"batch.balance: {'every' if found.all() else 'no'} training window has a positive, a value "
                "above 0.5. Leave it out, or choose shorter windows."
            )
        return found

    def _tile(self, stride: int, keep_empty: bool) -> np.ndarray:
        """Windows whose predicted parts cover every run, less a contig's crop: (windows, 2) of run and first bin."""
        crop, predicted = self.batch.crop, self.batch.predicted
        windows = [np.empty((0, 2), dtype=np.int64)]
        for number, run in enumerate(self.runs):
            start, end = self.store.without_crop(*run.tolist())
            first = np.arange(start, max(end - predicted + stride, start + 1), stride)
            if not keep_empty:
                measured = np.concatenate([[0], np.cumsum(self.counted[start:end])])
                behind = np.maximum(np.minimum(first + predicted, end) - start, 0)
                first = first[measured[behind] > measured[first - start]]
            windows.append(np.stack([np.full(len(first), number), first - crop], axis=1))
        return np.concatenate(windows)

    def _bins_of(self, run: np.ndarray, first: np.ndarray, count: int, *, goes_round: bool = True) -> np.ndarray:
        """`count` bins from `first` on, each in its run: (stretches, count); -1 where the run does not reach.

        A circular chromosome has no end, unless it is not to be gone round.
        """
        bins = first[:, None] + np.arange(count)
        start, end = self.runs[run, 0][:, None], self.runs[run, 1][:, None]
        is_circle = goes_round & self.reader.is_circle[run][:, None]
        bins = np.where(is_circle, start + (bins - start) % (end - start), bins)
        return np.where((bins >= start) & (bins < end), bins, -1)

    def _run_of(self, bins: np.ndarray) -> np.ndarray:
        """The last run that begins at or before each bin, which holds it if any does; -1 before the first: (bins,)."""
        return np.searchsorted(self.runs[:, 0], bins, side="right") - 1

    def _whole_nodes(self) -> np.ndarray:
        """The nodes that have bins, all of them in one run: (nodes,)."""
        first, end = self.store.bins_of_node.T
        run = self._run_of(first)
        return (end > first) & (run >= 0) & (end <= np.append(self.runs[:, 1], 0)[run])

    def _samples(self, window_bins: np.ndarray, partners: int | None = None) -> list[_Sample]:
        count = self.num_partners if partners is None else partners
        samples, offset = [], 0
        for bins in window_bins:
            node = self.store.node_of_bin[bins[bins >= 0]]
            own = np.unique(node[node >= 0])
            found = strongest_partners(self.graph, own, count, self._may_be_partner)
            samples.append(_Sample(own, found, offset))
            offset += len(own) + len(found)
        return samples

    def _pooled(self, samples: list[_Sample]) -> list[np.ndarray]:
        """The nodes that may share a larger one: those of a sample, its own alone where partners pass nothing on."""
        if self.graph.partners_from is None:
            return [sample.nodes for sample in samples]
        return [nodes for sample in samples for nodes in (sample.own, sample.partners)]

    def _partner_stretches(self, partners: np.ndarray) -> Stretches:
        """The bins of each partner node, as rows as long as the largest node."""
        first, end = self.store.bins_of_node[partners].T
        run = self._run_of(first)
        bins = self._bins_of(run, first, self._longest_node)
        belongs = np.arange(self._longest_node) < (end - first)[:, None]
        return Stretches(run, first, np.where(belongs, bins, -1))

    def _node_numbers(self, window_bins: np.ndarray, partner_bins: np.ndarray, samples: list[_Sample]) -> np.ndarray:
        """The node of every bin as numbered in the batch, -1 for a bin beyond its run or node: (bins,)."""
        node = np.where(window_bins >= 0, self.store.node_of_bin[window_bins], -1)
        of_windows = [sample.number_own(row) for sample, row in zip(samples, node, strict=True)]
        partner = np.concatenate([sample.partner_numbers for sample in samples])
        of_partners = np.where(partner_bins >= 0, partner[:, None], -1)
        return np.concatenate([*of_windows, of_partners.ravel()]).astype(np.int64)

    def _features(self, samples: list[_Sample]) -> Tensor | None:
        if self.features is None:
            return None
        nodes = [each for sample in samples for each in (sample.own, sample.partners)]
        return torch.from_numpy(self.features[np.concatenate([*nodes, [-1]])])

    def _neighbours(
        self, window: Stretches, partner: Stretches, samples: list[_Sample], predicted: np.ndarray
    ) -> dict[str, Tensor]:
        if not self.covered:
            return {}
        window_of_partner = np.repeat(np.arange(len(samples)), [len(sample.partners) for sample in samples])
        found = self.covered.read(window, partner, window_of_partner, predicted)
        return {name: torch.from_numpy(values) for name, values in found.items()}

    def observed(self, predicted: np.ndarray) -> dict[str, dict[str, Tensor]]:
        """`target`, `coverage` and `mask` of predicted bins (windows, bins), for each assay (windows, bins, tracks)."""
        inside = predicted >= 0
        is_valid = inside & self.counted[predicted]
        target, coverage, mask = {}, {}, {}
        for assay, signals in self._signals.items():
            values = np.where(inside[..., None], signals[predicted], np.float32(np.nan))
            target[assay] = torch.from_numpy(values)
            mask[assay] = torch.from_numpy(is_valid[..., None] & np.isfinite(values))
            reads = self._coverage[assay]
            if reads is not None:
                coverage[assay] = torch.from_numpy(np.where(inside[..., None], reads[predicted], np.float32(0)))
        return {"target": target, "coverage": coverage, "mask": mask}
