from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genograph.config import AugmentConfig, BatchConfig
from genograph.dataset import WindowDataset
from genograph.errors import InputError
from genograph.graph import CONTROLS, LinearEdges, build_graph
from tests.numbered import NOT_READ, UNKNOWN, make_graph, read_numbers, write_store

NUM_BINS = 52  # 30 of `line`, 17 of the circular `ring`, 5 of `short`
PAIRS = [(0, 6, 2.0), (0, 7, 3.0), (1, 7, 1.5), (1, 9, 4.0), (3, 7, 1.0), (4, 14, 2.5), (2, 16, 6.0), (13, 15, 1.0)]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("store"))


def bins(*spans):
    """(bins,) True within the spans."""
    mask = np.zeros(NUM_BINS, dtype=bool)
    for first, end in spans:
        mask[first:end] = True
    return mask


LINE = bins((0, 30))


def make_dataset(store, *, allowed=LINE, pairs=PAIRS, halo=0, graph=None, masked=(), **options):
    keywords = ("candidates", "stride", "augment", "seed", "keep_empty")
    rest = {name: options.pop(name) for name in keywords if name in options}
    batch = BatchConfig(**{"window": 6, "crop": 1, "size": 2, "partners": 2, "chunk": 2} | options)
    graph = graph or make_graph(store, pairs)
    graph = replace(graph, masked=np.isin(np.arange(graph.num_nodes), masked))
    return WindowDataset(store, graph, batch, halo=halo, allowed=allowed, **rest)


def met(dataset):
    """How often each bin is predicted in an epoch."""
    batches = [dataset.make_batch([window]).position.numpy() for window in range(len(dataset))]
    return Counter(number for batch in batches for number in batch[batch >= 0].tolist())


def window_and_partner_bins(dataset, batch):
    """The bins that windows and partners show, read off their sequence: (windows, bins) and (partners, bins)."""
    number = read_numbers(batch.codes.numpy(), batch.source.numpy(), dataset.reader.halo)
    (windows, length), (partners, node_length) = batch.layout
    return number[: windows * length].reshape(windows, -1), number[windows * length :].reshape(partners, node_length)


def partner_nodes(dataset, window):
    _, partners = window_and_partner_bins(dataset, dataset.make_batch([window]))
    return dataset.store.node_of_bin[partners[:, 0]].tolist()


def test_windows_lie_side_by_side_by_what_they_predict_with_context_around(store):
    dataset = make_dataset(store, allowed=bins((0, 10)))
    batch = dataset.make_batch([0, 1, 2])
    shown, _ = window_and_partner_bins(dataset, batch)
    assert shown.tolist() == [
        [UNKNOWN, 0, 1, 2, 3, 4],
        [3, 4, 5, 6, 7, 8],
        [7, 8, 9, UNKNOWN, UNKNOWN, UNKNOWN],
    ]
    assert batch.position.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, -1, -1]]
    assert len(dataset) == 3


def test_a_stride_sets_windows_as_far_apart_and_still_reaches_every_bin(store):
    dataset = make_dataset(store, allowed=bins((0, 10)), stride=3)
    assert [dataset.make_batch([window]).position[0].tolist() for window in range(len(dataset))] == [
        [0, 1, 2, 3],
        [3, 4, 5, 6],
        [6, 7, 8, 9],
    ]


def test_a_run_shorter_than_a_window_is_one_window(store):
    batch = make_dataset(store, allowed=bins((47, 49))).make_batch([0])
    assert batch.position.tolist() == [[47, 48, -1, -1]]


layouts = st.fixed_dictionaries(
    {
        "window": st.integers(1, 20),
        "crop": st.integers(0, 6),
        "chunk": st.integers(1, 8),
        "partners": st.integers(0, 3),
        "halo": st.integers(0, 3),
    }
).filter(lambda layout: layout["window"] > 2 * layout["crop"])
splits = st.lists(st.booleans(), min_size=NUM_BINS, max_size=NUM_BINS).filter(any).map(np.array) | st.sampled_from(
    [bins((0, 52)), bins((30, 47)), bins((3, 17), (20, 44))]
)


@given(layout=layouts, allowed=splits)
@settings(max_examples=80)
def test_every_bin_of_a_split_is_predicted_once(store, layout, allowed):
    assert met(make_dataset(store, allowed=allowed, **layout)) == Counter(np.flatnonzero(allowed).tolist())


