"""Genes of a genome: where they lie and where their transcription starts."""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd

from genograph.errors import InputError, nearest
from genograph.genome.bins import Bins
from genograph.genome.lines import read_lines
from genograph.genome.names import match_names, shorten

_LOGGER = logging.getLogger("genograph")
_GTF_ATTRIBUTE = re.compile(r'\s*(\w+)\s+"([^"]*)"')
_GTF_GENE = re.compile(r'\s*gene_id\s+"(?:gene[:-])?(?P<id>[^"]*)"')
ENSEMBL_GENE = re.compile(r"^(ENS[A-Z]*G\d{11})(\.\d+)?$")
_COLUMNS = ("id", "name", "chrom", "start", "end", "strand", "biotype")


@dataclass(frozen=True, kw_only=True)
class Genes:
    """Genes as arrays of one length, in the order of their file.

    Attributes:
        id: Identifier, such as `YAL068C` or `ENSG00000139618`.
        name: Symbol, such as `PAU8`; the identifier where there is none.
        chrom: Chromosome, named as in the genome.
        start: First base, 0-based.
        end: One past the last base.
        strand: `+`, `-` or `.` (unknown).
        biotype: Such as `protein_coding`; empty where the file does not say.
    """

    id: np.ndarray
    name: np.ndarray
    chrom: np.ndarray
    start: np.ndarray
    end: np.ndarray
    strand: np.ndarray
    biotype: np.ndarray

    def __len__(self) -> int:
        return len(self.id)

    @property
    def tss(self) -> np.ndarray:
        """0-based position of the first transcribed base; a gene of unknown strand counts as `+`."""
        return np.where(self.strand == "-", self.end - 1, self.start)

    def numbers(self) -> dict[str, int]:
        """The number of each gene by its name and by its id, which comes first; -1 where there are several.

        An Ensembl id is without its version.
        """
        found: dict[str, int] = {}
        for names in (self.name.tolist(), map(without_version, self.id.tolist())):
            own: dict[str, int] = {}
            for number, name in enumerate(names):
                own[name] = number if own.setdefault(name, number) == number else -1
            found |= own
        return found

    def to_frame(self) -> pd.DataFrame:
        """The genes as a table, one column per attribute."""
        return pd.DataFrame({column: getattr(self, column) for column in _COLUMNS})

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> Genes:
        """The genes of a table that `to_frame` made."""
        numbers = {column: frame[column].astype(np.int64).to_numpy() for column in ("start", "end")}
        text = {column: frame[column].fillna("").to_numpy(str) for column in _COLUMNS if column not in numbers}
        return cls(**numbers, **text)

    def select(self, mask: np.ndarray) -> Genes:
        """The genes where `mask` (a boolean array or positions) selects them."""
        return Genes(**{column: getattr(self, column)[mask] for column in _COLUMNS})


def without_version(gene_id: str) -> str:
    """An Ensembl id without its version; other ids as they are: WormBase's `Y110A7A.10` is a gene of its own."""
    match = ENSEMBL_GENE.match(gene_id)
    return match[1] if match else gene_id


def read_genes(
    path: str | Path,
    sizes: Mapping[str, int],
    *,
    aliases: Mapping[str, str] | None = None,
    whole_genome: bool = False,
) -> Genes:
    """The genes of a GFF3, GTF, BED6 or table file that lie on the chromosomes of a genome.

    GFF3 and GTF give their gene features (`gene`, `ncRNA_gene`, `pseudogene` and others in -gene), identified by
    `gene_id`, else `locus_tag`, else `ID`. In a GTF without any, a gene reaches over all features of its
    `gene_id` on one chromosome and strand. A table
    (.tsv, .csv) has a header with the columns name, chrom, start and end (0-based, half-open) and strand,
    and may have id and biotype. Every kind may be compressed with gzip.

    Args:
        path: The file; its suffix says the format.
        sizes: Chromosome sizes in bp.
        aliases: Further names of chromosomes, alias -> name.
        whole_genome: Whether to log other chromosomes, see `match_names`.

    Raises:
        InputError: If the format is unknown, a line is malformed, no chromosome matches, or a gene leaves
            its chromosome.
    """
    path = Path(path)
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if suffix not in READERS:
        raise InputError(f"{path}: genes are read from {', '.join(READERS)} files; got '{suffix}'.")
    rows = list(READERS[suffix](path))
    if not rows:
        raise InputError(f"{path} holds no gene. GFF3 needs features of type gene, GTF at least exons with a gene_id.")
    found = list(dict.fromkeys(row["chrom"] for row in rows))
    names = match_names([*sizes], found, aliases=aliases or {}, source=path.name, whole_genome=whole_genome)
    genome_name = {other: name for name, other in names.items()}
    rows = [row | {"chrom": genome_name[row["chrom"]]} for row in rows if row["chrom"] in genome_name]
    for row in rows:
        _check_gene(row, sizes[row["chrom"]], path)
    return Genes.from_frame(pd.DataFrame(rows))


