"""Points, blocks and strata on the tiny world: bins of 128 bp, nodes of 2 kb, a gene from every 1,000 bp."""

from __future__ import annotations

import numpy as np
import pytest

from genograph.ablate.judged import Judged, _mean, _quarters
from genograph.config import load_config
from genograph.errors import InputError
from genograph.experiment import Experiment
from tests.tiny import BIN, SIZES

CHROMS = list(SIZES)


@pytest.fixture
def judged(world):
    """`judged(assay, over, *changes)`; chrC is held out if the changes do not say otherwise."""
    return lambda assay, over, *changes: Judged(Experiment.open(load_config(world, changes)), assay, over)


def gc_content(judged, chrom, first, end):
    """8 times the share of G and C of some bins of a chromosome."""
    codes = judged.experiment.store.codes(chrom, first * BIN, end * BIN)
    return 8 * np.isin(codes, [1, 2]).reshape(-1, BIN).mean(axis=1)


def gene(judged, chrom, start):
    genes = judged.experiment.store.genes
    return int(np.flatnonzero((genes.chrom == chrom) & (genes.start == start))[0])


def test_bins_are_the_held_out_ones_with_what_was_measured(judged):
    points = judged("coverage", "bins").points
    assert points.target.shape == (16_100 // BIN, 1)
    each = judged("coverage", "bins")
    np.testing.assert_allclose(points.target[:, 0], gc_content(each, "chrC", 0, 125), rtol=1e-5)


def test_predictions_of_bins_are_points_by_tracks(judged):
    values = np.arange(250, dtype=np.float32).reshape(2, 125)
    np.testing.assert_array_equal(judged("expression", "bins").of_predictions(values), values.T)


def test_bins_that_the_map_masks_are_nan(judged):
    target = judged("coverage", "bins", "splits.test=[chrA:0-8000]").points.target[:, 0]
    # The node from 2 to 4 kb has the bins whose middle lies in it: 16 to 30.
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(target)), np.arange(16, 31))


def test_bins_that_the_map_masks_count_if_the_config_says_so(judged, world, tmp_path):
    changes = ("splits.test=[chrA:0-8000]", "contacts.mask=false", f"store={tmp_path / 'store'}")
    assert np.isfinite(judged("coverage", "bins", *changes).points.target).all()


def test_what_was_not_measured_is_nan(judged):
    """Methylation is known of the first half of each chromosome."""
    target = judged("methylation", "bins").points.target[:, 0]
    assert np.isfinite(target[:62]).any()
    assert np.isnan(target[63:]).all()


def test_a_gene_is_the_mean_of_the_bins_that_it_touches(judged):
    each = judged("coverage", "genes")
    place = gene(each, "chrC", 1000)  # to 1,900: bins 7 to 14
    assert each.points.target[place, 0] == pytest.approx(gc_content(each, "chrC", 7, 15).mean(), rel=1e-5)
    predicted = each.of_predictions(np.arange(125, dtype=np.float32)[None])
    assert predicted[place, 0] == np.arange(7, 15).mean()


def test_a_gene_has_a_value_on_its_own_strand_alone(judged):
    each = judged("expression", "genes")
    target = each.points.target
    plus, minus = gene(each, "chrC", 1000), gene(each, "chrC", 2000)
    np.testing.assert_array_equal(np.isfinite(target[[plus, minus]]), [[True, False], [False, True]])


def test_a_gene_counts_the_bins_that_are_not_masked(judged):
    each = judged("coverage", "genes", "splits.test=[chrA:0-8000]")
    target = each.points.target[:, 0]
    # Of the gene from 1,000 to 1,900 all 8 bins count, of that from 3,000 none, of that from 4,000 all but bin 31.
    assert target[gene(each, "chrA", 1000)] == pytest.approx(gc_content(each, "chrA", 7, 15).mean(), rel=1e-5)
    assert np.isnan(target[gene(each, "chrA", 3000)])
    assert target[gene(each, "chrA", 4000)] == pytest.approx(gc_content(each, "chrA", 31, 39).mean(), rel=1e-5)


def test_genes_that_are_not_held_out_are_nan_and_in_no_stratum(judged):
    each = judged("coverage", "genes")
    elsewhere = each.experiment.store.genes.chrom != "chrC"
    assert np.isnan(each.points.target[elsewhere]).all()
    assert np.isfinite(each.points.target[~elsewhere]).all()
    assert {name: set(level[elsewhere].tolist()) for name, level in each.points.strata.items()} == {
        "contacts": {-1},
        "signal": {-1},
    }


def counts(block):
    return np.unique(block, return_counts=True)[1].tolist()


