"""The sampled map against what it is said to be sampled from."""

from __future__ import annotations

import warnings

import cooler
import numpy as np
import pandas as pd
import pytest

from genograph.simulate import contacts, simulate
from genograph.simulate.folder import parse_settings

NODE = 2000
REACH = 500  # nodes


SIZE = ["size=3600000", "chroms=3", "cells=0", "variants=0", "genes_per_mb=20", "elements_per_mb=20"]
OTHER = ["decay=1.4", "insulation=0.6", "contacts_per_node=4000", "loops_per_gene=2", "dispersion=0"]


@pytest.fixture(scope="module", params=[[], OTHER], ids=["default", "other"])
def settings(request):
    return parse_settings([*SIZE, *request.param])


@pytest.fixture(scope="module")
def world(tmp_path_factory, settings):
    changes = [f"{key}={value}" for key, value in settings.model_dump().items()]
    return simulate(tmp_path_factory.mktemp("worlds") / "world", changes)


@pytest.fixture(scope="module")
def pairs(world):
    """All pairs of nodes of one chromosome with their counts, whether a border lies between them and any loop."""
    clr = cooler.Cooler(f"{world / 'contacts.mcool'}::/resolutions/{NODE}")
    features = pd.read_csv(world / "truth" / "features.tsv", sep="\t")
    loops = pd.read_csv(world / "truth" / "loops.bedpe", sep="\t", header=None)
    frames = []
    for chrom in clr.chromnames:
        counts = clr.matrix(balance=False).fetch(chrom)
        here = features[(features["chrom"] == chrom) & (features["kind"] == "border")]
        domain = np.searchsorted(np.sort(here["middle"] // NODE), np.arange(len(counts)), side="right")
        strength = np.zeros(counts.shape)
        for row in loops[loops[0] == chrom].itertuples():
            one, other = sorted((row[2] // NODE, row[5] // NODE))
            strength[one, other] += row[8]
        first, second = np.triu_indices(len(counts))
        frames.append(
            pd.DataFrame(
                {
                    "distance": second - first,
                    "count": counts[first, second],
                    "inside": domain[first] == domain[second],
                    "strength": strength[first, second],
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def test_counts_within_a_domain_fall_off_with_distance_to_the_stated_power(pairs, settings):
    plain = pairs[pairs["inside"] & (pairs["strength"] == 0) & pairs["distance"].between(1, 40)]
    mean = plain.groupby("distance")["count"].mean()
    reads = plain.groupby("distance")["count"].sum()
    slope = np.polyfit(np.log(mean.index), np.log(mean), 1, w=np.sqrt(reads))[0]
    assert slope == pytest.approx(-settings.decay, abs=0.05)  # every distance has 900 reads or more: 3 % each


def test_a_border_leaves_the_stated_share_of_contacts(pairs, settings):
    plain = pairs[(pairs["strength"] == 0) & pairs["distance"].between(5, 40)]
    mean = plain.groupby(["distance", "inside"])["count"].mean().unstack()
    assert (mean[False] / mean[True]).mean() == pytest.approx(settings.insulation, abs=0.05)


def test_a_loop_adds_its_strength_in_units_of_adjacent_nodes(pairs, settings):
    plain = pairs[pairs["strength"] == 0]
    adjacent = plain.loc[(plain["distance"] == 1) & plain["inside"], "count"].mean()
    expected = plain.groupby(["distance", "inside"])["count"].mean()
    looped = pairs[pairs["strength"] > 0].join(expected.rename("expected"), on=["distance", "inside"])
    assert len(looped) > 40 * settings.loops_per_gene
    added = (looped["count"] - looped["expected"]) / adjacent
    assert added.mean() == pytest.approx(looped["strength"].mean(), rel=0.1)  # a spread of .35 each, of bias and noise


def test_a_node_has_about_as_many_reads_as_set_and_none_beyond_the_reach(pairs, settings):
    assert (pairs["distance"] > REACH).any()
    assert not pairs.loc[pairs["distance"] > REACH, "count"].any()
    # Of its reads in an endless domain a node keeps what lies within its own and a share of the rest.
    away = np.arange(1.0, REACH + 1) ** settings.decay
    here = pairs[pairs["distance"].between(1, REACH)]
    kept = np.where(here["inside"], 1, settings.insulation) / here["distance"] ** settings.decay + here["strength"]
    bias = np.exp(0.2**2)  # of both nodes, lognormal
    expected = settings.contacts_per_node / (2 * (1 / away).sum()) * kept.sum() * bias
    assert here["count"].sum() == pytest.approx(expected, rel=0.05)


def told_of_map(tmp_path, caplog, reads):
    """What a user reads about the map of a world of 3 x 100 bins."""
    tiny = ["size=600000", "chroms=3", "cells=0", "variants=0", f"contacts_per_node={reads}"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        simulate(tmp_path / "world", tiny)
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_a_map_too_shallow_to_balance_is_one_line_that_says_so(tmp_path, caplog):
    assert told_of_map(tmp_path, caplog, 1) == [
        "contacts.mcool: balancing masks 300 of 300 bins of 2,000 bp, and what is masked is neither trained on nor "
        "judged. Raise contacts_per_node; it is 1."
    ]


def test_a_map_that_is_deep_enough_is_not_spoken_of(tmp_path, caplog):
    assert told_of_map(tmp_path, caplog, 200) == []


def row_sums(matrix):
    """Of all pairs but those of neighbours, which balancing leaves out."""
    return np.nansum(np.triu(matrix, 2) + np.tril(matrix, -2), axis=1)


def test_the_map_is_balanced_at_both_resolutions(world):
    for resolution in (NODE, 5 * NODE):
        clr = cooler.Cooler(f"{world / 'contacts.mcool'}::/resolutions/{resolution}")
        assert np.isfinite(clr.bins()["weight"][:]).mean() > 0.98
        sums = np.concatenate([row_sums(clr.matrix(balance=True).fetch(chrom)) for chrom in clr.chromnames])
        assert np.std(sums[sums > 0]) < 0.05 * np.mean(sums)
    assert cooler.fileops.list_coolers(str(world / "contacts.mcool")) == [
        f"/resolutions/{NODE}",
        f"/resolutions/{5 * NODE}",
    ]


def test_no_read_maps_to_an_unseen_node(leaky_world):
    clr = cooler.Cooler(f"{leaky_world / 'contacts.mcool'}::/resolutions/{NODE}")
    pixels, weight = clr.pixels()[:], clr.bins()["weight"][:].to_numpy()
    seen = np.unique(pixels[["bin1_id", "bin2_id"]].to_numpy())
    unseen = np.setdiff1d(np.arange(len(weight)), seen)
    assert 0.08 <= len(unseen) / len(weight) < 0.1
    assert np.isnan(weight[unseen]).all()
    assert np.isfinite(weight[seen]).mean() > 0.95


def test_counts_vary_as_the_dispersion_says(pairs, settings):
    same = pairs[pairs["inside"] & (pairs["strength"] == 0) & (pairs["distance"] == 1)]["count"]
    bias = np.exp(2 * 0.2**2) - 1  # relative variance of the product of two nodes' biases
    relative = (same.var() - same.mean()) / same.mean() ** 2
    assert relative == pytest.approx((1 + bias) * (1 + settings.dispersion) - 1, rel=0.25)


def test_balancing_that_is_stopped_is_one_line_that_says_so(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(contacts, "ROUNDS", 3)
    assert told_of_map(tmp_path, caplog, 200) == [
        f"contacts.mcool: balancing at {resolution} bp stopped after 3 rounds on 3 chromosomes, before weights were "
        "final. Raise chroms: shorter ones need fewer."
        for resolution in (2000, 10000)
    ]
