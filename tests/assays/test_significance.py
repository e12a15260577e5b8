"""Pairs that stand out from chance: against dense sums and other code, and in simulations whose truth is known."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import false_discovery_control, nbinom

from genograph.assays import significance as significance_module
from genograph.assays.contacts import ContactMap
from genograph.assays.significance import (
    EACH,
    SAMPLE,
    SPAN,
    Background,
    SignificantPairs,
    _sampled,
    _sampled_between,
    _sampled_within,
    _stretches,
    _Totals,
)
from genograph.genome.bins import Bins
from tests.maps import open_map

REACH = range(8, 120)  # nodes


def simulated(
    folder,
    *,
    dispersion: float,
    loops: int = 0,
    fold: float = 6,
    depth: float = 200,
    size: int = 250,
    bias: float = 0.3,
):
    """Negative binomial reads that fall off with distance, on two chromosomes of biased nodes, some masked.

    Returns:
        The map, and True for the planted pairs that it can see: (nodes, nodes).
    """
    rng = np.random.default_rng(0)
    nodes = Bins({"chr1": size * 1000, "chr2": size * 1000}, 1000)
    bias = rng.lognormal(0, bias, len(nodes))
    apart = np.abs(np.subtract.outer(np.arange(len(nodes)), np.arange(len(nodes))))
    is_cis = np.equal.outer(np.arange(len(nodes)) // size, np.arange(len(nodes)) // size)
    mean = np.where(is_cis, depth / (1 + apart), 0.5) * bias[:, None] * bias
    first, second = np.nonzero(np.triu(is_cis, REACH.start) & (apart < 100))
    chosen = rng.choice(len(first), loops, replace=False)
    planted = np.zeros(mean.shape, bool)
    planted[first[chosen], second[chosen]] = True
    counts = rng.poisson(rng.gamma(1 / dispersion, dispersion * np.where(planted, fold, 1) * mean))
    weight = 1 / bias
    weight[rng.random(len(nodes)) < 0.03] = np.nan
    seen = ~np.isnan(weight)
    return open_map(folder, nodes, counts, weight, trans=True), planted & seen & seen[:, None]


def deep_map(folder, *, num_nodes: int, reach: int, mapped: int, dispersion: float = 0.2) -> ContactMap:
    """Negative binomial reads, 10 for weights of 1, of the first nodes of a chromosome, up to `reach` - 1 apart."""
    rng = np.random.default_rng(0)
    weight = np.where(np.arange(num_nodes) < mapped, rng.uniform(0.5, 2, num_nodes), np.nan)
    row, col = (ends + np.zeros((mapped, reach), int) for ends in (np.arange(mapped)[:, None], np.arange(reach)))
    row, col = row.ravel(), (row + col).ravel()
    row, col = row[col < mapped], col[col < mapped]
    reads = rng.poisson(rng.gamma(1 / dispersion, dispersion * 10 / (weight[row] * weight[col])))
    row, col, reads = row[reads > 0], col[reads > 0], reads[reads > 0]
    expected = np.where(np.arange(num_nodes) < reach, 10.0, np.nan)
    columns = {"row": row, "col": col, "balanced": reads * weight[row] * weight[col]}
    for name, values in (columns | {"weight": weight, "mapped": weight > 0, "expected": expected}).items():
        np.save(folder / f"{name}.npy", values)
    (folder / "contacts.json").write_text(json.dumps({"trans_expected": None, "max_distance": (reach - 1) * 1000}))
    return ContactMap.open(folder, Bins({"chr1": num_nodes * 1000}, 1000))


def found(contacts: ContactMap, significant: SignificantPairs) -> np.ndarray:
    """(nodes, nodes) True for pairs that stand out."""
    is_found = np.zeros((len(contacts.nodes), len(contacts.nodes)), bool)
    for row, col, balanced in contacts.pixels():
        is_found[row, col] = significant.has(row, col, balanced)
    return is_found


# What is found


@pytest.mark.parametrize("distances", [REACH, None])
@pytest.mark.parametrize("dispersion", [0.02, 0.5])
def test_a_map_of_chance_alone_has_no_pair_that_stands_out(tmp_path, dispersion, distances):
    contacts, _ = simulated(tmp_path, dispersion=dispersion)
    assert found(contacts, SignificantPairs.of(contacts, distances, 0.1)).sum() == 0


@pytest.mark.parametrize("dispersion", [0.02, 0.1])
def test_planted_loops_are_found_and_one_in_ten_at_most_is_false(tmp_path, dispersion):
    contacts, planted = simulated(tmp_path, dispersion=dispersion, loops=800)
    is_found = found(contacts, SignificantPairs.of(contacts, REACH, 0.1))
    assert (is_found & planted).sum() / planted.sum() > 0.7
    assert (is_found & ~planted).sum() / is_found.sum() < 0.1


def test_a_lower_rate_keeps_fewer_pairs_all_of_which_the_higher_one_has(tmp_path):
    contacts, _ = simulated(tmp_path, dispersion=0.1, loops=800)
    few, many = (found(contacts, SignificantPairs.of(contacts, REACH, rate)) for rate in (0.01, 0.1))
    assert 0 < few.sum() < many.sum()
    assert not (few & ~many).any()


@pytest.mark.parametrize("loops", [0, 800])
def test_loops_do_not_widen_the_dispersion_of_chance(tmp_path, loops):
    contacts, _ = simulated(tmp_path, dispersion=0.3, loops=loops)
    background = Background.of(contacts, range(8, 40))
    assert background.dispersion.mean() == pytest.approx(0.3, rel=0.15)


@pytest.mark.parametrize("distances", [range(50, 200), None])
def test_expected_reads_that_vary_much_do_not_move_the_dispersion(tmp_path, distances):
    """With what is lost at one mean for all pairs, .15 comes out between chromosomes."""
    contacts, _ = simulated(tmp_path, dispersion=0.2, bias=0.5, size=500)
    assert Background.of(contacts, distances).dispersion.mean() == pytest.approx(0.2, rel=0.1)


def test_each_stretch_of_a_deep_map_has_the_dispersion_of_chance(tmp_path):
    """Asked is for all distances of a long chromosome, of which the map keeps one in a hundred."""
    contacts = deep_map(tmp_path, num_nodes=30_000, reach=301, mapped=1301)
    dispersion = Background.of(contacts, range(1, 30_001)).dispersion
    each, number = np.unique(dispersion[:300], return_counts=True)
    assert len(each) > 180
    assert number.max() <= 4
    np.testing.assert_array_equal(dispersion[300:], dispersion[299])
    assert 0.18 < np.median(each) < 0.22
    assert 0.14 < each.min() < each.max() < 0.27


def test_distances_beyond_those_of_the_map_change_no_p_value(tmp_path):
    contacts = deep_map(tmp_path, num_nodes=5000, reach=12, mapped=1100)
    pixels = next(contacts.pixels())
    kept, all_ = (Background.of(contacts, range(4, stop)) for stop in (12, 5001))
    assert all_.num_pairs == kept.num_pairs
    np.testing.assert_array_equal(all_.p_values(*pixels), kept.p_values(*pixels))


# How it is computed


@pytest.fixture
def contacts(tmp_path) -> ContactMap:
    """A line and a circle with a masked node each."""
    rng = np.random.default_rng(1)
    nodes = Bins({"line": 9000, "ring": 8000}, 1000, circular=frozenset({"ring"}))
    weight = rng.uniform(0.5, 2.0, len(nodes))
    weight[[2, 12]] = np.nan
    return open_map(tmp_path, nodes, rng.poisson(5.0, (len(nodes), len(nodes))), weight, trans=True)


def dense_means(contacts: ContactMap) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distance and expected reads of every pair that the map can see, and its two nodes."""
    row, col = np.triu_indices(len(contacts.nodes), 1)
    seen = ~(contacts.masked[row] | contacts.masked[col])
    row, col = row[seen], col[seen]
    mean = contacts.expected_at(row, col) / (contacts.weight[row] * contacts.weight[col])
    return contacts.nodes.distance(row, col), mean, np.stack([row, col])


