from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from genograph.audit import exposure
from genograph.audit.exposure import Exposure, bins_shown, edges_between, exposures, strangers
from tests.dataset.test_windows import bins, make_dataset
from tests.numbered import BIN, make_graph, write_store

# `line` has bins 0 to 29 in nodes 0 to 12, of two or three bins each; `ring` has bins 30 to 46.


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("store"))


def bases_of(exposed):
    """How many bases of each bin are read."""
    return dict(sorted(Counter(exposed.bins_read().tolist()).items()))


def test_own_nodes_partners_and_edges_are_numbered_as_in_the_genome(store):
    dataset = make_dataset(store, pairs=[(0, 6, 2.0), (1, 7, 3.0), (6, 7, 1.0)], crop=0)
    exposed = Exposure.of(dataset, 0)
    assert exposed.own.tolist() == [0, 1, 2]
    assert exposed.partners.tolist() == [7, 6]
    pairs = {(min(pair), max(pair)) for pair in exposed.edges.T.tolist()}
    assert pairs == {(0, 1), (1, 2), (0, 6), (1, 7), (6, 7)}


def test_bins_shown_are_those_of_windows_and_of_what_may_be_a_partner(store):
    allowed = bins((0, 10), (20, 30))
    shown = bins_shown(make_dataset(store, pairs=[(0, 10, 2.0), (1, 7, 3.0)], crop=0, allowed=allowed))
    assert np.flatnonzero(shown).tolist() == [*range(10), *range(20, 30)]


def test_bases_that_are_read_are_those_of_the_window_and_of_its_context(store):
    dataset = make_dataset(store, pairs=[], window=6, crop=1, halo=1, allowed=bins((0, 10)))
    assert bases_of(Exposure.of(dataset, 1)) == {
        number: count * BIN for number, count in {2: 1, 3: 1, 4: 2, 5: 2, 6: 2, 7: 2, 8: 1, 9: 1}.items()
    }


def test_bases_beyond_the_run_are_not_read(store):
    dataset = make_dataset(store, pairs=[], window=4, crop=0, chunk=4, halo=2, allowed=bins((4, 8)))
    assert bases_of(Exposure.of(dataset, 0)) == dict.fromkeys([4, 5, 6, 7], BIN)


def test_a_shift_moves_what_is_read_by_so_many_bases(store):
    dataset = make_dataset(store, pairs=[], window=2, crop=0, chunk=2, allowed=bins((4, 10)))
    assert bases_of(Exposure.of(dataset, 1, shift=3)) == {6: BIN - 3, 7: BIN, 8: 3}
    assert bases_of(Exposure.of(dataset, 1, shift=-3)) == {5: 3, 6: BIN, 7: BIN - 3}


def test_bases_of_a_partner_count_where_it_lies(store):
    dataset = make_dataset(store, pairs=[(0, 6, 2.0)], window=2, crop=0, chunk=3)
    partner = np.flatnonzero(store.node_of_bin == 6)
    assert set(bases_of(Exposure.of(dataset, 0))) - {0, 1, 2} >= set(partner.tolist())


def test_a_circle_that_lies_in_one_split_as_a_whole_has_nothing_else_to_read(store):
    dataset = make_dataset(store, pairs=[], window=4, crop=0, halo=1, allowed=bins((30, 47)))
    assert bases_of(Exposure.of(dataset, 0)) == {}


def test_a_part_of_a_circle_is_read_as_if_it_were_a_line(store):
    dataset = make_dataset(store, pairs=[], window=4, crop=0, chunk=4, halo=1, allowed=bins((30, 34)))
    assert bases_of(Exposure.of(dataset, 0)) == dict.fromkeys([30, 31, 32, 33], BIN)


def test_windows_are_drawn_evenly_and_where_runs_begin_and_end(store, monkeypatch):
    monkeypatch.setattr(exposure, "MAX_WINDOWS", 8)
    dataset = make_dataset(store, pairs=[], window=1, crop=0, allowed=bins((0, 20), (25, 30)))
    assert [each.window for each in exposures(dataset)] == [0, 8, 16, 19, 20, 24]


def test_partners_and_nodes_wholly_of_other_splits_are_strangers_and_divided_ones_are_told_apart(store):
    dataset = make_dataset(store, pairs=[(0, 6, 2.0), (0, 7, 1.0)], crop=0)
    holds = np.zeros((len(store.nodes), 3), dtype=bool)
    holds[[0, 1, 6], 0] = True  # train
    holds[[1, 2, 7], 1] = True  # valid; node 1 is divided
    foreign, divided = strangers(Exposure.of(dataset, 0), holds, 0)
    assert (foreign.tolist(), divided.tolist()) == ([2, 7], [1])


def test_edges_between_splits_count_once_and_gaps_join_nothing(store):
    graph = make_graph(store, [(0, 6, 1.0), (0, 7, 1.0), (0, 9, 1.0)])
    holds = np.zeros((len(store.nodes), 3), dtype=bool)
    holds[0, 0] = holds[6, 1] = holds[7, 0] = True
    assert edges_between(graph, holds) == 2  # 0 to 6, and 6 to 7 beside it
