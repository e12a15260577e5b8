"""Intervals of a genome: 0-based, half-open, as in BED."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from genograph.errors import InputError, nearest

# A chromosome name may itself hold colons (HLA*01:01), so the coordinates are what follows the last one.
_REGION = re.compile(r"^(?P<chrom>.+?)(?::(?P<start>\d[\d,_]*)-(?P<end>\d[\d,_]*))?$")


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """A stretch of one chromosome: bases `start` to `end`, 0-based and half-open."""

    chrom: str
    start: int
    end: int
    strand: str = "."

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise InputError(
                f"{self.chrom}:{self.start}-{self.end} is not an interval. "
                "Coordinates are 0-based and half-open, with 0 <= start <= end."
            )

    def __len__(self) -> int:
        return self.end - self.start

    def __str__(self) -> str:
        return f"{self.chrom}:{self.start}-{self.end}"

    def overlaps(self, other: Interval) -> bool:
        """Whether the two share at least one base."""
        return self.chrom == other.chrom and max(self.start, other.start) < min(self.end, other.end)


def parse_region(text: str, sizes: Mapping[str, int]) -> Interval:
    """The interval that a region string such as `chr2` or `chr2:1,000,000-2,000,000` names.

    Args:
        text: A chromosome, alone or with `:start-end` (0-based, half-open, as in cooler).
        sizes: Chromosome sizes in bp; a chromosome alone means all of it.

    Raises:
        InputError: If the chromosome is unknown or the coordinates leave it.
    """
    text = text.strip()
    if text in sizes:
        return Interval(text, 0, sizes[text])
    match = _REGION.match(text)
    chrom = match["chrom"] if match else text
    if match is None or match["start"] is None or chrom not in sizes:
        raise InputError(f"Region '{text}': no chromosome '{chrom}' in this genome.{nearest(chrom, sizes)}")
    start, end = (int(re.sub(r"[,_]", "", match[name])) for name in ("start", "end"))
    if not start < end <= sizes[chrom]:
        raise InputError(f"Region '{text}': must satisfy 0 <= start < end <= {sizes[chrom]}, the size of {chrom}.")
    return Interval(chrom, start, end)
