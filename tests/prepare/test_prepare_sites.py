"""From peaks and CpG sites in files to sites with labels, and the road from there to a trained model."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml

from genograph.assays.cpg_neighbours import CoveredSites
from genograph.assays.cpg_states import CpgStates
from genograph.assays.negative_sites import gc_of_sites
from genograph.config import load_config
from genograph.describe import models
from genograph.errors import InputError
from genograph.evaluate import evaluate
from genograph.experiment import Experiment
from genograph.export import export
from genograph.genome.sites import SITE_KINDS, Sites
from genograph.genome.splits import TRAIN
from genograph.predict import predict
from genograph.prepare import prepare, sites
from genograph.store import MANIFEST, write_json
from genograph.train import train
from tests.tiny import write_fasta

MOTIF = np.array([2, 0, 3, 0, 0, 2])  # GATAAG
SIZES = {"chr1": 60_000, "chr2": 24_000, "chr3": 24_000}
LENGTH, EVERY = 60, 200


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A genome with a motif in every other stretch of 200 bp, which is where peaks are."""
    folder, rng = tmp_path_factory.mktemp("peaks"), np.random.default_rng(0)
    codes = {chrom: rng.integers(0, 4, size).astype(np.uint8) for chrom, size in SIZES.items()}
    beds = {"one": [], "two": []}
    for chrom, size in SIZES.items():
        for number, middle in enumerate(range(100, size - 100, EVERY)):
            if number % 2:
                at = middle + int(rng.integers(-20, 14))
                codes[chrom][at : at + 6] = MOTIF
                codes[chrom][at + 6 : at + 12] = MOTIF
                name = "one" if number % 4 == 1 else "two"
                beds[name].append(f"{chrom}\t{middle - 20}\t{middle + 20}")
    write_fasta(folder / "genome.fa", codes)
    for name, lines in beds.items():
        (folder / f"{name}.bed").write_text("\n".join(lines) + "\n")
    (folder / "elsewhere.bed").write_text("chr1\t90\t110\nchr1\t280\t320\nchr2\t680\t720\n")
    (folder / "targets.tsv").write_text(
        "identifier\tfile\tassay\none\tone.bed\taccessibility\ntwo\ttwo.bed\taccessibility\n"
    )
    tree = {
        "name": "peaks",
        "store": "store",
        "genome": {"fasta": "genome.fa"},
        "tracks": {"targets": "targets.tsv"},
        "bins": {"bin_size": LENGTH},
        "sites": {"source": "peaks", "overlap": 20, "negatives": {"random": 0.5}},
        "splits": {"valid": ["chr2"], "test": ["chr3"]},
        "batch": {"window": 1, "size": 32},
        "augment": {"shift": 0},
        "model": {
            "encoder": {
                "name": "basset",
                "input_length": LENGTH,
                "blocks": [{"filters": 16, "kernel": 8, "pool": 4}],
                "hidden": [16],
            },
            "heads": {"accessibility": {"loss": "bce"}},
        },
        "training": {"max_epochs": 15, "learning_rate": 0.01, "accelerator": "cpu", "devices": 1, "threads": 1},
        "evaluation": {"kmer_ridge": 3},
    }
    path = folder / "peaks.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


def open_store(world, *changes):
    config = load_config(world, [f"store={world.parent / 'store'}-{abs(hash(changes))}", *changes])
    return prepare(config)


def kinds(store):
    return np.bincount(store.sites[:, 2], minlength=4).tolist()


