"""What the benchmarks compare; how fast it is, they say themselves."""

from __future__ import annotations

import mmap
import runpy
import time
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from genograph.config import load_config
from genograph.experiment import Experiment
from genograph.genome.sites import SITE_KINDS
from genograph.store import Store

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def step_cost() -> dict:
    return runpy.run_path(str(BENCHMARKS / "step_cost.py"))


def test_the_models_of_the_step_benchmark_differ_in_processor_graph_and_reading_alone(step_cost, tmp_path):
    basenji, *others = [arm.config(tmp_path).model_dump() for arm in step_cost["ARMS"]]
    for other in others:
        for section, key in (("model", "processor"), ("batch", "chunk"), ("batch", "partners")):
            other[section][key] = basenji[section][key]
        assert other | {"graph": basenji["graph"]} == basenji


@pytest.mark.parametrize("kept", [0.25, 0.1])
def test_random_regions_keep_the_share_of_the_genome_that_they_state(step_cost, tmp_path, kept):
    path = step_cost["write_regions"](tmp_path / "regions.bed", kept)
    start, end = np.loadtxt(path, usecols=(1, 2), dtype=int).T
    assert (start[1:] >= end[:-1]).all()
    assert not (start % step_cost["BIN_SIZE"]).any()
    assert np.sum(end - start) / step_cost["GENOME_SIZE"] == pytest.approx(kept, rel=0.002)


@pytest.fixture(scope="module")
def study_data(tmp_path_factory) -> Path:
    """Data of `genograph study` for six time points, on chromosomes of 30 kb."""
    module, folder = runpy.run_path(str(BENCHMARKS / "study_data.py")), tmp_path_factory.mktemp("study") / "world"
    module["write_world"](folder, seed=0, length=30_000, tasks=6, reference=8)
    return folder


def test_the_data_of_a_study_are_sites_of_every_kind_in_every_split(study_data):
    experiment = Experiment.open(load_config(study_data / "study.yaml"))
    kinds = [
        np.bincount(experiment.store.sites[experiment.split_of_bin == split, 2], minlength=4) for split in range(3)
    ]
    assert np.all(kinds)
    assert len(experiment.targets["accessibility"]) == 6
    assert len(pd.read_csv(study_data / "reference.tsv", sep="\t")) == 8


def test_neighbouring_time_points_share_more_peaks_than_distant_ones(study_data):
    store = Experiment.open(load_config(study_data / "study.yaml")).store
    label = store.signals("accessibility")[store.sites[:, 2] == 0]
    r = np.corrcoef(label.T)
    assert np.diag(r, 1).mean() > np.diag(r, 3).mean() + 0.3


def test_where_motifs_lie_about_the_middle_of_a_site_does_not_tell_peaks_from_accessible_negatives(tmp_path):
    """By a naive Bayes classifier of places that has learned half of the chromosomes and is judged on the others."""
    module = runpy.run_path(str(BENCHMARKS / "study_data.py"))
    module["write_world"](tmp_path / "world", seed=0, length=200_000, tasks=4, reference=12)
    store = Experiment.open(load_config(tmp_path / "world" / "study.yaml")).store
    consensus = np.random.default_rng(0).integers(0, 4, (module["FACTORS"], module["WIDTH"]))  # drawn first
    places = {kind: [[], []] for kind in ("source", "accessible")}  # of each half of the chromosomes, a list a site
    for chrom, start, kind in store.sites.tolist():
        if SITE_KINDS[kind] in places:
            codes = store.codes(store.bins.chroms[chrom], start, start + 200)
            stretches = np.lib.stride_tricks.sliding_window_view(codes, module["WIDTH"])
            same = (stretches[:, None] == np.concatenate([consensus, 3 - consensus[:, ::-1]])).sum(axis=2)
            places[SITE_KINDS[kind]][chrom % 2].append(np.flatnonzero(same.max(axis=1) >= 11))
    counts = {name: 1 + np.bincount(np.concatenate(half), minlength=200) for name, (half, _) in places.items()}
    log_odds = np.log(counts["accessible"] / counts["accessible"].sum() / counts["source"] * counts["source"].sum())
    source, accessible = ([log_odds[each].sum() for each in judged] for _, judged in places.values())
    assert min(len(source), len(accessible)) > 150
    auroc = roc_auc_score(np.repeat([0, 1], [len(source), len(accessible)]), [*source, *accessible])
    assert auroc == pytest.approx(0.5, abs=0.08)