def test_sums_over_all_pairs_equal_those_of_a_dense_matrix(contacts):
    distance, mean, _ = dense_means(contacts)
    totals = _Totals.of(contacts, range(1, 9))
    for power, total in (0, totals.pairs), (2, totals.square):
        by_distance = np.bincount(distance[distance > 0], mean[distance > 0] ** power, minlength=9)
        np.testing.assert_allclose(total, by_distance[1:], rtol=1e-6, atol=1e-9)
    between = _Totals.of(contacts, None)
    for power, total in (0, between.pairs), (2, between.square):
        assert total == pytest.approx((mean[distance < 0] ** power).sum(), rel=1e-6)


@pytest.mark.parametrize("distances", [range(1, 9), range(2, 4), None])
def test_sampled_pairs_are_any_that_the_map_can_see(contacts, distances):
    """None is masked, none joins chromosomes unless it is asked for, and those across the end of a circle are in."""
    distance, _, seen = dense_means(contacts)
    is_in = distance < 0 if distances is None else np.isin(distance, distances)
    if distances is None:
        sampled = _sampled_between(contacts, 2000)
    else:
        stretch = np.zeros(len(distances), int)
        sampled = _sampled_within(contacts, distances, _Totals.of(contacts, distances), stretch, 2000)
    np.testing.assert_array_equal(np.unique(np.sort(sampled, axis=0), axis=1), seen[:, is_in])


def test_each_pair_of_a_stretch_is_as_likely_as_any_other(contacts):
    distances = range(1, 9)
    sampled = _sampled_within(contacts, distances, _Totals.of(contacts, distances), np.zeros(8, int), 40_000)
    _, number = np.unique(np.sort(sampled, axis=0), axis=1, return_counts=True)
    assert number.sum() == 40_000
    np.testing.assert_allclose(number, 40_000 / len(number), rtol=0.15)


