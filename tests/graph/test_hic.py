"""Edges from a contact map, against a ranking over the dense matrix."""

from __future__ import annotations

import time

import cooler
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genograph.assays.contacts import ContactMap, write_contacts
from genograph.errors import InputError
from genograph.genome.bins import Bins
from genograph.graph import HiCEdges, LinearEdges, TransEdges, build_graph
from tests.maps import open_map

NODES = Bins({"chr1": 12_000, "chr2": 8_000}, 1000)


def random_contacts(folder, seed: int, nodes: Bins = NODES, **options) -> ContactMap:
    rng = np.random.default_rng(seed)
    weight = rng.uniform(0.5, 2.0, len(nodes))
    weight[rng.random(len(nodes)) < 0.1] = np.nan
    # Few distinct counts, so that there are ties.
    return open_map(folder, nodes, rng.poisson(1.5, (len(nodes), len(nodes))), weight, **options)


def ranked_pairs(contacts: ContactMap, edges: HiCEdges | TransEdges) -> dict[tuple[int, int], float]:
    """The pairs that `edges` should keep, by ranking every node's pairs one at a time."""
    oe = {}
    least, most = -1, -1
    if isinstance(edges, HiCEdges):
        least, most = max(edges.min_distance, 1), edges.max_distance or 10**9
    for row, col, balanced, ratio in contacts.blocks():
        for i, j, contact, over in zip(row.tolist(), col.tolist(), balanced, ratio, strict=True):
            pseudo = edges.pseudocount * contacts.weight[i] * contacts.weight[j]
            distance = int(contacts.nodes.distance(i, j)) * contacts.nodes.bin_size
            if least <= max(distance, -1) <= most:
                oe[i, j] = np.float32((contact + pseudo) / (contact / over + pseudo))
    kept = {}
    for node in range(len(contacts.nodes)):
        own = [(-value, min(pair), max(pair), pair) for pair, value in oe.items() if node in pair]
        own = [each for each in sorted(own, key=lambda each: (each[0], sum(each[3]) - node))]
        kept.update({each[3]: -each[0] for each in own[: edges.top_k] if -each[0] >= edges.min_oe})
    return kept


def edges_of(graph) -> dict[tuple[int, int], float]:
    return {(int(s), int(d)): float(w) for s, d, w in zip(*graph.edge_index, graph.weight, strict=True) if s < d}


@settings(max_examples=30)
@given(
    seed=st.integers(0, 10_000),
    top_k=st.integers(1, 4),
    min_distance=st.sampled_from([0, 1000, 3000]),
    max_distance=st.sampled_from([None, 5000]),
    min_oe=st.sampled_from([0.0, 1.0, 1.5]),
    pseudocount=st.sampled_from([0.0, 1.0]),
    between=st.booleans(),
)
def test_edges_equal_a_ranking_of_each_nodes_pairs(
    tmp_path_factory, seed, between, min_distance, max_distance, **options
):
    contacts = random_contacts(tmp_path_factory.mktemp("map"), seed, trans=True)
    reach = {"min_distance": min_distance, "max_distance": max_distance}
    edges = TransEdges(**options) if between else HiCEdges(**reach, **options)
    kept = ranked_pairs(contacts, edges)
    found = edges_of(build_graph([edges], NODES, contacts))
    assert found == pytest.approx({pair: min(np.log2(1 + oe), 6.0) for pair, oe in kept.items()}, rel=1e-5)


def test_blocks_of_the_map_do_not_change_the_graph(tmp_path, monkeypatch):
    contacts = random_contacts(tmp_path, 1, trans=True)
    edges = [HiCEdges(top_k=2, min_distance=1000), TransEdges(top_k=2)]
    whole = build_graph(edges, NODES, contacts)
    blocks = ContactMap.blocks
    monkeypatch.setattr(ContactMap, "blocks", lambda self: blocks(self, size=7))
    pieces = build_graph(edges, NODES, contacts)
    np.testing.assert_array_equal(pieces.edge_index, whole.edge_index)
    np.testing.assert_array_equal(pieces.edge_attr, whole.edge_attr)


