"""Is the verdict right on worlds whose truth is known? Scaled down: the motifs are given, only the graph is learned.

`benchmarks/worlds.py` asks the same of models that learn everything, on larger worlds.
"""

from __future__ import annotations

import pytest

from genograph.ablate import ablate, launchers
from genograph.ablate.grid import finish
from genograph.config import load_config
from genograph.errors import InputError
from genograph.nn import encoders
from genograph.simulate import simulate
from tests.planted import PlantedEncoder

WORLD = ("size=5000000", "chroms=5", "genes_per_mb=150", "elements_per_mb=300", "cells=0", "variants=0")
CLEAR = ("expression_reads=1000", "dispersion=0.01")
LEAKY_MAP = ("mappability_leak=true", "effect_scale=0")
ATTENTION = "{name: gat, dropout: 0}"
SUM = "{name: sage, aggregate: sum, dropout: 0}"  # shows a node how many neighbours it has


@pytest.fixture(autouse=True)
def planted(monkeypatch):
    """Runs in this process, which knows the encoder."""

    def here(runs, workers, folder, options):
        for run in runs:
            finish(run)
            yield run, None

    monkeypatch.setitem(launchers.LAUNCHERS, "here", here)
    monkeypatch.setitem(encoders.ENCODERS, "planted", PlantedEncoder)


def said_of(folder, settings, arms, layer=ATTENTION, overrides=()):
    world = simulate(folder / "world", [*WORLD, *CLEAR, *settings])
    config = load_config(
        world / "graph.yaml",
        [
            f"model.encoder={{name: planted, meme: {world / 'truth' / 'motifs.meme'}}}",
            f"model.processor=[{layer}]",
            "model.trunk={filters: 32}",
            "model.heads.accessibility.weight=1",
            "model.heads.methylation.weight=1",
            f"graph.candidates={world / 'elements.bed'}",
            "batch={window: 512, crop: 0, stride: 512, size: 4, partners: 96, chunk: 4}",
            "augment={}",
            "prediction={}",
            "training.max_epochs=15",
            "training.warmup=10",
            "training.weight_decay=0.01",
            f"ablation.arms=[{', '.join(arms)}]",
            "ablation.seeds=3",
            *overrides,
        ],
    )
    said = ablate(config, folder / "ablation", launcher="here", workers=1)
    print(said.sentence, *said.reasons, sep="\n")
    return said.label


def test_where_contacts_carry_effects_they_help(tmp_path):
    assert said_of(tmp_path, [], ["features_only", "rewired", "distance_matched"]) == "contacts help"


def test_where_contacts_carry_nothing_there_is_no_difference(tmp_path):
    assert said_of(tmp_path, ["effect_scale=0"], ["features_only"]) == "no difference found"


def test_where_a_hidden_cause_makes_expression_and_loops_degree_explains_the_gain(tmp_path):
    assert said_of(tmp_path, ["degree_leak=true"], ["features_only", "rewired"], SUM) == "degree explains it"


def test_what_neither_map_nor_tracks_see_is_refused_if_scored_and_makes_no_difference_if_masked(tmp_path):
    with pytest.raises(InputError, match=r"the audit found .* leaks"):
        said_of(tmp_path / "scored", LEAKY_MAP, ["features_only"], overrides=["contacts.mask=false"])
    assert said_of(tmp_path / "masked", LEAKY_MAP, ["features_only"]) == "no difference found"