@given(layout=layouts, allowed=splits, unmasked=splits)
@settings(max_examples=60)
def test_every_measured_bin_is_met_once_though_windows_without_any_are_left_out(store, layout, allowed, unmasked):
    sparse = replace(store)
    object.__setattr__(sparse, "mask", unmasked)
    dataset = make_dataset(sparse, allowed=allowed, **layout)
    valid = Counter()
    for window in range(len(dataset)):
        batch = dataset.make_batch([window])
        is_valid = batch.mask["expression"].all(dim=2)
        assert is_valid.any()
        valid.update(batch.position[is_valid].tolist())
    assert valid == Counter(np.flatnonzero(allowed & unmasked).tolist())
    everything = make_dataset(sparse, allowed=allowed, keep_empty=True, **layout)
    assert met(everything) == Counter(np.flatnonzero(allowed).tolist())


@given(layout=layouts, allowed=splits, stride=st.integers(1, 8))
@settings(max_examples=60)
def test_overlapping_windows_miss_no_bin_and_show_none_from_outside(store, layout, allowed, stride):
    stride = min(stride, layout["window"] - 2 * layout["crop"])
    assert set(met(make_dataset(store, allowed=allowed, stride=stride, **layout))) == set(np.flatnonzero(allowed))


def test_overlapping_windows_go_round_a_circular_chromosome(store):
    dataset = make_dataset(store, allowed=bins((30, 47)), stride=3, crop=0, window=4)
    assert dataset.make_batch([len(dataset) - 1]).position.tolist() == [[45, 46, 30, 31]]
    once = make_dataset(store, allowed=bins((30, 47)), crop=0, window=4)
    batch = once.make_batch([len(once) - 1])
    assert batch.position.tolist() == [[46, -1, -1, -1]]
    assert window_and_partner_bins(once, batch)[0].tolist() == [[46, 30, 31, 32]]
    assert not batch.mask["expression"][0, 1:].any()


@given(layout=layouts, allowed=splits, shift=st.integers(-5, 5), with_candidates=st.booleans())
@settings(max_examples=80)
def test_nothing_of_another_split_is_ever_shown(tmp_path_factory, layout, allowed, shift, with_candidates):
    painted = write_store(tmp_path_factory.mktemp("painted"), painted=np.flatnonzero(~allowed))
    candidates = np.ones(NUM_BINS, dtype=bool) if with_candidates else None
    dataset = make_dataset(painted, allowed=allowed, candidates=candidates, **layout)
    nodes_inside = set(painted.node_of_bin[allowed])
    for window in range(len(dataset)):
        batch = dataset.make_batch([window], shift=shift)
        assert 3 not in batch.codes
        assert allowed[batch.position[batch.position >= 0]].all()
        assert torch.isnan(batch.target["expression"][batch.position < 0]).all()
        assert set(nodes_of(dataset, window)) <= nodes_inside


def nodes_of(dataset, window):
    """The genome's nodes of a batch of one window, in the batch's order."""
    batch = dataset.make_batch([window])
    shown, partners = window_and_partner_bins(dataset, batch)
    number = np.concatenate([shown.ravel(), partners.ravel()])
    node = np.full(batch.num_nodes, -1)
    belongs = (batch.node_of_bin.numpy() >= 0) & (number >= 0)
    node[batch.node_of_bin.numpy()[belongs]] = dataset.store.node_of_bin[number[belongs]]
    return node


def test_partners_are_the_strongest_nodes_that_are_not_masked(store):
    # The first window shows bins 0 to 4, which are of nodes 0 and 1: 7 weighs 3 + 1.5, 9 weighs 4, 6 weighs 2.
    assert store.node_of_bin[:6].tolist() == [0, 0, 1, 1, 1, 2]
    assert partner_nodes(make_dataset(store), 0) == [7, 9]
    assert partner_nodes(make_dataset(store, partners=5), 0) == [7, 9, 6]
    assert partner_nodes(make_dataset(store, masked=[7]), 0) == [9, 6]