def test_blocks_are_equal_parts_of_a_held_out_stretch_of_the_asked_length_or_more(judged):
    changes = ["splits.valid=[chrA:0-8000]", "splits.test=[chrA:20000-24000,chrB,chrC]", "ablation.block=4096"]
    each = judged("coverage", "bins", *changes)
    block, chrom = each.points.block, each.experiment.store.bins.chrom_index(each.bins)
    # 30, 187 and 125 bins; a block has 32
    assert [counts(block[chrom == index]) for index in (0, 1, 2)] == [[30], [38, 37, 38, 37, 37], [42, 42, 41]]
    assert len(np.unique(block)) == 1 + 5 + 3


def test_a_block_is_a_twentieth_of_a_fold_if_nothing_is_said(judged):
    """125 bins: 20 blocks of 6 or 7."""
    block = judged("coverage", "bins", "batch.window=22").points.block  # of which 6 are predicted
    assert sorted(counts(block)) == [6] * 15 + [7] * 5


def test_a_block_is_not_shorter_than_what_a_window_predicts(judged):
    block = judged("coverage", "bins").points.block  # 48 bins
    assert counts(block) == [63, 62]


def test_a_gene_lies_in_the_block_of_its_first_bin(judged):
    each = judged("coverage", "genes", "ablation.block=1024")
    block = each.points.block
    first, second, third = (block[gene(each, "chrC", start)] for start in (1000, 2000, 3000))
    assert (second - first, third - first) == (1, 2)  # bins 7, 15 and 23, of 8 or 9 to a block


def test_contacts_are_counted_by_the_edges_of_the_node_that_are_not_linear(judged):
    each = judged("coverage", "bins")
    degree = each.experiment.graph.degree("hic")[each.experiment.store.node_of_bin[each.bins]]
    level = np.select([degree == 0, degree <= 2, degree <= 5], [0, 1, 2], 3)
    assert len(np.unique(level)) > 1
    np.testing.assert_array_equal(each.points.strata["contacts"], level)
    assert each.labels()["contacts"] == ["no contact", "1 or 2", "3 to 5", "6 or more"]


def test_the_contacts_of_a_gene_are_those_of_the_node_of_its_tss(judged):
    each = judged("coverage", "genes")
    genes, graph, store = each.experiment.store.genes, each.experiment.graph, each.experiment.store
    here = np.flatnonzero(genes.chrom == "chrC")
    base = np.where(genes.strand == "-", genes.end - 1, genes.start)[here]
    first, degree = store.bins.offsets[list(store.bins.chroms).index("chrC")], graph.degree("hic")
    of_tss, of_left = (degree[store.node_of_bin[first + at // BIN]] for at in (base, genes.start[here]))
    assert (of_tss != of_left).any()
    np.testing.assert_array_equal(each.points.strata["contacts"][here], np.digitize(of_tss, (1, 3, 6)))


def test_the_distance_is_that_to_the_nearest_element_outside_the_node(judged, tmp_path):
    bed = tmp_path / "elements.bed"
    bed.write_text("chrC\t10000\t10400\n")
    each = judged(
        "coverage", "bins", "splits.valid=[chrA]", "splits.test=[chrB:0-2048,chrC]", f"ablation.elements={bed}"
    )
    level = each.points.strata["distance to the nearest candidate"]
    # chrB, 16 bins, has none; chrC has one at 10.2 kb, in the node of bins 78 to 93, which do not see it.
    expected = [3] * 16 + [1] * 41 + [0] * 37 + [3] * 16 + [0] * 25 + [1] * 6
    np.testing.assert_array_equal(level, expected)
    names = each.labels()["distance to the nearest candidate"]
    assert names == ["below 5 kb", "5 kb to 20 kb", "20 kb to 100 kb", "100 kb or more"]


def test_a_file_of_elements_that_is_not_there_is_refused(judged, tmp_path):
    with pytest.raises(InputError, match=r"nothing\.bed"):
        _ = judged("coverage", "bins", f"ablation.elements={tmp_path / 'nothing.bed'}").points


def test_what_is_not_judged_is_in_no_stratum(judged):
    points = judged("coverage", "bins", "splits.test=[chrA:0-8000]").points
    is_masked = np.isnan(points.target[:, 0])
    for level in points.strata.values():
        np.testing.assert_array_equal(level < 0, is_masked)


def test_signal_is_told_by_quarters():
    np.testing.assert_array_equal(_quarters(np.array([4.0, 1, np.nan, 3, 2])), [3, 0, -1, 2, 1])


def test_of_many_zeros_all_are_in_the_lowest_quarter_and_the_top_is_the_highest():
    np.testing.assert_array_equal(_quarters(np.array([0.0, 0, 0, 0, 0, 0, 1, 2])), [0, 0, 0, 0, 0, 0, 3, 3])


def test_a_track_counts_in_units_of_its_mean():
    target = np.array([[1.0, 300.0], [3.0, 100.0], [np.nan, 200.0], [np.nan, np.nan]])
    np.testing.assert_allclose(_mean(target), [(0.5 + 1.5) / 2, (1.5 + 0.5) / 2, 1.0, np.nan])
