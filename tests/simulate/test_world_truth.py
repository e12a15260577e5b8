"""What contacts carry, and what elements and variants do, worked out anew from the files of a world."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pybigtools
import pytest

from genograph.genome.assembly import read_fasta
from genograph.simulate import layout
from genograph.simulate.settings import WorldSettings
from genograph.simulate.truth import BASAL, EFFECT, OWN
from genograph.simulate.world import draw_world

NODE, REACH = 2000, 1_000_000
TINY = {"size": 600_000, "chroms": 3}


@pytest.fixture(scope="module")
def features(world):
    return pd.read_csv(world / "truth" / "features.tsv", sep="\t")


@pytest.fixture(scope="module")
def reached(world, features):
    """Promoters by elements: how well each element reaches each promoter, 0 between chromosomes."""
    node = features["middle"].to_numpy() // NODE
    loops = pd.read_csv(world / "truth" / "loops.bedpe", sep="\t", header=None)
    strengths = {}
    for _, chrom, start, _, _, other, _, _, strength in loops.itertuples():
        key = chrom, min(start, other) // NODE, max(start, other) // NODE
        strengths[key] = strengths.get(key, 0) + strength
    is_border = features["kind"] == "border"
    borders = {chrom: node[is_border & (features["chrom"] == chrom)] for chrom in features["chrom"].unique()}
    promoters, elements = (np.flatnonzero(features["kind"] == kind) for kind in ("promoter", "element"))
    weight = np.zeros((len(promoters), len(elements)))
    for row, promoter in enumerate(promoters):
        for column, element in enumerate(elements):
            chrom = features["chrom"][promoter]
            if chrom != features["chrom"][element]:
                continue
            one, other = sorted((node[promoter], node[element]))
            met = 1 / max(other - one, 0.5) if (other - one) * NODE <= REACH else 0.0
            if ((borders[chrom] > one) & (borders[chrom] <= other)).any():
                met *= 0.3
            weight[row, column] = min(met + strengths.get((chrom, one, other), 0), 1)
    names = features["name"].to_numpy()
    return pd.DataFrame(weight, index=names[promoters], columns=names[elements])


@pytest.fixture(scope="module")
def expression_of(features, reached):
    """Expression of all promoters, but for a factor, when features have these activities."""
    activity = features.set_index("name")["activity"]

    def touched(activity):
        return reached.to_numpy() @ activity[reached.columns].to_numpy() / reached.sum(axis=1)

    mean, spread = touched(activity).mean(), touched(activity).std(ddof=0)

    def expression(changes):
        now = activity.copy()
        for name, value in changes.items():
            now[name] = value
        carried = (touched(now) - mean) / spread
        own = BASAL + OWN * now[reached.index].to_numpy()
        return pd.Series(own / (1 + np.exp(-EFFECT * carried)), index=reached.index)

    return expression


def test_expression_is_own_strength_times_the_response_to_what_contacts_carry(features, expression_of):
    stated = features.set_index("name")["expression"].dropna()
    ours = expression_of({})
    np.testing.assert_allclose(ours * 80 / ours.mean(), stated[ours.index], rtol=2e-3)


def test_the_effect_of_every_link_is_that_of_removing_the_element(world, reached, expression_of):
    links = pd.read_csv(world / "truth" / "links.tsv", sep="\t")
    assert len(links) == (reached >= 0.05).to_numpy().sum()
    before = expression_of({})
    for element, rows in links.groupby("element"):
        genes = rows["gene"].str.replace("gene", "promoter")
        np.testing.assert_allclose(rows["contact"], reached.loc[genes, element], atol=1e-3)
        change = expression_of({element: 0.0}) / before - 1
        np.testing.assert_allclose(rows["effect"], change[genes], atol=2e-3)


def test_the_effect_of_every_variant_is_on_the_gene_that_it_moves_most(world, features, expression_of):
    table = features.set_index("name")
    before = expression_of({})
    moved = {"promoter": 0, "element": 0}
    for line in (world / "truth" / "variants.vcf").read_text().splitlines():
        if line[0] == "#":
            continue
        fields = dict(each.split("=") for each in line.split("\t")[7].split(";"))
        if fields["FEATURE"] == ".":
            continue
        feature = table.loc[fields["FEATURE"]]
        activity = feature["activity"] + feature["openness"] * np.expm1(float(fields["ACCESSIBILITY"]))
        change = np.log(expression_of({feature.name: activity}) / before)
        assert float(fields["EXPRESSION"]) == pytest.approx(change.abs().max() * np.sign(change.sum()), abs=2e-3)
        if change.abs().max() > 0.01:
            best = fields["GENE"].replace("gene", "promoter")
            assert abs(change[best]) == pytest.approx(change.abs().max(), abs=2e-3)
            moved[feature["kind"]] += 1
    assert min(moved.values()) > 2


def test_a_variant_that_is_in_no_site_is_in_no_feature_and_one_that_is_in_a_site_always_is(world):
    sites = pd.read_csv(world / "truth" / "sites.bed", sep="\t", header=None)
    planted = {
        (row[1], position): row[7]
        for row in sites[sites[3] != "CTCF"].itertuples()
        for position in range(row[2], row[3])
    }
    hits = 0
    for line in (world / "truth" / "variants.vcf").read_text().splitlines():
        if line[0] != "#":
            chrom, position, *_, info = line.split("\t")
            owner = info.split(";")[0].removeprefix("FEATURE=")
            assert owner == planted.get((chrom, int(position) - 1), ".")
            hits += owner != "."
    assert hits >= 30


def test_what_a_model_of_promoters_alone_can_reach_is_known(world, features):
    held_out = features[(features["kind"] == "promoter") & (features["chrom"] == "chr3")]
    track = pybigtools.open(str(world / "expression.bw"))
    reads = [track.values(each.chrom, each.middle, each.middle + 1)[0] for each in held_out.itertuples()]
    ceilings = pd.read_csv(world / "truth" / "ceilings.tsv", sep="\t")
    row = ceilings.query(
        "identifier == 'expression' and over == 'promoters' and region == 'held-out' "
        "and predictor == 'truth without contacts'"
    )
    assert np.corrcoef(BASAL + OWN * held_out["activity"], reads)[0, 1] == pytest.approx(
        row["pearsonr"].item(), abs=1e-5
    )


def test_a_site_that_a_border_overwrites_has_the_occupancy_of_what_is_left(monkeypatch):
    monkeypatch.setattr(layout, "DOMAINS", (300, 400))  # borders so close that they fall on promoters
    monkeypatch.setattr(layout, "ELEMENT_GAP", 50)
    truth, motifs = draw_world(WorldSettings(**TINY))
    overwritten = 0
    for feature, sites in zip(truth.features, truth.sites, strict=True):
        for site in sites:
            bases = truth.codes[feature.chrom][site.start : site.start + len(motifs[site.factor])]
            forward = bases if site.strand == 1 else 3 - bases[::-1]
            assert site.occupancy == motifs[site.factor].occupancy(forward)
            overwritten += site.factor != "CTCF" and site.occupancy < 1e-3
    assert overwritten > 5


def test_a_tiny_worlds_sequence_has_few_cpgs_outside_of_islands(world, features):
    codes = dict(read_fasta(world / "genome.fa"))
    promoters = features[features["kind"] == "promoter"]
    is_island = {chrom: np.zeros(len(each), dtype=bool) for chrom, each in codes.items()}
    for each in promoters.itertuples():
        is_island[each.chrom][max(each.middle - 300, 0) : each.middle + 300] = True
    rates = []
    for where in (True, False):
        cpgs = bases = 0
        for chrom, each in codes.items():
            cpg = (each[:-1] == 1) & (each[1:] == 2)
            cpgs += (cpg & (is_island[chrom][:-1] == where)).sum()
            bases += (is_island[chrom] == where).sum()
        rates.append(cpgs / bases)
    assert rates[0] == pytest.approx(0.325**2, rel=0.1)  # of a GC content of 65 %
    assert rates[1] < 0.02
