"""What the places of sites say of their labels, as negatives are put next to other sites or apart.

Linear edges, their distances and rows of windows show this to a model whose sites talk, without any sequence.
"""

from __future__ import annotations

import numpy as np

from genograph.assays.assay import ASSAYS
from genograph.assays.peaks import is_peaks
from genograph.audit.shortcuts import counted, drawn, mean_of, pearsonr, ridge
from genograph.experiment import Experiment
from genograph.genome.sites import Sites
from genograph.metrics import auroc, is_positive

RANKS = 3  # sites on each side
NEAR = (1_000, 10_000)  # bp between starts, within which sites are counted


def layout_features(sites: Sites) -> np.ndarray:
    """Where the other sites of its chromosome lie about each site: (sites, 3 `RANKS` + 2).

    log10 of the bp to the first, second and third on both sides, the nearer side first, or of the longest chromosome
    where there is none; on how many sides the first, two or three stand edge to edge with it, or overlap; and log1p of
    how many start within 1 and 10 kb.
    """
    number, place = np.arange(len(sites)), sites.start + _room(sites) * sites.chrom
    apart = []
    for rank in range(1, RANKS + 1):
        others = np.stack([number - rank, number + rank])
        other = np.clip(others, 0, len(sites) - 1)
        is_there = (other == others) & (sites.chrom[other] == sites.chrom)
        apart.append(
            np.sort(np.where(is_there, np.abs(sites.start[other] - sites.start), max(sites.sizes.values())), 0)
        )
    touching = [(each <= rank * sites.bin_size).sum(axis=0) for rank, each in enumerate(apart, start=1)]
    near = [np.searchsorted(place, place + bp, "right") - np.searchsorted(place, place - bp) - 1 for bp in NEAR]
    return np.column_stack([*np.log10(np.concatenate(apart)), *touching, *np.log1p(near)])


def layout_predictability(experiment: Experiment) -> dict[str, float]:
    """How well a ridge on `layout_features` alone does on the validation split, fitted on training sites.

    Returns:
        `<assay>.bins`, Pearson r, and for peaks and fractions `<assay>.auroc`: means over the assay's tracks, NaN where
        undefined.
    """
    sites = experiment.store.bins
    assert isinstance(sites, Sites), "bins that tile the genome all lie alike"
    features = layout_features(sites)
    rows = drawn(counted(experiment, "train")), drawn(counted(experiment, "valid"))
    known = {}
    for assay, targets in experiment.targets.items():
        r, area = [], []
        for _, predicted, target in ridge(experiment, assay, [features[each] for each in rows], *rows):
            r.append(pearsonr(predicted, target))
            label = np.where(np.isnan(target), np.nan, is_positive(target))
            area.append(np.array([auroc(*each) for each in zip(label.T, predicted.T, strict=True)]))
        known[f"{assay}.bins"] = mean_of(r)
        if ASSAYS[assay].kind == "ratio" or all(is_peaks(target) for target in targets):
            known[f"{assay}.auroc"] = mean_of(area)
    return known


def _room(sites: Sites) -> int:
    """So many bp apart that nothing is near the next chromosome."""
    return max(sites.sizes.values()) + max(NEAR) + 1
