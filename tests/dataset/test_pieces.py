from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genograph.dataset.pieces import PieceReader, Stretches
from genograph.genome.splits import runs
from tests.numbered import BIN, NOT_READ, UNKNOWN, read_numbers, write_store

N = [4] * BIN


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("store"))


def make_reader(store, run_list, *, chunk, halo=0, candidates=None):
    return PieceReader(store, np.array(run_list), chunk, halo, candidates)


def stretch(*rows, run=0):
    """Stretches of bins, -1 where there is none; a first bin that is -1 stands before the second."""
    bins = np.array(rows)
    first = [next(bin - place for place, bin in enumerate(row) if bin >= 0) for row in rows]
    return Stretches(np.full(len(rows), run), np.array(first), bins)


def spelled(bin_number):
    return [bin_number // 3**power % 3 for power in range(BIN - 1, -1, -1)]


def test_a_piece_is_its_bins_with_context_on_both_sides(store):
    codes, source = make_reader(store, [(0, 30)], chunk=2, halo=1).read([stretch([4, 5])])
    assert codes.tolist() == [spelled(3) + spelled(4) + spelled(5) + spelled(6)]
    assert codes.dtype == np.uint8
    assert source.tolist() == [0, 1]


def test_a_bins_place_is_counted_over_pieces_without_their_context(store):
    codes, source = make_reader(store, [(0, 30)], chunk=2, halo=3).read([stretch([4, 5, 6]), stretch([20, 21])])
    assert codes.shape == (3, 8 * BIN)
    assert source.tolist() == [0, 1, 2, 4, 5]


def test_beyond_its_run_a_piece_is_n(store):
    codes, _ = make_reader(store, [(4, 6)], chunk=2, halo=1).read([stretch([4, 5])])
    assert codes.tolist() == [N + spelled(4) + spelled(5) + N]


def test_the_remainder_of_a_chromosome_is_n(store):
    codes, _ = make_reader(store, [(0, 30)], chunk=2, halo=0).read([stretch([29, -1])])
    assert codes.tolist() == [spelled(29) + N]


def test_pieces_wholly_beyond_their_run_are_n(store):
    codes, source = make_reader(store, [(4, 6)], chunk=1).read([stretch([-1, 4, 5, -1, -1])])
    assert codes[source].tolist() == [N, spelled(4), spelled(5), N, N]


def test_a_neighbouring_run_is_as_far_as_any_other(store):
    codes, _ = make_reader(store, [(4, 6), (6, 9)], chunk=1, halo=1).read([stretch([6], run=1)])
    assert codes.tolist() == [N + spelled(6) + spelled(7)]


@pytest.mark.parametrize("shift", [-3, 2])
def test_a_shift_reads_so_many_bases_further_on_and_n_beyond_the_run(store, shift):
    codes, source = make_reader(store, [(4, 7)], chunk=3).read([stretch([4, 5, 6])], shift=shift)
    run = spelled(4) + spelled(5) + spelled(6)
    expected = [*run[2:], 4, 4] if shift == 2 else [4, 4, 4, *run[:-3]]
    assert codes.tolist() == [expected]
    assert source.tolist() == [0, 1, 2]


def test_a_whole_circular_chromosome_goes_on_at_its_other_end(store):
    read = make_reader(store, [(30, 47)], chunk=2, halo=1).read
    codes, _ = read([Stretches(np.array([0]), np.array([46]), np.array([[46, 30]]))])
    assert codes.tolist() == [spelled(45) + spelled(46) + spelled(30) + spelled(31)]
    codes, _ = read([Stretches(np.array([0]), np.array([28]), np.array([[45, 46]]))])
    assert codes.tolist() == [spelled(44) + spelled(45) + spelled(46) + spelled(30)]


def test_a_shift_goes_round_too(store):
    read = make_reader(store, [(30, 47)], chunk=1).read
    codes, _ = read([Stretches(np.array([0]), np.array([46]), np.array([[46]]))], shift=3)
    assert codes.tolist() == [spelled(46)[3:] + spelled(30)[:3]]


def test_a_part_of_a_circular_chromosome_has_ends(store):
    codes, _ = make_reader(store, [(30, 46)], chunk=1, halo=1).read([stretch([30])])
    assert codes.tolist() == [N + spelled(30) + spelled(31)]


def test_a_piece_that_several_stretches_need_is_read_once(store):
    read = make_reader(store, [(0, 30)], chunk=2).read
    codes, source = read([stretch([0, 1, 2, 3], [2, 3, 4, 5]), stretch([4, 5])])
    assert codes.tolist() == [spelled(0) + spelled(1), spelled(2) + spelled(3), spelled(4) + spelled(5)]
    assert source.tolist() == [0, 1, 2, 3, 2, 3, 4, 5, 4, 5]


def test_the_same_place_in_two_runs_is_two_pieces(store):
    reader = make_reader(store, [(0, 4), (4, 8)], chunk=2, halo=1)
    both = [stretch([3, -1]), Stretches(np.array([1]), np.array([3]), np.array([[-1, 4]]))]
    codes, _ = reader.read(both)
    assert codes.tolist() == [spelled(2) + spelled(3) + N + N, N + N + spelled(4) + spelled(5)]


def test_bins_that_are_no_candidates_have_no_place_and_their_pieces_are_not_read(store):
    candidates = np.zeros(52, bool)
    candidates[[1, 8]] = True
    codes, source = make_reader(store, [(0, 30)], chunk=2, candidates=candidates).read([stretch([*range(10)])])
    assert codes.tolist() == [spelled(0) + spelled(1), spelled(8) + spelled(9)]
    assert source.tolist() == [-1, 1, -1, -1, -1, -1, -1, -1, 2, -1]


def test_with_candidates_nothing_is_read_beyond_a_run(store):
    reader = make_reader(store, [(0, 30)], chunk=1, candidates=np.ones(52, bool))
    codes, source = reader.read([stretch([29, -1])])
    assert codes.tolist() == [spelled(29)]
    assert source.tolist() == [0, -1]


def test_without_any_candidate_there_is_no_piece(store):
    reader = make_reader(store, [(0, 30)], chunk=2, halo=1, candidates=np.zeros(52, bool))
    codes, source = reader.read([stretch([0, 1, 2])])
    assert codes.shape == (0, 4 * BIN)
    assert source.tolist() == [-1, -1, -1]


def test_no_stretches_of_a_kind_are_fine(store):
    none = Stretches(np.empty(0, int), np.empty(0, int), np.empty((0, 3), int))
    codes, source = make_reader(store, [(0, 30)], chunk=2).read([stretch([0, 1]), none])
    assert codes.tolist() == [spelled(0) + spelled(1)]
    assert source.tolist() == [0, 1]


@given(
    allowed=st.lists(st.booleans(), min_size=52, max_size=52).filter(lambda allowed: any(allowed[:30])),
    is_candidate=st.none() | st.lists(st.booleans(), min_size=52, max_size=52),
    chunk=st.integers(1, 9),
    halo=st.integers(0, 3),
    length=st.integers(1, 12),
    data=st.data(),
)
@settings(max_examples=150)
def test_every_bin_is_read_from_its_own_sequence(store, allowed, is_candidate, chunk, halo, length, data):
    allowed[30] = allowed[46] = False  # a whole circle has no outside; see below
    run_list = np.array(runs(np.array(allowed), store.bins))
    candidates = None if is_candidate is None else np.array(is_candidate)
    reader = make_reader(store, run_list, chunk=chunk, halo=halo, candidates=candidates)
    run = np.array(data.draw(st.lists(st.integers(0, len(run_list) - 1), min_size=1, max_size=4)))
    first = run_list[run, 0] + [data.draw(st.integers(-5, 12)) for _ in run]
    bins = first[:, None] + np.arange(length)
    bins = np.where((bins >= run_list[run, :1]) & (bins < run_list[run, 1:]), bins, -1)
    codes, source = reader.read([Stretches(run, first, bins)])
    outside = UNKNOWN if candidates is None else NOT_READ
    expected = np.where(bins >= 0, bins, outside).ravel()
    if candidates is not None:
        expected = np.where((bins.ravel() >= 0) & candidates[bins.ravel()], expected, NOT_READ)
    np.testing.assert_array_equal(read_numbers(codes, source, halo), expected)
    assert 3 not in codes
    assert len(np.unique(source[source >= 0] // chunk)) == len(codes)


@given(first=st.integers(-20, 60), length=st.integers(1, 40), chunk=st.integers(1, 20), halo=st.integers(0, 20))
@settings(max_examples=60)
def test_on_a_circle_every_bin_is_read_from_its_own_sequence(store, first, length, chunk, halo):
    bins = 30 + (first + np.arange(length)) % 17
    reader = make_reader(store, [(30, 47)], chunk=chunk, halo=halo)
    codes, source = reader.read([Stretches(np.array([0]), np.array([30 + first]), bins[None])])
    np.testing.assert_array_equal(read_numbers(codes, source, halo), bins)
    assert codes.max() < 3
