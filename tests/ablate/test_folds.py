"""Folds hold out every measured bin once."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import assume, given, reject
from hypothesis import strategies as st

from genograph.ablate.folds import fold_configs, make_folds
from genograph.config import load_config, parse_config
from genograph.errors import InputError
from genograph.experiment import Experiment
from genograph.genome.bins import Bins, bins_to_nodes
from genograph.genome.splits import NONE, TEST, TRAIN, VALID, assign_splits
from tests import records


def store_of(sizes, *, bin_size=100, node_size=1000, unmeasured=(), masked=()):
    """What `make_folds` reads of a store: one track, without values on some chromosomes, others masked."""
    bins = Bins(sizes, bin_size)
    values, mask = np.ones((len(bins), 1)), np.ones(len(bins), dtype=bool)
    for chrom in unmeasured:
        values[bins.span(chrom)] = np.nan
    for chrom in masked:
        mask[bins.span(chrom)] = False
    nodes = Bins(sizes, node_size, partial=True)
    return SimpleNamespace(
        bins=bins, nodes=nodes, mask=mask, targets={"coverage": []}, signals={"coverage": values}.__getitem__
    )


def splits_of(store, folds):
    """(folds, bins) split of every bin."""
    return np.stack(
        [assign_splits(store.bins, train=each.train, valid=each.valid, test=each.test, gap=each.gap) for each in folds]
    )


def test_as_many_chromosomes_as_folds_are_held_out_whole_in_turn():
    folds = make_folds(store_of({"a": 3000, "b": 5000, "c": 4000}), 3)
    assert [(each.test, each.valid, each.train) for each in folds] == [
        (["b"], ["c"], None),
        (["c"], ["a"], None),
        (["a"], ["b"], None),
    ]


def test_more_chromosomes_are_grouped_to_about_equal_lengths():
    folds = make_folds(store_of({"a": 5000, "b": 4000, "c": 3000, "d": 2000, "e": 1000}), 3)
    assert [each.test for each in folds] == [["a"], ["b", "e"], ["c", "d"]]


def test_fewer_chromosomes_are_cut_into_stretches_of_whole_nodes():
    folds = make_folds(store_of({"a": 10_050, "b": 6000}), 3, gap=500)
    assert [each.test for each in folds] == [
        ["a:0-3,000", "b:0-2,000"],
        ["a:3,000-7,000", "b:2,000-4,000"],
        ["a:7,000-10,050", "b:4,000-6,000"],
    ]
    assert [each.valid for each in folds] == [each.test for each in (*folds[1:], folds[0])]
    assert {each.gap for each in folds} == {500}


def test_a_border_lies_where_the_first_bin_of_a_node_starts():
    """Bins of 128 bp do not fill nodes of 2,000 bp; a bin belongs to the node of its middle."""
    folds = make_folds(store_of({"a": 12_000}, bin_size=128, node_size=2000), 3)
    assert [each.test for each in folds] == [["a:0-3,968"], ["a:3,968-7,936"], ["a:7,936-12,000"]]


def test_a_chromosome_that_is_most_of_the_genome_is_cut_and_plasmids_stay_whole():
    folds = make_folds(store_of({"chr": 12_000, "p1": 2000, "p2": 1000}), 3)
    assert [each.test for each in folds] == [
        ["chr:0-4,000", "p1:0-2,000"],
        ["chr:4,000-8,000", "p2:0-1,000"],
        ["chr:8,000-12,000"],
    ]


@pytest.mark.parametrize("how", ["unmeasured", "masked"])
def test_a_chromosome_on_which_nothing_counts_is_no_fold(how):
    store = store_of({"a": 5000, "b": 4000, "c": 3000, "plasmid": 9000}, **{how: ["plasmid"]})
    assert [each.test for each in make_folds(store, 3)] == [["a"], ["b"], ["c"]]


@given(
    sizes=st.lists(st.integers(1000, 40_000), min_size=1, max_size=6),
    bin_size=st.sampled_from([100, 128, 333]),
    node_size=st.sampled_from([1000, 1024]),
    count=st.integers(3, 6),
    gap=st.sampled_from([0, 700]),
)
def test_every_bin_is_judged_once_and_no_node_holds_two_splits(sizes, bin_size, node_size, count, gap):
    store = store_of({f"chr{i}": size for i, size in enumerate(sizes)}, bin_size=bin_size, node_size=node_size)
    assume(len(sizes) >= count or max(sizes) >= 2 * count * node_size)
    try:
        folds = make_folds(store, count, gap=gap)
    except InputError as error:
        if "with gaps of 700 bp do not fit" in str(error):
            reject()
        raise
    splits = splits_of(store, folds)  # refuses splits that overlap
    np.testing.assert_array_equal((splits == TEST).sum(axis=0), 1)
    np.testing.assert_array_equal((splits == VALID).sum(axis=0), 1)
    node = bins_to_nodes(store.bins, store.nodes)
    for split in splits:
        kinds = [len(np.unique(split[(node == each) & (split != NONE)])) for each in np.unique(node)]
        assert max(kinds) <= 1


def test_folds_whose_gaps_leave_nothing_to_train_are_refused():
    store = store_of({"a": 6000}, bin_size=333)
    message = (
        "ablation.folds: 3 parts with gaps of 700 bp do not fit into the genome. No bin of 333 bp is left for the "
        "train split, the rest. Ask for fewer, or lower splits.gap."
    )
    with pytest.raises(InputError, match=re.escape(message)):
        make_folds(store, 3, gap=700)


def test_nothing_trains_within_the_gap_around_what_is_held_out():
    store = store_of({"a": 12_000})
    split = splits_of(store, make_folds(store, 4, gap=1000))[0]  # judges 0 to 3 kb, chooses by 3 to 6 kb
    codes = np.repeat([TEST, VALID, NONE, TRAIN], [30, 30, 10, 50])
    np.testing.assert_array_equal(split, codes)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_than_3_folds_are_refused(count):
    with pytest.raises(InputError, match=f"at least 3, to train, choose and judge; got {count}"):
        make_folds(store_of({"a": 10_000}), count)


def test_a_genome_too_short_for_its_folds_is_refused():
    with pytest.raises(InputError, match="the genome is too short for 3 parts of whole nodes of 1,000 bp"):
        make_folds(store_of({"a": 1500}), 3)


def test_the_folds_of_a_config_differ_in_their_splits_alone(world):
    config = load_config(world, ["ablation.folds=3", "splits.gap=200"])
    folds = fold_configs(config, Experiment.open(config).store)
    assert [each.splits.test for each in folds] == [["chrA"], ["chrB"], ["chrC"]]
    assert {each.splits.gap for each in folds} == {200}
    assert all(each.model_copy(update={"splits": config.splits}) == config for each in folds)


def test_folds_may_be_given_as_splits(world):
    config = load_config(world, ["ablation.folds=[{valid: [chrA], test: [chrB]}, {valid: [chrB], test: [chrC]}]"])
    assert [each.splits for each in fold_configs(config, Experiment.open(config).store)] == config.ablation.folds


def test_without_folds_the_configs_own_splits_are_the_only_fold(world):
    config = load_config(world)
    assert fold_configs(config, Experiment.open(config).store) == [config]


def test_a_folder_of_tfrecords_has_its_own_splits():
    config = parse_config(records.config_tree() | {"ablation": {"folds": 3}})
    with pytest.raises(InputError, match=r"a TFRecord folder has its own splits; leave folds out"):
        fold_configs(config, None)


def test_folds_keep_the_groups_of_the_configs_splits(world):
    (world.parent / "groups.bed").write_text("chrA\t0\t10\tg1\n")
    config = load_config(world, ["ablation.folds=3", "splits.groups=groups.bed", "splits.gap=7"])
    folds = fold_configs(config, Experiment.open(config).store)
    assert [(fold.splits.groups, fold.splits.gap) for fold in folds] == [(world.parent / "groups.bed", 7)] * 3
    assert len({tuple(fold.splits.test) for fold in folds}) == 3
