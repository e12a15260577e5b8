"""Which pairs of a map meet more often than chance lets them: a negative binomial test at every distance."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import betainc
from scipy.stats import nbinom

from genograph.assays.contacts import ContactMap
from genograph.assays.expected import products_at_distance

ROUNDS = 6  # of estimating dispersion, after one with all pairs; outliers of one leave the next
OUTLIER = 0.01  # p-value
ENOUGH = 1000  # pairs, and summed squares of expected reads, from which one dispersion is estimated
LEAST = 1e-6  # dispersion, at which the distribution is a Poisson's for all that matters
BLOCK = 500_000  # pairs at a time
SPAN = 0.01  # of its distance, that one dispersion holds for at least
SAMPLE = 50_000  # pairs, whose expected reads stand for those of all
EACH = 100  # of them at least for each dispersion
TRIES = 10  # to draw a pair anew of which the map cannot see one node
PER_DECADE, DECADES = 100, 320  # classes of p-values, so that they need not be kept


@dataclass(frozen=True)
class _Totals:
    """Sums over all pairs in reach, those without a read too, at each distance: (places,)."""

    pairs: np.ndarray
    square: np.ndarray  # of expected reads

    @classmethod
    def of(cls, contacts: ContactMap, distances: range | None) -> _Totals:
        seen, rate = ~contacts.masked, np.nan_to_num(contacts.mapped / contacts.weight)
        if distances is None:
            square = _between(contacts, rate**2) * contacts.trans_expected**2
            return cls(np.array([_between(contacts, seen)]), np.array([square]))
        totals = np.zeros((2, max(len(distances), 1)))  # no pair may be as far apart
        reach = slice(distances.start, distances.stop)
        for chrom in contacts.nodes.chroms:
            span, is_circle = contacts.nodes.span(chrom), chrom in contacts.nodes.circular
            expected = contacts.expected[span][reach]
            for total, values, power in zip(totals, (seen, rate**2), (0, 2), strict=True):
                products = products_at_distance(values[span].astype(np.float64), is_circle)[reach]
                counted = np.where(np.isfinite(expected), np.maximum(products, 0) * expected**power, 0)
                total[: len(counted)] += counted
        return cls(np.rint(totals[0]), totals[1])


@dataclass(frozen=True)
class _Reach:
    """How far partners of a node that the map can see may lie: up to its chromosome's end, or half round a circle."""

    node: np.ndarray  # (seen nodes,) the farthest-reaching first, so that those with a partner at a distance lead
    farthest: np.ndarray  # (seen nodes,) their largest distance
    first: np.ndarray  # (nodes,) of the node's chromosome
    size: np.ndarray  # (nodes,) of the chromosome

    @classmethod
    def of(cls, contacts: ContactMap) -> _Reach:
        nodes, number = contacts.nodes, np.arange(len(contacts.nodes))
        chrom = nodes.chrom_index(number)
        first, size = nodes.offsets[chrom], np.diff(nodes.offsets)[chrom]
        is_circle = np.array([name in nodes.circular for name in nodes.chroms])[chrom]
        place = number - first
        half_round = (size - (2 * place >= size)) // 2  # of an even number half start the pairs that are opposite
        farthest = np.where(is_circle, half_round, size - 1 - place)
        seen = np.flatnonzero(~contacts.masked)
        seen = seen[np.argsort(-farthest[seen], kind="stable")]
        return cls(seen, farthest[seen], first, size)

    def pairs(self, distance: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """A node that the map can see and the one so far on, for each distance: (distances,) each."""
        number = np.searchsorted(-self.farthest, -distance, side="right")  # that have a partner
        row = self.node[rng.integers(number)]
        return row, self.first[row] + (row - self.first[row] + distance) % self.size[row]


def _sampled(
    contacts: ContactMap, distances: range | None, totals: _Totals, stretch: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs in reach that the map can see, as many for each stretch of distances; (pairs,) nodes each."""
    number = min(max(SAMPLE, EACH * (stretch[-1] + 1)), int(totals.pairs.sum()))
    if distances is None:
        return _sampled_between(contacts, number)
    return _sampled_within(contacts, distances, totals, stretch, number // (stretch[-1] + 1))


def _sampled_within(
    contacts: ContactMap, distances: range, totals: _Totals, stretch: np.ndarray, number: int
) -> tuple[np.ndarray, np.ndarray]:
    """`number` pairs of each stretch of distances, drawn from those that the map can see; (pairs,) nodes each.

    Distances are drawn by how many pairs they have, so that each pair of a stretch is as likely as any other. Fewer
    come back where nearly all pairs are masked. The same call gives the same.
    """
    rng, reach, ends = np.random.default_rng(0), _Reach.of(contacts), np.cumsum(totals.pairs)
    pairs = np.bincount(stretch, totals.pairs).astype(np.int64)
    if not pairs.any():
        return np.empty(0, np.int64), np.empty(0, np.int64)
    drawn = (np.cumsum(pairs) - pairs)[:, None] + rng.integers(pairs[:, None], size=(len(pairs), number))
    distance = distances.start + np.searchsorted(ends, drawn.ravel(), side="right")
    row, col = reach.pairs(distance, rng)
    for _ in range(TRIES):
        again = np.flatnonzero(contacts.masked[col])
        row[again], col[again] = reach.pairs(distance[again], rng)
    seen = ~contacts.masked[col]
    return row[seen], col[seen]


def _sampled_between(contacts: ContactMap, number: int) -> tuple[np.ndarray, np.ndarray]:
    """At most `number` pairs between chromosomes that the map can see, each as likely as any other."""
    rng, num_nodes = np.random.default_rng(0), len(contacts.nodes)
    row, col = rng.integers(num_nodes, size=number), rng.integers(num_nodes, size=number)
    seen = (contacts.nodes.distance(row, col) < 0) & ~contacts.masked[row] & ~contacts.masked[col]
    return row[seen], col[seen]


def _between(contacts: ContactMap, values: np.ndarray) -> float:
    """Summed products of the values of any two nodes on different chromosomes."""
    by_chrom = [values[contacts.nodes.span(chrom)].sum(dtype=np.float64) for chrom in contacts.nodes.chroms]
    return float((np.sum(by_chrom) ** 2 - np.sum(np.square(by_chrom))) / 2)


@dataclass(frozen=True, kw_only=True)
class Background:
    """What chance gives of each pair: negative binomial reads around what the map makes one expect.

    A pair's mean is what is expected of it in reads: expected contacts at its distance over both nodes' balancing
    weights. Its variance is mean + dispersion * mean^2, with one dispersion for each stretch of distances, as short as
    `ENOUGH` and `SPAN` let it be. It is estimated by moments, the sum of (reads - mean)^2 - reads over the sum of
    mean^2 (as in Cameron and Trivedi 1990, J Econometrics 46:347), over all pairs, also those without a read. Contacts
    that stand out must not widen it: pairs with a p-value below `OUTLIER` leave the next of six rounds, as outliers
    leave the second fit of Fit-Hi-C (Ay et al. 2014, Genome Res 24:999), and what the sums lack for want of those that
    chance makes is added, as it follows from the means of a sample of each stretch. That counts are negative binomial,
    given distance and bias, is the model of HiC-DC+ (Sahin et al. 2021, Nat Commun 12:3366), which fits distance and
    bias by regression.

    Attributes:
        contacts: The map.
        distances: In nodes, of the pairs that are tested; None for all pairs between chromosomes.
        num_pairs: How many these are, those without a read among them.
        dispersion: (distances,), or (1,) between chromosomes.
    """

    contacts: ContactMap
    distances: range | None
    num_pairs: int
    dispersion: np.ndarray = field(repr=False)

    @classmethod
    def of(cls, contacts: ContactMap, distances: range | None) -> Background:
        """Estimated from all pairs in reach; the map is read `ROUNDS` + 1 times, a block at a time."""
        totals = _Totals.of(contacts, distances)
        stretch, num_pairs = _stretches(totals, distances), int(totals.pairs.sum())
        background = cls(
            contacts=contacts, distances=distances, num_pairs=num_pairs, dispersion=np.full(len(stretch), LEAST)
        )
        row, col = _sampled(contacts, distances, totals, stretch)
        place, _, mean = background._seen(row, col, np.zeros(len(row)))
        for outlier in [0.0] + [OUTLIER] * ROUNDS:
            lost = background._lost(stretch, place[mean > 0], mean[mean > 0], outlier)
            dispersion = background._kept(totals, stretch, outlier) + lost
            background = replace(background, dispersion=np.maximum(dispersion, LEAST)[stretch])
        return background

    def p_values(self, row: np.ndarray, col: np.ndarray, balanced: np.ndarray) -> np.ndarray:
        """How likely each pair has as many reads or more by chance: (pairs,) float64; 1 for pairs out of reach."""
        place, reads, mean = self._seen(row, col, balanced)
        dispersed = self.dispersion[place] * mean
        p = betainc(np.maximum(reads, 1), 1 / self.dispersion[place], dispersed / (1 + dispersed))
        return np.where((place >= 0) & (reads > 0), p, 1.0)

    def _seen(self, row: np.ndarray, col: np.ndarray, balanced: np.ndarray) -> tuple[np.ndarray, ...]:
        """Place in `dispersion` (-1 out of reach), reads and expected reads of each pair."""
        contacts, distance = self.contacts, self.contacts.nodes.distance(row, col)
        per_read = contacts.weight[row] * contacts.weight[col]
        if self.distances is None:
            place = np.where(distance < 0, 0, -1)
        else:
            is_in = (distance >= self.distances.start) & (distance < self.distances.stop)
            place = np.where(is_in, distance - self.distances.start, -1)
        return place, np.rint(balanced / per_read), contacts.expected_at(row, col) / per_read

    def _kept(self, totals: _Totals, stretch: np.ndarray, outlier: float) -> np.ndarray:
        """Dispersion of the pairs that are not less likely than `outlier`: (stretches,)."""
        excess, square = np.bincount(stretch, totals.square), np.bincount(stretch, totals.square)
        for row, col, balanced in self.contacts.pixels(BLOCK):
            place, reads, mean = self._seen(row, col, balanced)
            leaves = self.p_values(row, col, balanced) < outlier
            change = np.where(leaves, 0, (reads - mean) ** 2 - reads) - mean**2  # of one that had no read
            for total, values, kept in (excess, change, place >= 0), (square, -(mean**2), leaves):
                total += np.bincount(stretch[place[kept]], values[kept], minlength=len(total))
        return np.divide(excess, square, out=np.zeros(len(square)), where=square > 0)

    def _lost(self, stretch: np.ndarray, place: np.ndarray, mean: np.ndarray, outlier: float) -> np.ndarray:
        """By how much `_kept` is too small for want of the pairs that chance makes less likely: (stretches,).

        A stretch of which there is no sample gets what the one before it gets, the first ones what the next does.
        Up to the largest count that stays, reads * P(reads) sums to mean * P(one less, of size + 1), and so on.

        Args:
            stretch: Of each place in `dispersion`.
            place: Of each pair of a sample.
            mean: Its expected reads.
            outlier: As of `_kept`.
        """
        dispersion, whole = self.dispersion[place], self.dispersion[np.unique(stretch, return_index=True)[1]]
        size, chance = 1 / dispersion, 1 / (1 + dispersion * mean)
        most = nbinom.isf(outlier, size, chance)
        all_, once, twice = (nbinom.cdf(most - less, size + less, chance) for less in range(3))
        kept = np.stack([(1 + dispersion) * twice - 2 * once + all_, all_]) * mean**2
        excess, square = (np.bincount(stretch[place], each, minlength=len(whole)) for each in kept)
        lost = whole - np.divide(excess, square, out=whole.copy(), where=square > 0)
        sampled = np.flatnonzero(square)
        before = np.searchsorted(sampled, np.arange(len(whole)), side="right") - 1
        return lost[sampled[np.maximum(before, 0)]] if len(sampled) else lost


@dataclass(frozen=True, kw_only=True)
class SignificantPairs:
    """The pairs that stand out from a background, of which at most a share `max_fdr` is expected to do so by chance.

    The rule is Benjamini and Hochberg's (1995, J R Stat Soc B 57:289) over all pairs in reach, those without a read
    among them. p-values are counted in classes of a hundredth of a decade, so that memory does not follow the pairs;
    the threshold is the border of a class, never above the exact one and less than 2.4 % below it.
    """

    background: Background
    least: int  # class of p-values from which on pairs are kept

    @classmethod
    def of(cls, contacts: ContactMap, distances: range | None, max_fdr: float) -> SignificantPairs:
        background = Background.of(contacts, distances)
        counts = np.zeros(PER_DECADE * DECADES + 1)
        for row, col, balanced in contacts.pixels(BLOCK):
            counts += np.bincount(_classes(background.p_values(row, col, balanced)), minlength=len(counts))
        counts[0] = 0  # p-values next to 1, those of pairs out of reach among them
        as_small = np.cumsum(counts[::-1])[::-1]  # pairs with a p-value of at most the border
        border = 10 ** (-np.arange(len(counts)) / PER_DECADE)
        passing = np.flatnonzero((as_small > 0) & (background.num_pairs * border <= max_fdr * as_small))
        return cls(background=background, least=int(passing[0]) if len(passing) else len(counts))

    def has(self, row: np.ndarray, col: np.ndarray, balanced: np.ndarray) -> np.ndarray:
        """(pairs,) True for pairs that stand out."""
        return _classes(self.background.p_values(row, col, balanced)) >= self.least


def _classes(p: np.ndarray) -> np.ndarray:
    """The class of each p-value: (pairs,) int, the higher the smaller p is."""
    with np.errstate(divide="ignore"):
        return np.minimum(-np.log10(p) * PER_DECADE, PER_DECADE * DECADES).astype(np.int64)


def _stretches(totals: _Totals, distances: range | None) -> np.ndarray:
    """Consecutive distances that share a dispersion: their number, (places,) int from 0 on.

    Each spans at least a share `SPAN` of its distance, so that a chromosome has some hundreds at most.
    """
    stretch, number, pairs, square, first = np.zeros(len(totals.pairs), dtype=np.int64), 0, 0.0, 0.0, 0
    start = 0 if distances is None else distances.start
    for place, (more_pairs, more_square) in enumerate(zip(totals.pairs, totals.square, strict=True)):
        stretch[place] = number
        pairs, square = pairs + more_pairs, square + more_square
        if min(pairs, square) >= ENOUGH and place + 1 - first >= SPAN * (start + place):
            number, pairs, square, first = number + 1, 0.0, 0.0, place + 1
    return np.minimum(stretch, max(number - 1, 0))  # what is left joins the last