@pytest.mark.parametrize("kind", [HiCEdges, TransEdges])
def test_only_pairs_that_stand_out_are_ranked(tmp_path, kind):
    """Of three reads a pair, two pairs within a chromosome and two between have thirty."""
    nodes = Bins({"chr1": 40_000, "chr2": 30_000}, 1000)
    counts = np.random.default_rng(0).poisson(3.0, (70, 70))
    counts[[3, 45, 7, 20], [20, 60, 50, 66]] = 30
    contacts = open_map(tmp_path, nodes, counts, trans=True)
    options = {"min_distance": 5000} if kind is HiCEdges else {}
    planted = {(3, 20), (45, 60)} if kind is HiCEdges else {(7, 50), (20, 66)}
    edges = edges_of(build_graph([kind(**options, max_fdr=0.01)], nodes, contacts))
    whole = edges_of(build_graph([kind(**options)], nodes, contacts))
    assert edges == {pair: whole[pair] for pair in planted}


def test_a_pair_stays_if_either_end_ranks_it(tmp_path):
    """Every node's best partner is node 0, which itself ranks only one."""
    nodes = Bins({"chr1": 5000}, 1000)
    counts = np.zeros((5, 5), int)
    counts[0, 1:] = 9
    contacts = open_map(tmp_path, nodes, counts)
    graph = build_graph([HiCEdges(top_k=1, min_distance=1000)], nodes, contacts)
    assert graph.degree().tolist() == [4, 1, 1, 1, 1]


def test_ties_go_to_the_lower_node(tmp_path):
    nodes = Bins({"chr1": 6000}, 1000, circular=frozenset({"chr1"}))
    contacts = open_map(tmp_path, nodes, np.full((6, 6), 4))
    graph = build_graph([HiCEdges(top_k=1, min_distance=2000)], nodes, contacts)
    assert sorted(edges_of(graph)) == [(0, 2), (0, 3), (0, 4), (1, 3), (1, 5)]


def test_a_single_far_read_does_not_outrank_a_loop(tmp_path):
    """One read where .05 are expected has O/E 20, a loop of 60 reads where 12 are has 5."""
    size = 40
    distance = np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
    counts = np.where(distance < 12, 12, 0)
    counts[0, 10], counts[0, 35] = 60, 1
    nodes = Bins({"chr1": size * 1000}, 1000)
    contacts = open_map(tmp_path, nodes, counts)
    options = {"top_k": 1, "min_distance": 5000}
    best = {
        pseudo: edges_of(build_graph([HiCEdges(**options, pseudocount=pseudo)], nodes, contacts)) for pseudo in (0, 1)
    }
    assert (0, 35) in best[0]
    assert (0, 10) not in best[0] or best[0][0, 35] > best[0][0, 10]
    assert best[1][0, 10] > best[1].get((0, 35), 0)


def test_weight_is_log2_of_one_plus_the_ratio_and_at_most_six(tmp_path):
    nodes = Bins({"chr1": 9000}, 1000)
    counts = np.ones((9, 9), int)
    counts[0, 2], counts[4, 7] = 3, 100_000
    contacts = open_map(tmp_path, nodes, counts)
    weights = edges_of(build_graph([HiCEdges(min_distance=1000, min_oe=0, pseudocount=0)], nodes, contacts))
    assert weights[0, 1] == 1.0  # as many as expected
    assert weights[0, 2] == pytest.approx(np.log2(1 + 3 / (9 / 7)))
    assert weights[4, 7] == pytest.approx(np.log2(1 + 6 / (1 + 5 / 100_000)), rel=1e-4)
    crowded = Bins({"chr1": 200_000}, 1000)
    counts = np.ones((200, 200), int)
    counts[0, 5] = 1_000_000
    contacts = open_map(tmp_path / "crowded", crowded, counts)
    weights = edges_of(build_graph([HiCEdges(min_distance=5000, max_distance=5000)], crowded, contacts))
    assert weights[0, 5] == 6.0


