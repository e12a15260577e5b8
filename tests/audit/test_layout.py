"""Where sites lie tells which have a peak, if negatives stand beside those that have one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from genograph.audit import CHECKS
from genograph.audit.layout import layout_features
from genograph.config import load_config
from genograph.experiment import Experiment
from genograph.genome.sites import SITE_KINDS, Sites
from tests.audit.test_shortcuts import set_signal
from tests.prepare.test_prepare_sites import world
from tests.tiny import write_world

__all__ = ["world"]


def opened(world, *changes):
    return Experiment.open(load_config(world, [f"store={world.parent / 'layout'}-{abs(hash(changes))}", *changes]))


def test_layout_is_the_distances_to_the_next_sites_how_many_touch_and_how_many_are_near():
    sites = Sites({"chr1": 50_000, "chr2": 9_000}, 100, chrom=np.array([0, 0, 0, 1]), start=np.array([0, 100, 1100, 0]))
    first, middle, last, alone = layout_features(sites).tolist()
    end = math.log10(50_000)
    assert first == pytest.approx([2, end, math.log10(1100), end, end, end, 1, 0, 0, math.log(2), math.log(3)])
    assert middle == pytest.approx([2, 3, end, end, end, end, 1, 0, 0, math.log(3), math.log(3)])
    assert last == pytest.approx([3, end, math.log10(1100), end, end, end, 0, 0, 0, math.log(2), math.log(3)])
    assert alone == pytest.approx([end] * 6 + [0] * 5)


def test_two_sites_are_within_reach_of_the_second_place_if_both_stand_edge_to_edge():
    sites = Sites({"chr1": 5000}, 100, chrom=np.zeros(5, dtype=int), start=np.array([1000, 1100, 1200, 1300, 1400]))
    touching = layout_features(sites)[:, 6:9]
    assert touching.tolist() == [[1, 1, 1], [2, 1, 1], [2, 2, 0], [2, 1, 1], [1, 1, 1]]


def test_flanks_give_the_sites_between_them_away_and_that_is_a_note(world):
    finding = CHECKS["layout_predicts"](opened(world, "sites.negatives={flanking: 1}"))
    assert (finding.status, finding.count) == ("note", 2)  # by r and by AUROC
    assert finding.values["accessibility.auroc"] > 0.8
    assert "flanking" in finding.message


def test_labels_that_do_not_follow_from_where_sites_lie_are_no_note(world):
    experiment = opened(world, "sites.negatives={flanking: 1, random: 0}")
    labels = np.random.default_rng(0).integers(0, 2, len(experiment.store.bins))
    set_signal(experiment, "accessibility", labels)
    finding = CHECKS["layout_predicts"](experiment)
    assert (finding.status, finding.count) == ("ok", 0)
    assert abs(finding.values["accessibility.auroc"] - 0.5) < 0.1


def test_only_sites_that_are_trained_and_judged_count(world):
    """Flanks alone are negatives here, and in no split."""
    kinds = [f"sites.{split}=[source, random]" for split in ("train", "valid", "test")]
    experiment = opened(world, "sites.negatives={flanking: 1, random: 0.5}", *kinds)
    is_flank = experiment.store.sites[:, 2] == SITE_KINDS.index("flanking")
    set_signal(experiment, "accessibility", np.where(is_flank, 0.0, 1.0))
    assert math.isnan(CHECKS["layout_predicts"](experiment).values["accessibility.auroc"])


def test_bins_that_tile_the_genome_have_no_layout(tmp_path):
    finding = CHECKS["layout_predicts"](Experiment.open(load_config(write_world(tmp_path))))
    assert (finding.status, finding.message) == ("ok", "Not applicable: bins tile the genome.")