def test_the_cells_of_the_scale_benchmark_cover_a_fifth_of_the_sites_and_fit_its_config(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    runpy.run_path(str(BENCHMARKS / "cpg_scale.py"))["write_world"](tmp_path, sites=4000, cells=10)
    experiment = Experiment.open(load_config(tmp_path / "cells.yaml"))
    states = experiment.store.signals("methylation")
    assert len(states) == pytest.approx((1 - 0.8**10) * 4000, rel=0.02)  # those that some cell covers
    assert np.isfinite(states).sum() == pytest.approx(0.2 * 4000 * 10, rel=0.05)
    assert set(np.unique(states[np.isfinite(states)])) == {0, 1}
    assert len(experiment.dataset("train", 0)) == pytest.approx(len(states) / 2, rel=0.05)


@pytest.fixture(scope="module")
def whole_genome(tmp_path_factory) -> dict:
    """The benchmark of whole genomes, with a genome of 2.5 Mb that it has written and prepared."""
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(BENCHMARKS)
        module = runpy.run_path(str(BENCHMARKS / "whole_genome.py"))
    folder = tmp_path_factory.mktemp("genome")
    module["write_world"](folder, 2.5, tracks=2, edges_per_node=3)
    module["run_stage"]("prepare", folder, 0)
    return {**module, "folder": folder}


def test_the_genome_of_the_scale_benchmark_is_as_long_as_asked_in_the_proportions_of_hg38(whole_genome):
    store = Store.open(whole_genome["folder"] / "store")
    assert store.sizes == whole_genome["chrom_sizes"](2.5)
    assert len(store.sizes) == 24
    assert sum(store.sizes.values()) == pytest.approx(2_500_000, abs=24)
    assert store.sizes["chr1"] / store.sizes["chr21"] == pytest.approx(249 / 46.7, rel=0.001)
    assert store.mask.all()
    assert np.isfinite(store.signals("coverage")).all()
    assert len(np.unique(store.signals("coverage"))) == 8


def test_every_contact_of_the_scale_benchmark_becomes_an_edge_20_kb_apart_or_more(whole_genome):
    experiment = Experiment.open(load_config(whole_genome["folder"] / "genome.yaml"))
    graph, nodes = experiment.graph, experiment.store.nodes
    source, destination = graph.edge_index[:, graph.of_type("hic")]
    assert len(source) == 2 * len(experiment.store.contacts)
    assert nodes.bp_between(source, destination).min() == 20_000


def test_the_scale_benchmark_times_steps_and_tells_how_large_the_graph_is(whole_genome):
    assert whole_genome["run_stage"]("graph", whole_genome["folder"], 0)["nodes"] == len(
        Store.open(whole_genome["folder"] / "store").nodes
    )
    assert whole_genome["run_stage"]("train", whole_genome["folder"], 3)["step"] > 0


def test_the_scale_benchmark_fits_growth_by_gb_and_draws_it(whole_genome):
    nan, row = float("nan"), whole_genome["Row"]
    rows = [row(mb, 1, 1, 2, "prepare", 3.0, 300 + mb, 400 + 2 * mb, nan) for mb in (100, 1100)]
    rows += [row(mb, 1, 1, 2, "graph", 3.0, 500.0, 600.0, nan) for mb in (100, 1100)]
    rows += [row(mb, 1, 1, 2, "train", 3.0, 500.0, 600.0, 20 + mb / 100) for mb in (100, 1100)]
    assert whole_genome["slopes"](rows, "size").splitlines()[2:] == [
        "| prepare | 1000 | 2000 |  |",
        "| graph | 0 | 0 |  |",
        "| train | 0 | 0 | 10.0 |",
    ]
    drawn = ElementTree.fromstring(whole_genome["figure"](rows, "size"))
    assert drawn.tag == "{http://www.w3.org/2000/svg}svg"
    assert {each.text for each in drawn.iter("{http://www.w3.org/2000/svg}text")} >= {"prepare", "graph", "train"}


def test_the_scale_benchmark_fits_growth_by_what_was_varied(whole_genome):
    stages, row = whole_genome["STAGES"], whole_genome["Row"]
    by_tracks = [row(300, n, 1, 2, stage, 3.0, 500 + 7 * n, 600.0, 20.0 + n) for n in (1, 20) for stage in stages]
    assert whole_genome["slopes"](by_tracks, "tracks").splitlines()[-1] == "| train | 7 | 0 | 1.0 |"
    by_edges = [row(300, 1, 1, n, stage, 3.0, 500.0, 600.0, n / 1e6) for n in (10**6, 10**7) for stage in stages]
    assert whole_genome["slopes"](by_edges, "edges").splitlines()[-1] == "| train | 0 | 0 | 1.0 |"


def test_memory_that_a_stage_takes_for_a_moment_is_measured(whole_genome):
    """50 MB for 0.2 seconds are not missed."""

    def stage():
        # Not from the heap, which may have as much left over.
        with mmap.mmap(-1, 50_000_000, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as held:
            held.write(bytes(50_000_000))
            time.sleep(0.2)

    idle, busy = (whole_genome["measured"](each) for each in (lambda: None, stage))
    assert busy.own - idle.own > 45
    assert busy.seconds > 0.2
