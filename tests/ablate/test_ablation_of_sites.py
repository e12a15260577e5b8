"""Sites are audited and compared as bins are."""

from __future__ import annotations

import numpy as np
import pytest

from genograph.ablate import ablate
from genograph.audit import audit
from genograph.config import load_config
from genograph.dataset import PieceReader
from genograph.experiment import Experiment
from genograph.genome.splits import VALID
from tests.prepare.test_prepare_sites import SIZES, world
from tests.tiny import write_cool

__all__ = ["world"]


@pytest.fixture(scope="module")
def mapped(world):
    """The peaks with a contact map, and settings that join them."""
    path = world.parent / "map.cool"
    write_cool(path, np.random.default_rng(0), sizes=SIZES, resolution=1000)
    return [
        "contacts={file: map.cool}",
        "bins.node_size=1000",
        "graph.edges=[{name: linear}, {name: hic, top_k: 3, min_distance: 3000}]",
        "model.processor=[{name: sage}]",
        "batch={window: 8, size: 4, partners: 2}",
        "training.max_epochs=1",
        f"store={world.parent / 'store-mapped'}",
    ]


def test_an_ablation_of_sites_ends_with_a_verdict(world, mapped, tmp_path):
    config = load_config(world, [*mapped, "ablation={arms: [no_graph, rewired], seeds: 2}"])
    verdict = ablate(config, tmp_path / "ablation", workers=1)
    assert verdict.label
    assert (tmp_path / "ablation" / "report.html").is_file()


def test_sequence_about_a_site_is_cut_where_the_next_is_of_another_split(world, mapped):
    changes = ["splits={train: [chr1], valid: ['chr2:0-12,000'], test: ['chr2:12,000-24,000']}", "batch={window: 1}"]
    config = load_config(world, [*mapped, *changes, "model.encoder.input_length=1260"])
    experiment = Experiment.open(config)
    assert statuses(experiment)["context_across_splits"] == "ok"
    windows, bins = experiment.dataset("valid", 10), experiment.store.bins
    last = int(np.flatnonzero(experiment.split_of_bin == VALID)[-1])
    start, beyond = (int(bins.starts(np.array(site))) for site in (last, last + 1))
    number = int(np.flatnonzero(windows.windows[:, 1] == last)[0])
    batch = windows.make_batch([number])
    codes = batch.codes[batch.source[0]]
    known = beyond - (start - 600)
    assert known < 1260
    assert (codes[:known] < 4).all()
    assert (codes[known:] == 4).all()


def test_the_audit_tells_of_sites_that_lie_in_two_splits(world, mapped, monkeypatch):
    changes = ["splits={train: [chr1], valid: ['chr2:0-12,000'], test: ['chr2:12,000-24,000']}", "batch={window: 1}"]
    experiment = Experiment.open(load_config(world, [*mapped, *changes, "model.encoder.input_length=1260"]))
    monkeypatch.setattr(PieceReader, "_site_codes", uncut)
    assert statuses(experiment)["context_across_splits"] == "leak"


def uncut(reader, run, site, chrom, shift):
    """The sequence about a site, whatever lies in it."""
    bins = reader.store.bins
    start = int(bins.starts(np.array(site))) - reader.halo * bins.bin_size + shift
    return reader.store.codes(bins.chroms[chrom], start, start + (1 + 2 * reader.halo) * bins.bin_size)


def statuses(experiment):
    return {each.check: each.status for each in audit(experiment)}