def test_partners_come_from_the_same_split(store):
    inside = bins((0, 20))  # node 7 holds bins 17 to 19, node 9 bins 22 to 24
    assert store.node_of_bin[[16, 17, 19, 20]].tolist() == [6, 7, 7, 8]
    assert partner_nodes(make_dataset(store, allowed=inside), 0) == [7, 6]
    assert partner_nodes(make_dataset(store, allowed=bins((0, 19))), 0) == [6]  # node 7 is no longer whole


def test_a_partner_shows_the_bins_of_its_node_alone_as_its_own(store):
    dataset = make_dataset(store, partners=3)
    batch = dataset.make_batch([0])
    _, partners = window_and_partner_bins(dataset, batch)
    assert batch.layout == ((1, 6), (3, 3))
    assert partners.tolist() == [[17, 18, 19], [22, 23, 24], [15, 16, 17]]
    assert batch.node_of_bin[6:].tolist() == [2, 2, 2, 3, 3, 3, 4, 4, -1]  # bin 17 is of another node


def test_a_bin_beyond_its_run_is_of_no_node(store):
    batch = make_dataset(store, allowed=bins((0, 10))).make_batch([0])
    assert batch.node_of_bin[:6].tolist() == [-1, 0, 0, 1, 1, 1]


def test_edges_join_what_they_join_in_the_genome(store):
    dataset = make_dataset(store)
    batch = dataset.make_batch([0])
    nodes = nodes_of(dataset, 0)
    assert nodes.tolist() == [0, 1, 7, 9]
    edges = {tuple(nodes[pair]): weight for pair, weight in zip(batch.edge_index.T, batch.edge_attr[:, 0], strict=True)}
    assert edges == {
        **{(0, 1): 1, (1, 0): 1},
        **{(0, 7): 3, (7, 0): 3, (1, 7): 1.5, (7, 1): 1.5, (1, 9): 4, (9, 1): 4},
    }
    assert (batch.edge_index[1].diff() >= 0).all()


def test_a_graph_of_linear_edges_has_no_partners(store):
    graph = build_graph([LinearEdges()], store.nodes)
    dataset = make_dataset(store, graph=graph, chunk=None)
    assert dataset.make_batch([0]).layout == ((1, 6), (0, 3))
    assert dataset.make_batch([0]).num_nodes == 2


def test_partners_need_the_size_of_a_piece(store):
    with pytest.raises(InputError, match=r"batch\.chunk: .*such as chunk: 16; or set batch\.partners: 0"):
        make_dataset(store, chunk=None)
    assert len(make_dataset(store, chunk=None, partners=0)) == 8


@given(layout=layouts, windows=st.lists(st.integers(0, 40), min_size=2, max_size=3), candidates=st.none() | splits)
@settings(max_examples=60)
def test_a_batch_of_several_is_several_batches_of_one(store, layout, windows, candidates):
    dataset = make_dataset(store, allowed=bins((0, 52)), candidates=candidates, **layout)
    windows = [window % len(dataset) for window in windows]
    together, alone = dataset.make_batch(windows), [dataset.make_batch([window]) for window in windows]
    shown = [window_and_partner_bins(dataset, each) for each in alone]
    for ours, theirs in zip(window_and_partner_bins(dataset, together), zip(*shown, strict=True), strict=True):
        np.testing.assert_array_equal(ours, np.concatenate(theirs))
    offsets = np.cumsum([0, *(each.num_nodes for each in alone)])
    assert together.num_nodes == offsets[-1]
    for name in ("edge_attr", "position"):
        assert torch.equal(getattr(together, name), torch.cat([getattr(each, name) for each in alone]))
    index = [each.edge_index + offset for each, offset in zip(alone, offsets[:-1], strict=True)]
    assert torch.equal(together.edge_index, torch.cat(index, dim=1))
    nodes = [
        each.node_of_bin + offset * (each.node_of_bin >= 0) for each, offset in zip(alone, offsets[:-1], strict=True)
    ]
    first = layout["window"]
    assert torch.equal(
        together.node_of_bin, torch.cat([*(each[:first] for each in nodes), *(each[first:] for each in nodes)])
    )
    for values in ("target", "mask", "coverage"):
        for assay, each in getattr(together, values).items():
            expected = torch.cat([getattr(one, values)[assay] for one in alone])
            np.testing.assert_array_equal(each.numpy(), expected.numpy())


