from __future__ import annotations

import filecmp
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from genograph.config import load_config
from genograph.errors import InputError
from genograph.evaluate import evaluate
from genograph.genome.assembly import read_fasta
from genograph.predict import predict
from genograph.prepare import prepare
from genograph.simulate import simulate
from genograph.simulate.grammar import FACTORS
from genograph.train import train

COMPLEMENT = str.maketrans("ACGT", "TGCA")


@pytest.fixture(scope="module")
def sequences(world):
    return {name: "".join("ACGTN"[code] for code in codes) for name, codes in read_fasta(world / "genome.fa")}


@pytest.fixture(scope="module")
def motifs(world):
    """Probabilities (bp, 4) of each motif, read from the MEME file."""
    found, name = {}, ""
    for line in (world / "truth" / "motifs.meme").read_text().splitlines():
        if line.startswith("MOTIF"):
            name = line.split()[1]
            found[name] = []
        elif line[:2] in ("0.", "1."):
            found[name].append([float(each) for each in line.split()])
    return {name: np.array(rows) for name, rows in found.items()}


@pytest.fixture(scope="module")
def sites(world):
    columns = ["chrom", "start", "end", "factor", "score", "strand", "feature", "pair"]
    return pd.read_csv(world / "truth" / "sites.bed", sep="\t", names=columns)


@pytest.fixture(scope="module")
def features(world):
    return pd.read_csv(world / "truth" / "features.tsv", sep="\t").set_index("name")


@pytest.fixture(scope="module")
def store(world, tmp_path_factory):
    return prepare(load_config(world / "graph.yaml", [f"store={tmp_path_factory.mktemp('store') / 'store'}"]))


def bound(site, sequences, motifs, *, at=None, alt=None):
    """Occupancy of a site from the sequence and the motif alone, perhaps with another base at a position."""
    bases = sequences[site.chrom][site.start : site.end]
    if at is not None:
        bases = bases[: at - site.start] + alt + bases[at - site.start + 1 :]
    if site.strand == "-":
        bases = bases.translate(COMPLEMENT)[::-1]
    matrix = motifs[site.factor]
    score = sum(np.log(row["ACGT".index(base)]) for row, base in zip(matrix, bases, strict=True))
    half = np.log(matrix.max(axis=1)).sum() - np.log(0.94 / 0.02)
    return 1 / (1 + np.exp((half - score) / 1.2))


def test_planted_sites_are_found_in_the_sequence(sites, sequences, motifs):
    assert set(sites["factor"]) == set(FACTORS) == set(motifs)
    for site in sites.itertuples():
        assert bound(site, sequences, motifs) == pytest.approx(site.score / 1000, abs=6e-4)


def test_most_planted_sites_are_close_to_the_consensus(sites):
    assert (sites["score"] > 400).mean() > 0.8


def test_the_activity_of_an_element_follows_from_its_sites(sites, features):
    for name, each in sites[sites["feature"].str.contains("element")].groupby("feature"):
        occupancy = each["score"] / 1000
        activators = each["factor"].isin(["ACT1", "ACT2"])
        pairs = sum(occupancy[each["pair"] == pair].prod() for pair in set(each["pair"]) - {-1})
        left = (1 - 0.85 * occupancy[each["factor"] == "REP"]).prod()
        assert (0.4 * occupancy[activators].sum() + 1.6 * pairs) * left == pytest.approx(
            features["activity"][name], abs=0.01
        )


def test_contacts_carry_an_effect_and_the_ceiling_without_them_is_lower(world):
    table = pd.read_csv(world / "truth" / "ceilings.tsv", sep="\t").set_index(["over", "region", "predictor"])
    r = table["pearsonr"]
    expression = r[table["identifier"] == "expression"]
    assert expression["promoters", "genome", "truth"] > 0.85
    assert expression["promoters", "genome", "truth without contacts"] < 0.7


