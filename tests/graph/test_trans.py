"""Edges between chromosomes; that they equal a ranking of the dense map is in `test_hic.py`."""

from __future__ import annotations

import numpy as np
import pytest

from genograph.assays.contacts import ContactMap, write_contacts
from genograph.audit import CHECKS
from genograph.audit.exposure import edges_between, splits_of_nodes
from genograph.config import load_config
from genograph.errors import InputError
from genograph.experiment import Experiment
from genograph.genome.bins import Bins
from genograph.genome.splits import TRAIN
from genograph.graph import HiCEdges, LinearEdges, TransEdges, build_graph
from tests import tiny
from tests.maps import open_map

NODES = Bins({"chr1": 3000, "chr2": 2000}, 1000)
YEAST = {"II": 813_184, "IV": 1_531_933, "XVI": 948_066}
CENTROMERES = {"II": 238_265, "IV": 449_766, "XVI": 556_015}  # bp, midpoints in R64 (SGD); the GFF3 has none


def few_contacts(folder, **options) -> ContactMap:
    """Between chromosomes 12 reads in six pairs; 1 and 3 share eight of them."""
    counts = np.full((5, 5), 9)
    counts[:3, 3:] = [[1, 0], [8, 1], [1, 1]]
    return open_map(folder, NODES, counts, **options)


def pairs_of(graph, kind: str) -> dict[tuple[int, int], float]:
    kept = graph.of_type(kind)
    return {
        (int(i), int(j)): float(weight)
        for i, j, weight in zip(*graph.edge_index[:, kept], graph.weight[kept], strict=True)
        if i < j
    }


def test_a_pair_is_held_against_the_mean_of_all_between_chromosomes(tmp_path):
    graph = build_graph([TransEdges(pseudocount=0)], NODES, few_contacts(tmp_path, trans=True))
    assert pairs_of(graph, "trans") == {(1, 3): pytest.approx(np.log2(1 + 8 / 2))}  # others: below the mean of 2


def test_they_are_a_type_of_their_own_beside_those_within_chromosomes(tmp_path):
    edges = [LinearEdges(), HiCEdges(min_distance=1000, min_oe=0), TransEdges(min_oe=0, top_k=1)]
    graph = build_graph(edges, NODES, few_contacts(tmp_path, trans=True))
    assert graph.attribute_names == ("weight", "log10_distance", "linear", "hic", "trans")
    assert set(pairs_of(graph, "trans")) == {(0, 3), (1, 3), (2, 3), (1, 4)}
    assert set(pairs_of(graph, "hic")) == {(0, 1), (0, 2), (1, 2), (3, 4)}
    assert graph.summary()["edges"]["trans"]["between_chromosomes"] == 4
    assert graph.summary()["edges"]["hic"]["between_chromosomes"] == 0


def test_their_distance_is_that_of_the_longest_chromosome(tmp_path):
    graph = build_graph([TransEdges()], NODES, few_contacts(tmp_path, trans=True))
    np.testing.assert_allclose(graph.edge_attr[:, 1], np.log10(3000), rtol=1e-6)


def test_a_store_that_kept_none_says_what_to_set(tmp_path):
    with pytest.raises(InputError, match=r"'trans' edges need .*contacts\.trans: true .* prepare again"):
        build_graph([TransEdges()], NODES, few_contacts(tmp_path))


def test_no_map_says_what_to_set():
    with pytest.raises(InputError, match=r"'trans' edges need a contact map; set contacts\.file"):
        build_graph([TransEdges()], NODES)


@pytest.mark.parametrize("option", [{"top_k": 0}, {"min_oe": -1.0}, {"pseudocount": -1.0}, {"downsample": 0.0}])
def test_options_out_of_range_are_refused(option):
    with pytest.raises(InputError, match=f"trans: {next(iter(option))}"):
        TransEdges(**option)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory) -> Experiment:
    """The tiny world, chrA and chrB in training and chrC held out, with edges between chromosomes."""
    path = tiny.write_world(tmp_path_factory.mktemp("world"))
    changes = [
        "contacts.trans=true",
        "graph.edges=[{name: trans, top_k: 4, min_oe: 0}]",
        "splits.train=[chrA, 'chrB:0-12000']",
        "splits.valid=['chrB:14000-24000']",
    ]
    return Experiment.open(load_config(path, changes))


def test_windows_meet_other_chromosomes_of_their_split_only(experiment):
    store, dataset = experiment.store, experiment.dataset("train", 0)
    split_of_node = np.full(len(store.nodes), -1)
    split_of_node[store.node_of_bin] = experiment.split_of_bin
    between, brought = 0, []
    for window in range(len(dataset)):
        (sample,) = dataset._samples(dataset._bins_of(*dataset.windows[[window]].T, dataset.batch.window))
        brought += sample.partners.tolist()
        between += dataset.make_batch([window]).edge_index.shape[1]
    assert between > 0  # edges of this graph only run between chromosomes
    assert brought
    assert (split_of_node[brought] == TRAIN).all()
    ends = split_of_node[experiment.graph.edge_index]
    assert (ends[0] != ends[1]).any()  # there are others to keep out


def test_the_audit_finds_no_edge_across_splits(experiment):
    for check in ("edges_across_splits", "held_out_neighbours"):
        finding = CHECKS[check](experiment)
        assert (finding.status, finding.count) == ("ok", 0)
    ends = splits_of_nodes(experiment)
    assert edges_between(experiment.graph, ends) > 0


@pytest.fixture(scope="module")
def yeast(shared_data, tmp_path_factory):
    """The map of the chromosomes of `configs/yeast.yaml`."""
    uri = str(shared_data / "yeast" / "scer_w303_g1_2kb_SRR8769554.cool")
    nodes, folder = Bins(YEAST, 2000, partial=True), tmp_path_factory.mktemp("yeast")
    write_contacts(uri, nodes, folder, aliases={}, trans=True)
    return ContactMap.open(folder, nodes)


def enrichment(contacts: ContactMap, graph, places: dict[str, int], reach: int) -> float:
    """Edges that join two nodes within `reach` bp of the places, over those that chance gives of as many."""
    nodes, mapped = contacts.nodes, ~contacts.masked
    number = np.arange(len(nodes))
    chrom = nodes.chrom_index(number)
    middle = (number - nodes.offsets[chrom]) * nodes.bin_size + nodes.bin_size // 2
    is_near = np.abs(middle - np.array([places[name] for name in nodes.chroms])[chrom]) <= reach
    first, second = graph.edge_index[:, graph.edge_index[0] < graph.edge_index[1]]
    found = np.mean(is_near[first] & is_near[second])
    near, every = (np.bincount(chrom[kept], minlength=3) for kept in (is_near & mapped, mapped))
    return found * (every.sum() ** 2 - (every**2).sum()) / (near.sum() ** 2 - (near**2).sum())


@pytest.mark.needs_shared_data
def test_centromeres_of_yeast_meet_in_the_graph(yeast):
    graph = build_graph([TransEdges()], yeast.nodes, yeast)
    assert enrichment(yeast, graph, CENTROMERES, 20_000) > 8
    assert enrichment(yeast, graph, CENTROMERES, 50_000) > 4
    assert enrichment(yeast, build_graph([TransEdges(max_fdr=0.1)], yeast.nodes, yeast), CENTROMERES, 20_000) > 25
    elsewhere = [{name: place + step for name, place in CENTROMERES.items()} for step in (-150_000, 150_000, 250_000)]
    assert all(enrichment(yeast, graph, places, 20_000) < 2 for places in elsewhere)