def test_a_piece_that_two_windows_need_is_encoded_once(store):
    dataset = make_dataset(store, crop=0, pairs=[(0, 9, 1.0), (2, 9, 1.0)], partners=1, window=4, stride=2)
    alone = [len(dataset.make_batch([window]).codes) for window in (0, 1)]
    assert alone == [4, 4]  # two of the window, two of node 9
    together = dataset.make_batch([0, 1])
    assert len(together.codes) == 5  # bins 2 and 3 are in both, and node 9 too
    assert together.num_nodes == 2 + 1 + 2 + 1


@given(layout=layouts, allowed=splits, shift=st.integers(-3, 3))
@settings(max_examples=40)
def test_without_edges_a_batch_reads_what_it_read_with_them(store, layout, allowed, shift):
    """The same pieces of sequence, so that what is estimated on them, such as batch statistics, is alike."""
    graph = make_graph(store, PAIRS)
    isolated = CONTROLS["isolated"]()(graph, np.zeros(graph.num_nodes, dtype=int), np.random.default_rng(0))
    whole, empty = (make_dataset(store, graph=each, allowed=allowed, **layout) for each in (graph, isolated))
    windows = range(min(3, len(whole)))
    batch, other = (dataset.make_batch(windows, shift=shift) for dataset in (whole, empty))
    assert torch.equal(batch.codes, other.codes)
    assert torch.equal(batch.source, other.source)
    assert torch.equal(batch.node_of_bin, other.node_of_bin)
    assert (batch.layout, batch.num_nodes) == (other.layout, other.num_nodes)
    assert other.edge_index.shape == (2, 0)
    assert other.edge_attr.shape == (0, batch.edge_attr.shape[1])


def test_only_candidates_are_read_and_all_bins_have_their_node(store):
    candidates = bins((2, 3), (18, 19))
    dataset = make_dataset(store, candidates=candidates)
    batch = dataset.make_batch([0])
    shown, partners = window_and_partner_bins(dataset, batch)
    none = NOT_READ
    assert shown.tolist() == [[none, none, none, 2, none, none]]
    assert partners.tolist() == [[none, 18, none], [none, none, none]]
    assert len(batch.codes) == 2
    assert torch.equal(batch.node_of_bin, make_dataset(store).make_batch([0]).node_of_bin)


def test_targets_masks_and_coverage_are_those_of_the_position(store):
    batch = make_dataset(store, allowed=bins((0, 10))).make_batch([1, 2])
    expected = [[[3 * place + track for track in range(3)] for place in row] for row in [[4, 5, 6, 7], [8, 9]]]
    assert batch.target["expression"][0].tolist() == expected[0]
    assert batch.target["expression"][1, :2].tolist() == expected[1]
    assert torch.isnan(batch.target["expression"][1, 2:]).all()
    assert batch.mask["expression"].all(dim=2).tolist() == [[True] * 4, [True, True, False, False]]
    np.testing.assert_array_equal(batch.target["methylation"][..., 0], [[4, 5, np.nan, 7], [8, 9, np.nan, np.nan]])
    assert batch.mask["methylation"][..., 0].tolist() == [[True, True, False, True], [True, True, False, False]]
    assert batch.coverage["methylation"][..., 0].tolist() == [[5, 6, 0, 8], [9, 10, 0, 0]]


def test_a_masked_bin_keeps_its_value_but_does_not_count(store):
    masked = replace(store)
    object.__setattr__(masked, "mask", ~bins((5, 6)))
    batch = make_dataset(masked, allowed=bins((0, 10))).make_batch([1])
    assert batch.mask["expression"].all(dim=2).tolist() == [[True, False, True, True]]
    assert batch.target["expression"][0, 1].tolist() == [15, 16, 17]


def same(batch, other):
    return torch.equal(batch.codes, other.codes) and torch.equal(batch.position, other.position)


def test_augmentation_follows_from_seed_epoch_and_window_alone(store):
    augment = AugmentConfig(reverse_complement=True, shift=3)
    dataset = make_dataset(store, augment=augment, seed=4)
    again, other = make_dataset(store, augment=augment, seed=4), make_dataset(store, augment=augment, seed=5)
    first = [dataset.collate([(epoch, 2), (epoch, 3)]) for epoch in range(8)]
    assert all(same(batch, again.collate([(epoch, 2), (epoch, 3)])) for epoch, batch in enumerate(first))
    assert not all(same(batch, other.collate([(epoch, 2), (epoch, 3)])) for epoch, batch in enumerate(first))
    assert not all(same(batch, following) for batch, following in pairwise(first))


