"""A folder is one ablation's as soon as its audit has passed, and no other's from then on."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from genograph.ablate.arms import make_arms
from genograph.ablate.claim import claimed, sources_of
from genograph.ablate.grid import Run
from genograph.config import load_config
from genograph.errors import InputError
from tests.tiny import write_cool

DATA = {"genome.fasta": "a", "contacts.file": "b"}


@pytest.fixture
def config(world):
    return load_config(world)


def claim(folder, config, sources=DATA, runs=()):
    with claimed(folder, config, sources, runs):
        pass


def test_a_folder_that_was_refused_is_free_for_other_data_and_another_config(tmp_path, config, world):
    with pytest.raises(InputError, match="a leak"), claimed(tmp_path, config, DATA, []):
        raise InputError("a leak")
    claim(tmp_path, load_config(world, ["training.learning_rate=0.5"]), {"genome.fasta": "c"})


def test_other_data_are_refused_in_a_folder_that_is_taken(tmp_path, config):
    claim(tmp_path, config)
    with pytest.raises(InputError, match=r"holds runs of other data: genome\.fasta changed since"):
        claim(tmp_path, config, DATA | {"genome.fasta": "c"})


def test_what_a_call_does_not_read_is_remembered_for_the_next(tmp_path, config):
    claim(tmp_path, config, DATA | {"other": "x"})
    claim(tmp_path, config)
    with pytest.raises(InputError, match="other changed since"):
        claim(tmp_path, config, DATA | {"other": "y"})


def test_the_data_of_every_arm_and_the_candidates_are_known_by_their_content(world, tmp_path):
    other, bed = tmp_path / "other.cool", tmp_path / "candidates.bed"
    shutil.copy(world.parent / "other.cool", other)
    bed.write_text("chrA\t0\t20000\nchrC\t0\t4000\n")
    changes = [f"graph.candidates={bed}", f"ablation.other_contacts={other}", f"store={tmp_path / 'store'}"]
    arms = make_arms(load_config(world, [*changes, "ablation.arms=[hic,no_graph,other_contacts]"]))
    before = sources_of(arms)
    assert before["contacts.file"] != before["other_contacts: contacts.file"]
    bed.write_text("chrA\t0\t4000\nchrC\t0\t4000\n")
    write_cool(other, np.random.default_rng(9))
    after = sources_of(arms)
    changed = {key for key in before if before[key] != after[key]}
    assert changed == {"graph.candidates", "other_contacts: graph.candidates", "other_contacts: contacts.file"}


def test_a_run_that_was_trained_otherwise_is_refused(tmp_path, config, world):
    run = Run("few", 0, 0, tmp_path / "runs" / "few", config)
    run.folder.mkdir(parents=True)
    (run.folder / "config.yaml").write_text(load_config(world, ["graph.edges.1.top_k=1"]).to_yaml())
    with pytest.raises(InputError, match=r"few, fold 0, seed 0 was trained with another config: graph\.edges"):
        claim(tmp_path, config, runs=[run])
