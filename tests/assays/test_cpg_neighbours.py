"""The nearest covered CpGs of every cell, on both sides, on the site's own chromosome, without the site."""

from __future__ import annotations

import numpy as np
import pytest

from genograph.assays import cpg_neighbours
from genograph.assays.cpg_neighbours import CoveredSites, neighbours
from genograph.assays.cpg_states import CpgStates, read_cells
from genograph.assays.targets import Target

NAN = np.nan
# The case of the original's unit test: one cell with five sites on one chromosome.
POSITION = np.array([1, 3, 5, 8, 15])
STATE = np.array([0, 0, 1, 1, 0], dtype=np.float32)


def covered(*cells):
    """The covered sites of cells, each given as {(chromosome, position): state}."""
    places = sorted({place for cell in cells for place in cell})
    chrom, position = np.array(places, dtype=np.int64).reshape(-1, 2).T
    state = np.array([[cell.get(place, NAN) for cell in cells] for place in places], dtype=np.float32)
    return CoveredSites.of(CpgStates(("c", "d", "e"), tuple("xyz"[: len(cells)]), chrom, position, state))


FIVE = covered({(0, position): state for position, state in zip(POSITION.tolist(), STATE.tolist(), strict=True)})


def near(sites, *, count, cells=FIVE, chrom=0):
    """State and distance of the first cell, side by side: (n, 4 * count)."""
    sites = np.asarray(sites)
    state, distance = neighbours(cells, np.full(len(sites), chrom), sites, count)
    return np.concatenate([state[:, 0], distance[:, 0]], axis=1)


@pytest.mark.parametrize(
    ("count", "sites", "expected"),
    [
        (1, [2, 6, 10], [[0, 0, 1, 1], [1, 1, 1, 2], [1, 0, 2, 5]]),
        (
            1,
            [0, 1, 3, 11, 15, 20],
            [
                [NAN, 0, NAN, 1],
                [NAN, 0, NAN, 2],
                [0, 1, 2, 2],
                [1, 0, 3, 4],
                [1, NAN, 7, NAN],
                [0, NAN, 5, NAN],
            ],
        ),
        (
            2,
            [0, 3, 8, 15, 20],
            [
                [NAN, NAN, 0, 0, NAN, NAN, 1, 3],
                [NAN, 0, 1, 1, NAN, 2, 2, 5],
                [0, 1, 0, NAN, 5, 3, 7, NAN],
                [1, 1, NAN, NAN, 10, 7, NAN, NAN],
                [1, 0, NAN, NAN, 12, 5, NAN, NAN],
            ],
        ),
        (
            3,
            [2, 6, 15],
            [
                [NAN, NAN, 0, 0, 1, 1, NAN, NAN, 1, 1, 3, 6],
                [0, 0, 1, 1, 0, NAN, 5, 3, 1, 2, 9, NAN],
                [0, 1, 1, NAN, NAN, NAN, 12, 10, 7, NAN, NAN, NAN],
            ],
        ),
    ],
)
def test_left_ones_come_first_and_the_nearest_stand_in_the_middle(count, sites, expected):
    np.testing.assert_array_equal(near(sites, count=count), expected)


def test_sites_may_come_in_any_order():
    np.testing.assert_array_equal(near([10, 2, 6], count=2), near([2, 6, 10], count=2)[[2, 0, 1]])


def test_neighbours_are_of_the_same_cell_and_chromosome():
    cells = covered({(0, 4): 1, (2, 9): 0}, {(0, 6): 0, (1, 2): 1, (1, 5): 0}, {(2, 1): 1})
    state, distance = neighbours(cells, np.array([1, 0, 2]), np.array([5, 5, 5]), 1)
    np.testing.assert_array_equal(
        state, [[[NAN, NAN], [1, NAN], [NAN, NAN]], [[1, NAN], [NAN, 0], [NAN, NAN]], [[NAN, 0], [NAN, NAN], [1, NAN]]]
    )
    np.testing.assert_array_equal(distance[1], [[1, NAN], [NAN, 1], [NAN, NAN]])
    assert (state.dtype, distance.dtype) == (np.float32, np.float32)


