from __future__ import annotations

import math

import numpy as np
import pytest

from genograph.audit import CHECKS
from genograph.audit import likeness as module
from genograph.audit.likeness import _as_far_apart, likeness
from genograph.config import load_config
from genograph.experiment import Experiment
from genograph.genome.bins import Bins
from genograph.genome.interval import Interval
from genograph.genome.regions import Regions
from genograph.graph.genome_graph import Pairs
from genograph.graph.rewiring import pair_key
from tests.audit.test_shortcuts import of_bins, set_signal
from tests.tiny import write_world


@pytest.fixture
def experiment(tmp_path):
    return Experiment.open(load_config(write_world(tmp_path)))


def joined_where(experiment, label, is_alike):
    """Edges between all nodes of a chromosome whose labels are the same, or are not; that label for every track."""
    for assay in experiment.targets:
        set_signal(experiment, assay, of_bins(experiment, label))
    graph = experiment.graph
    first, second = np.triu_indices(graph.num_nodes, k=2)
    chrom = graph.nodes.chrom_index(np.arange(graph.num_nodes))
    kept = (chrom[first] == chrom[second]) & ((label[first] == label[second]) == is_alike)
    first, second = first[kept], second[kept]
    attr = np.ones((len(first), len(graph.attribute_names)), dtype=np.float32)
    kind = np.full(len(first), graph.edge_types.index("hic"))
    experiment.__dict__["graph"] = graph.with_pairs(Pairs(first, second, kind, attr))
    return experiment


@pytest.mark.parametrize("is_alike", [True, False])
def test_edges_between_like_labels_have_an_r_of_one_and_others_none(experiment, is_alike, monkeypatch):
    monkeypatch.setattr(module, "FEWEST", 10)
    label = np.random.default_rng(0).integers(0, 2, experiment.graph.num_nodes)
    values = likeness(joined_where(experiment, label, is_alike))
    r = 1 if is_alike else -1
    for assay in experiment.targets:
        for part in ("train", "held_out"):
            assert values[f"{assay}.{part}.edges"] == pytest.approx(r)
            assert values[f"{assay}.{part}.others"] == pytest.approx(-r)  # all that no edge joins
    finding = CHECKS["edges_depend_on_label"](experiment)
    assert f"excess of r of the labels that edges join over others as far apart: {2 * r:.2f}" in finding.message
    assert finding.status == "note" or not is_alike


def test_edges_of_few_nodes_tell_nothing(experiment):
    values = likeness(experiment)
    assert values
    assert all(math.isnan(r) for r in values.values())


def test_labels_of_missing_values_do_not_count(experiment, monkeypatch):
    monkeypatch.setattr(module, "FEWEST", 10)
    label = np.random.default_rng(0).integers(0, 2, experiment.graph.num_nodes).astype(float)
    joined_where(experiment, label, True)
    set_signal(experiment, "coverage", of_bins(experiment, np.where(np.arange(len(label)) % 3, label, np.nan)))
    assert likeness(experiment)["coverage.train.edges"] == pytest.approx(1)


def test_other_pairs_are_as_far_apart_in_the_same_groups_and_joined_by_no_edge():
    group = np.array([0] * 10 + [-1] * 2 + [1] * 10)
    pairs = np.array([[0, 2, 12, 3], [3, 5, 20, 15]])  # the last is of two groups
    known = pair_key(len(group), *pairs)
    first, second = _as_far_apart(Bins({"chr1": 22}, 1), pairs, group, known, np.random.default_rng(0))
    assert (second - first)[:3].tolist() == [3, 3, 8]
    assert group[[first, second]].tolist() == group[pairs].tolist()
    assert not np.isin(pair_key(len(group), first, second), known).any()


def test_other_pairs_of_unequal_nodes_are_as_many_bp_apart():
    rng = np.random.default_rng(0)
    start = np.sort(rng.choice(100_000, 300, replace=False))
    places = [
        Interval("chr1", int(at), int(at + length))
        for at, length in zip(start, rng.integers(50, 900, 300), strict=True)
    ]
    nodes = Regions.of(places, {"chr1": 101_000})
    pairs = np.sort(rng.choice(len(nodes), (2, 50)), axis=0)
    pairs = pairs[:, pairs[0] < pairs[1]]
    group = np.zeros(len(nodes), dtype=int)
    found = _as_far_apart(nodes, pairs, group, pair_key(len(nodes), *pairs), rng)
    is_found = found[0] >= 0
    ratio = nodes.bp_between(*found[:, is_found]) / nodes.bp_between(*pairs[:, is_found])
    assert is_found.mean() > 0.8
    assert ratio.min() > 0.79
    assert ratio.max() < 1.26


def test_a_pair_without_another_as_far_apart_has_none():
    pairs = np.array([[0], [9]])
    nodes, group = Bins({"chr1": 10}, 1), np.zeros(10, dtype=int)
    found = _as_far_apart(nodes, pairs, group, pair_key(10, *pairs), np.random.default_rng(0))
    assert found.tolist() == [[-1], [-1]]
