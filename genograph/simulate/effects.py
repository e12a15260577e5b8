"""True effects: of every element on every gene that it reaches, and of single-nucleotide variants."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from genograph.simulate.grammar import FACTORS, Motif
from genograph.simulate.sequence import read_sites, site_activity
from genograph.simulate.truth import BASAL, OWN, Truth
from genograph.simulate.write import gene_name, write_table

REACHED = 0.05  # contact, of 1, from which on an element is listed with a gene
_INFO = {
    "FEATURE": ("String", "Element or promoter whose planted site it hits"),
    "ACCESSIBILITY": ("Float", "Natural logarithm of the fold change of the feature's accessibility"),
    "GENE": ("String", "Gene whose expression changes most"),
    "EXPRESSION": ("Float", "Natural logarithm of the fold change of its expression"),
}


def write_links(path: Path, truth: Truth) -> None:
    """TSV of every gene and each element that reaches it, with what removing the element does to the gene.

    `effect` is the relative change of expression, -0.2 for a fifth less; `contact` is 1 for neighbouring nodes.
    """
    tables = []
    for each in truth.of_kind("element"):
        element, genes = truth.features[each], _genes_of(truth, each)
        node = truth.architecture.node_of_feature[truth.promoters[genes]]
        contact = truth.weights(node, np.array([each]))[:, 0]
        genes, contact = genes[contact >= REACHED], contact[contact >= REACHED]
        effect = np.expm1(truth.effect_of(each, -truth.activity[each], genes))
        tss = np.array([truth.features[promoter].middle for promoter in truth.promoters[genes]], dtype=np.int64)
        tables.append(
            pd.DataFrame(
                {
                    "chrom": element.chrom,
                    "element": element.name,
                    "gene": [gene_name(truth.features[promoter]) for promoter in truth.promoters[genes]],
                    "distance": np.abs(tss - element.middle),
                    "contact": contact,
                    "activity": truth.activity[each],
                    "effect": effect,
                }
            )
        )
    write_table(path, pd.concat(tables, ignore_index=True))


def _genes_of(truth: Truth, feature: int) -> np.ndarray:
    """Positions among the promoters of those on a feature's chromosome."""
    return np.flatnonzero(truth.chrom_of_promoter == truth.features[feature].chrom)


def write_variants(path: Path, truth: Truth, motifs: Mapping[str, Motif], count: int, rng: np.random.Generator) -> None:
    """VCF of variants with their true effects: half in binding sites, half anywhere.

    A site that a variant makes by chance has no effect here, as it has none in the data.
    """
    hit = {
        (feature.chrom, site.start + offset): number
        for number, (feature, sites) in enumerate(zip(truth.features, truth.sites, strict=True))
        for site in sites
        if site.factor != "CTCF"
        for offset in range(FACTORS[site.factor])
    }
    order = {chrom: number for number, chrom in enumerate(truth.codes)}
    places = _places(truth, list(hit), count, rng)
    with path.open("w") as file:
        file.write("##fileformat=VCFv4.2\n")
        for key, (kind, text) in _INFO.items():
            file.write(f'##INFO=<ID={key},Number=1,Type={kind},Description="{text}">\n')
        for chrom, codes in truth.codes.items():
            file.write(f"##contig=<ID={chrom},length={len(codes)}>\n")
        file.write("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
        for chrom, position in sorted(places, key=lambda each: (order[each[0]], each[1])):
            alt = (int(truth.codes[chrom][position]) + int(rng.integers(1, 4))) % 4
            file.write(_record(truth, motifs, chrom, position, alt, hit.get((chrom, position))) + "\n")


def _places(
    truth: Truth, in_sites: list[tuple[str, int]], count: int, rng: np.random.Generator
) -> set[tuple[str, int]]:
    """Chromosome and position of each variant: half of them in sites, as far as these go, the others anywhere."""
    places = {in_sites[each] for each in rng.permutation(len(in_sites))[: count // 2]}
    while len(places) < count:
        chrom = str(rng.choice(list(truth.codes)))
        places.add((chrom, int(rng.integers(len(truth.codes[chrom])))))
    return places


def _record(truth: Truth, motifs: Mapping[str, Motif], chrom: str, position: int, alt: int, feature: int | None) -> str:
    """The VCF line of a variant."""
    gene, accessibility, expression = ".", 0.0, 0.0
    if feature is not None:
        change = _altered(truth, motifs, feature, position, alt) - truth.activity[feature]
        accessibility = float(np.log1p(change / truth.openness[feature]))
        gene, expression = _strongest(truth, feature, change)
    values = {
        "FEATURE": "." if feature is None else truth.features[feature].name,
        "ACCESSIBILITY": f"{accessibility:.6g}",
        "GENE": gene,
        "EXPRESSION": f"{expression:.6g}",
    }
    info = ";".join(f"{key}={value}" for key, value in values.items())
    ref = "ACGT"[truth.codes[chrom][position]]
    return f"{chrom}\t{position + 1}\t{chrom}_{position + 1}_{ref}_{'ACGT'[alt]}\t{ref}\t{'ACGT'[alt]}\t.\t.\t{info}"


def _altered(truth: Truth, motifs: Mapping[str, Motif], feature: int, position: int, alt: int) -> float:
    """The activity of a feature with another base at a position."""
    codes = truth.codes[truth.features[feature].chrom]
    before = codes[position]
    codes[position] = alt
    sites = read_sites(codes, truth.features[feature], motifs)
    codes[position] = before
    return site_activity(sites)


def _strongest(truth: Truth, feature: int, change: float) -> tuple[str, float]:
    """The gene that a change of a feature's activity moves most, and the logarithm of the fold change."""
    if truth.features[feature].kind == "promoter":
        activity = truth.activity[feature]
        fold = (BASAL + OWN * (activity + change)) / (BASAL + OWN * activity)
        return gene_name(truth.features[feature]), float(np.log(fold))
    genes = _genes_of(truth, feature)
    effects = truth.effect_of(feature, change, genes)
    best = int(np.abs(effects).argmax())
    if not effects[best]:
        return ".", 0.0
    return gene_name(truth.features[truth.promoters[genes[best]]]), float(effects[best])
