"""Statistics across cells, at sites and in windows, are DeepCpG's, and missing where too few cells cover a site."""

from __future__ import annotations

import numpy as np
import pytest

from genograph.assays import cpg_statistics
from genograph.assays.cpg_neighbours import CoveredSites
from genograph.assays.cpg_states import CpgStates, read_cells
from genograph.assays.cpg_statistics import WINDOWS, statistics, window_statistics
from genograph.assays.targets import Target

NAN = np.nan
NAMES = ["mean", "mode", "var", "cat_var", "cat2_var", "diff", "entropy"]


def table(state, **options):
    """Statistics of each site, by name."""
    values = statistics(np.array(state, dtype=np.float32), **options)
    assert list(values) == NAMES
    return [dict(zip(NAMES, row, strict=True)) for row in np.stack(list(values.values()), axis=1).tolist()]


def test_a_site_that_differs_between_cells():
    (site,) = table([[1, 1, 0, 1]])
    assert site == pytest.approx(
        {
            "mean": 0.75,
            "mode": 1,
            "var": 0.1875,
            "cat_var": 2,
            "cat2_var": 1,
            "diff": 1,
            "entropy": -(0.75 * np.log(0.75) + 0.25 * np.log(0.25)),
        }
    )


@pytest.mark.parametrize("state", [0, 1])
def test_a_site_that_is_alike_in_all_cells(state):
    (site,) = table([[state] * 3])
    assert site == {"mean": state, "mode": state, "var": 0, "cat_var": 0, "cat2_var": 0, "diff": 0, "entropy": 0}


def test_a_half_has_mode_0_and_the_largest_variance():
    (site,) = table([[0, 1, 1, 0]])
    assert (site["mean"], site["mode"], site["var"], site["cat_var"]) == (0.5, 0, 0.25, 2)
    assert site["entropy"] == pytest.approx(np.log(2))


def test_variance_has_three_classes_of_equal_width():
    # One methylated cell among n: a variance of (n - 1) / n^2, of 0.09, 0.083 and 0.1875 among ten, eleven and four.
    states = [[1] + [0] * (n - 1) + [NAN] * (20 - n) for n in (4, 10, 11, 20)]
    assert [site["cat_var"] for site in table(states)] == [2, 1, 0, 0]
    assert [site["cat2_var"] for site in table(states)] == [1, 1, 0, 0]


def test_missing_cells_count_in_nothing():
    with_gaps, without = table([[1, NAN, 0, 1, NAN], [1, 0, 1, NAN, NAN]]), table([[1, 0, 1]])
    assert with_gaps == without * 2


def test_fewer_cells_than_asked_for_have_no_statistics():
    two, none = table([[1, 0, NAN], [NAN, NAN, NAN]])
    assert np.isnan(list(two.values())).all()
    two, none = table([[1, 0, NAN], [NAN, NAN, NAN]], min_cells=2)
    assert two["var"] == 0.25
    assert np.isnan(list(none.values())).all()
    assert np.isnan(list(table([[NAN]], min_cells=0)[0].values())).all()


def test_fractions_differ_where_they_differ():
    assert [site["diff"] for site in table([[0.5, 0.5, 0.5], [0, 0.75, 0]])] == [0, 1]


def test_statistics_in_pieces_are_those_of_the_whole(monkeypatch):
    state = np.random.default_rng(0).integers(0, 2, size=(11, 4))
    whole = table(state)
    monkeypatch.setattr(cpg_statistics, "_ROWS", 3)
    assert table(state) == whole


def cells(*states):
    """Two or more cells on one chromosome, each as {position: state}."""
    position = np.array(sorted({at for each in states for at in each}))
    state = np.array([[each.get(at, NAN) for each in states] for at in position.tolist()], dtype=np.float32)
    names = tuple(str(number) for number in range(len(states)))
    return CoveredSites.of(CpgStates(("c",), names, np.zeros(len(position), dtype=np.int64), position, state))


def test_a_window_of_1001_reaches_500_bp_to_either_side():
    covered = cells({500: 0, 1000: 1, 1500: 1, 1501: 0}, {499: 1, 1200: 0})
    means = window_statistics(covered, np.zeros(1, dtype=int), np.array([1000]), (1001, 1003))
    assert means[1001]["mean"].tolist() == pytest.approx([(2 / 3 + 0) / 2])
    assert means[1003]["mean"].tolist() == pytest.approx([(2 / 4 + 1 / 2) / 2])
    assert means[1001]["var"].tolist() == pytest.approx([1 / 9])


def test_a_window_without_a_cpg_has_no_statistics_and_one_cell_is_enough():
    covered = cells({1000: 1}, {9000: 0})
    (window,) = window_statistics(covered, np.zeros(2, dtype=int), np.array([1100, 5000]), (1001,)).values()
    np.testing.assert_array_equal(window["mean"], [1, NAN])
    np.testing.assert_array_equal(window["diff"], [0, NAN])
    (window,) = window_statistics(covered, np.zeros(1, dtype=int), np.array([1100]), (1001,), min_cells=2).values()
    assert np.isnan(window["mean"][0])


def test_windows_count_no_more_than_the_nearest_neighbours():
    covered = cells({at: int(at == 100) for at in range(90, 111)})
    (window,) = window_statistics(covered, np.zeros(1, dtype=int), np.array([100]), (1001,), count=2).values()
    assert window["mean"][0] == pytest.approx(1 / 5)


# Sites with mean, variance, diff and mode that the original's integration test expects; there one cell is enough.
EXPECTED = (
    (18, 3010417, 1, 0, 0, 1),
    (18, 3012173, 0, 0, 0, 0),
    (18, 3052129, 1, 0, 0, 1),
    (18, 3071630, 0.5, 0.25, 1, 0),
    (19, 4201704, 0, 0, 0, 0),
    (19, 4190571, 0.5, 0.25, 1, 0),
    (19, 4190700, 0, 0, 0, 0),
)


@pytest.mark.needs_shared_data
def test_real_cells_have_the_statistics_of_the_original(shared_data):
    names = ("BS27_4_SER", "BS28_2_SER")
    targets = [Target(identifier=name, file=shared_data / "deepcpg" / f"{name}.bed.gz") for name in names]
    states = read_cells(targets, sizes={"18": 90_702_639, "19": 61_431_566}, aliases={})
    values = statistics(states.state, min_cells=1)
    for chrom, position, *expected in EXPECTED:
        (row,) = np.flatnonzero((states.chrom_index == chrom - 18) & (states.position == position - 1))
        assert [values[name][row] for name in ("mean", "var", "diff", "mode")] == expected
    assert np.isnan(statistics(states.state)["mean"]).all()  # two cells are never three
    windows = window_statistics(CoveredSites.of(states), states.chrom_index, states.position)
    assert list(windows) == list(WINDOWS)
    assert not np.isnan(windows[1001]["mean"]).any()  # a cell covers each site