def test_a_site_that_another_cell_covers_is_a_neighbour_to_neither():
    cells = covered({(0, 4): 1}, {(0, 6): 0})
    state, _ = neighbours(cells, np.array([0, 0]), np.array([4, 6]), 1)
    np.testing.assert_array_equal(state, [[[NAN, NAN], [NAN, 0]], [[1, NAN], [NAN, NAN]]])


def test_the_state_at_a_place_is_that_of_cells_which_cover_it():
    cells = covered({(0, 4): 0.25}, {(0, 6): 0, (1, 4): 1})
    state = cells.states_at(np.array([0, 0, 1, 1, 2]), np.array([4, 5, 4, 6, 4]))
    np.testing.assert_array_equal(state, [[0.25, NAN], [NAN, NAN], [NAN, 1], [NAN, NAN], [NAN, NAN]])


def test_any_batch_and_memory_maps_give_what_a_search_site_by_site_gives(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    cells = [
        {(int(c), int(p)): float(s) for c, p, s in rng.integers(0, [3, 60, 2], size=(size, 3))} for size in (70, 9, 0)
    ]
    whole = covered(*cells)
    for name in ("span", "position", "state"):
        np.save(tmp_path / f"{name}.npy", getattr(whole, name))
    mapped = CoveredSites(*(np.load(tmp_path / f"{n}.npy", mmap_mode="r") for n in ("span", "position", "state")))
    chrom, position = rng.integers(0, [3, 60], size=(40, 2)).T
    monkeypatch.setattr(cpg_neighbours, "_ROWS", 7)
    state, distance = neighbours(mapped, chrom, position, 2)
    for site, (c, p) in enumerate(zip(chrom.tolist(), position.tolist(), strict=True)):
        for number, cell in enumerate(cells):
            left = sorted(at for of, at in cell if of == c and at < p)[-2:]
            right = sorted(at for of, at in cell if of == c and at > p)[:2]
            found = [None] * (2 - len(left)) + left + right + [None] * (2 - len(right))
            expected = [NAN if at is None else cell[c, at] for at in found]
            np.testing.assert_array_equal(state[site, number], expected)
            np.testing.assert_array_equal(distance[site, number], [NAN if at is None else abs(at - p) for at in found])


@pytest.mark.parametrize(
    ("hidden", "expected"),
    [
        ((8, 9), [[0, 1], [0, NAN]]),  # the site itself, which is not among its neighbours anyway
        ((0, 0), [[0, 1], [0, NAN]]),
        ((5, 9), [[0, 0], [0, NAN]]),  # 5 and 8: on the left 1 and 3 are next
        ((8, 16), [[0, 1], [NAN, NAN]]),
        ((0, 4), [[NAN, 1], [0, NAN]]),
        ((0, 16), [[NAN, NAN], [NAN, NAN]]),
        ((4, 6), [[0, 0], [0, NAN]]),
    ],
)
def test_what_is_hidden_counts_as_not_covered(hidden, expected):
    state, distance = neighbours(FIVE, np.array([0]), np.array([8]), 2, hidden=np.array([hidden]))
    np.testing.assert_array_equal(state[0, 0], np.ravel(expected))
    np.testing.assert_array_equal(np.isnan(distance), np.isnan(state))


def test_hiding_sites_is_reading_cells_that_do_not_cover_them():
    rng = np.random.default_rng(1)
    cells = [
        {(int(c), int(p)): float(s) for c, p, s in rng.integers(0, [3, 60, 2], size=(size, 3))} for size in (90, 30)
    ]
    chrom, position = rng.integers(0, [3, 60], size=(60, 2)).T
    start = rng.integers(0, 60, size=60)
    hidden = np.stack([start, start + rng.integers(0, 20, size=60)], axis=1)
    found = neighbours(covered(*cells), chrom, position, 3, hidden=hidden)
    for site, (c, low, high) in enumerate(np.column_stack([chrom, hidden]).tolist()):
        rest = [{at: state for at, state in cell.items() if at[0] != c or not low <= at[1] < high} for cell in cells]
        expected = neighbours(covered(*rest), chrom[[site]], position[[site]], 3)
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_array_equal(ours[site], theirs[0])


def test_within_a_stretch_there_is_nothing_of_its_chromosome_beyond_it():
    cells = covered({(0, 4): 1, (0, 7): 0, (0, 9): 1, (1, 2): 0}, {(0, 6): 0})
    parts = cells.within(np.array([0, 1, 0]), np.array([5, 0, 9]), np.array([9, 9, 30]))
    state, _ = neighbours(parts, np.array([0, 1, 2]), np.array([8, 8, 8]), 1)
    np.testing.assert_array_equal(state, [[[0, NAN], [0, NAN]], [[0, NAN], [NAN, NAN]], [[NAN, 1], [NAN, NAN]]])
    assert parts.position is cells.position


# What the original's integration test expects: a site, then its nearest neighbours, outwards, on the left and on the
# right; positions count from 1, with the state behind the colon.
EXPECTED = {
    "BS27_4_SER": (
        (18, 3000086, "3000023:1", "3000092:1 3000163:0 3000310:1"),
        (18, 3000734, "3000612:1 3000315:1 3000310:1 3000163:0", "3000944:0 3001029:0 3001188:0 3004806:1"),
        (18, 3047425, "3047423:1 3046073:0 3046067:1 3046046:0", "3047447:0 3047969:0 3047981:0 3047983:1"),
        (19, 4364170, "4363861:1 4362993:1 4359854:1 4359157:1", "4372573:1 4376976:1 4377019:1 4378828:1"),
        (19, 4428709, "4410664:1 4407849:0 4406810:1 4406758:1", "4429964:1 4429969:1 4430127:1 4430346:0"),
        (19, 4447818, "4447814:1 4447803:1", "4447821:1 4447847:1"),
    ),
    "BS28_2_SER": (
        (18, 3010211, "3010138:1 3010136:0 3010075:1 3010064:0", "3010417:1 3010759:1 3012388:1 3012676:1"),
        (18, 3039508, "3038883:1 3038680:0 3038462:1 3031302:0", "3039540:1 3039543:1 3039805:1 3039828:1"),
        (19, 4201639, "4201628:0 4201623:0 4201621:1 4201599:0", "4201645:0 4201657:0 4201677:0 4201688:0"),
        (19, 4185486, "4185440:1 4184916:1 4184889:0", "4185488:0 4186125:0 4187662:1"),
        (19, 4201967, "4201946:0 4201923:0 4201821:0", "4201972:0 4202077:0"),
    ),
}


@pytest.mark.needs_shared_data
@pytest.mark.parametrize("cell", EXPECTED)
def test_real_cells_have_the_neighbours_of_the_original(shared_data, cell):
    targets = [Target(identifier=name, file=shared_data / "deepcpg" / f"{name}.bed.gz") for name in EXPECTED]
    cells = CoveredSites.of(read_cells(targets, sizes={"18": 90_702_639, "19": 61_431_566}, aliases={}))
    chrom, site = (np.array([row[column] for row in EXPECTED[cell]]) for column in (0, 1))
    state, distance = (values[:, list(EXPECTED).index(cell)] for values in neighbours(cells, chrom - 18, site - 1))
    assert state.shape == (len(site), 50)
    for row, (_, at, left, right) in enumerate(EXPECTED[cell]):
        for side, step in ((left, -1), (right, 1)):
            for number, (position, expected) in enumerate(map(int, each.split(":")) for each in side.split()):
                column = 24 - number if step < 0 else 25 + number
                assert distance[row, column] == step * (position - at)
                assert state[row, column] == expected
