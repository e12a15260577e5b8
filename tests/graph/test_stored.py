"""Large graphs are built once, kept beside their store and mapped from there."""

import sys
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from genograph import cli
from genograph.config import load_config
from genograph.errors import InputError
from genograph.experiment import Experiment
from genograph.genome.bins import Bins
from genograph.graph import GenomeGraph, HiCEdges, Known, LinearEdges, stored
from genograph.graph.genome_graph import Edges
from genograph.graph.levels import build_levels
from genograph.graph.loops import TableEdges
from genograph.graph.stored import graph_key
from genograph.prepare import prepare
from genograph.store import Store
from tests import tiny

NODES = Bins({"chr1": 8000, "chr2": 3000}, 1000)
ARRAYS = ("edge_index", "edge_attr", "edge_type", "indptr", "masked")


@pytest.fixture(autouse=True)
def _everything_is_large(monkeypatch):
    monkeypatch.setattr(stored, "LARGE", 1)


def levels(folder, *builders, known=None):
    return build_levels([builders, [LinearEdges()]], NODES, [3000], known or Known(), folder)


def kept(folder):
    return sorted(each.name for each in folder.iterdir()) if folder.is_dir() else []


def test_a_graph_from_its_folder_is_the_one_that_was_built(tmp_path):
    built = levels(None, LinearEdges(reach=2))
    for found in (levels(tmp_path, LinearEdges(reach=2)), levels(tmp_path, LinearEdges(reach=2))):
        for ours, theirs in zip(found, built, strict=True):
            assert ours.edge_types == theirs.edge_types
            assert ours.attribute_names == theirs.attribute_names
            for name in ARRAYS:
                np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
                assert getattr(ours, name).dtype == getattr(theirs, name).dtype
    assert len(kept(tmp_path)) == 3  # one for each level, and the lock


def test_a_kept_graph_is_mapped_and_not_built_again(tmp_path):
    def build():
        return GenomeGraph.from_edges(NODES, [0], [3])

    def refuse():
        raise AssertionError("built again")

    stored.stored_graph(tmp_path / "graph", NODES, build)
    graph = stored.stored_graph(tmp_path / "graph", NODES, refuse)
    assert not graph.edge_attr.flags.owndata
    assert not graph.edge_attr.flags.writeable
    assert graph.edge_index.tolist() == [[3, 0], [0, 3]]


def test_other_options_make_another_graph(tmp_path):
    near, far = (levels(tmp_path, LinearEdges(reach=reach))[0] for reach in (1, 2))
    assert (near.num_edges, far.num_edges) == (2 * 9, 2 * (9 + 7))
    assert levels(tmp_path, LinearEdges(reach=1))[0].num_edges == near.num_edges


def test_a_file_of_edges_that_has_changed_makes_another_graph(tmp_path):
    file = tmp_path / "pairs.tsv"
    edges = TableEdges(file=file, type="pair")
    file.write_text("chr1:0-1000\tchr1:5000-6000\n")
    assert levels(tmp_path / "graphs", edges)[0].edge_index.tolist() == [[5, 0], [0, 5]]
    file.write_text("chr1:0-1000\tchr1:4000-5000\n")
    assert levels(tmp_path / "graphs", edges)[0].edge_index.tolist() == [[4, 0], [0, 4]]


def test_edges_of_ones_own_class_are_built_each_time(tmp_path):
    @dataclass(frozen=True, kw_only=True)
    class Own:
        name: ClassVar[str] = "own"
        needs_contacts: ClassVar[bool] = False

        def __call__(self, nodes: Bins, known: Known) -> Edges:
            return Edges(np.array([0]), np.array([2]), np.ones(1))

    levels(tmp_path, Own())
    assert len(kept(tmp_path)) == 2  # the larger nodes' linear edges, and the lock


def test_a_small_graph_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(stored, "LARGE", 1_000)
    levels(tmp_path, LinearEdges())
    assert kept(tmp_path) == []


def test_where_nothing_may_be_written_the_graph_stays_in_memory(tmp_path, caplog):
    taken = tmp_path / "file"
    taken.write_text("")
    graph = stored.stored_graph(taken / "graph", NODES, lambda: GenomeGraph.from_edges(NODES, [0], [3]))
    assert graph.num_edges == 2
    assert caplog.messages == [f"A graph of 2 edges stays in memory: {taken / 'graph'} cannot be written."]


def test_a_graph_of_other_contacts_is_another_whatever_its_store_is_called(tmp_path):
    store = Store(tmp_path, {"recipe": {"bins": 1}, "sources": {"contacts.file": {"path": "a", "sha256": "0" * 64}}})
    moved, changed = ({"contacts.file": {"path": "b", "sha256": each * 64}} for each in "01")
    assert replace(store, manifest={**store.manifest, "sources": moved}).key == store.key
    assert replace(store, manifest={**store.manifest, "sources": changed}).key != store.key
    assert replace(store, manifest={**store.manifest, "recipe": {"bins": 2}}).key != store.key


def test_of_two_processes_that_keep_one_graph_the_second_reads_that_of_the_first(tmp_path):
    def build_late() -> GenomeGraph:
        stored.stored_graph(tmp_path / "graph", NODES, lambda: GenomeGraph.from_edges(NODES, [0], [3]))
        return GenomeGraph.from_edges(NODES, [0], [3])

    graph = stored.stored_graph(tmp_path / "graph", NODES, build_late)
    assert not graph.edge_attr.flags.owndata
    assert kept(tmp_path) == [".lock", "graph"]


def test_what_a_killed_process_left_goes_with_the_next_that_keeps_the_graph(tmp_path):
    (tmp_path / ".graph-left").mkdir()
    stored.stored_graph(tmp_path / "graph", NODES, lambda: GenomeGraph.from_edges(NODES, [0], [3]))
    assert kept(tmp_path) == [".lock", "graph"]


def test_a_kept_graph_that_lacks_a_file_is_named(tmp_path):
    stored.stored_graph(tmp_path / "graph", NODES, lambda: GenomeGraph.from_edges(NODES, [0], [3]))
    (tmp_path / "graph" / "indptr.npy").unlink()
    with pytest.raises(InputError, match=r"graph is no whole graph .*indptr\.npy.*Remove it"):
        stored.stored_graph(tmp_path / "graph", NODES, lambda: GenomeGraph.from_edges(NODES, [0], [3]))


def test_a_map_thinned_by_a_seed_makes_a_graph_that_is_not_kept():
    assert graph_key([HiCEdges()], Known(), None)
    assert graph_key([HiCEdges(downsample=0.5)], Known(), None) is None


def test_what_prepare_builds_is_what_an_experiment_maps_whatever_tracks_it_uses(tmp_path, monkeypatch):
    config = load_config(tiny.write_world(tmp_path))
    monkeypatch.setattr(sys, "argv", ["genograph", "prepare", str(tmp_path / "tiny.yaml")])
    cli.app(standalone_mode=False)
    store = prepare(config)
    for each in (store, store.with_tracks([next(iter(store.targets.values()))[0].identifier])):
        graph = Experiment(config, each).graph
        assert graph.num_edges > 0
        assert not graph.edge_attr.flags.owndata
    assert len(list((tmp_path / "store" / "graphs").glob("*/*/names.json"))) == 1
