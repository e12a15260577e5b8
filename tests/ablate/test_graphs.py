"""What is known of the graphs of arms before anything is trained."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from genograph.ablate.arms import SCRAMBLED, make_arms
from genograph.ablate.graphs import edges_kept, showing_as_much, with_graphs
from genograph.config import load_config
from genograph.errors import InputError
from genograph.experiment import Experiment
from genograph.genome.splits import TEST

CROWDED = ("graph.edges.0.reach=6", "graph.edges.1.top_k=20")  # no room for as many linear edges again


@pytest.mark.parametrize("name", SCRAMBLED)
def test_of_contacts_that_were_exchanged_a_window_shows_as_many_with_no_more_partners_than_that_takes(world, name):
    config = load_config(world, [f"ablation.arms=[{name}]", "batch.window=32", "batch.partners=1"])
    reference, arm = Experiment.open(config), make_arms(config)[1]
    arm = showing_as_much(arm, reference, Experiment.open(arm.config))
    windows = Experiment.open(arm.config).dataset("train", halo=0)
    aim, share = reference.dataset("train", halo=0).contacts_shown()
    assert share < 1
    assert windows.contacts_shown()[0] >= 0.98 * aim
    fewer = arm.config.batch.partners - 1
    assert not fewer or windows.contacts_shown(fewer)[0] < 0.98 * aim


def test_held_out_windows_that_show_more_than_the_reference_are_told_of(world, caplog):
    config = load_config(world, ["ablation.arms=[node_permuted]", "batch.window=16", "batch.crop=0"])
    reference, arm = Experiment.open(config), make_arms(config)[1]
    own = Experiment.open(arm.config)
    few = reference.graph.pairs()
    few = few.take(few.first < reference.store.nodes.span("chrC").start)  # the reference has no contact held out
    reference.__dict__["graph"] = reference.graph.with_pairs(few)
    showing_as_much(arm, reference, own)
    assert "node_permuted: held-out windows show" in caplog.text


def test_an_arm_without_room_for_its_edges_is_left_out_unless_it_is_named(world, caplog):
    config = load_config(world, CROWDED)
    folds = [Experiment.open(config)]
    arms, _ = with_graphs(make_arms(config), folds)
    assert {arm.name for arm in make_arms(config)} - {arm.name for arm in arms} == {"linear_only", "power_law"}
    assert "Arm 'linear_only' is left out: linear_matched: chrB has room for 15 edges in place of its 26" in caplog.text
    named = load_config(world, [*CROWDED, "ablation.arms=[hic,linear_only]"])
    with pytest.raises(
        InputError, match="arm 'linear_only': linear_matched: chrB has room for 15 edges in place of its 26"
    ):
        with_graphs(make_arms(named), folds)


@pytest.mark.parametrize(
    ("change", "is_same"),
    [
        ("graph.edges.1.max_distance=900_000", True),  # the chromosomes are shorter
        ("contacts.max_distance=900_000", True),
        ("training.max_epochs=2", True),  # as the config has it
        ("evaluation.kmer_ridge=null", True),
        ("graph.edges.1.top_k=2", False),
        ("graph.controls=[{name: isolated}]", False),
        ("contacts.mask=false", False),
        ("batch.partners=3", False),
        ("augment.shift=0", False),
        ("model.trunk.filters=9", False),
        ("training.learning_rate=0.02", False),
    ],
)
def test_an_arm_that_trains_the_same_as_the_reference_is_told_of_before_it_is_trained(change, is_same, world, caplog):
    config = load_config(world, [f"ablation.arms=[{{name: mine, set: ['{change}']}}]"])
    arms, (found,) = with_graphs(make_arms(config), [Experiment.open(config)])
    assert [arm.name for arm in arms] == ["hic", "mine"]
    assert [(each.check, each.status, each.arm) for each in found] == [("changes_nothing", "note", "mine")] * is_same
    assert ("arm mine has the graph, model and training of hic" in caplog.text) == is_same


def test_what_arms_that_exchange_contacts_keep_is_found_in_every_fold(world):
    config = load_config(world, ["ablation.arms=[hic,no_graph,rewired,distance_matched]"])
    fold = Experiment.open(config)
    _, findings = with_graphs(make_arms(config), [fold, fold])
    for found in findings:
        assert [(each.check, each.arm) for each in found] == [
            ("edges_kept", "rewired"),
            ("edges_kept", "distance_matched"),
        ]
        assert set(found[0].values) == {"train", "valid", "test"}


def test_edges_that_are_kept_are_told_by_split_and_above_a_tenth_a_note(world):
    reference = Experiment.open(load_config(world))
    graph, pairs = reference.graph, reference.graph.pairs()
    contacts = pairs.take(graph.is_contact(pairs.kind))
    held_out = np.unique(reference.store.node_of_bin[reference.split_of_bin == TEST])
    is_test = np.flatnonzero(np.isin(contacts.first, held_out) & np.isin(contacts.second, held_out))
    finding = edges_kept("rewired", reference, graph.with_pairs(contacts.take(is_test[1:])))
    share = (len(is_test) - 1) / len(is_test)
    assert finding.values == {"train": 0.0, "valid": 0.0, "test": share}
    assert (finding.status, finding.count, finding.arm) == ("note", len(is_test) - 1, "rewired")
    assert f"0% in train, 0% in valid, {share:.0%} in test" in finding.message
    nothing = edges_kept("rewired", reference, replace(graph).with_pairs(contacts.take(is_test[:0])))
    assert (nothing.status, nothing.count) == ("ok", 0)
