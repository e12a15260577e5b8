"""CpG methylation of single cells: one matrix of sites by cells, as DeepCpG learns from, and a table of each cell.

Angermueller, Lee, Reik & Stegle 2017, Genome Biology 18:67.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
import pandas as pd

from genograph.assays.bigwig import is_bigwig
from genograph.assays.site_bigwig import SiteBigWig
from genograph.assays.sites import open_sites
from genograph.assays.targets import Target
from genograph.atomic import replacing
from genograph.errors import InputError
from genograph.genome.assembly import N
from genograph.genome.names import match_names, shorten

_LOGGER = logging.getLogger("genograph")
_C, _G = 1, 2
_BITS = 40  # of a position, below the number of its chromosome: one ascending key for each site of a genome
_ELSEWHERE = 0.2  # of the sites may be no CpG of the genome; positions that are off by one make it most of them


@dataclass(frozen=True)
class CpgStates:
    """The CpG sites that at least one cell covers, and their state in every cell.

    Attributes:
        chroms: All chromosomes of the genome.
        cells: Names of the cells.
        chrom_index: (sites,) int64 position of the chromosome in `chroms`, ascending.
        position: (sites,) int64 0-based position of the C on the plus strand, ascending on a chromosome.
        state: (sites, cells) float32 methylated fraction, NaN where the cell does not cover the site. This and the
            two above may be memory-mapped.
    """

    chroms: tuple[str, ...]
    cells: tuple[str, ...]
    chrom_index: np.ndarray
    position: np.ndarray
    state: np.ndarray


def binary(state: np.ndarray) -> np.ndarray:
    """1 where a fraction is above a half, 0 where not, NaN where it is missing.

    Exactly a half is 0, for DeepCpG's labels are `np.round` of a fraction, which rounds to even.
    """
    return np.round(state)


def read_cells(
    targets: Sequence[Target],
    *,
    sizes: Mapping[str, int],
    aliases: Mapping[str, str],
    codes: np.ndarray | None = None,
) -> CpgStates:
    """The states of all cells at every site that one of them covers.

    A file's rows of one site are averaged by their coverage; a value without a coverage is one read. With the genome's
    sequence, both cytosines of a CpG are one site, and what is no CpG is left out. Without, only a file that tells
    strands has the two joined.

    Args:
        targets: One per cell, whose identifier names it; its file is one that `open_sites` knows (DeepCpG's own tables
            and bedGraphs are) or a bigWig, its column chooses a modification code, its scale makes values fractions.
        sizes: Chromosome sizes in bp, in the genome's order.
        aliases: Further names of chromosomes, alias -> name.
        codes: (bases,) the genome's sequence, chromosomes end to end. None: sites are taken as they are.

    Raises:
        InputError: If a file is not one, two cells have one name, a file has no covered site, or does not fit the
            genome.
    """
    names = [target.identifier for target in targets]
    if len(set(names)) < len(names) or not names:
        raise InputError(f"Cells need names that differ, and there must be one; got {shorten(names)}.")
    covered = {target.identifier: _read_cell(target, sizes, aliases, codes) for target in targets}
    sites = reduce(np.union1d, (key for key, _ in covered.values()))
    state = np.full((len(sites), len(names)), np.nan, dtype=np.float32)
    for column, name in enumerate(names):
        key, fraction = covered.pop(name)
        state[np.searchsorted(sites, key), column] = fraction
    return CpgStates(tuple(sizes), tuple(names), sites >> _BITS, sites & ((1 << _BITS) - 1), state)


def write_cells(folder: str | Path, states: CpgStates, *, bedgraph: bool = False) -> list[Path]:
    """Write a table of each cell, `<cell>.tsv.gz`, as DeepCpG and `read_cells` read it; their paths.

    Columns chromosome, 1-based position and methylated fraction, without a header; a row for each site that the cell
    covers. With `bedgraph` chromosome, 0-based start, end and fraction, in `<cell>.bedgraph.gz`. A fraction has the
    digits that give the same float32 back.

    Raises:
        InputError: If a file is there already, a cell covers no site, or its name holds a slash.
    """
    folder = Path(folder)
    paths = [folder / f"{cell}.{'bedgraph' if bedgraph else 'tsv'}.gz" for cell in states.cells]
    for column, (cell, path) in enumerate(zip(states.cells, paths, strict=True)):
        if "/" in cell:
            raise InputError(f"Cell '{cell}': a slash parts folders. Call the cell otherwise.")
        if path.exists():
            raise InputError(f"{path} is there already. Write to an empty folder.")
        if np.isnan(states.state[:, column]).all():
            raise InputError(f"Cell '{cell}' covers no site; leave it out.")
    folder.mkdir(parents=True, exist_ok=True)
    for column, path in enumerate(paths):
        rows = np.flatnonzero(~np.isnan(states.state[:, column]))
        chrom = pd.Categorical.from_codes(states.chrom_index[rows], [*states.chroms])
        start, value = states.position[rows], states.state[rows, column]
        place = {"start": start, "end": start + 1} if bedgraph else {"pos": start + 1}
        table = pd.DataFrame({"chrom": chrom, **place, "value": value})
        compression = {"method": "gzip", "mtime": 0}  # so that the same cell is the same bytes
        with replacing(path) as written:
            table.to_csv(written, sep="\t", header=False, index=False, float_format="%.9g", compression=compression)
    return paths


def _read_cell(
    target: Target, sizes: Mapping[str, int], aliases: Mapping[str, str], codes: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Key, ascending, and methylated fraction of every site that a cell covers: (covered,) int64 and float32."""
    source = SiteBigWig(target.file) if is_bigwig(target.file) else open_sites(target.file)
    found, kinds = source.survey()
    if len(kinds) > 1 and target.column not in kinds:
        raise InputError(
            f"Cell '{target.identifier}': {target.file} has several codes: {shorten(sorted(kinds))}. "
            f"Choose one in the targets table: {target.file.name}::{sorted(kinds)[0]}."
        )
    names = match_names(list(sizes), found, aliases=aliases, source=target.file.name)
    genome_name = {other: name for name, other in names.items()}
    placer = _Placer(target, sizes, codes)
    pieces = []
    for rows in source.sites(target.scale):
        rows = rows[(rows["coverage"] > 0) & rows["chrom"].isin(genome_name)]
        if target.column and "code" in rows:
            rows = rows[rows["code"] == target.column]
        pieces += [placer.place(genome_name[other], sites) for other, sites in rows.groupby("chrom", sort=False)]
    placer.check()
    return _averaged(*(np.concatenate(column) for column in zip(*pieces, strict=True)))