def test_a_store_of_peaks_has_a_site_for_each_with_the_tracks_that_have_it(world):
    store = open_store(world, "sites.negatives.random=0")
    assert store.bins.interval(0).start == 300 - LENGTH // 2
    assert store.signals("accessibility")[:4].tolist() == [[1, 0], [0, 1], [1, 0], [0, 1]]
    assert len(store.bins) == sum(len(range(100, size - 100, EVERY)) // 2 for size in SIZES.values())
    assert len(store.nodes) == len(store.bins)


def test_a_store_of_peaks_that_were_merged_by_other_weights_is_built_anew(world, caplog):
    path = open_store(world, "seed=1").path
    manifest = json.loads((path / MANIFEST).read_text())
    del manifest["recipe"]["merged as Basset does"]
    write_json(path / MANIFEST, manifest)
    caplog.set_level("INFO", logger="genograph")
    open_store(world, "seed=1")
    assert "merged as Basset does: None -> True" in caplog.text


def test_negatives_are_of_no_track_and_touch_no_peak(world):
    store = open_store(world, "sites.negatives={flanking: 1, accessible: elsewhere.bed, random: 0.25}")
    signals, kind = store.signals("accessibility"), store.sites[:, 2]
    assert (signals[kind == 0].sum(axis=1) == 1).all()
    assert not signals[kind > 0].any()
    assert kinds(store)[:3] == [267, 2 * 267, 1]  # of the three regions elsewhere two are peaks
    assert kinds(store)[3] == round(0.25 * 267)


def gc_classes(store, kind, length):
    """How many sites of a kind have each twentieth of GC content over `length` bp."""
    of_kind = store.sites[store.sites[:, 2] == SITE_KINDS.index(kind)]
    sites = Sites(store.sizes, LENGTH, chrom=of_kind[:, 0], start=of_kind[:, 1])
    codes = np.concatenate([store.codes(chrom, 0, size) for chrom, size in store.sizes.items()])
    return np.bincount((20 * gc_of_sites(codes, sites, length=length)).astype(int), minlength=20)


@pytest.mark.parametrize(("match_gc", "length"), [("true", LENGTH), ("300", 300)])
def test_random_negatives_have_the_gc_content_of_the_source_over_the_length_that_is_asked_for(world, match_gc, length):
    store = open_store(world, f"sites.negatives={{random: 0.5, match_gc: {match_gc}}}")
    source = gc_classes(store, "source", length)
    assert np.abs(gc_classes(store, "random", length) - 0.5 * source).max() < 1
    assert np.count_nonzero(source) > 3


def write_mappability(world, name, value):
    """A bedGraph with `value` in every other stretch of 200 bp, where peaks are, and nothing between them."""
    rows = [
        f"{chrom}\t{start}\t{start + EVERY}\t{value}"
        for chrom, size in SIZES.items()
        for start in range(EVERY, size, 2 * EVERY)
    ]
    (world.parent / name).write_text("\n".join(rows) + "\n")


def test_random_negatives_of_matched_mappability_lie_where_sites_of_the_source_can_be_mapped(world):
    write_mappability(world, "map.bedGraph", 1)
    store = open_store(world, "sites.negatives={random: 0.25, match_mappability: map.bedGraph}")
    is_random = store.sites[:, 2] == SITE_KINDS.index("random")
    within = np.minimum(store.sites[is_random, 1] % (2 * EVERY), 2 * EVERY - LENGTH)
    assert is_random.sum() == round(0.25 * 267)
    assert (within >= EVERY - 0.05 * LENGTH).all()  # a class is 5 % wide


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "percent.bedGraph",
            100,
            r"match_mappability: mappability is 0 to 1; .*percent.bedGraph reaches 100 over a site",
        ),
        ("map.bed", 1, r"match_mappability: mappability is read from bigWig or bedGraph; got .*map.bed"),
    ],
)
def test_what_is_no_mappability_is_refused(world, name, value, message):
    write_mappability(world, name, value)
    with pytest.raises(InputError, match=message):
        open_store(world, f"sites.negatives={{random: 0.25, match_mappability: {name}}}")


def test_tiles_are_labelled_by_the_peak_that_covers_half_of_them(world):
    store = open_store(world, "sites={source: peaks, stride: 10, negatives: {flanking: 2}}", "bins.bin_size=40")
    starts, kind = store.sites[:11, 1], store.sites[:11, 2]
    # The first peak is 280 to 320.
    assert starts[:9].tolist() == [*range(240, 330, 10)]
    assert kind[:9].tolist() == [1, 1, 0, 0, 0, 0, 0, 1, 1]
    assert store.signals("accessibility")[:9, 0].tolist() == [0, 0, 1, 1, 1, 1, 1, 0, 0]


def test_a_bed_of_places_makes_sites_about_their_midpoints(world):
    store = open_store(world, "sites={source: bed, bed: elsewhere.bed}")
    assert [str(store.bins.interval(site)) for site in range(3)] == [
        "chr1:70-130",
        "chr1:270-330",
        "chr2:670-730",
    ]
    assert store.signals("accessibility").tolist() == [[0, 0], [1, 0], [0, 1]]


