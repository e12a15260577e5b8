"""Larger nodes in batches: what bins they hold, what edges join them, and that no sample or split is left."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genograph.config import AugmentConfig, BatchConfig
from genograph.dataset import WindowDataset
from genograph.dataset.augment import reverse_complement
from genograph.graph import build_graph
from genograph.graph.building import Known
from genograph.graph.levels import build_levels, larger_nodes
from tests.numbered import TARGETS, UNKNOWN, Pairs, make_graph, read_numbers, write_store

NUM_BINS = 52  # 30 of `line`, 17 of the circular `ring`, 5 of `short`, in nodes of 20 bp: 13, 8 and 3
PAIRS = [(0, 6, 2.0), (0, 7, 3.0), (1, 7, 1.5), (1, 9, 4.0), (3, 7, 1.0), (4, 12, 2.5), (2, 16, 6.0), (14, 15, 1.0)]
LARGER = [(0, 3, 1.0), (0, 4, 2.0), (1, 3, 3.0), (2, 5, 4.0), (3, 4, 5.0)]  # nodes of 40 bp: 7, 4 and 2
LARGEST = [(0, 1, 1.0), (0, 2, 2.0)]  # nodes of 120 bp: 3, 2 and 1


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


def make_dataset(store, *, allowed=LINE, halo=0, augment=None, **options):
    batch = BatchConfig(**{"window": 6, "crop": 1, "size": 2, "partners": 2, "chunk": 2} | options)
    coarse = build_levels([[], [Pairs(LARGER)], [Pairs(LARGEST)]], store.nodes, [40, 120], Known())[1:]
    more = {} if augment is None else {"augment": augment}
    return WindowDataset(store, make_graph(store, PAIRS), batch, coarse=coarse, halo=halo, allowed=allowed, **more)


def held(batch, level):
    """The bins of the genome that each node of a level holds, as their sequence spells them."""
    number = read_numbers(batch.codes.numpy(), batch.source.numpy(), 0)
    node = batch.level(level).node_of_bin.numpy()
    return [set(number[node == each].tolist()) for each in range(batch.level(level).num_nodes)]


def test_larger_nodes_hold_the_bins_of_their_parts_that_the_window_and_its_partners_show(store):
    batch = make_dataset(store).make_batch([0])  # bins 0 to 4 in nodes 0 and 1; partners 7 and 9
    assert held(batch, 0) == [{0, 1}, {2, 3, 4}, {17, 18, 19}, {22, 23, 24}]
    assert held(batch, 1) == [{0, 1, 2, 3, 4}, {17, 18, 19}, {22, 23, 24}]  # 0, 3 and 4 of 40 bp
    assert held(batch, 2) == [{0, 1, 2, 3, 4}, {17, 18, 19, 22, 23, 24}]  # 0 and 1 of 120 bp
    assert batch.level(1).node_of_bin[0] == -1  # beyond the run


def test_edges_of_larger_nodes_are_those_among_them_in_the_genome(store):
    batch = make_dataset(store).make_batch([0])
    one, two = batch.coarse
    assert one.edge_index.tolist() == [[1, 2, 0, 2, 0, 1], [0, 0, 1, 1, 2, 2]]
    assert one.edge_attr[:, 0].tolist() == [1.0, 2.0, 1.0, 5.0, 2.0, 5.0]
    assert two.edge_index.tolist() == [[1, 0], [0, 1]]
    assert two.edge_attr[:, 0].tolist() == [1.0, 1.0]


def test_a_larger_node_that_a_border_divides_holds_the_bins_of_one_side_alone(store):
    batch = make_dataset(store, allowed=bins((0, 3)), partners=0).make_batch([0])
    assert held(batch, 1) == [{0, 1, 2}]  # of bins 0 to 4
    other = make_dataset(store, allowed=bins((3, 30)), partners=0).make_batch([0])
    assert held(other, 1) == [{3, 4}, {5, 6, 7}]
    assert other.level(1).edge_index.shape == (2, 0)


layouts = st.fixed_dictionaries(
    {
        "window": st.integers(1, 20),
        "crop": st.integers(0, 6),
        "chunk": st.integers(1, 8),
        "partners": st.integers(0, 3),
    }
).filter(lambda layout: layout["window"] > 2 * layout["crop"])
splits = st.lists(st.booleans(), min_size=NUM_BINS, max_size=NUM_BINS).filter(any).map(np.array)


@given(layout=layouts, allowed=splits)
@settings(max_examples=60, deadline=None)
def test_every_bin_of_a_larger_node_is_of_its_split_and_stands_in_the_node_that_holds_it(store, layout, allowed):
    dataset = make_dataset(store, allowed=allowed, **layout)
    for window in range(min(len(dataset), 4)):
        batch = dataset.make_batch([window])
        number = read_numbers(batch.codes.numpy(), batch.source.numpy(), 0)
        for level, reader in enumerate(dataset.levels, start=1):
            node = batch.level(level).node_of_bin.numpy()
            assert np.array_equal(node >= 0, batch.node_of_bin.numpy() >= 0)
            shown = number[node >= 0]
            assert (shown != UNKNOWN).all()
            assert allowed[shown].all()
            of_genome = larger_nodes(store.node_of_bin, store.nodes, reader.graph)[shown]
            assert len(set(zip(of_genome.tolist(), node[node >= 0].tolist(), strict=True))) == len(set(of_genome))
            assert set(node[node >= 0].tolist()) == set(range(batch.level(level).num_nodes))


@given(layout=layouts, windows=st.lists(st.integers(0, 40), min_size=2, max_size=3))
@settings(max_examples=40, deadline=None)
def test_larger_nodes_of_several_windows_are_those_of_each(store, layout, windows):
    dataset = make_dataset(store, allowed=bins((0, 52)), **layout)
    windows = [window % len(dataset) for window in windows]
    together, alone = dataset.make_batch(windows), [dataset.make_batch([window]) for window in windows]
    for level in (1, 2):
        whole, parts = together.level(level), [each.level(level) for each in alone]
        offsets = np.cumsum([0, *(each.num_nodes for each in parts)])
        assert whole.num_nodes == offsets[-1]
        assert torch.equal(whole.edge_attr, torch.cat([each.edge_attr for each in parts]))
        moved = list(zip(parts, offsets[:-1], strict=True))
        assert torch.equal(whole.edge_index, torch.cat([each.edge_index + offset for each, offset in moved], dim=1))
        nodes = [torch.where(each.node_of_bin < 0, -1, each.node_of_bin + offset) for each, offset in moved]
        first = layout["window"]
        assert torch.equal(
            whole.node_of_bin, torch.cat([*(each[:first] for each in nodes), *(each[first:] for each in nodes)])
        )
        assert (whole.edge_index[1].diff() >= 0).all()


def test_on_the_other_strand_bins_keep_their_larger_nodes_and_twice_gives_the_batch_back(store):
    batch = make_dataset(store).make_batch([0, 2])
    turned = reverse_complement(batch, 2, TARGETS)
    for level in (1, 2):
        whole, other = batch.level(level), turned.level(level)
        (windows, length), _ = batch.layout
        expected = whole.node_of_bin[: windows * length].view(windows, length).flip(1).flatten()
        assert torch.equal(other.node_of_bin[: windows * length], expected)
        assert torch.equal(other.edge_index, whole.edge_index)
        again = reverse_complement(turned, 2, TARGETS).level(level)
        assert all(np.array_equal(getattr(again, each.name), getattr(whole, each.name)) for each in fields(type(whole)))


def test_an_augmented_batch_has_its_levels(store):
    dataset = make_dataset(store, augment=AugmentConfig(reverse_complement="epochs", shift=0))
    straight, turned = dataset.collate([(0, 1)]), dataset.collate([(1, 1)])
    assert torch.equal(straight.level(1).edge_index, turned.level(1).edge_index)
    assert torch.equal(straight.level(1).node_of_bin[:6], turned.level(1).node_of_bin[:6].flip(0))


def test_a_batch_moves_to_a_device_with_its_levels(store):
    batch = make_dataset(store).make_batch([0]).to("meta")
    tensors = [getattr(each, name) for each in batch.coarse for name in ("node_of_bin", "edge_index", "edge_attr")]
    assert {tensor.device.type for tensor in [batch.codes, *batch.target.values(), *tensors]} == {"meta"}
    assert (batch.layout, batch.coarse[0].num_nodes) == (((1, 6), (2, 3)), 3)


def test_contacts_shown_of_larger_nodes_are_those_of_the_windows_own(store):
    dataset = make_dataset(store, allowed=bins((0, 5)), partners=0)
    assert dataset.contacts_shown(level=1) == (0.0, 0.0)  # its node has two, to nodes that are not shown
    dataset = make_dataset(store)
    object.__setattr__(dataset, "windows", dataset.windows[:1])
    assert dataset.contacts_shown(level=1) == (2.0, 1.0)  # node 0 to 3 and 4
    assert dataset.contacts_shown(level=2) == (1.0, 0.5)  # node 0 to 1, not to 2


def test_without_larger_nodes_a_batch_has_one_level(store):
    graph = build_graph([], store.nodes)
    batch = WindowDataset(store, graph, BatchConfig(window=6, chunk=2), halo=0, allowed=bins((0, 30))).make_batch([0])
    assert batch.coarse == ()
    assert batch.level(0).num_nodes == batch.num_nodes
