"""The sequence of a world: a background with few CpGs, CpG islands, and planted binding sites."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from genograph.genome.assembly import COMPLEMENT
from genograph.simulate.grammar import Motif, activity
from genograph.simulate.layout import Feature

GC, ISLAND_GC = 0.42, 0.65
CPG_LOSS = 0.75  # share of the CpGs that the background has lost
ISLAND = (-350, 350)  # bp around a TSS
ORPHANS = 0.3  # islands without a promoter, per promoter
C, G = 1, 2


@dataclass(frozen=True)
class Site:
    """A planted binding site.

    Attributes:
        factor: What binds there.
        start: bp on the chromosome.
        strand: 1 or -1.
        pair: Number of its pair in the feature, -1 without one.
        occupancy: Probability that it is bound.
    """

    factor: str
    start: int
    strand: int
    pair: int
    occupancy: float


def draw_background(size: int, promoters: list[int], rng: np.random.Generator) -> np.ndarray:
    """Codes of a chromosome with CpG islands at its promoters and elsewhere: (bp,) uint8."""
    codes = _draw(size, GC, rng)
    is_cpg = (codes[:-1] == C) & (codes[1:] == G) & (rng.random(size - 1) < CPG_LOSS)
    deaminated = np.flatnonzero(is_cpg)
    on_forward = rng.random(len(deaminated)) < 0.5
    codes[deaminated[on_forward]] = 3  # C -> T on this strand
    codes[deaminated[~on_forward] + 1] = 0  # G -> A, the other strand's C -> T
    orphans = rng.integers(1000, size - 1000, round(ORPHANS * len(promoters))).tolist()
    for middle in [*promoters, *orphans]:
        start, end = max(0, middle + ISLAND[0]), min(size, middle + ISLAND[1])
        codes[start:end] = _draw(end - start, ISLAND_GC, rng)
    return codes


def _draw(size: int, gc: float, rng: np.random.Generator) -> np.ndarray:
    edges = np.cumsum([(1 - gc) / 2, gc / 2, gc / 2])
    return np.searchsorted(edges, rng.random(size, dtype=np.float32)).astype(np.uint8)


def plant(codes: np.ndarray, feature: Feature, motifs: Mapping[str, Motif], rng: np.random.Generator) -> None:
    """Write the sites of a feature into its chromosome's codes."""
    for plan in feature.plans:
        start, drawn = feature.middle + plan.offset, motifs[plan.factor].draw(rng)
        codes[start : start + len(drawn)] = drawn if plan.strand == 1 else reverse_complement(drawn)


def read_sites(codes: np.ndarray, feature: Feature, motifs: Mapping[str, Motif]) -> list[Site]:
    """The sites of a feature as its chromosome's codes are now: a border may lie on a promoter's site."""
    sites = []
    for plan in feature.plans:
        start, motif = feature.middle + plan.offset, motifs[plan.factor]
        bases = codes[start : start + len(motif)]
        occupancy = motif.occupancy(bases if plan.strand == 1 else reverse_complement(bases))
        sites.append(Site(plan.factor, start, plan.strand, plan.pair, occupancy))
    return sites


def reverse_complement(codes: np.ndarray) -> np.ndarray:
    """The other strand, read in its own direction."""
    return COMPLEMENT[codes[::-1]]


def site_activity(sites: list[Site]) -> float:
    """The activity of a feature with these sites; see `genograph.simulate.grammar.activity`."""
    if not sites:
        return 0.0
    return activity(
        [site.factor for site in sites],
        np.array([site.occupancy for site in sites]),
        np.array([site.pair for site in sites]),
    )
