"""A world drawn from its settings: sequence, contacts and truth."""

from __future__ import annotations

import numpy as np

from genograph.genome.bins import Bins
from genograph.simulate.contacts import Architecture, draw_loops
from genograph.simulate.grammar import Motif, draw_motifs
from genograph.simulate.layout import Feature, place_features
from genograph.simulate.sequence import draw_background, plant, read_sites
from genograph.simulate.settings import WorldSettings
from genograph.simulate.truth import Truth

UNSEEN = 0.08  # share of the nodes that no read maps to, with `mappability_leak`
UNSEEN_STRETCH = (2, 7)  # nodes of such a stretch


def draw_world(settings: WorldSettings) -> tuple[Truth, dict[str, Motif]]:
    """The world of some settings and the motifs of its factors; the same for the same settings."""
    sizes = _sizes(settings)
    place, bases, meet, hide, act = (np.random.default_rng([settings.seed, part]) for part in range(5))
    motifs = draw_motifs(bases)
    features = place_features(settings, sizes, place)
    codes = {chrom: draw_background(size, _promoters(features, chrom), bases) for chrom, size in sizes.items()}
    for each in features:
        plant(codes[each.chrom], each, motifs, bases)
    sites = [read_sites(codes[each.chrom], each, motifs) for each in features]
    nodes = Bins(sizes, settings.resolution, partial=True)
    node_of_feature = np.array([int(nodes.locate(each.chrom, np.array([each.middle]))[0]) for each in features])
    borders = np.sort([node for node, each in zip(node_of_feature, features, strict=True) if each.kind == "border"])
    hidden = act.normal(size=len(nodes))
    architecture = Architecture(
        nodes=nodes,
        domain=np.searchsorted(borders, np.arange(len(nodes)), side="right") + nodes.chrom_index(np.arange(len(nodes))),
        visible=_visible(settings, len(nodes), hide),
        loops=draw_loops(settings, features, hidden[node_of_feature], meet),
        node_of_feature=node_of_feature,
        decay=settings.decay,
        insulation=settings.insulation,
    )
    return Truth(settings, features, sites, architecture, codes, hidden), motifs


def _sizes(settings: WorldSettings) -> dict[str, int]:
    return {f"chr{number + 1}": settings.chrom_size for number in range(settings.chroms)}


def _promoters(features: list[Feature], chrom: str) -> list[int]:
    return [each.middle for each in features if each.kind == "promoter" and each.chrom == chrom]


def _visible(settings: WorldSettings, num_nodes: int, rng: np.random.Generator) -> np.ndarray:
    visible = np.ones(num_nodes, dtype=bool)
    while settings.mappability_leak and visible.mean() > 1 - UNSEEN:
        first = int(rng.integers(num_nodes))
        visible[first : first + int(rng.integers(*UNSEEN_STRETCH))] = False
    return visible