def _averaged(key: np.ndarray, methylated: np.ndarray, coverage: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    key, row = np.unique(key, return_inverse=True)
    return key, (np.bincount(row, methylated) / np.bincount(row, coverage)).astype(np.float32)


class _Placer:
    """Puts sites of a cell where the genome has its CpGs, and counts what lies elsewhere."""

    def __init__(self, target: Target, sizes: Mapping[str, int], codes: np.ndarray | None) -> None:
        self.target, self.sizes, self.codes = target, sizes, codes
        self._index = {chrom: index for index, chrom in enumerate(sizes)}
        self._offset = dict(zip(sizes, np.cumsum([0, *sizes.values()]).tolist(), strict=False))
        self._sites = self._elsewhere = 0

    def place(self, chrom: str, sites: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Key, methylated reads and coverage of the sites of one chromosome that are CpGs."""
        position = sites["position"].to_numpy(dtype=np.int64)
        self._check_inside(chrom, position)
        is_minus = (sites["strand"] == "-").to_numpy() if "strand" in sites else np.zeros(len(position), dtype=bool)
        position, is_cpg = self._on_cpg(chrom, position, is_minus)
        self._sites += len(is_cpg)
        self._elsewhere += np.count_nonzero(~is_cpg)
        key = (self._index[chrom] << _BITS) + position
        methylated, coverage = sites[["methylated", "coverage"]].to_numpy(dtype=np.float64).T
        return key[is_cpg], methylated[is_cpg], coverage[is_cpg]

    def check(self) -> None:
        """Raise if there is no site, or if too many are no CpG; warn of the others."""
        file, name = self.target.file, self.target.identifier
        if self._elsewhere > _ELSEWHERE * self._sites:
            raise InputError(
                f"{file}: wrong assembly, or counted from another base. The genome has no CpG at "
                f"{self._elsewhere:,} of the {self._sites:,} sites of cell '{name}'."
            )
        if not self._sites:
            raise InputError(f"{file} covers no site of the genome with a read.")
        if self._elsewhere:
            _LOGGER.warning(
                f"{file.name}, {name}: {self._elsewhere:,} of {self._sites:,} sites are no CpG of the genome; left out."
            )

    def _on_cpg(self, chrom: str, position: np.ndarray, is_minus: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Each position, that of a CpG's G moved to its C, and whether there is a CpG.

        The genome tells which G is one of a CpG; where it is not known, or N, the strand does.
        """
        if self.codes is None:
            position = position - is_minus
            return position, position >= 0
        sequence = self.codes[self._offset[chrom] : self._offset[chrom] + self.sizes[chrom]]
        here, before = sequence[position], sequence[np.maximum(position - 1, 0)]
        is_second = ((here == _G) & (before == _C)) | ((here == N) & is_minus & np.isin(before, (_C, N)))
        position = np.where(is_second, position - 1, position)
        here, behind = sequence[np.maximum(position, 0)], sequence[np.minimum(position + 1, len(sequence) - 1)]
        is_inside = (position >= 0) & (position < len(sequence) - 1)
        return position, is_inside & np.isin(here, (_C, N)) & np.isin(behind, (_G, N))

    def _check_inside(self, chrom: str, position: np.ndarray) -> None:
        outside = position[(position < 0) | (position >= self.sizes[chrom])]
        if len(outside):
            raise InputError(
                f"{self.target.file}: wrong assembly. A site lies at {chrom}:{outside[0] + 1} (1-based), but {chrom} "
                f"has {self.sizes[chrom]:,} bp. CpG tables and Bismark's files count from 1, BED files from 0."
            )
