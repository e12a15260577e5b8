"""Who touches whom in a world: distance decay, domains and loops; and the map that a Hi-C experiment makes of it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import cooler
import h5py
import numpy as np
import pandas as pd
from scipy.stats import rankdata

from genograph.genome.bins import Bins
from genograph.simulate.layout import Feature
from genograph.simulate.settings import WorldSettings

log = logging.getLogger("genograph")

REACH = 1_000_000  # bp; beyond, nothing meets
LOOPS = (20_000, 400_000)  # bp between the ends of a loop
STRENGTH = (0.8, 1.0)  # of a loop; contacts are stated in units of those of two adjacent nodes
ROUNDS = 2000  # of balancing at most; for some chromosomes 200, the default of cooler, are too few
DATE = "2000-01-01T00:00:00"  # of every map, so that two runs are equal to the byte


@dataclass(frozen=True)
class Loops:
    """Pairs of nodes of one chromosome that meet, whatever their distance.

    Attributes:
        first: (loops,) the feature at one end; of a gene's loop its promoter.
        second: (loops,) the feature at the other end.
        strength: (loops,) contacts added, in units of those of adjacent nodes.
    """

    first: np.ndarray
    second: np.ndarray
    strength: np.ndarray

    def __len__(self) -> int:
        return len(self.first)


@dataclass(frozen=True)
class Architecture:
    """The true contacts of a world, as intensities over nodes of the map's resolution.

    Attributes:
        nodes: Of all chromosomes.
        domain: (nodes,) number of the domain.
        visible: (nodes,) False where no read maps.
        loops: Who loops with whom.
        node_of_feature: (features,)
        decay: Power of the distance.
        insulation: Contacts left between domains.
    """

    nodes: Bins
    domain: np.ndarray
    visible: np.ndarray
    loops: Loops
    node_of_feature: np.ndarray
    decay: float
    insulation: float

    def intensity(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Contacts of pairs of nodes of one chromosome, in units of those of neighbours; 0 beyond `REACH`."""
        distance = np.abs(second - first)
        nearness = np.maximum(distance, 0.5) ** -self.decay
        met = np.where(self.domain[first] == self.domain[second], nearness, self.insulation * nearness)
        met = np.where(distance * self.nodes.bin_size <= REACH, met, 0.0)
        return met + self._looped(first, second)

    def _looped(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """What loops add to the contacts of pairs of nodes."""
        keys, strengths = self._loop_table
        if not len(keys):
            return np.zeros(np.shape(first))
        asked = np.minimum(first, second) * len(self.nodes) + np.maximum(first, second)
        place = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
        return np.where(keys[place] == asked, strengths[place], 0.0)

    @cached_property
    def _loop_table(self) -> tuple[np.ndarray, np.ndarray]:
        """Ascending number of each pair of nodes that loops join, and the summed strength of these."""
        ends = self.node_of_feature[self.loops.first], self.node_of_feature[self.loops.second]
        keys, place = np.unique(np.minimum(*ends) * len(self.nodes) + np.maximum(*ends), return_inverse=True)
        return keys, np.bincount(place, weights=self.loops.strength, minlength=len(keys))

    def diagonals(self, chrom: str) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """First node, second node and intensity of all pairs of a chromosome, one diagonal after another."""
        span = self.nodes.span(chrom)
        for distance in range(min(span.stop - span.start, REACH // self.nodes.bin_size + 1)):
            first = np.arange(span.start, span.stop - distance)
            yield first, first + distance, self.intensity(first, first + distance)


def draw_loops(settings: WorldSettings, features: list[Feature], hidden: np.ndarray, rng: np.random.Generator) -> Loops:
    """Loops of every promoter with distal elements, a quarter as many between elements, and those of the borders.

    Args:
        settings: How many; with `degree_leak` a promoter has from none to four times that by its rank in `hidden`.
        features: All features.
        hidden: (features,) the hidden cause at each.
        rng: Of the draws.
    """
    middle = np.array([feature.middle for feature in features])
    kind = np.array([feature.kind for feature in features])
    chrom = np.array([feature.chrom for feature in features])
    promoters = np.flatnonzero(kind == "promoter")
    counts = np.full(len(promoters), settings.loops_per_gene)
    if settings.degree_leak:
        counts = np.rint(4 * settings.loops_per_gene * (rankdata(hidden[promoters]) - 1) / max(len(promoters) - 1, 1))
    elements = np.flatnonzero(kind == "element")
    of_chrom = {name: elements[chrom[elements] == name] for name in np.unique(chrom)}
    pairs: set[tuple[int, int]] = set()
    for each, count in zip(promoters, counts.astype(int), strict=True):
        pairs |= _partners(each, count, of_chrom[chrom[each]], middle, rng)
    for each in rng.permutation(elements)[: len(pairs) // 4]:
        pairs |= _partners(each, 1, of_chrom[chrom[each]], middle, rng)
    borders = np.flatnonzero(kind == "border")
    pairs |= {(a, b) for a, b in pairwise(borders) if chrom[a] == chrom[b]}
    first, second = np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2).T
    return Loops(first, second, rng.uniform(*STRENGTH, len(first)))


def _partners(
    each: int, count: int, candidates: np.ndarray, middle: np.ndarray, rng: np.random.Generator
) -> set[tuple[int, int]]:
    """Up to `count` of the candidates as partners, at distances that are even on a logarithmic scale."""
    distance = np.abs(middle[candidates] - middle[each])
    inside = (distance >= LOOPS[0]) & (distance <= LOOPS[1])
    candidates, weight = candidates[inside], 1 / distance[inside]
    count = min(count, len(candidates))
    if not count:
        return set()
    chosen = rng.choice(candidates, count, replace=False, p=weight / weight.sum())
    return {(int(each), int(other)) for other in chosen}


def write_map(path: Path, architecture: Architecture, settings: WorldSettings, rng: np.random.Generator) -> None:
    """Sample reads and write them as a balanced `.mcool` at the resolution and five times that."""
    nodes = architecture.nodes
    bias = rng.lognormal(0, 0.2, len(nodes)) * architecture.visible
    reach = np.arange(1.0, REACH // nodes.bin_size + 1)
    reads = settings.contacts_per_node / (2 * (reach**-settings.decay).sum())
    table = cooler.binnify(pd.Series(nodes.sizes), nodes.bin_size)
    base = path.with_suffix(".cool")
    cooler.create_cooler(
        str(base), table, _pixels(architecture, bias, reads, settings, rng), ordered=True, metadata={}, mode="w"
    )
    resolutions = [nodes.bin_size * factor for factor in (1, 5)]
    coarsened = path.with_suffix(".coarsened")
    cooler.zoomify_cooler(str(base), str(coarsened), resolutions, chunksize=10_000_000)
    for resolution in resolutions:
        _balance(cooler.Cooler(f"{coarsened}::resolutions/{resolution}"))
    _tell_if_shallow(cooler.Cooler(f"{coarsened}::resolutions/{nodes.bin_size}"), architecture.visible, settings)
    _copy_undated(coarsened, path)
    base.unlink()
    coarsened.unlink()


def _balance(clr: cooler.Cooler) -> None:
    """Write cooler's weights within chromosomes; a chromosome with too few reads has none."""
    with warnings.catch_warnings(record=True) as told:
        warnings.filterwarnings("always", message="Iteration limit reached")
        warnings.simplefilter("ignore", RuntimeWarning)  # numpy's, of the mean of no bins
        cooler.balance_cooler(clr, cis_only=True, tol=1e-4, max_iters=ROUNDS, store=True, chunksize=10_000_000)
    if told:
        log.warning(
            "contacts.mcool: balancing at %d bp stopped after %d rounds on %d chromosomes, before weights were final. "
            "Raise chroms: shorter ones need fewer.",
            *(clr.binsize, ROUNDS, len(told)),
        )


def _tell_if_shallow(clr: cooler.Cooler, visible: np.ndarray, settings: WorldSettings) -> None:
    """Warn if balancing masks more than half of the nodes that reads map to."""
    masked = np.isnan(clr.bins()["weight"][:].to_numpy()) & visible
    if masked.sum() > visible.sum() / 2:
        log.warning(
            "contacts.mcool: balancing masks %s of %s bins of %s bp, and what is masked is neither trained on nor "
            "judged. Raise contacts_per_node; it is %g.",
            *(f"{each:,}" for each in (masked.sum(), visible.sum(), clr.binsize)),
            settings.contacts_per_node,
        )


def _copy_undated(source: Path, path: Path) -> None:
    """Copy a `.mcool` without the time at which it was written, so that two runs are equal to the byte."""
    with h5py.File(source) as old, h5py.File(path, "w") as new:
        new.attrs.update(old.attrs)
        new.create_group("resolutions")
        for resolution in old["resolutions"]:
            group = new["resolutions"].create_group(resolution)
            for name in old["resolutions"][resolution]:
                old.copy(f"resolutions/{resolution}/{name}", group)
            attributes = dict(old["resolutions"][resolution].attrs)
            group.attrs.update({**attributes, "creation-date": DATE})


def _pixels(
    architecture: Architecture, bias: np.ndarray, reads: float, settings: WorldSettings, rng: np.random.Generator
) -> Iterator[pd.DataFrame]:
    """Pixels of each chromosome in the order of a cooler."""
    for chrom in architecture.nodes.chroms:
        parts = []
        for first, second, intensity in architecture.diagonals(chrom):
            count = counts(reads * bias[first] * bias[second] * intensity, settings.dispersion, rng)
            kept = count > 0
            parts.append(np.stack([first[kept], second[kept], count[kept]]))
        row, col, count = np.concatenate(parts, axis=1)
        order = np.lexsort((col, row))
        yield pd.DataFrame({"bin1_id": row[order], "bin2_id": col[order], "count": count[order].astype(np.int32)})


def counts(rate: np.ndarray, dispersion: float, rng: np.random.Generator) -> np.ndarray:
    """Negative binomial counts of variance `rate + dispersion rate^2`; Poisson without dispersion."""
    if dispersion:
        rate = rate * rng.gamma(1 / dispersion, dispersion, np.shape(rate))
    return rng.poisson(rate)
