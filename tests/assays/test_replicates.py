"""Maps that are added up: counts, masks and weights of the sum."""

from __future__ import annotations

import warnings

import cooler
import numpy as np
import pytest

from genograph.assays import replicates as replicates_module
from genograph.errors import InputError
from genograph.genome.bins import Bins
from tests.maps import SIZES, dense, read, write_hic, write_map


@pytest.fixture
def counts() -> list[np.ndarray]:
    return [np.triu(np.random.default_rng(seed).poisson(3.0, (12, 12))) for seed in (0, 1, 2)]


def test_counts_are_added_pixel_by_pixel(tmp_path, counts):
    uris = [write_map(tmp_path / f"{i}.cool", SIZES, 100, each) for i, each in enumerate(counts)]
    contacts = read(uris, tmp_path / "out", trans=True, balance=None)
    np.testing.assert_array_equal(dense(contacts), sum(counts))


def test_formats_and_orders_of_chromosomes_may_be_mixed(tmp_path, counts):
    one, other, third = counts
    order = np.r_[7:12, 0:7]  # chr2 first
    symmetric = other + np.triu(other, 1).T
    uris = [
        write_map(tmp_path / "one.cool", SIZES, 100, one),
        write_map(tmp_path / "other.cool", {"chr2": 450, "chr1": 700}, 100, symmetric[order][:, order]),
        write_hic(tmp_path / "third.hic", SIZES, 100, third),
    ]
    contacts = read(uris, tmp_path / "out", trans=True, balance=None)
    np.testing.assert_array_equal(dense(contacts), one + other + third)


def test_a_bin_that_one_map_lacks_is_masked_only_if_all_lack_it(tmp_path, counts):
    for each in counts[:2]:
        each[3], each[:, 3] = 0, 0
    counts[0][5], counts[0][:, 5] = 0, 0
    uris = [write_map(tmp_path / f"{i}.cool", SIZES, 100, each) for i, each in enumerate(counts[:2])]
    contacts = read(uris, tmp_path / "out", trans=True, balance=None)
    np.testing.assert_array_equal(np.flatnonzero(contacts.masked), [3])


def test_the_sum_is_balanced_anew_whatever_weights_the_maps_have(tmp_path):
    """As cooler balances the same counts in one file."""
    rng = np.random.default_rng(0)
    size = 60
    nodes, bias = Bins({"chr1": 6000}, 100), rng.uniform(0.5, 2.0, size)
    counts = [np.triu(rng.poisson(20 * bias[:, None] * bias)) for _ in range(2)]
    uris = [write_map(tmp_path / f"{i}.cool", nodes.sizes, 100, each, bias) for i, each in enumerate(counts)]
    straight = write_map(tmp_path / "sum.cool", nodes.sizes, 100, sum(counts))
    cooler.balance_cooler(cooler.Cooler(straight), store=True)
    merged, summed = read(uris, tmp_path / "merged", nodes), read(straight, tmp_path / "summed", nodes)
    np.testing.assert_array_equal(merged.weight, summed.weight)
    np.testing.assert_array_equal(dense(merged), dense(summed))
    apart = np.triu_indices(size, 2)  # the two innermost diagonals take no part in balancing
    inside = np.zeros((size, size))
    inside[apart] = dense(merged)[apart]
    sums = inside.sum(axis=0) + inside.sum(axis=1)
    assert sums.std() / sums.mean() < 0.01


def balanced(tmp_path, monkeypatch, **options):
    """A sum of maps, balanced with further options of cooler's."""
    balance = cooler.balance_cooler

    def of_cooler(*given, **keywords):
        warnings.warn("a warning of another kind", UserWarning, stacklevel=1)
        return balance(*given, **keywords | options)

    monkeypatch.setattr(cooler, "balance_cooler", of_cooler)
    nodes = Bins({"chr1": 4000}, 100)
    uri = write_map(tmp_path / "m.cool", nodes.sizes, 100, np.random.default_rng(0).poisson(9.0, (40, 40)))
    return read([uri], tmp_path / "out", nodes)


def test_only_balancing_that_stopped_early_is_said_to_have_stopped(tmp_path, monkeypatch, caplog):
    with pytest.warns(UserWarning, match="a warning of another kind"):
        balanced(tmp_path, monkeypatch)
    assert "limit of rounds" not in caplog.text


def test_balancing_that_stopped_early_is_told_in_one_line(tmp_path, monkeypatch, caplog):
    with pytest.warns(UserWarning, match="of another kind") as told:
        balanced(tmp_path, monkeypatch, max_iters=1)
    assert {str(each.message) for each in told} == {"a warning of another kind"}
    assert "balancing the merged map stopped at its limit of rounds; weights are not final" in caplog.text


def test_a_list_of_one_is_that_map_balanced(tmp_path):
    rng = np.random.default_rng(0)
    nodes = Bins({"chr1": 4000}, 100)
    counts = rng.poisson(9.0, (40, 40))
    contacts = read([write_hic(tmp_path / "m.hic", nodes.sizes, 100, counts)], tmp_path / "out", nodes)
    assert np.isfinite(contacts.weight).all()
    assert np.ptp(contacts.weight) > 0


def test_parts_do_not_change_the_sum_and_nothing_is_left_behind(tmp_path, counts, monkeypatch):
    uris = [write_map(tmp_path / f"{i}.cool", SIZES, 100, each) for i, each in enumerate(counts)]
    monkeypatch.setattr("genograph.assays.cool.CHUNK", 7)
    monkeypatch.setattr(replicates_module, "CHUNK", 3)
    contacts = read(uris, tmp_path / "out", trans=True, balance=None)
    np.testing.assert_array_equal(dense(contacts), sum(counts))
    names = {"row", "col", "balanced", "weight", "mapped", "expected"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {f"{each}.npy" for each in names} | {"contacts.json"}


def test_resolutions_that_differ_are_refused(tmp_path, counts):
    one = write_map(tmp_path / "one.cool", SIZES, 100, counts[0])
    other = write_map(tmp_path / "other.cool", SIZES, 50, counts[0])
    with pytest.raises(InputError, match=r"have one resolution; '.*one.cool.*' has 100 bp and '.*other.cool.*' 50 bp"):
        read([one, other], tmp_path / "out", balance=None)


def test_chromosomes_that_differ_are_refused(tmp_path, counts):
    one = write_map(tmp_path / "one.cool", SIZES, 100, counts[0])
    other = write_map(tmp_path / "other.cool", {"chr1": 700, "chrX": 450}, 100, counts[0])
    with pytest.raises(InputError, match=r"have the same chromosomes; .* differ in chr2, chrX\."):
        read([one, other], tmp_path / "out", balance=None)


def test_weights_of_one_file_are_refused(tmp_path, counts):
    uri = write_map(tmp_path / "one.cool", SIZES, 100, counts[0])
    with pytest.raises(InputError, match=r"contacts\.balance: 'KR' .* list of maps is balanced anew"):
        read([uri], tmp_path / "out", balance="KR")