def test_each_stretch_has_as_many_sampled_pairs(tmp_path):
    distances = range(1, 30_001)
    contacts = deep_map(tmp_path, num_nodes=30_000, reach=20, mapped=1200)
    totals = _Totals.of(contacts, distances)
    stretch = _stretches(totals, distances)
    row, col = _sampled(contacts, distances, totals, stretch)
    np.testing.assert_array_equal(np.bincount(col - row), [0] + [min(SAMPLE, totals.pairs.sum()) // 19] * 19)


def test_a_stretch_spans_a_hundredth_of_its_distance():
    many = np.full(50_000, 1e6)
    distances = range(1, 50_001)
    stretch = _stretches(_Totals(many, many), distances)
    first, number = np.unique(stretch, return_index=True, return_counts=True)[1:]
    assert (number[:99] == 1).all()
    assert (number >= SPAN * (distances.start + first)).all()
    assert len(number) < 800
    assert EACH * len(number) < 2 * SAMPLE


def test_a_stretch_without_a_sampled_pair_loses_what_the_one_before_it_does(contacts):
    background = replace(Background.of(contacts, range(1, 5)), dispersion=np.full(4, 0.2))
    lost = background._lost(np.arange(4), np.array([1, 1, 3]), np.array([4.0, 9.0, 50.0]), 0.01)
    assert lost[0] == lost[1] == lost[2] > 0.01
    assert lost[3] > 0.01
    assert lost[3] != lost[1]


def test_a_p_value_is_the_upper_tail_of_a_negative_binomial(contacts):
    background = Background.of(contacts, range(2, 5))
    row, col, balanced = next(contacts.pixels())
    is_in = np.isin(contacts.nodes.distance(row, col), range(2, 5))
    p, per_read = background.p_values(row, col, balanced), contacts.weight[row] * contacts.weight[col]
    reads, mean = np.rint(balanced / per_read)[is_in], (contacts.expected_at(row, col) / per_read)[is_in]
    dispersion = background.dispersion[contacts.nodes.distance(row, col)[is_in] - 2]
    np.testing.assert_allclose(p[is_in], nbinom.sf(reads - 1, 1 / dispersion, 1 / (1 + dispersion * mean)), rtol=1e-6)
    assert (p[~is_in] == 1).all()


def test_all_pairs_are_tested_also_those_without_a_read(contacts):
    distance, _, _ = dense_means(contacts)
    assert Background.of(contacts, range(2, 5)).num_pairs == np.isin(distance, range(2, 5)).sum()
    assert Background.of(contacts, None).num_pairs == (distance < 0).sum()


def test_pairs_are_kept_as_benjamini_and_hochberg_keep_them(tmp_path):
    contacts, _ = simulated(tmp_path, dispersion=0.1, loops=300, fold=3)
    significant = SignificantPairs.of(contacts, REACH, 0.1)
    row, col, balanced = next(contacts.pixels())
    p = significant.background.p_values(row, col, balanced)
    p_of_all = np.ones(significant.background.num_pairs)
    p_of_all[: (p < 1).sum()] = p[p < 1]
    expected = (false_discovery_control(p_of_all) <= 0.1).sum()
    kept = significant.has(row, col, balanced)
    assert expected > 20
    assert 0.95 * expected <= kept.sum() <= expected  # the border of a class of p-values is a little below
    assert p[kept].max() < p[~kept].min()


def test_blocks_of_the_map_do_not_change_what_is_found(tmp_path, monkeypatch):
    contacts, _ = simulated(tmp_path, dispersion=0.1, loops=300, size=60)
    whole = SignificantPairs.of(contacts, REACH, 0.1)
    monkeypatch.setattr(significance_module, "BLOCK", 500)
    pieces = SignificantPairs.of(contacts, REACH, 0.1)
    np.testing.assert_allclose(pieces.background.dispersion, whole.background.dispersion, rtol=1e-9)
    np.testing.assert_array_equal(found(contacts, pieces), found(contacts, whole))


def test_memory_follows_the_block_and_not_the_map(tmp_path, monkeypatch):
    """180,300 pairs; each array over all of them would be 1.4 MB, and a dozen are needed at once."""
    contacts = open_map(tmp_path, Bins({"chr1": 600_000}, 1000), np.full((600, 600), 3))
    monkeypatch.setattr(significance_module, "BLOCK", 5000)
    monkeypatch.setattr(significance_module, "SAMPLE", 5000)
    tracemalloc.start()
    SignificantPairs.of(contacts, range(1, 600), 0.1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(contacts) == 180_300
    assert peak < 3e6


def test_distances_that_no_pair_has_give_none(contacts):
    significant = SignificantPairs.of(contacts, range(50, 60), 0.1)
    assert significant.background.num_pairs == 0
    assert not found(contacts, significant).any()
    assert not found(contacts, SignificantPairs.of(contacts, range(50, 50), 0.1)).any()


def test_a_map_without_contacts_gives_none(tmp_path):
    contacts = open_map(tmp_path, Bins({"chr1": 9000}, 1000), np.zeros((9, 9), int))
    significant = SignificantPairs.of(contacts, range(1, 9), 0.1)
    assert significant.background.num_pairs == 36
    assert not found(contacts, significant).any()