def test_without_an_effect_contacts_do_nothing(silent_world):
    links = pd.read_csv(silent_world / "truth" / "links.tsv", sep="\t")
    assert len(links) > 100
    assert not links["effect"].any()
    table = pd.read_csv(silent_world / "truth" / "ceilings.tsv", sep="\t")
    expression = table[table["identifier"] == "expression"].pivot(
        index=["over", "region"], columns="predictor", values="pearsonr"
    )
    np.testing.assert_allclose(expression["truth"], expression["truth without contacts"], atol=1e-6)


def test_removing_an_active_element_lowers_the_expression_of_the_gene_that_it_loops_with(world):
    links = pd.read_csv(world / "truth" / "links.tsv", sep="\t")
    strong = links[(links["contact"] > 0.79) & (links["activity"] > 2)]
    assert len(strong) > 20
    assert (strong["effect"] < 0).all()
    # The response saturates: where all other elements are strong too, one of them is missed little.
    assert strong["effect"].median() < -0.15


def test_with_a_leaking_degree_a_hidden_cause_makes_expression_and_loops_and_contacts_carry_nothing(
    tmp_path, tiny_settings
):
    world = simulate(tmp_path / "world", [*tiny_settings, "degree_leak=true", "variants=0"])
    features = pd.read_csv(world / "truth" / "features.tsv", sep="\t")
    promoters = features[features["kind"] == "promoter"].set_index("name")
    names = pd.read_csv(world / "truth" / "loops.bedpe", sep="\t", header=None)[6].str.split("-").str[0]
    degree = names.value_counts().reindex(promoters.index, fill_value=0)
    assert spearmanr(promoters["carried"], degree).statistic > 0.9
    assert spearmanr(promoters["expression"], degree).statistic > 0.7
    # What a promoter's own sequence shows says nothing about its loops.
    assert abs(spearmanr(promoters["activity"], degree).statistic) < 0.3
    assert not pd.read_csv(world / "truth" / "links.tsv", sep="\t")["effect"].any()


def test_with_leaking_mappability_the_map_and_the_tracks_are_blind_in_the_same_places(leaky_world, tmp_path):
    store = prepare(load_config(leaky_world / "graph.yaml", [f"store={tmp_path / 'store'}"]))
    blind = store.contacts.masked[store.node_of_bin]
    assert 0.05 < blind.mean() < 0.2
    assert not store.mask[blind].any()
    # A node may also be masked for lack of reads alone, at the end of a chromosome.
    seen = store.signals("accessibility")[blind, 0] > 0
    assert seen.mean() < 0.1
    assert store.coverage("methylation")[blind].sum() < 0.1 * store.coverage("methylation")[:].sum() * blind.mean()


def test_variants_have_the_genomes_bases_and_the_effects_of_their_sites(world, sequences, sites, motifs, features):
    lines = [line.split("\t") for line in (world / "truth" / "variants.vcf").read_text().splitlines() if line[0] != "#"]
    assert len(lines) == 60
    places = [(chrom, int(position)) for chrom, position, *_ in lines]
    assert places == sorted(places)
    moved = 0
    for chrom, position, _, ref, alt, _, _, info in lines:
        fields = dict(each.split("=") for each in info.split(";"))
        assert sequences[chrom][int(position) - 1] == ref != alt
        if fields["FEATURE"] == ".":
            assert float(fields["ACCESSIBILITY"]) == float(fields["EXPRESSION"]) == 0
            continue
        feature = features.loc[fields["FEATURE"]]
        own = sites[sites["feature"] == fields["FEATURE"]]
        at = int(position) - 1
        occupancy = {
            site.Index: bound(site, sequences, motifs, at=at, alt=alt)
            if site.start <= at < site.end
            else bound(site, sequences, motifs)
            for site in own.itertuples()
        }
        after = pd.Series(occupancy)
        activators = own["factor"].isin(["ACT1", "ACT2"])
        pairs = sum(after[own["pair"] == pair].prod() for pair in set(own["pair"]) - {-1})
        activity = (0.4 * after[activators].sum() + 1.6 * pairs) * (1 - 0.85 * after[own["factor"] == "REP"]).prod()
        expected = np.log((feature["openness"] - feature["activity"] + activity) / feature["openness"])
        assert float(fields["ACCESSIBILITY"]) == pytest.approx(expected, abs=2e-3)
        moved += abs(expected) > 0.05
        if feature["kind"] == "promoter":
            assert fields["GENE"] in (".", fields["FEATURE"].replace("promoter", "gene"))
    assert moved > 5