def test_masked_nodes_have_no_hic_edges(tmp_path):
    contacts = random_contacts(tmp_path, 0)
    graph = build_graph([HiCEdges(min_distance=1000)], NODES, contacts)
    assert contacts.masked.any()
    assert not graph.degree()[contacts.masked].any()
    assert graph.degree()[~contacts.masked].any()


def test_the_nodes_of_a_circle_meet_the_short_way_round(tmp_path):
    nodes = Bins({"plasmid": 10_000}, 1000, circular=frozenset({"plasmid"}))
    contacts = open_map(tmp_path, nodes, np.full((10, 10), 3))
    graph = build_graph([HiCEdges(min_distance=4000, top_k=9)], nodes, contacts)
    distance = nodes.distance(*graph.edge_index)
    assert set(distance.tolist()) == {4, 5}
    assert graph.degree().tolist() == [3] * 10


def test_hic_edges_without_a_map_say_what_to_set():
    with pytest.raises(InputError, match=r"'hic' edges need a contact map; set contacts\.file"):
        build_graph([HiCEdges()], NODES)


def test_distances_beyond_the_stores_are_refused(tmp_path):
    contacts = random_contacts(tmp_path, 0, max_distance=5000)
    with pytest.raises(InputError, match=r"up to 6000 bp .* within 5000 bp. Raise contacts\.max_distance"):
        build_graph([HiCEdges(min_distance=1000, max_distance=6000)], NODES, contacts)
    with pytest.raises(InputError, match=r"up to 20000 bp"):
        build_graph([HiCEdges()], NODES, contacts)


def deep_map(folder, mean: float = 40.0, **options) -> ContactMap:
    """Reads that fall with distance; the weights of places differ, and node 3 is masked."""
    rng = np.random.default_rng(0)
    weight = rng.uniform(0.5, 2.0, len(NODES))
    weight[3] = np.nan
    apart = np.abs(np.subtract.outer(np.arange(len(NODES)), np.arange(len(NODES))))
    return open_map(folder, NODES, rng.poisson(mean / (1 + apart)), weight, **options)


def reads_of(contacts: ContactMap) -> dict[tuple[int, int], float]:
    return {
        (int(i), int(j)): float(balanced / (contacts.weight[i] * contacts.weight[j]))
        for row, col, balanced in contacts.pixels()
        for i, j, balanced in zip(row, col, balanced, strict=True)
    }


def test_all_reads_kept_is_the_map_itself(tmp_path):
    contacts = deep_map(tmp_path, trans=True)
    thinned = contacts.thinned(1.0, seed=3)
    for one, other in zip(thinned.blocks(), contacts.blocks(), strict=True):
        for left, right in zip(one, other, strict=True):
            np.testing.assert_array_equal(left, right)
    options = {"top_k": 2, "min_distance": 1000}
    whole, same = (build_graph([HiCEdges(**options, **more)], NODES, contacts) for more in ({}, {"downsample": 1.0}))
    np.testing.assert_array_equal(same.edge_attr, whole.edge_attr)


def test_half_of_the_reads_are_left_of_a_map_thinned_by_half(tmp_path):
    contacts = deep_map(tmp_path, trans=True)
    full, kept = reads_of(contacts), reads_of(contacts.thinned(0.5, seed=0))
    total = sum(full.values())
    assert total == pytest.approx(round(total))
    assert abs(sum(kept.values()) - total / 2) < 3 * np.sqrt(total / 4)
    assert all(
        reads == pytest.approx(round(reads), abs=1e-3) and reads < full[pair] + 0.5 for pair, reads in kept.items()
    )


def test_reads_of_a_pair_are_kept_one_by_one(tmp_path):
    """Kept reads vary as a binomial does: over 150 seeds with n p (1 - p), not as a pair kept or lost whole."""
    nodes = Bins({"chr1": 3000}, 1000)
    counts = np.zeros((3, 3), int)
    counts[0, 2] = 100
    contacts = open_map(tmp_path, nodes, counts)
    kept = [sum(reads_of(contacts.thinned(0.25, seed)).values()) for seed in range(150)]
    assert np.mean(kept) == pytest.approx(25, abs=1)
    assert np.var(kept) == pytest.approx(18.75, rel=0.3)


