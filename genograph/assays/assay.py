"""The kinds of assay that a track can come from: one row each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Assay:
    """What the values of a track are.

    Attributes:
        name: As in the targets table.
        description: For reports.
        kind: `count` for signal that grows with reads, where an uncovered base is a zero; `ratio` for a
            fraction of reads, which is missing where nothing is covered and comes with its coverage; `statistic` for
            what is computed from other tracks, and is missing where these are.
    """

    name: str
    description: str
    kind: str


ASSAYS = {
    assay.name: assay
    for assay in (
        Assay("expression", "transcription: RNA-seq, CAGE, expression tables", "count"),
        Assay("accessibility", "open chromatin: DNase-seq, ATAC-seq", "count"),
        Assay("methylation", "fraction of methylated reads: bisulfite or nanopore sequencing", "ratio"),
        Assay("methylation_statistics", "statistics of methylation across cells", "statistic"),
        Assay("coverage", "any other read counts: ChIP-seq, MNase-seq", "count"),
    )
}