def test_without_augmentation_all_epochs_are_alike(store):
    dataset = make_dataset(store)
    assert all(same(dataset.collate([(epoch, 2)]), dataset.make_batch([2])) for epoch in range(8))


def test_shifts_reach_both_ends_of_their_range(store):
    dataset = make_dataset(store, augment=AugmentConfig(reverse_complement=False, shift=2))
    plain = {shift: dataset.make_batch([3], shift=shift).codes for shift in range(-3, 4)}
    drawn = [dataset.collate([(epoch, 3)]).codes for epoch in range(60)]
    seen = {shift for shift, codes in plain.items() if any(torch.equal(codes, each) for each in drawn)}
    assert seen == {-2, -1, 0, 1, 2}


def test_worker_processes_make_the_same_batches(store):
    dataset = make_dataset(store, augment=AugmentConfig(reverse_complement=True, shift=3))
    alone, shared = dataset.loader(shuffle=True), dataset.loader(shuffle=True, workers=2)
    for batch, other in zip(alone, shared, strict=True):
        assert same(batch, other)
        assert torch.equal(batch.edge_index, other.edge_index)


def test_a_loader_makes_batches_of_the_configs_size_in_order(store):
    positions = [batch.position[:, 0].tolist() for batch in make_dataset(store, size=3).loader(shuffle=False)]
    assert positions == [[0, 4, 8], [12, 16, 20], [24, 28]]


def test_contacts_shown_are_those_of_a_windows_own_nodes_that_reach_its_partners_or_each_other(store):
    """Window of nodes 0 to 2: of its five ends of contacts, one leads to node 9, which is not among its partners."""
    pairs = [(0, 2, 1.0), (0, 6, 2.0), (1, 7, 2.0), (1, 9, 0.5), (6, 7, 9.0)]
    dataset = make_dataset(store, pairs=pairs, crop=0, allowed=bins((0, 30)))
    assert first_window(dataset).contacts_shown() == pytest.approx((4 / 3, 4 / 5))
    dataset = make_dataset(store, pairs=pairs, crop=0, partners=3)
    assert first_window(dataset).contacts_shown() == pytest.approx((5 / 3, 1))


def test_contacts_shown_are_counted_in_few_windows_drawn_evenly(store, monkeypatch):
    monkeypatch.setattr("genograph.dataset.windows.COUNTED_WINDOWS", 2)
    dataset = make_dataset(store, pairs=[(0, 9, 1.0), (4, 9, 1.0), (11, 0, 1.0)], window=1, crop=0, chunk=1)
    assert len(dataset) == 30
    assert dataset.contacts_shown()[0] == pytest.approx((2 + 1) / 2)  # the first window and the last: nodes 0 and 11


def test_a_graph_that_is_isolated_shows_no_contacts_of_none(store):
    graph = make_graph(store, [(0, 6, 1.0)])
    empty = graph.with_pairs(graph.pairs().take(np.empty(0, dtype=int)))
    assert make_dataset(store, graph=empty).contacts_shown() == pytest.approx((0, np.nan), nan_ok=True)
    assert make_dataset(store, graph=graph).contacts_shown()[0] > 0


def first_window(dataset):
    """The dataset with its first window alone."""
    dataset.windows = dataset.windows[:1]
    return dataset


@pytest.mark.parametrize(("partners", "share"), [(0, 2 / 5), (1, 4 / 5), (2, 1.0)])
def test_the_share_of_contacts_that_a_window_shows_grows_with_its_partners(store, partners, share):
    # Window 0 has nodes 0 to 2, with five ends of edges: two of the pair among them, two at node 6, one at node 7.
    pairs = [(0, 2, 1.0), (0, 6, 2.0), (1, 6, 2.0), (1, 7, 1.0)]
    dataset = make_dataset(store, pairs=pairs, crop=0, partners=partners)
    assert first_window(dataset).contacts_shown()[1] == pytest.approx(share)
