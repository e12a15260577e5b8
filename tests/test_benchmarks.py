"""What the benchmarks compare; how fast it is, they say themselves."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from genograph.config import load_config
from genograph.experiment import Experiment

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


def test_the_cells_of_the_scale_benchmark_cover_a_fifth_of_the_sites_and_fit_its_config(tmp_path):
    runpy.run_path(str(BENCHMARKS / "cpg_scale.py"))["write_world"](tmp_path, sites=4000, cells=10)
    experiment = Experiment.open(load_config(tmp_path / "cells.yaml"))
    states = experiment.store.signals("methylation")
    assert len(states) == pytest.approx((1 - 0.8**10) * 4000, rel=0.02)  # those that some cell covers
    assert np.isfinite(states).sum() == pytest.approx(0.2 * 4000 * 10, rel=0.05)
    assert set(np.unique(states[np.isfinite(states)])) == {0, 1}
    assert len(experiment.dataset("train", 0)) == pytest.approx(len(states) / 2, rel=0.05)
