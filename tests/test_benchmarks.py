"""What the benchmarks compare; how fast it is, they say themselves."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

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
