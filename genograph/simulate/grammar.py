"""The motif grammar: which factors bind where, and what their sites make of an element.

Two activators work a little alone and strongly as a pair, if both lie on one strand, the first upstream of the second
and `PAIR_GAP` apart; a repressor silences what is beside it. CORE marks a promoter and its strand, CTCF the border
of a domain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FACTORS = {"ACT1": 10, "ACT2": 10, "REP": 10, "CORE": 10, "CTCF": 14}  # bp of each motif
PAIR_GAP = (4, 16)  # bp from the end of ACT1 to the start of ACT2
ALONE, PAIRED = 0.4, 1.6  # activity of a bound activator, and of a bound pair on top
REPRESSION = 0.85  # share of an element's activity that a bound repressor takes
CONSENSUS = 0.94  # probability of the consensus base
_SOFTNESS = 1.2  # nats of score over which a site becomes bound


@dataclass(frozen=True)
class Motif:
    """A binding motif.

    Attributes:
        name: Of the factor.
        probability: (bp, 4) of A, C, G and T.
    """

    name: str
    probability: np.ndarray

    def __len__(self) -> int:
        return len(self.probability)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """A site: (bp,) uint8 codes."""
        above = rng.random((len(self), 1)) > np.cumsum(self.probability, axis=1)
        return np.minimum(above.sum(axis=1), 3).astype(np.uint8)

    def occupancy(self, codes: np.ndarray) -> float:
        """Probability that a site (bp,) is bound: near 1 for the consensus, one half with one mismatch."""
        score = np.log(np.take_along_axis(self.probability, codes[:, None].astype(int), axis=1)).sum()
        half = np.log(self.probability.max(axis=1)).sum() - np.log(CONSENSUS / ((1 - CONSENSUS) / 3))
        return float(1 / (1 + np.exp((half - score) / _SOFTNESS)))


def draw_motifs(rng: np.random.Generator) -> dict[str, Motif]:
    """A motif for each factor, all clearly different from each other on both strands."""
    consensus: dict[str, np.ndarray] = {}
    while len(consensus) < len(FACTORS):
        name = list(FACTORS)[len(consensus)]
        candidate = rng.integers(0, 4, FACTORS[name])
        if _mismatches(candidate, 3 - candidate[::-1]) >= 6 and all(
            _mismatches(candidate, form) >= 5 for other in consensus.values() for form in (other, 3 - other[::-1])
        ):
            consensus[name] = candidate
    rest = (1 - CONSENSUS) / 3
    return {
        name: Motif(name, np.where(np.arange(4) == bases[:, None], CONSENSUS, rest))
        for name, bases in consensus.items()
    }


def _mismatches(one: np.ndarray, other: np.ndarray) -> int:
    """The fewest mismatches of two motifs over all overlaps of 8 bp or more, those without overlap counting too."""
    shortest = min(len(one), len(other))
    counts = []
    for shift in range(-(len(other) - 8), len(one) - 8 + 1):
        a, b = one[max(0, shift) :], other[max(0, -shift) :]
        overlap = min(len(a), len(b))
        counts.append(int((a[:overlap] != b[:overlap]).sum()) + shortest - min(overlap, shortest))
    return min(counts)


@dataclass(frozen=True)
class Plan:
    """A site to be planted: which factor, where in the element and on which strand; `pair` is -1 without a partner."""

    factor: str
    offset: int  # bp from the element's middle
    strand: int  # 1 or -1
    pair: int = -1


def plan_pair(rng: np.random.Generator, middle: int, pair: int) -> list[Plan]:
    """A pair of activators that satisfies the grammar, around `middle`, on either strand."""
    gap = int(rng.integers(*PAIR_GAP))
    strand = int(rng.choice([1, -1]))
    first, second = ("ACT1", "ACT2") if strand == 1 else ("ACT2", "ACT1")
    start = middle - (FACTORS["ACT1"] + FACTORS["ACT2"] + gap) // 2
    return [Plan(first, start, strand, pair), Plan(second, start + FACTORS[first] + gap, strand, pair)]


def plan_decoy(rng: np.random.Generator, middle: int) -> list[Plan]:
    """Both activators, but on opposite strands, in the wrong order or too far apart: bound, and no pair."""
    kind = rng.choice(["strands", "order", "far"])
    gap = int(rng.integers(60, 90)) if kind == "far" else int(rng.integers(*PAIR_GAP))
    strand = int(rng.choice([1, -1]))
    in_order = (strand == 1) != (kind == "order")
    first, second = ("ACT1", "ACT2") if in_order else ("ACT2", "ACT1")
    start = middle - (FACTORS["ACT1"] + FACTORS["ACT2"] + gap) // 2
    other = -strand if kind == "strands" else strand
    return [Plan(first, start, strand), Plan(second, start + FACTORS[first] + gap, other)]


def activity(factors: Sequence[str], occupancy: np.ndarray, pair: np.ndarray) -> float:
    """What the sites of one element make of it: 0 without a bound activator, 2.4 for one bound pair.

    Args:
        factors: Of each site.
        occupancy: (sites,) probability that it is bound.
        pair: (sites,) number of its pair, -1 without one.
    """
    names = np.asarray(factors)
    is_activator = np.isin(names, ["ACT1", "ACT2"])
    alone = ALONE * occupancy[is_activator].sum()
    paired = sum(occupancy[pair == each].prod() for each in np.unique(pair[pair >= 0]))
    left = np.prod(1 - REPRESSION * occupancy[names == "REP"])
    return float((alone + PAIRED * paired) * left)
