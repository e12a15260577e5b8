from __future__ import annotations

import math
import shutil

import numpy as np
import pytest
import yaml

from genograph.audit import CHECKS, audit, predictors
from genograph.config import load_config
from genograph.dataset import PieceReader, WindowDataset
from genograph.errors import InputError
from genograph.experiment import Experiment
from tests import records, tiny
from tests.audit.test_shortcuts import set_signal

INSIDE = ("splits.valid=[chrA:20000-28000]", "graph.edges.1.top_k=8")  # borders of nodes
ASTRIDE = ("splits.valid=[chrA:21000-29000]",)  # borders within nodes
MASKED_BINS = 15  # of the node at 2 to 4 kb


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The tiny world, whose store is built."""
    folder = tmp_path_factory.mktemp("world")
    Experiment.open(load_config(tiny.write_world(folder)))
    return folder


@pytest.fixture
def opened(world, tmp_path):
    """Opens a copy of the tiny world with changes to its config."""
    shutil.copytree(world, tmp_path / "copy")
    return lambda *overrides: Experiment.open(load_config(tmp_path / "copy" / "tiny.yaml", overrides))


def status_and_count(check, experiment):
    finding = CHECKS[check](experiment)
    assert finding.check == check
    return finding.status, finding.count


def set_all_signals(experiment, values):
    for assay in experiment.targets:
        set_signal(experiment, assay, values)


def predicts(monkeypatch, r):
    monkeypatch.setattr(predictors, "predictability", lambda *_: {"coverage.bins": r, "coverage.genes": math.nan})


def test_the_tiny_world_has_no_leak_and_the_checks_come_in_order(opened):
    findings = audit(opened())
    assert [finding.check for finding in findings] == list(CHECKS)
    assert {finding.status for finding in findings} <= {"ok", "note"}
    assert all(finding.count == 0 for finding in findings if finding.status == "ok")
    assert all("\n" not in finding.message for finding in findings)


@pytest.mark.parametrize("check", ["edges_across_splits", "held_out_neighbours"])
def test_a_partner_in_another_split_is_a_leak(check, opened, monkeypatch):
    experiment = opened(*INSIDE)
    assert status_and_count(check, experiment) == ("ok", 0)
    monkeypatch.setattr(WindowDataset, "_whole_nodes", lambda dataset: np.diff(dataset.store.bins_of_node)[:, 0] > 0)
    status, count = status_and_count(check, experiment)
    assert status == "leak"
    assert count > 0


@pytest.mark.parametrize("check", ["edges_across_splits", "held_out_neighbours"])
def test_a_node_that_a_border_divides_is_a_note_and_a_gap_of_a_node_ends_it(check, opened):
    assert CHECKS[check](opened(*ASTRIDE)).status == "note"
    assert status_and_count(check, opened(*ASTRIDE, "splits.gap=2000")) == ("ok", 0)


def test_nodes_that_a_border_divides_are_counted_once(opened):
    assert status_and_count("held_out_neighbours", opened(*ASTRIDE)) == ("note", 2)


def test_edges_of_the_genome_that_are_cut_are_named(opened):
    experiment = opened("graph.edges=[{name: linear}]", *INSIDE[:1])
    assert "; 2 of " in CHECKS["edges_across_splits"](experiment).message  # one at each border


def test_context_from_another_split_is_a_leak(opened, monkeypatch):
    experiment = opened(*INSIDE)
    assert status_and_count("context_across_splits", experiment) == ("ok", 0)

    def unbounded(reader, run, first, shift):
        bins = reader.store.bins
        chrom = int(bins.chrom_index(reader.runs[run, 0]))
        start = (first - reader.halo - int(bins.offsets[chrom])) * bins.bin_size + shift
        return reader.store.codes(bins.chroms[chrom], start, start + (reader.chunk + 2 * reader.halo) * bins.bin_size)

    monkeypatch.setattr(PieceReader, "_codes", unbounded)
    status, count = status_and_count("context_across_splits", experiment)
    assert status == "leak"
    assert count > 0


def test_the_receptive_field_is_told_beside_the_gap(opened):
    experiment = opened(*INSIDE, "splits.gap=1000")
    values = CHECKS["context_across_splits"](experiment).values
    assert values == {"receptive_field": float(experiment.model().receptive_field), "gap": 1000.0}


@pytest.mark.parametrize(
    ("copied", "status", "count"),
    [([], "ok", 0), ([78_336], "note", 13 * 128), ([40_000, 42_048], "leak", 2 * 2048)],
    ids=["nothing", "the last 13 bins of chrC", "two tiles of chrB"],
)
def test_copies_are_a_note_and_above_5_percent_of_the_held_out_sequence_a_leak(copied, status, count, opened):
    experiment = opened()
    codes = np.random.default_rng(0).integers(0, 4, sum(tiny.SIZES.values())).astype(np.uint8)
    for start in copied:
        codes[start : start + 2048] = codes[: len(codes[start : start + 2048])]
    np.save(experiment.store.path / "codes.npy", codes)
    finding = CHECKS["duplicate_sequence"](experiment)
    assert (finding.status, finding.count) == (status, count)
    assert finding.values == {"share": count / ((187 + 125) * 128)}


def test_short_copies_are_found_such_as_insertion_sequences(opened):
    experiment = opened()
    codes = np.random.default_rng(0).integers(0, 4, sum(tiny.SIZES.values())).astype(np.uint8)
    for place in (40_000 + 700, 64_000 + 2000):  # of 768 bp, astride tiles
        codes[place : place + 768] = codes[:768]
    np.save(experiment.store.path / "codes.npy", codes)
    finding = CHECKS["duplicate_sequence"](experiment)
    assert finding.status == "note"
    assert 2 * 512 <= finding.count <= 2 * 3 * 512


def with_copies(experiment, *places):
    """Random sequence, of which 2,048 bp of chrA stand at some other places too, counted over the whole genome."""
    codes = np.random.default_rng(0).integers(0, 4, sum(tiny.SIZES.values())).astype(np.uint8)
    for start in places:
        codes[start : start + 2048] = codes[:2048]
    np.save(experiment.store.path / "codes.npy", codes)
    return experiment


def set_mask(experiment, *masked):
    """Mask these bins beside those that are; the store is opened anew."""
    mask = np.array(experiment.store.mask)
    mask[np.r_[masked]] = False
    np.save(experiment.store.path / "mask.npy", mask)
    return Experiment.open(experiment.config)


def test_copies_that_are_masked_are_not_judged(opened):
    experiment = with_copies(opened(), 40_000, 42_048)  # the first two tiles of chrB, from bin 312 on
    experiment = set_mask(experiment, np.s_[312:328], np.s_[328:336])
    finding = CHECKS["duplicate_sequence"](experiment)
    assert (finding.status, finding.count) == ("note", 8 * 128)
    assert finding.values == {"share": 8 / (187 + 125 - 24)}


def test_sequence_without_minimizers_does_not_thin_out_copies(opened):
    experiment = with_copies(opened(), 40_000)
    codes = np.load(experiment.store.path / "codes.npy")
    codes[50_240:64_000] = 4  # tiles 5 to 11 of chrB
    np.save(experiment.store.path / "codes.npy", codes)
    assert CHECKS["duplicate_sequence"](experiment).values == {"share": 16 / (5 * 16 + 125)}


def test_a_copy_in_training_sequence_that_no_window_shows_is_none(opened):
    experiment = opened("splits.train=[chrA:0-24000,chrA:32000-40000]", "batch.partners=0")
    codes = np.random.default_rng(0).integers(0, 4, sum(tiny.SIZES.values())).astype(np.uint8)
    codes[78_336:] = codes[36_000 : 36_000 + len(codes) - 78_336]
    np.save(experiment.store.path / "codes.npy", codes)
    assert status_and_count("duplicate_sequence", experiment) == ("note", 13 * 128)
    assert status_and_count("duplicate_sequence", set_mask(experiment, np.s_[250:312])) == ("ok", 0)


def test_masked_bins_that_leave_the_loss_are_no_leak(opened):
    assert status_and_count("masked_bins_scored", opened()) == ("ok", 0)


def test_masked_bins_that_are_scored_are_a_note_if_their_signal_is_like_that_of_others(opened):
    experiment = opened("contacts.mask=false")
    set_all_signals(experiment, 1.0)
    assert status_and_count("masked_bins_scored", experiment) == ("note", MASKED_BINS)


@pytest.mark.parametrize(("factor", "status"), [(0.49, "leak"), (0.51, "note"), (1.99, "note"), (2.01, "leak")])
def test_masked_bins_that_are_scored_leak_with_half_or_twice_the_signal(factor, status, opened):
    experiment = opened("contacts.mask=false")
    set_all_signals(experiment, 1.0)
    is_masked = experiment.store.contacts.masked[experiment.store.node_of_bin]
    set_signal(experiment, "coverage", np.where(is_masked, factor, 1.0))
    finding = CHECKS["masked_bins_scored"](experiment)
    assert (finding.status, finding.count) == (status, MASKED_BINS)
    ratios = {"coverage": factor, "expression": 1.0, "methylation": 1.0}
    apart = {"coverage.apart": float(status == "leak"), "expression.apart": 0.0, "methylation.apart": 0.0}
    assert finding.values == pytest.approx(ratios | apart | {"judged": 0.0})  # the masked node is of training


def test_one_track_whose_masked_bins_differ_leaks_though_the_mean_over_tracks_does_not(opened):
    experiment = opened("contacts.mask=false")
    set_all_signals(experiment, 1.0)
    is_masked = experiment.store.contacts.masked[experiment.store.node_of_bin]
    both = np.ones((len(is_masked), 2), dtype=np.float32)
    both[is_masked] = [0.0, 1.8]
    np.save(experiment.store.path / "signals" / "expression.npy", both)
    finding = CHECKS["masked_bins_scored"](experiment)
    assert finding.status == "leak"
    assert finding.values["expression"] == pytest.approx(0.9)
    assert finding.values["expression.apart"] == 0.5


def test_masked_bins_that_are_judged_are_those_of_the_test_split(opened):
    experiment = opened("contacts.mask=false", "splits.valid=[chrA]", "splits.test=[chrC]")
    assert CHECKS["masked_bins_scored"](experiment).values["judged"] == 0
    experiment = opened("contacts.mask=false", "splits.valid=[chrC]", "splits.test=[chrA]")
    assert CHECKS["masked_bins_scored"](experiment).values["judged"] == MASKED_BINS


@pytest.mark.parametrize(("r", "expected"), [(0.2, ("ok", 0)), (0.21, ("note", 1)), (0.99, ("note", 1))])
def test_degree_that_predicts_is_a_note_never_a_leak(r, expected, opened, monkeypatch):
    predicts(monkeypatch, r)
    assert status_and_count("degree_predicts", opened()) == expected


@pytest.mark.parametrize(("factor", "status"), [(1.0, "note"), (0.0, "ok")])
def test_features_that_predict_the_tracks_are_a_note(factor, status, opened, tmp_path):
    rng, nodes = np.random.default_rng(0), opened().store.nodes
    value, noise = rng.normal(size=(2, len(nodes)))
    nodes.to_frame().assign(age=value).to_csv(tmp_path / "features.csv", index=False)
    experiment = opened(f"graph.features={tmp_path / 'features.csv'}")
    mixed = 10 + factor * value + (1 - factor) * noise
    set_all_signals(experiment, mixed[experiment.store.node_of_bin])
    finding = CHECKS["features_predict"](experiment)
    assert finding.status == status
    assert (finding.values["coverage.bins"] > 0.9) == (status == "note")


@pytest.mark.parametrize(("mask", "r", "status"), [(True, 0.21, "note"), (False, 0.21, "leak"), (False, 0.2, "ok")])
def test_a_mask_that_predicts_is_a_leak_where_masked_bins_are_scored(mask, r, status, opened, monkeypatch):
    predicts(monkeypatch, r)
    assert CHECKS["mask_predicts"](opened(f"contacts.mask={str(mask).lower()}")).status == status


def test_a_mask_that_hides_all_signal_predicts_it(opened):
    experiment = opened("contacts.mask=false")
    mapped = np.ones(len(experiment.store.nodes), dtype=np.float32)
    mapped[[1, 22]] = 0  # a node in training, one in validation
    np.save(experiment.store.path / "contacts" / "mapped.npy", mapped)
    is_masked = np.isin(experiment.store.node_of_bin, [1, 22])
    set_signal(experiment, "coverage", np.where(is_masked, 0.0, 5.0))
    finding = CHECKS["mask_predicts"](experiment)
    assert finding.status == "leak"
    assert finding.values["coverage.bins"] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("sign", "factor", "status"), [(1, 1.0, "note"), (-1, 1.0, "note"), (1, 0.0, "ok")])
def test_degree_that_goes_with_the_label_is_a_note(sign, factor, status, opened):
    experiment = opened()
    degree = np.log1p(experiment.graph.degree("hic"))[experiment.store.node_of_bin]
    set_all_signals(experiment, 10 + sign * factor * degree)
    assert CHECKS["edges_depend_on_label"](experiment).status == status


@pytest.mark.parametrize(("outside", "count"), [(0.0, 2), (1.0, 0)])
def test_candidates_that_hold_nearly_all_signal_in_few_bins_are_a_note(outside, count, opened, tmp_path):
    bed = tmp_path / "candidates.bed"
    bed.write_text("chrB\t0\t4000\nchrC\t0\t2000\n")
    experiment = opened(f"graph.candidates={bed}", "graph.edges=[{name: linear}]", "batch.partners=0")
    set_all_signals(experiment, np.where(experiment.candidates, 1.0, outside))
    finding = CHECKS["edges_depend_on_label"](experiment)
    assert (finding.status, finding.count) == ("note" if count else "ok", count)
    assert finding.values["candidates.bins"] == pytest.approx((32 + 16) / (187 + 125))
    assert "candidates.methylation" not in finding.values  # of fractions there is no sum


def test_a_track_that_was_not_measured_in_a_split_is_a_note(opened):
    experiment = opened()
    assert status_and_count("split_sizes", experiment) == ("ok", 0)
    set_signal(experiment, "coverage", np.where(experiment.split_of_bin == 2, np.nan, 1.0))
    finding = CHECKS["split_sizes"](experiment)
    assert (finding.status, finding.count) == ("note", 1)
    assert "gc in test" in finding.message


def test_without_contacts_what_they_could_leak_does_not_apply(world, tmp_path):
    shutil.copytree(world, tmp_path / "copy")
    tree = tiny.config_tree() | {"graph": {"edges": []}, "contacts": None}
    (tmp_path / "copy" / "tiny.yaml").write_text(yaml.safe_dump(tree))
    findings = audit(Experiment.open(load_config(tmp_path / "copy" / "tiny.yaml")))
    assert [finding.check for finding in findings if finding.message.startswith("Not applicable")] == [
        "edges_across_splits",
        "pretrained_on_held_out",
        "groups_across_splits",
        "masked_bins_scored",
        "degree_predicts",
        "mask_predicts",
        "layout_predicts",
        "features_predict",
        "edges_depend_on_label",
    ]


def test_a_folder_of_tfrecords_is_audited_too(tmp_path):
    records.write_folder(tmp_path / "hg38")
    (tmp_path / "records.yaml").write_text(yaml.safe_dump(records.config_tree()))
    findings = audit(Experiment.open(load_config(tmp_path / "records.yaml")))
    assert {finding.status for finding in findings} == {"ok"}


def test_groups_in_two_splits_are_a_leak_unless_they_are_resolved(opened, tmp_path):
    (tmp_path / "copy" / "groups.bed").write_text("chrA\t1000\t3000\tg1\nchrC\t0\t2000\tg1\nchrB\t0\t2000\tg1\n")
    left = opened("splits.groups=groups.bed", "splits.resolve_groups=false")
    assert status_and_count("groups_across_splits", left) == ("leak", 3)
    message = CHECKS["groups_across_splits"](left).message
    assert "1 train and valid, 1 train and test, 1 valid and test" in message
    resolved = opened("splits.groups=groups.bed")
    assert status_and_count("groups_across_splits", resolved) == ("ok", 0)
    lost = (left.split_of_bin >= 0).sum() - (resolved.split_of_bin >= 0).sum()
    assert lost == (24 - 7) + 16  # bins of 128 bp that touch chrA:1000-3000 and chrB:0-2000
    assert "splits.groups" in resolved.sources


def test_groups_on_chromosomes_that_are_not_chosen_are_left_out_but_no_misspelled_ones(opened, tmp_path):
    chosen = ["genome.chroms=[chrA, chrC]", "splits.valid=['chrA:0-9000']", "splits.groups=groups.bed"]
    groups = tmp_path / "copy" / "groups.bed"
    groups.write_text("chrB\t0\t2000\tg1\nchrC\t0\t2000\tg1\n")
    assert status_and_count("groups_across_splits", opened(*chosen)) == ("ok", 0)
    groups.write_text("chr_A\t9000\t12000\tg1\nchrC\t0\t2000\tg1\n")
    with pytest.raises(InputError, match=r"line 1: no chromosome 'chr_A' in this genome.*Did you mean 'chrA'"):
        _ = opened(*chosen).split_of_bin


def test_without_groups_the_check_does_not_apply(opened):
    assert CHECKS["groups_across_splits"](opened()).message.startswith("Not applicable")
