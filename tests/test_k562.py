"""The template of a human run: it cannot be run here, but all of its parts fit each other."""

from __future__ import annotations

import re

import pytest

from genograph.assays.targets import read_targets
from genograph.config import load_config
from genograph.describe import CONFIGS, models
from genograph.experiment import check_parts
from genograph.graph import EDGES
from genograph.prepare import prepare

K562 = load_config(CONFIGS / "k562.yaml")
FETCHED = {wanted.file for wanted in K562.downloads}


@pytest.fixture(scope="module")
def targets(tmp_path_factory):
    """The rows of the table, over empty files under the names that downloads give."""
    folder = tmp_path_factory.mktemp("k562")
    for file in FETCHED:
        (folder / file.name).touch()
    return read_targets(K562.tracks.targets, folder)


def test_every_file_that_is_not_shipped_is_fetched_and_nothing_else(targets):
    named = {K562.genome.fasta, K562.genome.blacklist, K562.tracks.genes, *(each.file for each in targets)}
    names = {file.name for file in named} | {K562.contacts.file.partition("::")[0].rpartition("/")[2]}
    assert names == {file.name for file in FETCHED}
    assert {file.parent for file in FETCHED} == {K562.tracks.folder}
    assert K562.tracks.targets.is_file()


def test_files_have_the_name_of_the_accession_that_they_are_fetched_as():
    assert all(wanted.url.rpartition("/")[2] == wanted.file.name for wanted in K562.downloads)
    for wanted in K562.downloads:
        accessions = set(re.findall(r"(?:ENCFF|4DNFI)[0-9A-Z]+", wanted.url))
        assert len(accessions) <= 1
        assert not accessions or accessions.pop() == wanted.file.name.partition(".")[0]


def test_every_assay_of_the_table_has_a_head_and_every_head_an_assay(targets):
    assert {target.assay for target in targets} == set(K562.model.heads)


def test_rna_tracks_are_pairs_of_strands(targets):
    pairs = {target.identifier: (target.strand, target.strand_pair) for target in targets if target.strand != "."}
    assert pairs == {
        "RNA_1_fwd": ("+", "RNA_1_rev"),
        "RNA_1_rev": ("-", "RNA_1_fwd"),
        "RNA_2_fwd": ("+", "RNA_2_rev"),
        "RNA_2_rev": ("-", "RNA_2_fwd"),
    }


def test_held_out_chromosomes_are_of_the_genome():
    assert {*K562.splits.valid, *K562.splits.test} < set(K562.genome.chroms)


def test_the_model_can_be_built():
    check_parts(K562)
    assert any(EDGES[edge.name](**edge.options).needs_contacts for edge in K562.graph.edges)


def test_the_pools_make_a_bin_and_the_model_is_listed():
    assert models([K562])["name"].tolist() == ["k562"]


def test_prepare_says_how_to_fetch_what_is_not_there(tmp_path):
    with pytest.raises(ValueError, match=f"Fetch the {len(FETCHED)} missing files of downloads: genograph download"):
        prepare(_moved(tmp_path))


def _moved(folder):
    """The config as it is, but for a folder without files and a store elsewhere."""
    tracks = K562.tracks.model_copy(update={"folder": folder})
    downloads = [wanted.model_copy(update={"file": folder / wanted.file.name}) for wanted in K562.downloads]
    return K562.model_copy(update={"tracks": tracks, "downloads": downloads, "store": folder / "store"})
