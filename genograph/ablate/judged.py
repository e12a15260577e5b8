"""What the arms of an ablation are judged on: held-out bins or genes, their blocks and their strata."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from genograph.errors import InputError
from genograph.evaluate import GeneRows, Held
from genograph.experiment import Experiment
from genograph.genome.bed import read_bed
from genograph.genome.names import read_aliases
from genograph.genome.splits import TEST, runs
from genograph.statistics.scores import Points

MAX_BLOCK = 1_000_000  # bp
BLOCKS = 20  # that a fold is to have, if that leaves them as long as a window
DISTANCES = (5_000, 20_000, 100_000)  # bp, between levels of the distance to the nearest candidate element
QUARTERS = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Judged:
    """The held-out points of one fold, for one assay.

    Attributes:
        experiment: The reference's, of that fold.
        assay: Whose tracks are judged.
        over: `bins` or `genes`.
    """

    experiment: Experiment
    assay: str
    over: str

    @cached_property
    def bins(self) -> np.ndarray:
        """The held-out bins, ascending, in the order in which runs keep their predictions."""
        return np.concatenate([np.arange(first, end) for first, end in self._runs])

    @cached_property
    def points(self) -> Points:
        """Targets, blocks and strata of the bins or genes; what is masked or missing is NaN, and in no stratum."""
        target = self.of_predictions(self._measured)
        place = np.where(self._first_bin >= 0, self._first_bin, self.bins[0])
        start = np.where(self._first_base >= 0, self._first_base, self.bins[0])
        strata = {"contacts": self._contacts(start), **self._distance(start), "signal": _quarters(_mean(target))}
        is_judged = np.isfinite(target).any(axis=1)
        return Points(
            target, self._block(place), {name: np.where(is_judged, level, -1) for name, level in strata.items()}
        )

    def of_predictions(self, values: np.ndarray) -> np.ndarray:
        """Predictions for the held-out bins, (tracks, bins), as those for the points: (points, tracks)."""
        if self._genes is None:
            return np.array(values, dtype=np.float64).T
        mask = np.isfinite(self._measured)
        held = Held(self.experiment.targets[self.assay], False, values, self._measured, mask)
        return self._genes.over(held).prediction.T

    def labels(self) -> dict[str, list[str]]:
        """What the levels of each stratum are called."""
        parts = ["lowest quarter", "second quarter", "third quarter", "highest quarter"]
        edges = [f"{each // 1000} kb" for each in DISTANCES]
        near = [f"below {edges[0]}", *(f"{a} to {b}" for a, b in itertools.pairwise(edges))]
        return {
            "contacts": ["no contact", "1 or 2", "3 to 5", "6 or more"],
            "distance to the nearest candidate": [*near, f"{edges[-1]} or more"],
            "signal": parts,
        }

    @cached_property
    def _runs(self) -> list[tuple[int, int]]:
        """First bin, and one past the last, of each stretch that is held out."""
        return runs(self.experiment.split_of_bin == TEST, self.experiment.store.bins)

    @cached_property
    def _measured(self) -> np.ndarray:
        """(tracks, bins) float64."""
        store = self.experiment.store
        values = np.asarray(store.signals(self.assay)[self.bins], dtype=np.float64)
        return np.where(store.mask[self.bins, None], values, np.nan).T

    @cached_property
    def _genes(self) -> GeneRows | None:
        return GeneRows.of(self.experiment, self.bins) if self.over == "genes" else None

    @cached_property
    def _first_bin(self) -> np.ndarray:
        """(points,) number in the genome of a point's first bin, -1 for a gene that has none here."""
        if self._genes is None:
            return self.bins
        first = np.full(len(self._genes.genes), -1, dtype=np.int64)
        first[self._genes.gene[::-1]] = self.bins[self._genes.row[::-1]]
        return first

    @cached_property
    def _first_base(self) -> np.ndarray:
        """(points,) number of the bin that is read first of a point: of a gene on the minus strand its last one."""
        if self._genes is None:
            return self.bins
        start, genes = self._first_bin.copy(), self._genes
        on_minus = genes.genes.strand[genes.gene] == "-"
        start[genes.gene[on_minus]] = self.bins[genes.row[on_minus]]
        return start

    def _block(self, place: np.ndarray) -> np.ndarray:
        """Every run of held-out bins in equal parts, as many as are no shorter than a block: (points,)."""
        bin_size, config = self.experiment.store.bins.bin_size, self.experiment.config
        if config.ablation.block is None:  # not shorter than a window, within which errors go together
            size = max(config.batch.predicted, min(MAX_BLOCK // bin_size, len(self.bins) // BLOCKS))
        else:
            size = -(-config.ablation.block // bin_size)
        start, end = np.transpose(self._runs)
        parts = np.maximum((end - start) // size, 1)
        run = np.searchsorted(start, place, side="right") - 1
        return np.cumsum(parts)[run] - parts[run] + (place - start[run]) * parts[run] // (end - start)[run]

    def _contacts(self, place: np.ndarray) -> np.ndarray:
        """Level by how many contact edges the node has: none, 1 or 2, 3 to 5, more."""
        graph = self.experiment.graph
        degree = sum((graph.degree(kind) for kind in graph.contact_types), np.zeros(graph.num_nodes))
        node = self.experiment.store.node_of_bin[place]
        return np.digitize(np.where(node < 0, 0, degree[node]), (1, 3, 6))

    def _distance(self, place: np.ndarray) -> dict[str, np.ndarray]:
        """Level by bp to the middle of the nearest candidate element that does not touch the point's node or bin."""
        config, bins = self.experiment.config, self.experiment.store.bins
        bed = config.ablation.elements
        if bed is None:
            return {}
        aliases = config.section("genome").aliases
        middles: dict[str, list[int]] = {chrom: [] for chrom in bins.chroms}
        try:
            elements = read_bed(bed, sizes=bins.sizes, aliases=read_aliases(aliases) if aliases else {})
        except InputError as error:
            raise InputError(f"ablation.elements: {error}") from None
        for each in elements:
            middles[each.chrom].append((each.start + each.end) // 2)
        nodes = self.experiment.store.nodes
        nearest = np.full(len(place), np.inf)
        for index, chrom in enumerate(bins.chroms):
            here = np.flatnonzero(bins.chrom_index(place) == index)
            middle = np.sort(np.asarray(middles[chrom], dtype=np.int64))
            at = bins.starts(place[here]) + bins.bin_size // 2
            low, high = bins.starts(place[here]), bins.ends(place[here])
            node = self.experiment.store.node_of_bin[place[here]]
            low, high = (np.where(node < 0, own, of(node)) for own, of in ((low, nodes.starts), (high, nodes.ends)))
            before = np.searchsorted(middle, low) - 1
            after = np.searchsorted(middle, high)
            padded = np.concatenate([[-np.inf], middle, [np.inf]])
            nearest[here] = np.minimum(at - padded[before + 1], padded[after + 1] - at)
        return {"distance to the nearest candidate": np.digitize(nearest, DISTANCES)}


def _mean(target: np.ndarray) -> np.ndarray:
    """The mean over tracks of what is measured, each track in units of its own mean: (points,)."""
    measured = np.isfinite(target)
    of_track = np.where(measured, target, 0).sum(axis=0) / np.maximum(measured.sum(axis=0), 1)
    relative = np.where(measured, target, 0) / np.where(of_track, of_track, 1)
    count = measured.sum(axis=1)
    return np.divide(relative.sum(axis=1), count, out=np.full(len(target), np.nan), where=count > 0)


def _quarters(values: np.ndarray) -> np.ndarray:
    """Level from 0 to 3 by the quarter of the values that each lies in, -1 where it is NaN."""
    known = np.isfinite(values)
    levels = np.full(len(values), -1)
    if known.any():
        # Of equal values all are in the lowest quarter that any of them reaches, such as bins without reads.
        levels[known] = np.digitize(values[known], np.quantile(values[known], QUARTERS), right=True)
    return levels
