from __future__ import annotations

import multiprocessing
import os
import shutil
import signal

import numpy as np
import pytest

import genograph.prepare.build_store
import genograph.prepare.tracks
import genograph.rebuild
from genograph.config import load_config
from genograph.prepare import prepare
from tests.tiny import SIZES, write_bigwig, write_world

# In order: three chromosomes; a track, its rows; two tracks, their rows; values and reads of one, their rows each.
WRITTEN = 12


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A tiny world with a store that was prepared without a stop."""
    folder = tmp_path_factory.mktemp("whole")
    prepare(load_config(write_world(folder)))
    return folder


@pytest.fixture
def world(whole, tmp_path):
    """The same world without a store; the path of its config."""
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "store")
    return tmp_path / "tiny.yaml"


def kill_at(config, number, overrides=()):
    """Prepare in a process that is killed when it has written its `number`th part, before it has noted so."""

    def work():
        written = iter(range(1, WRITTEN + 1))
        os.fsync = lambda file: next(written) == number and os.kill(os.getpid(), signal.SIGKILL)
        prepare(load_config(config, [*overrides]))

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def arrays(store):
    """Every file of a store but the manifest, which says where sources lie and when they were touched."""
    files = (file for file in store.rglob("*") if file.is_file() and file.name != "manifest.json")
    return {str(file.relative_to(store)): file.read_bytes() for file in files}


@pytest.fixture
def read(monkeypatch):
    """The chromosomes and tracks that are read, in order."""
    names = []
    fasta, signals, methylation = (
        genograph.prepare.build_store.read_fasta,
        genograph.prepare.tracks.read_signal,
        genograph.prepare.tracks.read_methylation,
    )

    def read_fasta(*args, **options):
        for name, codes in fasta(*args, **options):
            names.append(name)
            yield name, codes

    def noting(reader):
        return lambda target, *args, **options: names.append(target.identifier) or reader(target, *args, **options)

    monkeypatch.setattr(genograph.prepare.build_store, "read_fasta", read_fasta)
    monkeypatch.setattr(genograph.prepare.tracks, "read_signal", noting(signals))
    monkeypatch.setattr(genograph.prepare.tracks, "read_methylation", noting(methylation))
    return names


@pytest.mark.parametrize("number", range(1, WRITTEN + 1))
def test_a_build_killed_anywhere_goes_on_to_the_bytes_of_one_that_was_not(whole, world, number):
    kill_at(world, number)
    store = prepare(load_config(world))
    assert arrays(store.path) == arrays(whole / "store")
    assert store.manifest["clip_report"] == prepare(load_config(whole / "tiny.yaml")).manifest["clip_report"]
    assert not [each for each in world.parent.iterdir() if each.name == ".store.building"]


@pytest.mark.parametrize(
    ("number", "rest"),
    [
        (1, ["chrA", "chrB", "chrC", "gc", "fwd", "rev", "meth"]),
        (3, ["chrC", "gc", "fwd", "rev", "meth"]),
        (4, ["gc", "fwd", "rev", "meth"]),
        (7, ["rev", "meth"]),
        (12, []),
    ],
)
def test_what_was_whole_is_not_read_again_after_a_kill(world, read, number, rest):
    kill_at(world, number)
    prepare(load_config(world))
    assert read == rest


def test_the_map_is_not_read_again_after_a_kill_among_the_tracks(world, monkeypatch):
    kill_at(world, 4)
    monkeypatch.setattr(genograph.prepare.build_store, "write_contacts", None)
    assert len(prepare(load_config(world)).contacts) > 0


def test_sources_are_not_hashed_again_after_a_kill(world, monkeypatch):
    kill_at(world, 7)
    monkeypatch.setattr(genograph.rebuild, "sha256", None)
    assert len(prepare(load_config(world)).bins) == 624


def test_a_source_that_changed_since_the_kill_is_not_mixed_with_what_was_read_before(world, read):
    kill_at(world, 7)
    write_bigwig(world.parent / "gc.bw", {chrom: np.full(size, 2.0) for chrom, size in SIZES.items()})
    store = prepare(load_config(world))
    assert (store.signals("coverage") == 2).all()
    assert read == ["chrA", "chrB", "chrC", "gc", "fwd", "rev", "meth"]


def test_a_killed_build_of_other_settings_is_not_gone_on_with(whole, world, read):
    kill_at(world, 7, ["bins.bin_size=256"])
    assert arrays(prepare(load_config(world)).path) == arrays(whole / "store")
    assert len(read) == 7


def test_an_interrupted_build_goes_on_too(whole, world, read, monkeypatch):
    def interrupt(*args, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(genograph.prepare.tracks, "read_methylation", interrupt)
        with pytest.raises(KeyboardInterrupt):
            prepare(load_config(world))
    read.clear()
    assert arrays(prepare(load_config(world)).path) == arrays(whole / "store")
    assert read == ["meth"]
