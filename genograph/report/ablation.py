"""What an ablation found, in the shape that its report shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from genograph.statistics.verdict import Verdict


@dataclass(frozen=True)
class Locus:
    """An example place on the genome.

    Attributes:
        chrom: Its chromosome.
        start: In bp, 0-based.
        bin_size: In bp.
        target: Measured signal, NaN where missing: (bins,).
        predictions: Arm -> predicted signal, in the target's unit: (bins,) each.
        arcs: Contacts, each as bp of one end, bp of the other, weight: (contacts, 3).
        track: Identifier of the track.
    """

    chrom: str
    start: int
    bin_size: int
    target: np.ndarray
    predictions: dict[str, np.ndarray]
    arcs: np.ndarray
    track: str

    @property
    def end(self) -> int:
        """One past the last base."""
        return self.start + self.bin_size * len(self.target)


@dataclass(frozen=True)
class Ablation:
    """What an ablation found, as the report shows it. An empty table leaves out its section.

    Attributes:
        name: Of the ablation.
        score: What r is, such as "Pearson r of expression over genes".
        verdict: In words, with its reasons.
        others: Assay -> what is said of it, of the assays that the report is not about.
        reference: The arm that the others are compared with.
        arms: arm, description, runs, r, sd (over seeds), low, high (95 % interval), parameters, contacts and
            contacts_trained (contact edges of a node that a window shows, held out and in training), seconds and
            peak_mb (means of a run).
        differences: arm, delta (reference - arm), low, high, p, p_holm, detectable (the smallest difference that the
            test could have seen), pairs of runs, runs that are left_out.
        strata: stratum, level, arm, n, r, delta, low, high.
        tracks: track, arm, r, delta, low, high, where there are several tracks.
        baselines: baseline, r: simple predictors, on the same points.
        dose: fraction of the contacts kept, r, low, high.
        curves: arm, fold, seed, epoch, train_loss, valid_loss, valid_pearsonr.
        audit: check, status (ok, note, leak, allowed), count, message.
        allowed: The reasons given for allowed leaks that were found.
        scatter: arm, prediction, target: a sample of places.
        locus: An example, or None.
        config: As YAML.
        versions: Package -> version.
        ceiling: The best r possible, where known.
        unfinished: Runs that are missing.
    """

    name: str
    score: str
    verdict: Verdict
    others: dict[str, str]
    reference: str
    arms: pd.DataFrame
    differences: pd.DataFrame
    strata: pd.DataFrame
    tracks: pd.DataFrame
    baselines: pd.DataFrame
    dose: pd.DataFrame
    curves: pd.DataFrame
    audit: pd.DataFrame
    allowed: list[str]
    scatter: pd.DataFrame
    locus: Locus | None
    config: str
    versions: dict[str, str]
    ceiling: float | None
    unfinished: list[str]
