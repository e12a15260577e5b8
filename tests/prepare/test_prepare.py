from __future__ import annotations

import json
import logging
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

import genograph.prepare.build_store
import genograph.rebuild
from genograph.config import load_config
from genograph.errors import InputError
from genograph.prepare import prepare
from genograph.rebuild import sha256
from genograph.store import Store
from tests.tiny import SIZES, write_bigwig, write_world


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A tiny world with its store, to be looked at only."""
    folder = tmp_path_factory.mktemp("source")
    prepare(load_config(write_world(folder)))
    return folder


@pytest.fixture
def world(source, tmp_path):
    """A tiny world with its store, to be changed at will; the path of its config."""
    shutil.copytree(source, tmp_path, dirs_exist_ok=True)
    return tmp_path / "tiny.yaml"


@pytest.fixture
def reasons(caplog):
    """Why stores were built, one string per build."""
    caplog.set_level(logging.INFO, logger="genograph")

    def read():
        return [each.getMessage() for each in caplog.records if each.getMessage().startswith("Preparing")]

    return read


def identity(path):
    """What changes when a store is built anew."""
    stat = (path / "manifest.json").stat()
    return stat.st_ino, stat.st_mtime_ns


def beside(path):
    return sorted(each.name for each in path.parent.iterdir() if each.name.startswith(f".{path.name}."))


def test_a_store_is_used_again_without_reading_its_sources(source, reasons, monkeypatch):
    before = identity(source / "store")

    def refuse(path):
        raise AssertionError(f"read {path}")

    monkeypatch.setattr(genograph.rebuild, "sha256", refuse)
    assert prepare(load_config(source / "tiny.yaml")).path == source / "store"
    assert identity(source / "store") == before
    assert reasons() == []


def test_a_touched_file_and_moved_data_are_no_reason_to_build_again(source, tmp_path, reasons):
    folder = tmp_path / "elsewhere"
    shutil.copytree(source, folder, copy_function=shutil.copyfile)
    codes = (folder / "store" / "codes.npy").stat().st_ino
    os.utime(folder / "gc.bw", (1, 1))
    prepare(load_config(folder / "tiny.yaml"))
    assert (folder / "store" / "codes.npy").stat().st_ino == codes
    assert reasons() == []


def test_a_touched_file_is_read_again_once(world, monkeypatch):
    read = []
    monkeypatch.setattr(genograph.rebuild, "sha256", lambda path: read.append(path.name) or sha256(path))
    before = Store.open(world.parent / "store").manifest
    prepare(load_config(world))
    read.clear()
    os.utime(world.parent / "gc.bw", (1, 1))
    for _ in range(2):
        prepare(load_config(world))
    assert read == ["gc.bw"]
    after = Store.open(world.parent / "store").manifest
    assert after["sources"]["track gc"]["modified_ns"] == 10**9
    assert {**after, "sources": None} == {**before, "sources": None}


def test_a_touched_file_is_no_reason_to_fail_where_the_store_may_not_be_written(world, monkeypatch):
    def refuse(path, prints):
        raise PermissionError("read-only")

    monkeypatch.setattr(genograph.rebuild, "write_json", refuse)
    os.utime(world.parent / "gc.bw", (1, 1))
    assert len(prepare(load_config(world)).bins) == 624


def test_a_source_that_may_not_be_read_is_named(world, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(genograph.rebuild, "sha256", refuse)
    os.utime(world.parent / "genome.fa", (1, 1))
    with pytest.raises(InputError, match=r"genome\.fasta: cannot read .*genome\.fa: Permission denied"):
        prepare(load_config(world))


def change_track(folder):
    write_bigwig(folder / "gc.bw", {chrom: np.full(size, 2.0) for chrom, size in SIZES.items()})
    return []


def change_genome(folder):
    text = (folder / "genome.fa").read_text()
    (folder / "genome.fa").write_text(text[:10] + ("A" if text[10] == "C" else "C") + text[11:])
    return []


def change_table(folder):
    table = (folder / "targets.tsv").read_text()
    (folder / "targets.tsv").write_text(table.replace("GC content", "share of G and C"))
    return []


def add_blacklist(folder):
    (folder / "black.bed").write_text("chrA\t0\t128\n")
    return ["genome.blacklist=black.bed"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (change_track, "the content of track gc"),
        (change_genome, "the content of genome.fasta"),
        (change_table, "the content of tracks.targets"),
        (add_blacklist, "genome.blacklist is new"),
        (lambda folder: ["tracks.genes=null"], "tracks.genes is gone"),
        (lambda folder: ["bins.bin_size=256"], "bins: {'bin_size': 128, 'node_size': 2000} -> {'bin_size': 256"),
        (lambda folder: ["genome.chroms=[chrA, chrC]"], "genome: {'chroms': None"),
        (lambda folder: ["tracks.paint=tss"], "paint: gene -> tss"),
        (lambda folder: ["contacts.max_distance=10000"], "contacts: {"),
    ],
)
def test_a_store_is_built_again_for_a_reason_that_is_said(world, reasons, change, reason):
    before = identity(world.parent / "store")
    config = load_config(world, change(world.parent))
    prepare(config)
    (said,) = reasons()
    assert reason in said
    assert ";" not in said
    assert identity(world.parent / "store") != before
    prepare(config)
    assert len(reasons()) == 1


def test_what_is_built_again_holds_the_new_values(world):
    change_track(world.parent)
    store = prepare(load_config(world, ["bins.bin_size=256"]))
    assert store.bins.bin_size == 256
    np.testing.assert_array_equal(store.signals("coverage"), np.full((156 + 93 + 62, 1), 2, np.float32))


def test_settings_that_a_store_does_not_depend_on_leave_it_alone(world, reasons):
    prepare(load_config(world, ["batch.window=32", "seed=5", "graph.edges=[]", "training.max_epochs=9"]))
    assert reasons() == []


def test_arrays_of_an_open_store_outlive_its_replacement(world):
    signals = Store.open(world.parent / "store").signals("coverage")
    before = np.array(signals)
    change_track(world.parent)
    prepare(load_config(world))
    np.testing.assert_array_equal(signals, before)


def test_a_store_of_another_format_is_refused_by_name_and_built_again(world, reasons):
    path = world.parent / "store"
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps(manifest | {"format_version": 0}))
    with pytest.raises(InputError, match=r"format 0, this genograph reads 4\. Rebuild it: genograph prepare"):
        Store.open(path)
    assert prepare(load_config(world)).manifest["format_version"] == 4
    assert reasons() == [f"Preparing {path}: format version 0 -> 4."]


@pytest.mark.parametrize("manifest", [None, "", "[1]", '{"name": "an app"}'])
def test_a_folder_that_is_no_store_is_never_replaced(source, tmp_path, manifest):
    (tmp_path / "thesis.txt").write_text("years of work")
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(manifest)
    with pytest.raises(InputError, match="is there already and is no store"):
        prepare(load_config(source / "tiny.yaml", [f"store={tmp_path}"]))
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    assert beside(tmp_path) == [f".{tmp_path.name}.lock"]


def test_a_file_is_never_replaced_by_a_store(source, tmp_path):
    (tmp_path / "store").write_text("mine")
    with pytest.raises(InputError, match="is there already and is no store"):
        prepare(load_config(source / "tiny.yaml", [f"store={tmp_path / 'store'}"]))
    assert (tmp_path / "store").read_text() == "mine"


def test_an_empty_folder_becomes_the_store(source, tmp_path):
    (tmp_path / "store").mkdir()
    assert len(prepare(load_config(source / "tiny.yaml", [f"store={tmp_path / 'store'}"])).bins) == 624


def test_a_missing_source_is_named_and_the_store_stays(world):
    before = identity(world.parent / "store")
    (world.parent / "genes.tsv").unlink()
    with pytest.raises(InputError, match=r"tracks\.genes: no such file: .*genes\.tsv"):
        prepare(load_config(world))
    assert identity(world.parent / "store") == before


def test_a_build_that_fails_leaves_the_old_store_and_nothing_else(world):
    path = world.parent / "store"
    before = identity(path)
    (world.parent / "gc.bw").write_bytes(b"no bigWig")
    with pytest.raises(InputError, match=r"gc\.bw cannot be read as a bigWig"):
        prepare(load_config(world))
    assert identity(path) == before
    assert len(Store.open(path).signals("coverage")) == 624
    assert beside(path) == [".store.lock"]


KILLED = """
import os, signal, sys
import genograph.prepare.build_store
from genograph.config import load_config
genograph.prepare.build_store.write_tracks = lambda *args, **options: os.kill(os.getpid(), signal.SIGKILL)
genograph.prepare.build_store.prepare(load_config(sys.argv[1], ["bins.bin_size=256"]))
"""


def test_a_build_that_is_killed_leaves_the_old_store_and_is_cleaned_up_by_the_next(world):
    path = world.parent / "store"
    before = identity(path)
    assert subprocess.run([sys.executable, "-c", KILLED, world]).returncode == -signal.SIGKILL
    assert beside(path) == [".store.building", ".store.lock"]
    assert identity(path) == before
    assert Store.open(path).bins.bin_size == 128
    assert prepare(load_config(world, ["bins.bin_size=256"])).bins.bin_size == 256
    assert beside(path) == [".store.lock"]


def test_a_store_that_was_moved_away_when_its_replacement_was_killed_comes_back(world, reasons):
    path = world.parent / "store"
    before = identity(path)
    path.rename(path.parent / ".store.old")
    (path.parent / ".store.building").mkdir()
    prepare(load_config(world))
    assert identity(path) == before
    assert beside(path) == [".store.lock"]
    assert reasons() == []


def test_a_stores_name_may_hold_any_character(source, tmp_path):
    path = tmp_path / "a[1]*"
    (tmp_path / ".a[1]*.building").mkdir()
    assert prepare(load_config(source / "tiny.yaml", [f"store='{path}'"])).path == path


def test_of_two_processes_at_once_one_builds_and_both_get_the_store(world, monkeypatch):
    write_codes, builds = genograph.prepare.build_store._write_codes, world.parent / "builds"

    def counted(*args):
        with builds.open("a") as file:
            file.write("x")
        return write_codes(*args)

    monkeypatch.setattr(genograph.prepare.build_store, "_write_codes", counted)
    context = multiprocessing.get_context("fork")
    barrier, shapes = context.Barrier(2), context.Queue()

    def work():
        barrier.wait()
        shapes.put(prepare(load_config(world, ["bins.bin_size=64"])).signals("expression").shape)

    processes = [context.Process(target=work) for _ in range(2)]
    for process in processes:
        process.start()
    assert [shapes.get(timeout=60) for _ in processes] == [(625 + 375 + 251, 2)] * 2
    for process in processes:
        process.join()
    assert builds.read_text() == "x"
    assert beside(world.parent / "store") == [".store.lock"]
