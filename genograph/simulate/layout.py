"""Where things lie in a world: genes, elements, domain borders and the sites planned for each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genograph.simulate.grammar import FACTORS, Plan, plan_decoy, plan_pair
from genograph.simulate.settings import WorldSettings

PROMOTER_GAP = 2_500  # bp around a TSS that hold no other element
ELEMENT_GAP = 1_000  # bp between the middles of elements
DOMAINS = (150_000, 350_000)  # bp of a domain
# What elements are made of, and how often.
ELEMENTS = {"one pair": 0.22, "two pairs": 0.13, "repressed": 0.15, "decoy": 0.2, "single": 0.15, "silent": 0.15}
PROMOTERS = {"one pair": 0.35, "two pairs": 0.15, "repressed": 0.1, "single": 0.2, "silent": 0.2}
_SLOTS = (-80, 80)  # bp from the middle to those of the pairs
_CORE = 30  # bp upstream of the TSS that CORE begins


@dataclass(frozen=True)
class Feature:
    """A promoter, a distal element or a domain border.

    Attributes:
        name: Unique.
        kind: `promoter`, `element` or `border`.
        make: What it is made of, a key of `ELEMENTS` or `PROMOTERS`, or `border`.
        chrom: Chromosome.
        middle: bp; of a promoter the TSS.
        strand: 1 or -1; of a gene, else 1.
        plans: The sites to be planted.
    """

    name: str
    kind: str
    make: str
    chrom: str
    middle: int
    strand: int
    plans: tuple[Plan, ...]


def place_features(settings: WorldSettings, sizes: dict[str, int], rng: np.random.Generator) -> list[Feature]:
    """Promoters, elements and borders of all chromosomes, in their order along each."""
    features: list[Feature] = []
    for chrom, size in sizes.items():
        borders = _borders(size, rng)
        starts = _spread(size, round(settings.genes_per_mb * size / 1e6), rng)
        taken = _merged([(tss - PROMOTER_GAP, tss + PROMOTER_GAP) for tss in starts], borders, size)
        middles = _place_between(taken, size, round(settings.elements_per_mb * size / 1e6), rng)
        rows = [("border", middle) for middle in borders] + [("promoter", tss) for tss in starts]
        rows += [("element", middle) for middle in middles]
        features += [_feature(kind, chrom, middle, rng) for kind, middle in sorted(rows, key=lambda row: row[1])]
    return features


def _borders(size: int, rng: np.random.Generator) -> list[int]:
    """Positions between domains."""
    borders, at = [], int(rng.integers(*DOMAINS))
    while at < size - DOMAINS[0] // 2:
        borders.append(at)
        at += int(rng.integers(*DOMAINS))
    return borders


def _spread(size: int, count: int, rng: np.random.Generator) -> list[int]:
    """TSSs, one in each of `count` equal stretches and off its ends."""
    return [int((each + rng.uniform(0.2, 0.8)) * size / count) for each in range(count)]


def _merged(stretches: list[tuple[int, int]], borders: list[int], size: int) -> list[tuple[int, int]]:
    """The stretches that may not hold elements, the ends of the chromosome among them, without overlaps."""
    around = [(border - ELEMENT_GAP, border + ELEMENT_GAP) for border in borders]
    merged: list[tuple[int, int]] = []
    for start, end in sorted([*stretches, *around, (0, 2 * ELEMENT_GAP), (size - 2 * ELEMENT_GAP, size)]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _place_between(taken: list[tuple[int, int]], size: int, count: int, rng: np.random.Generator) -> list[int]:
    """Middles of at most `count` elements outside of what is taken, `ELEMENT_GAP` apart or more."""
    room = size - sum(end - start for start, end in taken)
    count = min(count, room // (2 * ELEMENT_GAP))
    drawn = np.sort(rng.integers(0, room - count * ELEMENT_GAP, count)) + ELEMENT_GAP * np.arange(count)
    starts = np.array([start for start, _ in taken])
    widths = np.cumsum([end - start for start, end in taken])
    before = starts - np.concatenate([[0], widths[:-1]])  # free bp before each taken stretch
    return (drawn + widths[np.searchsorted(before, drawn, side="right") - 1]).tolist()


def _feature(kind: str, chrom: str, middle: int, rng: np.random.Generator) -> Feature:
    strand, make, plans = 1, "border", [Plan("CTCF", -FACTORS["CTCF"] // 2, int(rng.choice([1, -1])))]
    if kind == "element":
        make = str(rng.choice(list(ELEMENTS), p=list(ELEMENTS.values())))
        plans = _plans(make, rng)
    elif kind == "promoter":
        strand = int(rng.choice([1, -1]))
        make = str(rng.choice(list(PROMOTERS), p=list(PROMOTERS.values())))
        length = FACTORS["CORE"]
        core = Plan("CORE", -_CORE if strand == 1 else _CORE - length, strand)
        upstream = -180 * strand
        plans = [core, *(Plan(p.factor, p.offset + upstream, p.strand, p.pair) for p in _plans(make, rng))]
    return Feature(f"{chrom}_{kind}_{middle}", kind, make, chrom, middle, strand, tuple(plans))


def _plans(make: str, rng: np.random.Generator) -> list[Plan]:
    """Sites of an element, by what it is made of."""
    slots = [slot + int(rng.integers(-20, 21)) for slot in rng.permutation(_SLOTS)]
    match make:
        case "one pair":
            return plan_pair(rng, slots[0], 0)
        case "two pairs":
            return plan_pair(rng, slots[0], 0) + plan_pair(rng, slots[1], 1)
        case "repressed":
            return [*plan_pair(rng, slots[0], 0), Plan("REP", slots[1], int(rng.choice([1, -1])))]
        case "decoy":
            return plan_decoy(rng, int(rng.integers(-20, 21)))
        case "single":
            return [Plan(str(rng.choice(["ACT1", "ACT2"])), slots[0], int(rng.choice([1, -1])))]
    return []