def test_the_same_settings_give_the_same_bytes_and_another_seed_others(world, tmp_path, tiny_settings):
    again = simulate(tmp_path / "again", tiny_settings)
    files = sorted(path.relative_to(world) for path in world.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    _, differ, missing = filecmp.cmpfiles(world, again, [str(file) for file in files], shallow=False)
    assert (differ, missing) == ([], [])
    other = simulate(tmp_path / "other", [*tiny_settings, "seed=1", "variants=0"])
    assert (other / "genome.fa").read_bytes() != (world / "genome.fa").read_bytes()


def test_what_the_two_configs_train_differs_in_edges_and_processor_alone(world):
    graph, basenji = (load_config(world / f"{name}.yaml").model_dump() for name in ("graph", "basenji"))
    for tree in (graph, basenji):
        del tree["name"], tree["graph"]["edges"], tree["model"]["processor"], tree["ablation"]
    assert graph == basenji


def test_an_ablation_of_a_world_knows_its_ceiling_and_its_elements(world):
    table = pd.read_csv(world / "truth" / "ceilings.tsv", sep="\t")
    row = table.query(
        "identifier == 'expression' and over == 'promoters' and region == 'held-out' and predictor == 'truth'"
    )
    settings = load_config(world / "graph.yaml").ablation
    assert settings.ceiling == {"expression": pytest.approx(row["pearsonr"].item(), abs=5e-5)}
    assert (settings.assay, settings.elements) == ("expression", world / "elements.bed")


def test_genes_start_where_their_promoters_are(store, features):
    promoters = features[features["kind"] == "promoter"]
    tss = np.where(store.genes.strand == "+", store.genes.start, store.genes.end - 1)
    assert sorted(zip(store.genes.chrom, tss.tolist(), strict=True)) == sorted(
        zip(promoters["chrom"], promoters["middle"], strict=True)
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["efect_scale=0"], "simulate: no setting 'efect_scale'. Did you mean 'effect_scale'?"),
        (["chroms=2"], "chroms: "),
        (["size=1000000", "chroms=20"], "Raise size"),
    ],
)
def test_a_wrong_setting_is_one_clear_line(tmp_path, settings, message):
    with pytest.raises(InputError, match=re.escape(message)):
        simulate(tmp_path / "world", settings)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="not empty"):
        simulate(tmp_path, ["size=400000", "chroms=3", "resolution=1000"])
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_world_that_breaks_off_leaves_nothing(tmp_path, monkeypatch):
    def broken(*args, **kwargs):
        raise OSError("No space left on device")

    monkeypatch.setattr("genograph.simulate.folder.write_map", broken)
    with pytest.raises(OSError, match="No space"):
        simulate(tmp_path / "world", ["size=600000", "chroms=3"])
    assert list(tmp_path.iterdir()) == []


def test_a_world_trains_and_predicts_as_it_is(world, tmp_path):
    changes = ["training.max_epochs=1", "batch.partners=4", "evaluation.kmer_ridge=null", f"store={tmp_path / 'store'}"]
    run = train(load_config(world / "graph.yaml", changes), tmp_path / "run")
    table = evaluate(run)
    assert set(table["assay"]) == {"expression", "accessibility", "methylation"}
    assert sorted(path.name for path in Path(predict(run)).glob("*.bw"))[0] == "accessibility.bw"
