"""The truth of a world: what every element does, what contacts carry, and the mean of every measurement."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from genograph.genome.bins import Bins, bins_to_nodes
from genograph.simulate.contacts import Architecture
from genograph.simulate.layout import Feature
from genograph.simulate.sequence import C, G, Site, site_activity
from genograph.simulate.settings import WorldSettings

BIN = 128  # bp of a bin of coverage
BASAL, OWN = 1.0, 0.5  # expression of a promoter without a bound activator, and per activity of its own
EFFECT = 1.5  # steepness of a promoter's response to what contacts carry, per standard deviation, at effect_scale 1
OPEN = {"element": 0.1, "promoter": 0.6, "border": 1.2}  # accessibility of a feature without activity
WIDTH = 120  # bp, standard deviation of an accessible region
BACKGROUND = {"accessibility": 1.0, "expression": 0.02}  # reads of any bin
CPG_WINDOW = 250  # bp on both sides in which CpGs are counted
# Methylation on the logistic scale: of a lonely CpG, per CpG beside it, per accessibility, per carried activity.
METHYLATED, BY_DENSITY, BY_OPENNESS, BY_CARRIED = 2.0, -0.12, -1.0, -0.5


@dataclass(frozen=True)
class Truth:
    """What no experiment sees.

    Attributes:
        settings: Of the world.
        features: All promoters, elements and borders.
        sites: Their binding sites.
        architecture: The true contacts.
        codes: By chromosome.
        hidden: (nodes,) a cause of expression that no sequence shows, standard normal; at work with `degree_leak`.
    """

    settings: WorldSettings
    features: list[Feature]
    sites: list[list[Site]]
    architecture: Architecture
    codes: dict[str, np.ndarray]
    hidden: np.ndarray

    @cached_property
    def bins(self) -> Bins:
        """The bins of the coverage tracks."""
        return Bins(self.architecture.nodes.sizes, BIN)

    @cached_property
    def activity(self) -> np.ndarray:
        """(features,) of each feature; see `genograph.simulate.grammar.activity`."""
        return np.array([site_activity(sites) for sites in self.sites])

    @property
    def strength(self) -> float:
        """How much what is carried changes: `effect_scale`, or all of it where it is the hidden cause."""
        return 1.0 if self.settings.degree_leak else self.settings.effect_scale

    def of_kind(self, kind: str) -> np.ndarray:
        """Positions of the features of a kind."""
        return np.array([each for each, feature in enumerate(self.features) if feature.kind == kind], dtype=np.int64)

    def weights(self, nodes: np.ndarray, elements: np.ndarray) -> np.ndarray:
        """How well each element reaches each node of its chromosome, from 0 to 1: (nodes, elements)."""
        node = self.architecture.node_of_feature[elements]
        first, second = np.broadcast_arrays(nodes[:, None], node[None])
        return np.minimum(self.architecture.intensity(first, second), 1)

    @cached_property
    def touched(self) -> tuple[np.ndarray, np.ndarray]:
        """(nodes,) mean activity of the distal elements that each node touches, and the sum of their contacts.

        An element counts by its contact.
        """
        nodes, elements = self.architecture.nodes, self.of_kind("element")
        chrom = nodes.chrom_index(self.architecture.node_of_feature[elements])
        mean, total = np.zeros((2, len(nodes)))
        for number, name in enumerate(nodes.chroms):
            here, span = elements[chrom == number], nodes.span(name)
            for part in np.array_split(np.arange(span.start, span.stop), 1 + (span.stop - span.start) // 500):
                weights = self.weights(part, here)
                total[part] = weights.sum(axis=1)
                mean[part] = weights @ self.activity[here] / np.maximum(total[part], 1e-9)
        return mean, total

    @cached_property
    def _scale(self) -> tuple[float, float]:
        """Mean and standard deviation of what promoters touch."""
        of_promoters = self.touched[0][self.architecture.node_of_feature[self.promoters]]
        return float(of_promoters.mean()), float(max(of_promoters.std(), 1e-9))

    @cached_property
    def carried(self) -> np.ndarray:
        """(nodes,) what moves a node's promoter beside its own sequence, in standard deviations.

        The activity that contacts carry to it, from the mean of promoters; with `degree_leak` the hidden cause.
        """
        if self.settings.degree_leak:
            return self.hidden
        mean, spread = self._scale
        return (self.touched[0] - mean) / spread

    @cached_property
    def promoters(self) -> np.ndarray:
        """Positions of the promoters among the features."""
        return self.of_kind("promoter")

    @cached_property
    def chrom_of_promoter(self) -> np.ndarray:
        """(promoters,) the chromosome of each."""
        return np.array([self.features[each].chrom for each in self.promoters])

    def respond(self, carried: np.ndarray) -> np.ndarray:
        """Share of its full expression, 0 to 1, that what is carried lets a promoter reach; it saturates."""
        return 1 / (1 + np.exp(-self.strength * EFFECT * carried))

    @cached_property
    def response(self) -> np.ndarray:
        """(promoters,) the share that each promoter reaches; see `respond`."""
        return self.respond(self.carried[self.architecture.node_of_feature[self.promoters]])

    def effect_of(self, element: int, change: float, promoters: np.ndarray) -> np.ndarray:
        """(promoters,) logarithm of the fold change of their expression as an element's activity changes.

        Args:
            element: Position of a distal element among the features.
            change: Of its activity.
            promoters: Positions, among the promoters, of those to look at; all on the element's chromosome.
        """
        if self.settings.degree_leak:
            return np.zeros(len(promoters))
        node = self.architecture.node_of_feature[self.promoters[promoters]]
        weight = self.weights(node, np.array([element]))[:, 0]
        carried = self.carried[node] + weight * change / (np.maximum(self.touched[1][node], 1e-9) * self._scale[1])
        return np.log(self.respond(carried) / self.response[promoters])

    @cached_property
    def own_strength(self) -> np.ndarray:
        """(promoters,) what each promoter's own sequence makes of it."""
        return BASAL + OWN * self.activity[self.promoters]

    def expression(self, *, with_contacts: bool = True) -> np.ndarray:
        """(promoters,) mean reads of each promoter; or with the average effect of contacts in place of its own."""
        rate = self.own_strength * self.response
        scale = self.settings.expression_reads / rate.mean()
        return scale * (rate if with_contacts else self.own_strength * self.response.mean())

    @cached_property
    def openness(self) -> np.ndarray:
        """(features,) accessibility of each."""
        return np.array([OPEN[feature.kind] for feature in self.features]) + self.activity

    def expression_rate(self, *, with_contacts: bool = True) -> np.ndarray:
        """(bins,) mean reads of expression: all of a promoter's in the bin of its TSS."""
        rate = np.full(len(self.bins), BACKGROUND["expression"])
        np.add.at(rate, self.tss_bins, self.expression(with_contacts=with_contacts))
        return np.where(self.architecture.visible[self.node_of_bin], rate, 0.0)

    def accessibility_rate(self) -> np.ndarray:
        """(bins,) mean reads of accessibility: a bell of `WIDTH` around each feature."""
        rate = np.full(len(self.bins), BACKGROUND["accessibility"])
        for feature, openness in zip(self.features, self.openness, strict=True):
            span = self.bins.span(feature.chrom)
            nearest = feature.middle // BIN + np.arange(-4, 5)
            nearest = nearest[(nearest >= 0) & (nearest < span.stop - span.start)]
            away = (nearest + 0.5) * BIN - feature.middle
            height = self.settings.accessibility_reads * openness
            rate[span.start + nearest] += height * np.exp(-0.5 * (away / WIDTH) ** 2)
        return np.where(self.architecture.visible[self.node_of_bin], rate, 0.0)

    def cpgs(self, chrom: str) -> tuple[np.ndarray, np.ndarray]:
        """Position of the C of every visible CpG of a chromosome and its mean methylation: both (CpGs,)."""
        codes, nodes = self.codes[chrom], self.architecture.nodes
        position = np.flatnonzero((codes[:-1] == C) & (codes[1:] == G))
        node = nodes.locate(chrom, position)
        beside = np.searchsorted(position, position + CPG_WINDOW) - np.searchsorted(position, position - CPG_WINDOW) - 1
        openness = np.zeros(len(position))
        for feature, height in zip(self.features, self.openness, strict=True):
            if feature.chrom == chrom:
                first, end = np.searchsorted(position, [feature.middle - 4 * WIDTH, feature.middle + 4 * WIDTH])
                away = position[first:end] - feature.middle
                openness[first:end] += height * np.exp(-0.5 * (away / WIDTH) ** 2)
        carried = self.strength * self.carried[node]
        logit = METHYLATED + BY_DENSITY * beside + BY_OPENNESS * openness + BY_CARRIED * carried
        is_visible = self.architecture.visible[node]
        return position[is_visible], 1 / (1 + np.exp(-logit[is_visible]))

    @cached_property
    def node_of_bin(self) -> np.ndarray:
        """(bins,) the node of each."""
        return bins_to_nodes(self.bins, self.architecture.nodes)

    @cached_property
    def tss_bins(self) -> np.ndarray:
        """(promoters,) the bin of each TSS."""
        places = [self.features[each] for each in self.promoters]
        return np.array([int(self.bins.locate(each.chrom, np.array([each.middle]))[0]) for each in places])