def test_kinds_that_do_not_train_still_judge(world):
    config = load_config(world, [f"store={world.parent / 'store-kinds'}", "sites.train=[source]"])
    experiment = Experiment.open(config)
    kind = experiment.store.sites[:, 2]
    is_training = experiment.counted("train") & (experiment.split_of_bin == TRAIN)
    assert set(kind[is_training]) == {0}
    assert set(kind[experiment.counted("test")]) == {0, 3}
    windows = experiment.dataset("train", 0)
    assert len(windows) == is_training.sum()


def test_a_model_of_some_tracks_reads_the_sites_of_all(world):
    config = load_config(world, [f"store={world.parent / 'store-use'}", "tracks.use=[two]"])
    experiment, both = Experiment.open(config), prepare(config)
    batch = experiment.dataset("train", 0).make_batch([0, 1, 2, 3])
    np.testing.assert_array_equal(experiment.store.signals("accessibility")[:, 0], both.signals("accessibility")[:, 1])
    assert batch.target["accessibility"].shape == (4, 1, 1)
    assert experiment.model().tracks == {"accessibility": 1}
    assert models([config])["tracks"].item() == 1


@pytest.fixture(scope="module")
def run(world, tmp_path_factory):
    return train(load_config(world), tmp_path_factory.mktemp("run") / "run")


def test_a_model_learns_the_motif_of_peaks(run):
    accuracy = evaluate(run)
    assert accuracy["auroc"].max() > 0.6
    table = (run / "baselines.tsv").read_text()
    assert "3-mer ridge" in table
    experiment = Experiment.open(load_config(run))
    signals = experiment.store.signals("accessibility")
    assert len(signals) == 267 + round(267 / 2)


def test_predictions_of_sites_are_written_where_these_lie(run, tmp_path):
    import pyBigWig

    predict(run, tmp_path)
    with pyBigWig.open(str(tmp_path / "one.bw")) as file:
        first = file.intervals("chr1")[0]
    store = Experiment.open(load_config(run)).store
    assert first[0] == store.sites[0, 1]
    assert 0 < first[2] < 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["batch.chunk=4"], r"batch\.chunk: every site is read by itself"),
        (["sites.source=bed"], r"sites\.bed is the file of source: bed"),
        (["sites={source: bed, bed: elsewhere.bed, stride: 5}"], r"sites\.stride tiles peaks; source is bed"),
        (["sites.sauce=bed"], r"sites: no key 'sauce'\. Did you mean 'source'"),
        (["contacts={file: map.cool}"], r"bins\.node_size: contacts join nodes of one size, which hold sites"),
        (["tracks.genes=genes.gtf"], r"tracks\.genes: genes are of bins that tile the genome"),
    ],
)
def test_what_does_not_go_with_sites_is_refused(world, changes, message):
    with pytest.raises(InputError, match=message):
        load_config(world, changes)


def test_covered_sites_are_written_block_by_block_as_they_are_from_a_matrix(tmp_path, monkeypatch):
    rng, sizes = np.random.default_rng(0), {"a": 300, "b": 50, "c": 200}
    chrom = np.repeat([0, 2], [40, 25])
    start = np.concatenate([np.sort(rng.permutation(300)[:40]), np.sort(rng.permutation(200)[:25])])
    states = np.where(rng.random((65, 3)) < 0.4, rng.random((65, 3)), np.nan).astype(np.float32)
    states[:, 1] = np.nan
    monkeypatch.setattr(sites, "_PIECE", 30)
    sites.write_covered(Sites(sizes, 1, chrom=chrom, start=start), states, tmp_path / "covered")
    expected = CoveredSites.of(CpgStates(tuple(sizes), ("x", "y", "z"), chrom, start, states))
    for name in ("span", "position", "state"):
        np.testing.assert_array_equal(np.load(tmp_path / "covered" / f"{name}.npy"), getattr(expected, name))


def test_windows_of_sites_are_not_exported(world, tmp_path):
    with pytest.raises(InputError, match="sites: an export is of windows of bins that tile the genome"):
        export(load_config(world), tmp_path / "records")
    assert not (tmp_path / "records").exists()


def test_sites_of_peaks_need_tracks_of_peaks(world, tmp_path):
    with pytest.raises(InputError, match="no track of the targets table is of methylation"):
        open_store(world, "sites={source: covered}", "bins.bin_size=1")
