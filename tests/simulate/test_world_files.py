"""The files of a world are what the readers of the field's formats take."""

from __future__ import annotations

import sys

import pandas as pd
import pytest
import yaml

from genograph import cli
from genograph.assays.methylation import read_methylation
from genograph.assays.targets import read_targets
from genograph.config import load_config
from genograph.describe import models
from genograph.errors import InputError
from genograph.genome.bed import read_bed
from genograph.genome.genes import read_genes
from genograph.prepare import prepare
from genograph.simulate import simulate
from genograph.simulate.folder import parse_settings

SIZES = {f"chr{number}": 400_000 for number in (1, 2, 3)}


@pytest.fixture(scope="module")
def features(world):
    return pd.read_csv(world / "truth" / "features.tsv", sep="\t").set_index("name")


def test_every_promoter_and_element_is_listed_and_no_border(world, features):
    intervals = read_bed(world / "elements.bed", sizes=SIZES, aliases={})
    listed = features[features["kind"] != "border"]
    assert [(each.chrom, (each.start + each.end) // 2) for each in intervals] == list(
        zip(listed["chrom"], listed["middle"], strict=True)
    )


def test_genes_carry_the_names_that_links_use(world):
    genes = read_genes(world / "genes.gtf", SIZES)
    links = pd.read_csv(world / "truth" / "links.tsv", sep="\t")
    assert set(links["gene"]) <= set(genes.id.tolist())
    assert set(genes.biotype.tolist()) == {"protein_coding"}


def test_the_ends_of_loops_hold_their_features(world, features):
    loops = pd.read_csv(world / "truth" / "loops.bedpe", sep="\t", header=None)
    assert len(loops) > 300
    for _, chrom, start, end, other_chrom, other_start, other_end, name, strength in loops.itertuples():
        one, other = (features.loc[each] for each in name.split("-"))
        assert (one["chrom"], other["chrom"]) == (chrom, other_chrom)
        assert start <= one["middle"] < end
        assert other_start <= other["middle"] < other_end
        assert 0.8 <= strength <= 1
        if "border" not in name:
            assert 20_000 <= abs(one["middle"] - other["middle"]) <= 400_000


def test_methylation_is_of_the_genomes_cpgs_in_bulk_and_in_single_cells(world, tmp_path):
    store = prepare(load_config(world / "graph.yaml", [f"store={tmp_path / 'store'}"]))
    codes = store._codes
    is_methylation = [target for target in read_targets(world / "targets.tsv") if target.assay == "methylation"]
    assert [target.identifier for target in is_methylation] == ["methylation_bulk", "methylation_cell1"]
    reads = {}
    for target in is_methylation:
        fraction, coverage = read_methylation(target, store.bins, codes=codes, aliases={})
        reads[target.identifier] = coverage.sum()
        assert 0 < fraction[coverage > 0].mean() < 1
    cpgs = ((codes[:-1] == 1) & (codes[1:] == 2)).sum()
    assert reads["methylation_bulk"] / cpgs == pytest.approx(20, rel=0.02)
    assert reads["methylation_cell1"] / cpgs == pytest.approx(0.1, rel=0.1)


def test_both_models_read_131_kb_of_sequence(world):
    table = models([load_config(world / f"{name}.yaml") for name in ("graph", "basenji")])
    assert table["receptive_field"].between(125_000, 140_000).all()


def test_the_settings_of_a_world_make_it_anew(world, tmp_path):
    settings = yaml.safe_load((world / "settings.yaml").read_text())
    del settings["genograph"]
    again = simulate(tmp_path / "again", [f"{key}={value}" for key, value in settings.items()])
    for file in ("genome.fa", "expression.bw", "contacts.mcool", "truth/links.tsv", "settings.yaml"):
        assert (again / file).read_bytes() == (world / file).read_bytes()


def test_a_world_can_be_written_to_the_empty_folder_that_one_stands_in(tmp_path, monkeypatch):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    assert simulate(".", ["size=600000", "chroms=3", "cells=0", "variants=0"]) == here
    assert (here / "genome.fa").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


def test_sparse_and_loopless_worlds_are_worlds_too(tmp_path):
    sparse = ["genes_per_mb=3", "elements_per_mb=3", "loops_per_gene=0", "dispersion=0", "insulation=0"]
    world = simulate(tmp_path / "world", ["size=600000", "chroms=3", "cells=0", *sparse])
    features = pd.read_csv(world / "truth" / "features.tsv", sep="\t")
    assert (features["kind"] == "promoter").sum() == (features["kind"] == "element").sum() == 3
    assert not features.drop(columns="expression").isna().any(axis=None)
    assert "nan" not in (world / "truth" / "variants.vcf").read_text()


@pytest.mark.parametrize("key", ["genes_per_mb", "elements_per_mb"])
def test_a_world_without_genes_or_elements_is_refused(key):
    with pytest.raises(InputError, match=f"{key} 1 puts none on a chromosome of 200000 bp. Raise {key}"):
        parse_settings(["size=600000", "chroms=3", f"{key}=1"])


def test_the_command_line_names_the_nearest_setting_and_exits_with_2(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["genograph", "simulate", str(tmp_path / "world"), "elements_per_bm=3"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    told = capsys.readouterr().err
    assert told == "genograph: simulate: no setting 'elements_per_bm'. Did you mean 'elements_per_mb'?\n"
    assert not list(tmp_path.iterdir())


def test_the_two_leaks_and_the_silence_can_be_combined_with_any_size():
    settings = parse_settings(["degree_leak=true", "mappability_leak=true", "size=2_000_000"])
    assert settings.degree_leak
    assert settings.mappability_leak
    assert settings.size == 2_000_000


@pytest.mark.parametrize("value", ["decay=inf", "decay=nan", "expression_reads=1e30", "contacts_per_node=1e11"])
def test_what_no_experiment_has_is_refused_by_name(value):
    with pytest.raises(InputError, match=f"^{value.partition('=')[0]}: Input should be less"):
        parse_settings([value])


def test_the_hidden_cause_of_a_leaking_degree_acts_whatever_contacts_carry(tmp_path):
    settings = ["size=1200000", "chroms=3", "cells=0", "variants=0", "degree_leak=true", "effect_scale=0"]
    features = pd.read_csv(simulate(tmp_path / "world", settings) / "truth" / "features.tsv", sep="\t")
    promoters = features[features["kind"] == "promoter"]
    assert promoters["expression"].corr(promoters["carried"]) > 0.5
