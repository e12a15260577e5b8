from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genograph.config import BatchConfig
from genograph.dataset import WindowDataset
from genograph.dataset.augment import reverse_complement
from tests.numbered import TARGETS, bin_codes, make_graph, write_store

NUM_BINS = 52
COMPLEMENT = np.array([3, 2, 1, 0, 4, -1])  # of A, C, G, T, N and nothing


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("store"))


@st.composite
def batches(draw):
    """What makes a batch: layout, allowed bins, candidates, windows and a shift."""
    layout = {name: draw(st.integers(1, most)) for name, most in (("window", 14), ("chunk", 6))}
    layout |= {name: draw(st.integers(0, most)) for name, most in (("partners", 3), ("halo", 2))}
    layout["crop"] = draw(st.integers(0, (layout["window"] - 1) // 2))
    allowed = np.array(draw(st.lists(st.booleans(), min_size=NUM_BINS, max_size=NUM_BINS).filter(any)))
    candidates = draw(st.none() | st.lists(st.booleans(), min_size=NUM_BINS, max_size=NUM_BINS).map(np.array))
    windows = draw(st.lists(st.integers(0, 60), min_size=1, max_size=3))
    return (
        layout,
        draw(st.sampled_from([allowed, np.ones(NUM_BINS, bool)])),
        candidates,
        windows,
        draw(st.integers(-3, 3)),
    )


def make_batch(store, layout, allowed, candidates, windows, shift):
    layout = dict(layout)
    graph = make_graph(store, [(0, 6, 2.0), (0, 7, 3.0), (3, 9, 1.0), (14, 16, 2.0), (1, 15, 4.0)])
    options = {"halo": layout.pop("halo"), "allowed": allowed, "candidates": candidates}
    dataset = WindowDataset(store, graph, BatchConfig(**layout), **options)
    return dataset.make_batch([window % len(dataset) for window in windows], shift=shift)


def assert_same(ours, theirs, name):
    if isinstance(ours, dict):
        assert ours.keys() == theirs.keys()
        for key, value in ours.items():
            assert_same(value, theirs[key], f"{name}.{key}")
    elif isinstance(ours, torch.Tensor):
        assert ours.dtype == theirs.dtype, name
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy(), err_msg=name)
    else:
        assert ours == theirs, name


def turned(values, layout):
    """(bins, ...) values with every stretch of bins the other way round."""
    parts = np.split(values, np.cumsum([count * length for count, length in layout])[:-1])
    return np.concatenate(
        [
            part.reshape(*shape, *part.shape[1:])[:, ::-1].reshape(part.shape)
            for part, shape in zip(parts, layout, strict=True)
        ]
    )


@given(made=batches())
@settings(max_examples=100)
def test_twice_is_the_identity(store, made):
    batch = make_batch(store, *made)
    chunk = made[0]["chunk"]
    back = reverse_complement(reverse_complement(batch, chunk, TARGETS), chunk, TARGETS)
    for each in fields(batch):
        assert_same(getattr(back, each.name), getattr(batch, each.name), each.name)


@given(made=batches())
@settings(max_examples=100)
def test_the_sequence_of_every_bin_and_its_node_is_that_of_the_other_strand(store, made):
    batch, (layout, *_) = make_batch(store, *made), made
    other = reverse_complement(batch, layout["chunk"], TARGETS)
    expected = COMPLEMENT[turned(bin_codes(batch, layout["halo"]), batch.layout)[:, ::-1]]
    np.testing.assert_array_equal(bin_codes(other, layout["halo"]), expected)
    np.testing.assert_array_equal(other.node_of_bin, turned(batch.node_of_bin.numpy(), batch.layout))
    np.testing.assert_array_equal(other.codes, COMPLEMENT[batch.codes.numpy()[:, ::-1]])  # context too
    assert torch.equal(other.edge_index, batch.edge_index)
    assert torch.equal(other.edge_attr, batch.edge_attr)
    assert other.layout == batch.layout


@given(made=batches())
@settings(max_examples=50)
def test_positions_and_targets_stay_with_their_bins(store, made):
    other = reverse_complement(make_batch(store, *made), made[0]["chunk"], TARGETS)
    position = other.position.numpy()
    place = np.where(position >= 0, position, np.nan)
    swapped = np.stack([3 * place + 2, 3 * place + 1, 3 * place], axis=-1)
    np.testing.assert_array_equal(other.target["expression"], swapped.astype(np.float32))
    missing = (position < 0) | (position % 7 == 6)
    np.testing.assert_array_equal(other.mask["methylation"][..., 0], ~missing)
    np.testing.assert_array_equal(other.coverage["methylation"][..., 0], np.where(missing, 0, position + 1))


def test_a_window_by_hand(store):
    layout = {"window": 4, "crop": 1, "chunk": 2, "partners": 0, "halo": 0}
    batch = make_batch(store, layout, np.ones(NUM_BINS, bool), None, [1], 0)
    other = reverse_complement(batch, 2, TARGETS)
    assert batch.position.tolist() == [[2, 3]]
    assert other.position.tolist() == [[3, 2]]
    assert batch.target["expression"].tolist() == [[[6, 7, 8], [9, 10, 11]]]
    assert other.target["expression"].tolist() == [[[11, 10, 9], [8, 7, 6]]]
    assert batch.source.tolist() == [0, 1, 2, 3]  # bins 1 and 2 are one piece, 3 and 4 the other
    assert other.source.tolist() == [2, 3, 0, 1]
    assert batch.codes[0].tolist() == [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]  # ...C, ...G
    assert other.codes[0].tolist() == [1, 3, 3, 3, 3, 3, 3, 3, 2, 3, 3, 3, 3, 3, 3, 3]


def test_the_batch_itself_is_left_as_it_was(store):
    layout = {"window": 6, "crop": 0, "chunk": 3, "partners": 2, "halo": 1}
    batch, untouched = (make_batch(store, layout, np.ones(NUM_BINS, bool), None, [0, 3], 1) for _ in range(2))
    reverse_complement(batch, 3, TARGETS)
    for each in fields(batch):
        assert_same(getattr(batch, each.name), getattr(untouched, each.name), each.name)
