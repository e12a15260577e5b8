"""Methylation: the methylated fraction of a bin, and the reads behind it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from genograph.assays.bigwig import is_bigwig
from genograph.assays.site_bigwig import SiteBigWig
from genograph.assays.sites import SiteTable, open_sites
from genograph.assays.targets import Target
from genograph.errors import InputError, nearest
from genograph.genome.assembly import COMPLEMENT, N
from genograph.genome.bins import Bins
from genograph.genome.names import match_names, shorten

_LOGGER = logging.getLogger("genograph")
_C, _G = 1, 2
_ELSEWHERE = 0.2  # of the reads may lie on another base; positions that are off by one make it a third or more
# The base that a modification code (SAM tags, ChEBI) is of; other codes are not checked. ENCODE's bedMethyl has `.`.
_BASE_OF_CODE = {"a": 0, **dict.fromkeys(("m", "h", "f", "c", "21839", "."), _C)}


def read_methylation(
    target: Target, bins: Bins, *, codes: np.ndarray, aliases: Mapping[str, str], whole_genome: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Methylated fraction and coverage of every bin, summed over its sites: (bins,) float32 each.

    A bin's fraction is its methylated reads over all its reads, so deep sites count for more. Where no
    read is, the fraction is NaN and the coverage 0: uncovered is not unmethylated.

    A target of strand `+` or `-` takes that strand's rows, each where it lies. One of strand `.` takes all, and
    the two cytosines of a CpG are one site, at the C of the plus strand, as after `modkit pileup
    --combine-strands` or Bismark's `--merge_CpG`. Rows on another base than the one that is modified, where
    code or format tell it, come from reads that differ from the genome, and are left out.

    Args:
        target: Its file is one that `open_sites` knows, or a bigWig of fractions; its column chooses a
            modification code or a cytosine context; its scale makes values fractions.
        bins: The bins to read.
        codes: (bases,) the genome's sequence, chromosomes end to end.
        aliases: Further names of chromosomes, alias -> name.
        whole_genome: Whether to log other chromosomes, see `match_names`.

    Raises:
        InputError: If the file is not one, lacks the strand or code, has no read, or does not fit the genome.
    """
    methylated, coverage = np.zeros((2, len(bins)), dtype=np.float32)  # whole up to 16 million reads
    for chrom, position, counts in _reads(target, bins, codes, aliases=aliases, whole_genome=whole_genome):
        tiles = bins.locate(chrom, position)
        for total, count in zip((methylated, coverage), counts, strict=True):
            np.add.at(total, tiles[tiles >= 0], count[tiles >= 0])
    is_covered = coverage > 0
    _check_covered(target, bool(is_covered.any()))
    np.divide(methylated, coverage, out=methylated, where=is_covered)
    methylated[~is_covered] = np.nan
    return methylated, coverage


def covered_sites(
    target: Target, bins: Bins, *, codes: np.ndarray, aliases: Mapping[str, str], whole_genome: bool = False
) -> dict[str, np.ndarray]:
    """The CpGs of each chromosome at which a target has a read, ascending, where `read_methylation` puts them.

    Those of strand `-` are at the G. Where the sequence is N, any site may be a CpG. Others are left out and logged.

    Args and errors are those of `read_methylation`; of `bins` only the chromosomes count. No CpG is an error too.
    """
    parts: dict[str, list[np.ndarray]] = {}
    for chrom, position, counts in _reads(target, bins, codes, aliases=aliases, whole_genome=whole_genome):
        parts.setdefault(chrom, []).append(position[counts[1] > 0])
    found = {chrom: np.unique(np.concatenate(each)) for chrom, each in parts.items()}
    _check_covered(target, any(map(len, found.values())))
    sequences = _sequences(bins, codes)
    kept = {chrom: positions[_is_cpg(sequences[chrom], positions)] for chrom, positions in found.items()}
    _tell_of_others(target, sum(map(len, found.values())), sum(map(len, kept.values())))
    return kept