def test_what_is_expected_of_a_thinned_map_is_the_mean_of_its_own_contacts(tmp_path):
    """As if the kept reads had been written to a file with the full map's weights."""
    contacts = deep_map(tmp_path / "full", trans=True)
    thinned = contacts.thinned(0.3, seed=1)
    counts = np.zeros((len(NODES), len(NODES)), int)
    for (i, j), reads in reads_of(thinned).items():
        counts[i, j] = round(reads)
    written = open_map(tmp_path / "thin", NODES, counts, contacts.weight, trans=True)
    np.testing.assert_allclose(thinned.expected, written.expected, rtol=1e-5)
    assert thinned.trans_expected == pytest.approx(written.trans_expected, rel=1e-5)
    fewer = {"downsample": 0.3, "seed": 1}
    for kind, options in (HiCEdges, {"top_k": 2, "min_distance": 1000}), (TransEdges, {"top_k": 2}):
        found = edges_of(build_graph([kind(**options, **fewer)], NODES, contacts))
        assert found == pytest.approx(edges_of(build_graph([kind(**options)], NODES, written)), rel=1e-4)


def test_a_thinned_map_masks_what_the_full_one_masks(tmp_path):
    contacts = deep_map(tmp_path)
    thinned = contacts.thinned(0.01, seed=0)
    np.testing.assert_array_equal(thinned.masked, contacts.masked)
    np.testing.assert_array_equal(thinned.weight, contacts.weight)


def test_a_seed_decides_which_reads_are_kept(tmp_path):
    contacts = deep_map(tmp_path)
    one, same, other = (reads_of(contacts.thinned(0.5, seed)) for seed in (0, 0, 1))
    assert one == same
    assert one != other


def test_blocks_of_the_map_do_not_change_which_reads_are_kept(tmp_path):
    contacts = deep_map(tmp_path, trans=True).thinned(0.5, seed=0)
    whole, pieces = ([np.concatenate(each) for each in zip(*contacts.pixels(size), strict=True)] for size in (1000, 7))
    for one, other in zip(whole, pieces, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top_k": 0}, "top_k must be at least 1; got 0"),
        ({"min_oe": -1.0}, "min_oe must not be negative; got -1.0"),
        ({"pseudocount": -1.0}, "pseudocount must not be negative"),
        ({"min_distance": -5}, "min_distance must not be negative"),
        ({"seed": -1}, "seed must not be negative; got -1"),
        ({"max_fdr": 0.0}, "max_fdr is a share of the pairs, between 0 and 1, or null; got 0.0"),
        ({"max_fdr": 1.0}, "max_fdr is a share of the pairs"),
        ({"downsample": 0.0}, "downsample is a share of the reads, more than 0 to 1; got 0.0"),
        ({"downsample": 1.5}, "downsample is a share of the reads, more than 0 to 1; got 1.5"),
        ({"min_distance": 5000, "max_distance": 1000}, "max_distance 1000 is below min_distance 5000"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        HiCEdges(**options)


@pytest.mark.needs_shared_data
def test_the_yeast_graph_builds_in_seconds(shared_data, tmp_path):
    uri = str(shared_data / "yeast" / "scer_w303_g1_2kb_SRR8769554.cool")
    nodes = Bins({str(name): int(size) for name, size in cooler.Cooler(uri).chromsizes.items()}, 2000, partial=True)
    start = time.process_time()
    write_contacts(uri, nodes, tmp_path, aliases={})
    graph = build_graph([LinearEdges(), HiCEdges()], nodes, ContactMap.open(tmp_path, nodes))
    assert time.process_time() - start < 20
    degree = graph.degree("hic")
    assert not degree[graph.masked].any()
    has_partners = np.diff(nodes.offsets)[nodes.chrom_index(np.arange(len(nodes)))] > 100
    assert (degree[~graph.masked & has_partners] >= 8).mean() > 0.95
