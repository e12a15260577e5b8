from __future__ import annotations

import math

import numpy as np
import pytest

from genograph.audit.shortcuts import (
    counted,
    degree_features,
    drawn,
    label_correlation,
    mask_features,
    predictability,
    share_inside,
    signal_ratio,
)
from genograph.config import load_config
from genograph.experiment import Experiment
from genograph.genome.bins import Bins
from tests.numbered import make_graph, write_store
from tests.tiny import write_world


@pytest.fixture
def experiment(tmp_path):
    return Experiment.open(load_config(write_world(tmp_path)))


def set_signal(experiment, assay, values):
    """Give every track of an assay these values: (bins,) or a number for all."""
    signals = np.array(experiment.store.signals(assay))
    signals[:] = np.broadcast_to(np.asarray(values, dtype=np.float32), len(signals))[:, None]
    np.save(experiment.store.path / "signals" / f"{assay}.npy", signals)


def of_bins(experiment, per_node):
    return per_node[experiment.store.node_of_bin]


def test_degree_features_are_number_strength_and_distance_of_contacts(tmp_path):
    """log1p of each type's degree, its square, then the summed weight and mean log10 distance of contacts in bp."""
    features = degree_features(make_graph(write_store(tmp_path), [(0, 6, 1.0), (0, 7, 2.5)]))
    linear, pairs = math.log(2), math.log(3)  # one neighbour, two contacts, 120 and 140 bp away
    far = (math.log10(120) + math.log10(140)) / 2
    assert features[0] == pytest.approx([linear, pairs, linear**2, pairs**2, 3.5, far])
    assert features[3] == pytest.approx([math.log(3), 0, math.log(3) ** 2, 0, 0, 0])


@pytest.mark.parametrize(("column", "what"), [(4, "strength"), (5, "distance")])
def test_a_track_that_strength_or_distance_of_contacts_makes_is_predicted(experiment, column, what):
    features = degree_features(experiment.graph)
    set_signal(experiment, "coverage", of_bins(experiment, features[:, column]))
    assert predictability(experiment, features)["coverage.bins"] == pytest.approx(1, abs=1e-3), what


def test_mask_features_are_the_mask_and_the_share_masked_up_to_five_nodes_away_on_the_chromosome():
    nodes = Bins({"chr1": 80, "chr2": 20}, 10)
    masked = np.isin(np.arange(10), [6, 8])
    features = mask_features(masked, nodes)
    assert features[:, 0].tolist() == masked.tolist()
    assert features[:, 1].tolist() == [0, 1 / 7, 1 / 8, 1 / 8, 1 / 8, 1 / 8, 1 / 7, 1 / 6, 1 / 2, 1 / 2]


def test_a_track_that_degree_makes_is_predicted_by_degree(experiment):
    features = degree_features(experiment.graph)
    set_signal(experiment, "coverage", of_bins(experiment, features[:, 1]))
    known = predictability(experiment, features)
    assert known["coverage.bins"] == pytest.approx(1, abs=1e-3)
    assert known["coverage.genes"] == pytest.approx(1, abs=1e-3)


def test_features_that_are_constant_predict_nothing(experiment):
    known = predictability(experiment, np.ones((len(experiment.store.nodes), 1)))
    assert list(known) == [
        f"{assay}.{over}" for assay in ("coverage", "expression", "methylation") for over in ("bins", "genes")
    ]
    assert all(math.isnan(r) for r in known.values())


def test_the_test_split_plays_no_part_in_what_is_predictable(experiment):
    features = degree_features(experiment.graph)
    before = predictability(experiment, features)
    is_test = experiment.split_of_bin == 2
    signals = np.array(experiment.store.signals("coverage"))
    signals[is_test] = 1000
    np.save(experiment.store.path / "signals" / "coverage.npy", signals)
    assert predictability(experiment, features) == before


def test_a_label_that_degree_makes_correlates_by_1_and_its_opposite_by_minus_1(experiment):
    degree = of_bins(experiment, np.log1p(experiment.graph.degree("hic")))
    set_signal(experiment, "coverage", degree)
    set_signal(experiment, "methylation", -degree)
    known = label_correlation(experiment)
    assert known["coverage.hic"] == pytest.approx(1)
    assert known["methylation.hic"] == pytest.approx(-1)
    assert "coverage.linear" not in known


def test_signal_ratio_is_of_means_and_leaves_out_what_is_missing(experiment):
    signal = np.full(len(experiment.store.bins), 4.0)
    signal[:4] = [1, 3, np.nan, 2]
    set_signal(experiment, "coverage", signal)
    assert signal_ratio(experiment, np.arange(4), np.arange(4, 20))["coverage"].tolist() == [0.5]


def test_the_share_of_signal_inside_is_of_counts_alone(experiment):
    signal = np.zeros(len(experiment.store.bins))
    signal[:4] = [1, 3, 4, 100]
    set_signal(experiment, "coverage", signal)
    inside = np.zeros(len(signal), dtype=bool)
    inside[[1, 3]] = True
    shares = share_inside(experiment, np.arange(3), inside)
    assert shares["coverage"] == 3 / 8
    assert list(shares) == ["coverage", "expression"]


def test_counted_bins_are_those_of_a_split_that_enter_the_loss(experiment):
    masked = np.flatnonzero(experiment.graph.masked[experiment.store.node_of_bin])
    assert masked.tolist() == list(range(16, 31))  # of the node at 2 to 4 kb
    assert np.isin(masked, counted(experiment, "train")).sum() == 0
    assert len(counted(experiment, "train")) == 40_000 // 128 - 15


def test_more_bins_than_the_limit_are_drawn_evenly():
    assert drawn(np.arange(10, 20), 4).tolist() == [10, 13, 16, 19]
    assert drawn(np.arange(3), 4).tolist() == [0, 1, 2]
