"""bigWigs of methylated fractions: a base without a value is uncovered, not unmethylated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pandas as pd
import pybigtools

from genograph.assays.bigwig import readable_bigwig
from genograph.assays.sites import fraction_error
from genograph.errors import InputError

_ROWS = 1_000_000  # read at a time


@dataclass(frozen=True)
class SiteBigWig:
    """A bigWig whose values are the methylated fractions of sites, each one read deep and of one or two bases."""

    path: Path
    has_strand = False
    has_counts = False
    of_cytosines = False

    def survey(self) -> tuple[dict[str, int], list[str]]:
        """Its chromosomes with their sizes in bp, and no codes."""
        with readable_bigwig(self.path):
            return pybigtools.open(str(self.path)).chroms(), []

    def sites(self, scale: float = 1.0) -> Iterator[pd.DataFrame]:
        """Columns chrom, position, methylated and coverage.

        Args:
            scale: Factor that makes values fractions.

        Raises:
            InputError: If a value is no fraction, or lies on more than 2 bp.
        """
        with readable_bigwig(self.path):
            file = pybigtools.open(str(self.path))
            for chrom in file.chroms():
                records = file.records(chrom)
                while piece := list(islice(records, _ROWS)):
                    yield self._sites(chrom, pd.DataFrame(piece, columns=["start", "end", "value"]), scale)

    def _sites(self, chrom: str, rows: pd.DataFrame, scale: float) -> pd.DataFrame:
        rows = rows[rows["value"].notna()]
        value = rows["value"] * scale
        checks = [
            ((value < 0) | (value > 1), fraction_error(scale)),
            (rows["end"] - rows["start"] > 2, "a value is one site, a base or the two of a CpG"),
        ]
        for wrong, reason in checks:
            if wrong.any():
                start, end, found = rows[wrong].iloc[0]
                raise InputError(f"{self.path}: {reason}; got {found:g} at {chrom}:{start:.0f}-{end:.0f}.")
        return pd.DataFrame({"chrom": chrom, "position": rows["start"], "methylated": value, "coverage": 1})