def _read_gff(path: Path) -> Iterator[dict]:
    """GFF3 and GTF differ in how they write attributes; both are 1-based with the end included."""
    has_genes, parts, circles, named, told = False, {}, {}, set(), set()
    for number, line in read_lines(path):
        if line.startswith(">"):  # the FASTA part of a GFF3 file
            break
        columns = line.split("\t")
        if len(columns) != 9:
            raise InputError(f"{path}, line {number}: expected 9 tab-separated columns; got {len(columns)}.")
        if columns[2] == "region" and "Is_circular=true" in columns[8]:
            circles[columns[0]] = _integers(columns[4:5], path, number)[0]
        if columns[2].endswith("gene"):
            has_genes = True
            row = _gff_row(columns, path, number)
            named.add(row["id"])
            if row["end"] > circles.get(row["chrom"], row["end"]):
                _LOGGER.warning(
                    f"{path.name}: gene {row['id']} lies across the origin of {row['chrom']} and is left out"
                )
            else:
                yield row
        elif match := _GTF_GENE.match(columns[8]):
            told.add(match["id"])
            if not has_genes:
                row = _gff_row(columns, path, number)
                first = parts.setdefault((row["id"], row["chrom"], row["strand"]), row)
                first["start"], first["end"] = min(first["start"], row["start"]), max(first["end"], row["end"])
    if not has_genes:
        yield from parts.values()
    elif left := sorted(told - named):
        _LOGGER.warning(
            f"{path.name}: {len(left)} of its genes have no row of their own, though others have, and are left out: "
            f"{shorten(left, 3)}"
        )


def _gff_row(columns: list[str], path: Path, number: int) -> dict:
    attributes = _attributes(columns[8])
    full_id = attributes.get("gene_id") or attributes.get("locus_tag") or attributes.get("ID") or ""
    gene_id = re.sub(r"^gene[:-]", "", full_id)
    if not gene_id:
        raise InputError(f"{path}, line {number}: a gene has no gene_id, locus_tag or ID.")
    name = attributes.get("Name") or attributes.get("gene_name") or attributes.get("gene") or gene_id
    biotype = attributes.get("biotype") or attributes.get("gene_biotype") or attributes.get("gene_type") or ""
    start, end = _integers(columns[3:5], path, number)
    return _row(gene_id, name, columns[0], start - 1, end, columns[6], biotype)


def _attributes(text: str) -> dict[str, str]:
    if _GTF_ATTRIBUTE.match(text):
        return dict(_GTF_ATTRIBUTE.findall(text))
    pairs = (part.split("=", 1) for part in text.split(";") if "=" in part)
    return {key.strip(): unquote(value.strip()) for key, value in pairs}


def _read_bed(path: Path) -> Iterator[dict]:
    for number, line in read_lines(path):
        columns = line.split("\t") if "\t" in line else line.split()
        if columns[0] in ("track", "browser"):
            continue
        if len(columns) < 6:
            raise InputError(
                f"{path}, line {number}: genes need BED6 (chrom start end name score strand); got '{line}'."
            )
        start, end = _integers(columns[1:3], path, number)
        yield _row(columns[3], columns[3], columns[0], start, end, columns[5])


def _read_table(path: Path) -> Iterator[dict]:
    lines = (line for _, line in read_lines(path))
    rows = csv.DictReader(lines, delimiter="," if ".csv" in path.suffixes else "\t")
    header = rows.fieldnames or []
    for column in ("name", "chrom", "start", "end", "strand"):
        if column not in header:
            raise InputError(f"{path} has no column '{column}'.{nearest(column, header)}")
    for number, row in enumerate(rows, start=2):
        start, end = _integers([row["start"], row["end"]], path, number)
        gene_id = row.get("id") or row["name"]
        yield _row(gene_id, row["name"], row["chrom"], start, end, row["strand"], row.get("biotype") or "")


READERS = {
    ".gff": _read_gff,
    ".gff3": _read_gff,
    ".gtf": _read_gff,
    ".bed": _read_bed,
    ".tsv": _read_table,
    ".csv": _read_table,
}


def _row(gene_id: str, name: str, chrom: str, start: int, end: int, strand: str | None, biotype: str = "") -> dict:
    strand = strand if strand in ("+", "-") else "."
    return dict(zip(_COLUMNS, (gene_id, name, chrom, start, end, strand, biotype), strict=True))


def _integers(values: list[str], path: Path, number: int) -> list[int]:
    try:
        return [int(value) for value in values]
    except (TypeError, ValueError):
        raise InputError(f"{path}, line {number}: start and end must be whole numbers; got {values}.") from None


def _check_gene(row: dict, size: int, path: Path) -> None:
    if not 0 <= row["start"] < row["end"] <= size:
        raise InputError(
            f"{path}: gene {row['id']} lies at {row['chrom']}:{row['start']}-{row['end']}, but must satisfy "
            f"0 <= start < end <= {size}, the size of {row['chrom']}. Is it the same assembly?"
        )


def gene_bins(genes: Genes, bins: Bins, *, paint: str) -> tuple[np.ndarray, np.ndarray]:
    """The bins that stand for each gene, as pairs of gene and bin: two arrays (pairs,).

    Args:
        genes: The genes.
        bins: The bins of their genome.
        paint: `gene` for all bins that the gene touches, `tss` for the one that holds its TSS. A gene in
            the dropped remainder of a chromosome has none.
    """
    start, end = (genes.tss, genes.tss + 1) if paint == "tss" else (genes.start, genes.end)
    names, chrom = np.unique(genes.chrom, return_inverse=True)
    spans = np.array([(span.start, span.stop) for span in map(bins.span, names)], dtype=np.int64).reshape(-1, 2)
    offset, stop = spans[chrom].T
    first = offset + start // bins.bin_size
    count = np.maximum(np.minimum(offset + -(-end // bins.bin_size), stop) - first, 0)
    gene = np.repeat(np.arange(len(genes)), count)
    return gene, np.arange(len(gene)) + np.repeat(first - (np.cumsum(count) - count), count)
