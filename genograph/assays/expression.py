"""Expression tables: one value per gene and sample, painted onto the bins of a genome."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from genograph.assays.tables import read_column
from genograph.errors import InputError, nearest
from genograph.genome.bins import Bins
from genograph.genome.genes import ENSEMBL_GENE, Genes, gene_bins, without_version

_LOGGER = logging.getLogger("genograph")
PAINTS = ("gene", "tss")


def read_expression(path: str | Path, column: str) -> dict[str, float]:
    """One sample of an expression table: value by gene, NaN where a cell is empty.

    The table has gene ids in its first column and one column per sample; other columns, such as those of
    featureCounts, RSEM, Salmon or GTEx's .gct, are ignored. See `genograph.assays.tables.read_column`.

    Raises:
        InputError: If the column is unknown, a cell is not a number, or a gene comes twice.
    """
    rows, values = read_column(path, column)
    names = rows[0].str.strip()
    twice = names[names.duplicated()]
    if len(twice):
        raise InputError(f"{path}: gene '{twice.iloc[0]}' comes twice. Give each gene one row.")
    return dict(zip(names, values.tolist(), strict=True))


def gene_values(path: str | Path, genes: Genes, column: str) -> np.ndarray:
    """The value of each gene in one column of an expression table: (genes,) float64, NaN if not measured.

    A row of the table belongs to the gene with that id, else to the gene with that Ensembl id in another or no
    version (`ENSG00000139618.18`), else to the genes with that name.

    Raises:
        InputError: As `read_expression`, and if no gene is in the table, or one in two versions.
    """
    table = read_expression(path, column)
    unversioned = _unversioned(table, path)
    keys = [
        gene_id if gene_id in table else unversioned.get(without_version(gene_id), name)
        for gene_id, name in zip(genes.id, genes.name, strict=True)
    ]
    matched = sum(key in table for key in keys)
    if not matched:
        raise InputError(
            f"{path}: none of its genes is known. The table has {', '.join(list(table)[:3])}; the annotation "
            f"has {', '.join(genes.id[:3])} (names {', '.join(genes.name[:3])})."
        )
    if 2 * matched < len(genes):
        _LOGGER.warning(f"{Path(path).name}, {column}: only {matched} of {len(genes)} genes are in the table")
    return np.array([table.get(key, np.nan) for key in keys])


def _unversioned(table: Iterable[str], path: str | Path) -> dict[str, str]:
    """The table's key of each Ensembl gene, by its id without the version.

    Other ids have none: WormBase's `Y110A7A.10` and `Y110A7A.1` are two genes.
    """
    keys: dict[str, str] = {}
    for key in filter(ENSEMBL_GENE.match, table):
        gene_id = without_version(key)
        if keys.setdefault(gene_id, key) != key:
            raise InputError(f"{path}: gene '{gene_id}' comes twice, as {keys[gene_id]} and {key}. Give it one row.")
    return keys


def paint_genes(values: np.ndarray, genes: Genes, bins: Bins, *, paint: str = "gene", strand: str = ".") -> np.ndarray:
    """Values of genes as a track: (bins,) float64, NaN where no measured gene is.

    With `gene` a bin takes the mean of the measured genes that overlap it, weighted by the bases they
    share with it. With `tss` it takes the sum of the measured genes that start in it, as transcripts that
    start there add up.

    Args:
        values: (genes,) value of each gene, NaN if not measured.
        genes: The genes.
        bins: The bins to paint.
        paint: `gene` or `tss`.
        strand: `+` or `-` paints only the genes of that strand, `.` all.

    Raises:
        InputError: If `paint` is unknown.
    """
    if paint not in PAINTS:
        raise InputError(f"Unknown way to paint genes '{paint}'.{nearest(paint, PAINTS)}")
    measured = ~np.isnan(values) & np.isin(genes.chrom, bins.chroms)
    if strand != ".":
        measured &= genes.strand == strand
    painter = _paint_bodies if paint == "gene" else _paint_starts
    return painter(np.asarray(values)[measured], genes.select(measured), bins)


def _paint_bodies(values: np.ndarray, genes: Genes, bins: Bins) -> np.ndarray:
    gene, tile = gene_bins(genes, bins, paint="gene")
    # Only the first and the last bin of a gene can be covered in part.
    first, last = np.flatnonzero(np.diff(gene, prepend=-1)), np.flatnonzero(np.diff(gene, append=-1))
    shared = np.full(len(tile), bins.bin_size)
    shared[first] -= genes.start[gene[first]] % bins.bin_size
    shared[last] -= np.maximum(bins.ends(tile[last]) - genes.end[gene[last]], 0)
    total = np.bincount(tile, weights=values[gene] * shared, minlength=len(bins))
    bases = np.bincount(tile, weights=shared, minlength=len(bins))
    return np.divide(total, bases, out=np.full(len(bins), np.nan), where=bases > 0)


def _paint_starts(values: np.ndarray, genes: Genes, bins: Bins) -> np.ndarray:
    gene, tile = gene_bins(genes, bins, paint="tss")
    painted = np.full(len(bins), np.nan)
    painted[tile] = 0
    np.add.at(painted, tile, values[gene])
    return painted
