"""What experiments measure in a world: counts with noise, and how well their mean can be predicted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cooler
import numpy as np
import pandas as pd

from genograph.simulate.contacts import counts
from genograph.simulate.settings import WorldSettings
from genograph.simulate.truth import Truth
from genograph.simulate.write import write_cov, write_table, write_track

SCALED = {"expression": 8.0, "accessibility": 5.0}  # what the targets table makes of a mean promoter and open element
CELL_SPREAD = 0.5  # standard deviation of a cell's methylation on the logistic scale


@dataclass(frozen=True)
class Track:
    """A measured track beside its mean.

    Attributes:
        identifier: Its name.
        assay: A name in `genograph.assays.assay.ASSAYS`.
        file: Relative to the world's folder.
        description: For the targets table.
        measured: (bins,) NaN where missing.
        mean: (bins,) what a perfect model predicts, NaN where nothing can be measured.
        without_contacts: (bins,) the same of a model that sees a promoter alone; None where contacts do nothing.
    """

    identifier: str
    assay: str
    file: str
    description: str
    measured: np.ndarray
    mean: np.ndarray
    without_contacts: np.ndarray | None = None


def measure(folder: Path, truth: Truth, rng: np.random.Generator) -> list[Track]:
    """Measure all tracks of a world, write their files into a folder, and return them."""
    settings = truth.settings
    expression, alone = truth.expression_rate(), truth.expression_rate(with_contacts=False)
    tracks = [
        _coverage(folder, truth, "expression", "reads at the TSS", expression, alone, rng),
        _coverage(folder, truth, "accessibility", "reads of open chromatin", truth.accessibility_rate(), None, rng),
        _methylation(folder, truth, "bulk", settings.methylation_coverage, 0.0, rng),
    ]
    (folder / "cells").mkdir()
    for number in range(settings.cells):
        shift = float(rng.normal(0, CELL_SPREAD))
        tracks.append(_methylation(folder, truth, f"cells/cell{number + 1}", settings.cell_coverage, shift, rng))
    return tracks


def _coverage(
    folder: Path,
    truth: Truth,
    assay: str,
    description: str,
    mean: np.ndarray,
    without_contacts: np.ndarray | None,
    rng: np.random.Generator,
) -> Track:
    """Counts of every bin, as a bigWig."""
    measured = counts(mean, truth.settings.dispersion, rng).astype(float)
    write_track(folder / f"{assay}.bw", truth.bins, measured)
    return Track(assay, assay, f"{assay}.bw", description, measured, mean, without_contacts)


def _methylation(
    folder: Path, truth: Truth, name: str, coverage: float, shift: float, rng: np.random.Generator
) -> Track:
    """CpG counts in bulk, or where the coverage is below 1 the calls of a cell: one read on that share of the CpGs."""
    totals = np.zeros((4, len(truth.bins)))  # methylated reads, reads, summed means, CpGs

    def sites() -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
        for chrom in truth.bins.chroms:
            position, mean = truth.cpgs(chrom)
            mean = 1 / (1 + np.exp(-shift) * (1 - mean) / mean)
            is_cell = name != "bulk"
            reads = rng.random(len(mean)) < coverage if is_cell else rng.poisson(coverage, len(mean))
            reads = reads.astype(np.int64)
            methylated = rng.binomial(reads, mean)
            tile = truth.bins.locate(chrom, position)
            inside = tile >= 0
            for total, values in zip(totals, (methylated, reads, mean, np.ones(len(mean))), strict=True):
                np.add.at(total, tile[inside], values[inside])
            kept = reads > 0
            yield chrom, position[kept], methylated[kept], (reads - methylated)[kept]

    write_cov(folder / f"{name}.cov.gz", sites())
    measured, mean = (
        np.divide(above, below, out=np.full(len(truth.bins), np.nan), where=below > 0)
        for above, below in (totals[:2], totals[2:])
    )
    label = name.rpartition("/")[2]
    text = "CpG methylation in bulk" if label == "bulk" else "CpG calls of one cell"
    return Track(f"methylation_{label}", "methylation", f"{name}.cov.gz", text, measured, mean)


def write_targets(path: Path, tracks: list[Track], settings: WorldSettings) -> None:
    """The targets table of a world; counts are scaled so that a promoter and an open element have a few."""
    scale = {
        "expression": SCALED["expression"] / settings.expression_reads,
        "accessibility": SCALED["accessibility"] / settings.accessibility_reads,
    }
    frame = pd.DataFrame(
        {
            "index": range(len(tracks)),
            "identifier": [each.identifier for each in tracks],
            "file": [each.file for each in tracks],
            "scale": [f"{scale[each.assay]:g}" if each.assay in scale else "" for each in tracks],
            "assay": [each.assay for each in tracks],
            "description": [each.description for each in tracks],
        }
    )
    write_table(path, frame)


def ceilings(truth: Truth, tracks: list[Track], contact_map: str) -> pd.DataFrame:
    """Pearson r of the means with what was measured: nothing can predict better, but for luck.

    One row for each track, over bins or the TSS bins of promoters, of the genome or the held-out chromosome, for a
    model that knows all (`truth`) and for one that sees a promoter alone (`truth without contacts`). Bins that
    the map masks do not count.

    Args:
        truth: Of the world.
        tracks: As measured.
        contact_map: URI of the cooler at the resolution of the nodes.
    """
    weight = cooler.Cooler(contact_map).bins()["weight"][:].to_numpy()
    usable = np.isfinite(weight)[truth.node_of_bin]
    places = {"bins": np.flatnonzero(usable), "promoters": truth.tss_bins[usable[truth.tss_bins]]}
    held_out = truth.bins.span(truth.bins.chroms[-1])
    rows = []
    for track in tracks:
        for over, bins in places.items():
            for region, here in (("genome", bins), ("held-out", bins[bins >= held_out.start])):
                for knows, mean in (("truth", track.mean), ("truth without contacts", track.without_contacts)):
                    if mean is not None:
                        r = _pearsonr(mean[here], track.measured[here])
                        rows.append((track.identifier, track.assay, over, region, knows, r))
    return pd.DataFrame(rows, columns=["identifier", "assay", "over", "region", "predictor", "pearsonr"])


def _pearsonr(one: np.ndarray, other: np.ndarray) -> float:
    both = np.isfinite(one) & np.isfinite(other)
    if both.sum() < 2 or not one[both].std() or not other[both].std():
        return float("nan")
    return float(np.corrcoef(one[both], other[both])[0, 1])
