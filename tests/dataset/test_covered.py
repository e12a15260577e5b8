"""Which covered CpGs stand beside the bins of a batch: none of another split, and none that is predicted with them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genograph.config import BatchConfig
from genograph.dataset import WindowDataset
from genograph.dataset.augment import reverse_complement
from genograph.dataset.covered import CoveredReader
from genograph.dataset.pieces import Stretches
from genograph.genome.splits import runs
from genograph.graph import LinearEdges, build_graph
from tests.cpgs import NAN, PLACES, STATES, write_store
from tests.numbered import Pairs

COUNT, SITES = 2, len(PLACES)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("store"))


def make_dataset(store, *, allowed=None, contacts=(), count=COUNT, **batch):
    graph = build_graph([LinearEdges(), Pairs(contacts)], store.nodes)
    options = {
        "allowed": np.ones(SITES, dtype=bool) if allowed is None else allowed,
        "candidates": np.zeros(SITES, dtype=bool),
        "neighbours": count,
        "keep_empty": True,
    }
    return WindowDataset(store, graph, BatchConfig(**{"window": 1, "partners": 0} | batch), halo=0, **options)


def expected(site, cell, run, hidden):
    """State and distance of the neighbours of a site, looked for one by one."""
    seen = [
        other for other in range(*run) if other != site and other not in hidden and not np.isnan(STATES[other, cell])
    ]
    left, right = [each for each in seen if each < site][-COUNT:], [each for each in seen if each > site]
    found = [None] * (COUNT - len(left)) + left + (right + [None] * COUNT)[:COUNT]
    state = [NAN if each is None else STATES[each, cell] for each in found]
    return state, [NAN if each is None else abs(PLACES[each][1] - PLACES[site][1]) for each in found]


def stretches(spans, sites, *, before=0, length=1):
    """Of each site a row of so many from `before` it on, as far as its run goes."""
    sites = np.array(sites, dtype=np.int64)
    run = np.searchsorted(spans[:, 0], sites, side="right") - 1
    bins = sites[:, None] - before + np.arange(length)
    return Stretches(run, sites - before, np.where((bins >= spans[run, :1]) & (bins < spans[run, 1:]), bins, -1))


@st.composite
def layouts(draw):
    """What may be seen, windows' length and crop, the first site that each predicts, and partners with their window."""
    allowed = np.array(draw(st.lists(st.booleans(), min_size=SITES, max_size=SITES).filter(any)))
    length = draw(st.integers(1, 5))
    crop = draw(st.integers(0, (length - 1) // 2))
    site = st.sampled_from(np.flatnonzero(allowed).tolist())
    windows = draw(st.lists(site, min_size=1, max_size=3))
    partners = draw(st.lists(st.tuples(site, st.integers(0, len(windows) - 1)), max_size=4))
    return allowed, length, crop, windows, partners


@given(layout=layouts())
@settings(max_examples=150)
def test_neighbours_are_of_the_run_of_their_bin_and_never_what_its_window_predicts(store, layout):
    allowed, length, crop, windows, partners = layout
    spans = np.array(runs(allowed, store.bins))
    window = stretches(spans, windows, before=crop, length=length)
    partner = stretches(spans, [site for site, _ in partners])
    owner = np.array([number for _, number in partners], dtype=np.int64)
    predicted = window.bins[:, crop : length - crop]
    found = CoveredReader(store, spans, COUNT).read(window, partner, owner, predicted)
    number = np.repeat(np.arange(len(windows)), length)
    rows = [*zip(window.bins.ravel(), window.run[number], predicted[number], strict=True)]
    rows += zip(partner.bins[:, 0], partner.run, predicted[owner], strict=True)
    assert found["state"].shape == found["distance"].shape == (len(rows), 3, 2 * COUNT)
    for row, (site, run, hidden) in enumerate(rows):
        for cell in range(3):
            values = [[NAN] * 2 * COUNT] * 2 if site < 0 else expected(site, cell, spans[run], hidden)
            for name, value in zip(("state", "distance"), values, strict=True):
                np.testing.assert_array_equal(found[name][row, cell], np.array(value, dtype=np.float32))


def shown(batch, row):
    """State and distance of the first cell beside one bin of a batch."""
    return [batch.neighbours[name][row, 0].tolist() for name in ("state", "distance")]


def test_a_window_of_one_site_shows_what_deepcpg_reads(store):
    batch = make_dataset(store).make_batch([0, 4])
    assert batch.position.tolist() == [[0], [4]]
    # The first cell covers 2, 5, 14, 15, 28, 33 and 34 of chromosome `a`.
    np.testing.assert_array_equal(shown(batch, 0), [[NAN, NAN, 1, 1], [NAN, NAN, 3, 12]])
    np.testing.assert_array_equal(shown(batch, 1), [[1, 1, 1, 0], [10, 1, 13, 18]])
    assert len(batch.codes) == 0
    assert batch.source.tolist() == [-1, -1]


def test_neighbours_end_with_their_split(store):
    allowed = np.isin(np.arange(SITES), [0, 1, 2, 3, 4, 6, 7])
    batch = make_dataset(store, allowed=allowed).make_batch([4, 5])
    assert batch.position.tolist() == [[4], [6]]
    np.testing.assert_array_equal(shown(batch, 0), [[1, 1, NAN, NAN], [10, 1, NAN, NAN]])
    np.testing.assert_array_equal(shown(batch, 1), [[NAN, NAN, 0, NAN], [NAN, NAN, 5, NAN]])


def test_a_site_that_is_predicted_stands_beside_none_of_its_window_nor_its_partners(store):
    # Sites 3 to 5 are predicted with site 2 and 6 as context; 7 is a partner. Sites 3 and 4 are covered.
    dataset = make_dataset(store, contacts=[(4, 7, 5.0)], window=5, crop=1, partners=1)
    batch = dataset.make_batch([1])
    assert batch.position.tolist() == [[3, 4, 5]]
    assert batch.layout == ((1, 5), (1, 1))
    np.testing.assert_array_equal(shown(batch, 0), [[0, 1, 1, 0], [7, 4, 19, 24]])
    np.testing.assert_array_equal(shown(batch, 2), [[0, 1, 1, 0], [13, 10, 13, 18]])
    np.testing.assert_array_equal(shown(batch, 4), [[0, 1, 0, 1], [26, 23, 5, 6]])
    np.testing.assert_array_equal(shown(batch, 5), [[1, 1, 1, NAN], [28, 5, 1, NAN]])


def test_a_dataset_of_a_model_without_neighbours_reads_none(store):
    assert make_dataset(store, count=None).make_batch([0]).neighbours == {}


@given(window=st.integers(1, 5), numbers=st.lists(st.integers(0, 30), min_size=2, max_size=3))
@settings(max_examples=40)
def test_a_batch_of_several_is_several_batches_of_one(store, window, numbers):
    dataset = make_dataset(store, contacts=[(0, 6, 2.0), (1, 9, 3.0), (4, 8, 1.0)], window=window, partners=1)
    numbers = [number % len(dataset) for number in numbers]
    together, alone = dataset.make_batch(numbers), [dataset.make_batch([number]) for number in numbers]
    for name, values in together.neighbours.items():
        parts = [each.neighbours[name] for each in alone]
        rows = torch.cat([*(part[:window] for part in parts), *(part[window:] for part in parts)])
        np.testing.assert_array_equal(values, rows)


@given(window=st.integers(1, 5), number=st.integers(0, 30))
@settings(max_examples=40)
def test_the_other_strand_has_the_left_ones_on_the_right_and_twice_is_the_identity(store, window, number):
    dataset = make_dataset(store, contacts=[(0, 6, 2.0), (1, 9, 3.0), (4, 8, 1.0)], window=window, partners=1)
    batch = dataset.make_batch([number % len(dataset)])
    other = reverse_complement(batch, 1, store.targets)
    back = reverse_complement(other, 1, store.targets)
    for name, values in batch.neighbours.items():
        turned = torch.cat([values[:window].flip(0), values[window:]]).flip(2)
        np.testing.assert_array_equal(other.neighbours[name], turned)
        np.testing.assert_array_equal(back.neighbours[name], values)


def test_on_the_other_strand_stranded_tracks_trade_places(store):
    one, two, three = store.targets["methylation"]
    pair = [replace(one, strand="+", strand_pair="two"), replace(two, strand="-", strand_pair="one"), three]
    batch = make_dataset(store).make_batch([4])
    other = reverse_complement(batch, 1, {"methylation": pair})
    np.testing.assert_array_equal(other.neighbours["state"], batch.neighbours["state"].flip(2)[:, [1, 0, 2]])
