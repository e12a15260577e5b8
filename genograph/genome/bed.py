"""BED files of regions: blacklists, peaks and candidates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from genograph.errors import InputError
from genograph.genome.interval import Interval
from genograph.genome.lines import read_lines
from genograph.genome.names import match_names


def read_bed(
    path: str | Path, *, sizes: Mapping[str, int], aliases: Mapping[str, str], whole_genome: bool = False
) -> list[Interval]:
    """The intervals of a BED file (plain or gzip) that lie on the chromosomes of a genome.

    Columns beyond the third are ignored, but for the strand in the sixth, as are lines that start with
    `track`, `browser` or `#`. An interval that runs past the end of its chromosome is cut there, as files
    made of bins often do.

    Args:
        path: The file.
        sizes: Chromosome sizes in bp.
        aliases: Further names of chromosomes, alias -> name.
        whole_genome: Whether to log other chromosomes, see `match_names`.

    Raises:
        InputError: If a line is not an interval, no chromosome matches, or an interval starts beyond its
            chromosome's end.
    """
    rows = [(number, interval) for number, _, interval in read_rows(path)]
    if not rows:
        raise InputError(f"{path} holds no interval.")
    found = list(dict.fromkeys(interval.chrom for _, interval in rows))
    names = match_names(list(sizes), found, aliases=aliases, source=str(path), whole_genome=whole_genome)
    genome_name = {other: name for name, other in names.items()}
    placed = []
    for number, interval in rows:
        if interval.chrom not in genome_name:
            continue
        interval = replace(interval, chrom=genome_name[interval.chrom])
        size = sizes[interval.chrom]
        if interval.start >= size:
            raise InputError(
                f"{path}, line {number}: wrong assembly. {interval} starts beyond the end of its chromosome, "
                f"which has {size:,} bp."
            )
        placed.append(replace(interval, end=min(interval.end, size)))
    return placed


def read_intervals(path: str | Path) -> Iterator[Interval]:
    """The intervals of a BED file under the names that it uses itself, wherever they lie.

    Raises:
        InputError: If a line is not an interval.
    """
    return (interval for _, _, interval in read_rows(path))


def read_rows(path: str | Path) -> Iterator[tuple[int, list[str], Interval]]:
    """Line number, columns and interval of each line of a BED file.

    Raises:
        InputError: If a line is not an interval.
    """
    for number, line in read_lines(path):
        if line.split(maxsplit=1)[0] in ("track", "browser"):
            continue
        columns = line.split("\t") if "\t" in line else line.split()
        strand = columns[5] if len(columns) > 5 and columns[5] in ("+", "-") else "."
        try:
            yield number, columns, Interval(columns[0], int(columns[1]), int(columns[2]), strand)
        except (IndexError, ValueError) as error:
            reason = f" {error}" if isinstance(error, InputError) else ""
            raise InputError(f"{path}, line {number}: expected chrom, start and end; got '{line}'.{reason}") from None
