"""A world as files in the formats of the field."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from genograph.assays.bigwig import write_bigwig
from genograph.genome.bins import Bins
from genograph.simulate.grammar import FACTORS, Motif
from genograph.simulate.layout import Feature
from genograph.simulate.truth import Truth

_LETTERS = np.frombuffer(b"ACGTN", dtype=np.uint8)
_LINE = 80  # bases
_STRAND = {1: "+", -1: "-"}
GENE_BODY = (3_000, 9_000)  # bp
HALF_ELEMENT = 250  # bp


def write_fasta(path: Path, codes: Mapping[str, np.ndarray]) -> None:
    """Sequences in lines of 80."""
    with path.open("wb") as file:
        for chrom, each in codes.items():
            file.write(f">{chrom}\n".encode())
            for start in range(0, len(each), _LINE):
                file.write(_LETTERS[each[start : start + _LINE]].tobytes() + b"\n")


def write_track(path: Path, bins: Bins, values: np.ndarray) -> None:
    """A bigWig of one value per bin, NaN where missing."""

    def stretches() -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
        for chrom in bins.chroms:
            tiles = np.arange(len(bins))[bins.span(chrom)]
            yield chrom, bins.starts(tiles), bins.ends(tiles), values[tiles]

    write_bigwig(path, bins.sizes, stretches())


def write_gtf(path: Path, truth: Truth, rng: np.random.Generator) -> None:
    """A gene, a transcript and an exon for each promoter."""
    with path.open("w") as file:
        for each in truth.promoters:
            feature, length = truth.features[each], int(rng.integers(*GENE_BODY))
            size = truth.bins.sizes[feature.chrom]
            start, end = (feature.middle, feature.middle + length)
            if feature.strand == -1:
                start, end = feature.middle + 1 - length, feature.middle + 1
            start, end, strand = max(start, 0), min(end, size), _STRAND[feature.strand]
            name = gene_name(feature)
            gene = f'gene_id "{name}"; gene_name "{name}"; gene_type "protein_coding";'
            transcript = f'{gene} transcript_id "{name}.1";'
            for kind, attributes in (("gene", gene), ("transcript", transcript), ("exon", transcript)):
                columns = (feature.chrom, "simulated", kind, start + 1, end, ".", strand, ".", attributes)
                file.write("\t".join(map(str, columns)) + "\n")


def gene_name(feature: Feature) -> str:
    """The gene of a promoter."""
    return feature.name.replace("promoter", "gene")


def write_elements(path: Path, truth: Truth) -> None:
    """BED6 of all promoters and elements, decoys and silent ones among them: what may matter, not what does."""
    listed = [each for each in truth.features if each.kind != "border"]
    starts = [each.middle - HALF_ELEMENT for each in listed]
    frame = pd.DataFrame(
        {
            "chrom": [each.chrom for each in listed],
            "start": starts,
            "end": [start + 2 * HALF_ELEMENT for start in starts],
            "name": [each.name for each in listed],
            "score": 0,
            "strand": [_STRAND[each.strand] if each.kind == "promoter" else "." for each in listed],
        }
    )
    write_table(path, frame, header=False)


def write_loops(path: Path, truth: Truth) -> None:
    """BEDPE of the loops, each end a bin of the map; the score is the strength."""
    architecture, loops = truth.architecture, truth.architecture.loops
    columns = {}
    for number, ends in enumerate((loops.first, loops.second), start=1):
        nodes = architecture.node_of_feature[ends]
        columns |= {
            f"chrom{number}": np.asarray(architecture.nodes.chroms)[architecture.nodes.chrom_index(nodes)],
            f"start{number}": architecture.nodes.starts(nodes),
            f"end{number}": architecture.nodes.ends(nodes),
        }
    names = [
        truth.features[a].name + "-" + truth.features[b].name for a, b in zip(loops.first, loops.second, strict=True)
    ]
    frame = pd.DataFrame({**columns, "name": names, "score": loops.strength.round(3)})
    write_table(path, frame, header=False)


def write_motifs(path: Path, motifs: Mapping[str, Motif]) -> None:
    """MEME minimal format."""
    lines = ["MEME version 4", "", "ALPHABET= ACGT", "", "strands: + -", ""]
    for name, motif in motifs.items():
        lines += [f"MOTIF {name}", f"letter-probability matrix: alength= 4 w= {len(motif)} nsites= 100 E= 0"]
        lines += [" ".join(f"{each:.4f}" for each in row) for row in motif.probability]
        lines.append("")
    path.write_text("\n".join(lines))


def write_cov(path: Path, sites: Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]) -> None:
    """Bismark coverage of chromosome after chromosome: name, position, methylated and unmethylated reads."""
    with path.open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="") as packed:
        for chrom, position, methylated, unmethylated in sites:
            percent = np.round(100 * methylated / (methylated + unmethylated), 4)
            frame = pd.DataFrame(
                {"chrom": chrom, "start": position + 1, "end": position + 1, "percent": percent}
                | {"methylated": methylated, "unmethylated": unmethylated}
            )
            text = io.StringIO()
            frame.to_csv(text, sep="\t", header=False, index=False, lineterminator="\n")
            packed.write(text.getvalue().encode())


def write_sites(path: Path, truth: Truth) -> None:
    """BED6+2 of the planted binding sites: the score is 1000 times the occupancy; then element and pair."""
    rows = [
        (
            feature.chrom,
            site.start,
            site.start + FACTORS[site.factor],
            site.factor,
            round(1000 * site.occupancy),
            _STRAND[site.strand],
            feature.name,
            site.pair,
        )
        for feature, sites in zip(truth.features, truth.sites, strict=True)
        for site in sorted(sites, key=lambda each: each.start)
    ]
    write_table(path, pd.DataFrame(rows), header=False)


def write_features(path: Path, truth: Truth) -> None:
    """What every feature is made of and does."""
    frame = pd.DataFrame(
        {
            "name": [each.name for each in truth.features],
            "chrom": [each.chrom for each in truth.features],
            "middle": [each.middle for each in truth.features],
            "kind": [each.kind for each in truth.features],
            "make": [each.make for each in truth.features],
            "activity": truth.activity,
            "openness": truth.openness,
            "carried": truth.carried[truth.architecture.node_of_feature],
        }
    )
    frame["expression"] = np.nan
    frame.loc[truth.promoters, "expression"] = truth.expression()
    write_table(path, frame)


def write_table(path: Path, frame: pd.DataFrame, *, header: bool = True) -> None:
    """A tab-separated table; numbers have six digits."""
    frame.to_csv(path, sep="\t", header=header, index=False, float_format="%.6g", na_rep="nan", lineterminator="\n")