def _sequences(bins: Bins, codes: np.ndarray) -> dict[str, np.ndarray]:
    """The codes of each chromosome."""
    ends = np.cumsum(list(bins.sizes.values()))
    return {chrom: codes[end - bins.sizes[chrom] : end] for chrom, end in zip(bins.chroms, ends, strict=True)}


def _is_cpg(sequence: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Whether each base is the C or the G of a CpG of a chromosome, of which an N may be any base: (sites,)."""
    last = len(sequence) - 1
    here, before, behind = (sequence[np.clip(position + step, 0, last)] for step in (0, -1, 1))
    starts = np.isin(here, (_C, N)) & np.isin(behind, (_G, N)) & (position < last)
    ends = np.isin(here, (_G, N)) & np.isin(before, (_C, N)) & (position > 0)
    return starts | ends


def _tell_of_others(target: Target, found: int, kept: int) -> None:
    if not kept:
        raise InputError(
            f"{target.file}: none of the {found:,} sites with a read is a CpG of the genome, which covered sites are. "
            "Read others in bins, or in sites of source bed."
        )
    if kept < found:
        _LOGGER.warning(
            f"{target.file.name}, {target.identifier}: {found - kept:,} of {found:,} covered sites are no CpG of the "
            "genome; left out."
        )


def _reads(
    target: Target, bins: Bins, codes: np.ndarray, *, aliases: Mapping[str, str], whole_genome: bool
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Chromosome, positions (sites,), and methylated and all reads (2, sites), of the rows of a file that count."""
    source = SiteBigWig(target.file) if is_bigwig(target.file) else open_sites(target.file)
    _check_choices(target, source)
    found, all_codes = source.survey()
    code = _choose_code(target, all_codes)
    sizes = found if isinstance(found, Mapping) else None
    names = match_names(
        bins.chroms,
        found,
        aliases=aliases,
        source=target.file.name,
        sizes=bins.sizes,
        found_sizes=sizes,
        whole_genome=whole_genome and sizes is None,  # a bigWig's header may list every contig of an assembly
    )
    base = _C if source.of_cytosines else _BASE_OF_CODE.get(code or "")
    placing = _Placing(target, bins, codes, has_strand=source.has_strand)
    genome_name = {other: name for name, other in names.items()}
    for rows in source.sites(target.scale):
        if code is not None:
            rows = rows[rows["code"] == code]
        if target.strand != ".":
            rows = rows[rows["strand"] == target.strand]
        for other, sites in rows.groupby("chrom", sort=False):
            if other in genome_name:
                yield genome_name[other], *placing.place(genome_name[other], sites, base)
    placing.check()


def _choose_code(target: Target, found: list[str]) -> str | None:
    """The code whose rows count, None in a file without any."""
    if not found:
        if target.column:
            raise InputError(
                f"Target '{target.identifier}': {target.file} tells no codes, so '{target.column}' cannot be chosen."
            )
        return None
    if target.column and target.column not in found:
        hint = nearest(target.column, found)
        raise InputError(f"Target '{target.identifier}': {target.file} has no code '{target.column}'.{hint}")
    if not target.column and len(found) > 1:
        raise InputError(
            f"Target '{target.identifier}': {target.file} has several codes: {shorten(sorted(found))}. "
            f"Choose one in the targets table: {target.file.name}::{sorted(found)[0]}."
        )
    return target.column or found[0]


def _check_choices(target: Target, source: SiteTable | SiteBigWig) -> None:
    if target.strand != "." and not source.has_strand:
        raise InputError(
            f"Target '{target.identifier}' is of strand {target.strand}, but {target.file} tells no strands. "
            "Give a bedMethyl file or a cytosine report, or strand '.'."
        )
    if target.scale != 1 and source.has_counts:
        raise InputError(f"Target '{target.identifier}': {target.file} holds counts of reads, which take no scale.")


class _Placing:
    """Puts reads of a target in their places, and checks all of them against the genome."""

    def __init__(self, target: Target, bins: Bins, codes: np.ndarray, *, has_strand: bool) -> None:
        self.target, self.bins, self.has_strand = target, bins, has_strand
        self._codes = _sequences(bins, codes)
        self._rows, self._reads = np.zeros(2, dtype=np.int64), np.zeros(2)  # elsewhere, and in all
        self._pairs = np.zeros(2)  # reads on C or G, and on A or T, of a base that is not told

    def place(self, chrom: str, sites: pd.DataFrame, base: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Positions (sites,) and reads (2, sites) of one chromosome; `base` is the code of the base, if known."""
        position = sites["position"].to_numpy()
        self._check_inside(chrom, sites)
        counts = sites[["methylated", "coverage"]].to_numpy(dtype=np.float64).T
        sequence = self._codes[chrom]
        here = sequence[position]
        if base is not None:
            fits = self._fits(here, sites["strand"].to_numpy() if self.has_strand else ".", base)
            self._rows += [np.count_nonzero(~fits), len(fits)]
            self._reads += [counts[1, ~fits].sum(), counts[1].sum()]
            position, counts, here = position[fits], counts[:, fits], here[fits]
        else:
            is_cytosine = (here == _C) | (here == _G)
            self._pairs += [counts[1, is_cytosine].sum(), counts[1, ~is_cytosine & (here != N)].sum()]
        if self.target.strand == ".":
            position = position - ((here == _G) & (position > 0) & (sequence[np.maximum(position - 1, 0)] == _C))
        return position, counts

    def check(self) -> None:
        """That the reads lie on the genome that they are given with; rows that do not are logged."""
        file = self.target.file
        if self._reads[0] > _ELSEWHERE * self._reads[1]:
            raise InputError(
                f"{file}: wrong assembly, or counted from another base. {self._reads[0] / self._reads[1]:.0%} of its "
                "reads are where the genome has another base than the one that is modified."
            )
        if self._pairs.min() > _ELSEWHERE * self._pairs.sum():
            raise InputError(
                f"{file}: wrong assembly, or counted from another base. Of its reads "
                f"{self._pairs[0] / self._pairs.sum():.0%} are on a C or G of the genome, the others on A or T."
            )
        if self._rows[0]:
            _LOGGER.warning(
                f"{file.name}, {self.target.identifier}: {self._rows[0]:,} of {self._rows[1]:,} rows, with "
                f"{self._reads[0] / self._reads[1]:.1%} of the reads, are where the genome has another base; left out."
            )

    @staticmethod
    def _fits(here: np.ndarray, strand: np.ndarray | str, base: int) -> np.ndarray:
        """Whether the genome has a base there, on the strand of the site; an N may be any, and `.` is either."""
        plus, minus = here == base, here == COMPLEMENT[base]
        return (here == N) | (plus & (strand != "-")) | (minus & (strand != "+"))

    def _check_inside(self, chrom: str, sites: pd.DataFrame) -> None:
        if (sites["position"] < 0).any():
            raise InputError(
                f"{self.target.file}: a site lies before the first base of {chrom}. CpG tables and Bismark's files "
                "count positions from 1, BED files from 0."
            )
        outside = sites[sites["position"] >= self.bins.sizes[chrom]]
        if len(outside):
            raise InputError(
                f"{self.target.file}: wrong assembly. A site lies at {chrom}:{outside['position'].iloc[0] + 1} "
                f"(1-based), but {chrom} has {self.bins.sizes[chrom]:,} bp."
            )


def _check_covered(target: Target, is_covered: bool) -> None:
    if not is_covered:
        strand = "" if target.strand == "." else f" on strand {target.strand}"
        raise InputError(f"{target.file} covers no bin of the genome with a read{strand}.")
