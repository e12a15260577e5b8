"""`.hic` files give what coolers of the same pixels give, to the last bit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path
from subprocess import PIPE

import cooler
import numpy as np
import pandas as pd
import pytest

from genograph.assays import hic as hic_module
from genograph.assays.contacts import ContactMap
from genograph.assays.hic import HicFile
from genograph.assays.map_file import open_map_file
from genograph.errors import InputError
from genograph.genome.bins import Bins
from genograph.graph import HiCEdges, TransEdges, build_graph
from tests.maps import NODES, SIZES, read, write_hic, write_hic_pixels, write_map

YEAST = {"II": "chr2", "IV": "chr4", "XVI": "chr16"}
BIAS = np.random.default_rng(5).uniform(0.5, 2.0, 12).astype(np.float32).astype(float)  # .hic files hold float32


@pytest.fixture
def counts():
    return np.random.default_rng(3).poisson(40 * BIAS[:, None] * BIAS)


def assert_same(one: ContactMap, other: ContactMap) -> None:
    for name in ("row", "col", "balanced", "weight", "mapped", "expected"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert one.trans_expected == other.trans_expected
    edges = [HiCEdges(top_k=2, min_distance=one.nodes.bin_size), TransEdges(top_k=2)]
    graphs = [build_graph(edges, each.nodes, each) for each in (one, other)]
    assert graphs[0].num_edges > 0
    np.testing.assert_array_equal(graphs[0].edge_index, graphs[1].edge_index)
    np.testing.assert_array_equal(graphs[0].edge_attr, graphs[1].edge_attr)


def both(folder, counts, nodes=NODES, **options) -> list[ContactMap]:
    """The map read from a cooler and from a `.hic` file."""
    uris = write_map(folder / "map.cool", SIZES, 100, counts), write_hic(folder / "map.hic", SIZES, 100, counts)
    return [read(uri, folder / str(i), nodes, trans=True, **options) for i, uri in enumerate(uris)]


@pytest.mark.parametrize("node_size", [100, 200])
def test_the_same_pixels_give_the_same_graph(tmp_path, counts, node_size):
    counts[3] = counts[:, 3] = 0  # a masked bin
    one, other = both(tmp_path, counts, Bins(SIZES, node_size, partial=True), balance=None)
    assert_same(one, other)


def test_vectors_of_a_hic_file_divide(tmp_path, counts):
    vector = BIAS.copy()
    vector[4] = np.nan
    cool = write_map(tmp_path / "map.cool", SIZES, 100, counts, 1 / vector)
    hic = write_hic(tmp_path / "map.hic", SIZES, 100, counts, {"KR": vector, "VC": vector * 2})
    one, other = read(cool, tmp_path / "one", trans=True), read(hic, tmp_path / "other", trans=True, balance="KR")
    assert one.masked[4]
    assert_same(one, other)


def test_what_is_between_chromosomes_is_read_only_where_it_is_kept(tmp_path, counts, monkeypatch):
    """Elsewhere a cooler, which holds all pixels in one table, gives the same map."""
    cool = write_map(tmp_path / "map.cool", SIZES, 100, counts, 1 / BIAS)
    hic = write_hic(tmp_path / "map.hic", SIZES, 100, counts, {"KR": BIAS})
    is_between, pixels = [], HicFile.pixels

    def noting(file, **options):
        for first, second, count in pixels(file, **options):
            is_between.extend((first < 7) & (second >= 7))
            yield first, second, count

    monkeypatch.setattr(HicFile, "pixels", noting)
    for trans in (False, True):
        is_between.clear()
        maps = [
            read(uri, tmp_path / f"{name}_{trans}", trans=trans, balance=balance)
            for uri, name, balance in ((cool, "cool", "weight"), (hic, "hic", "KR"))
        ]
        assert any(is_between) == trans
        for column in ("row", "col", "balanced", "weight"):
            np.testing.assert_array_equal(getattr(maps[0], column), getattr(maps[1], column), err_msg=column)


def test_chunks_do_not_change_what_is_read(tmp_path, counts, monkeypatch):
    file = open_map_file(write_hic(tmp_path / "map.hic", SIZES, 100, counts))
    whole = [np.concatenate(each) for each in zip(*file.pixels(), strict=True)]
    monkeypatch.setattr(hic_module, "CHUNK", 5)
    chunks = list(file.pixels())
    assert max(len(count) for _, _, count in chunks) == 5
    for one, other in zip(whole, zip(*chunks, strict=True), strict=True):
        np.testing.assert_array_equal(one, np.concatenate(other))


def test_memory_follows_the_chunk_and_not_the_map(tmp_path, monkeypatch):
    """300 bins that all meet: 45,150 pixels, 1.1 MB as they are read."""
    uri = write_hic(tmp_path / "map.hic", {"chr1": 30_000}, 100, np.ones((300, 300), int))
    monkeypatch.setattr(hic_module, "CHUNK", 1000)
    tracemalloc.start()
    found = sum(len(count) for _, _, count in open_map_file(uri).pixels())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == 45_150
    assert peak < 2e5


# The process that reads

ENDLESS = """
import os
from types import SimpleNamespace
is_hic = lambda path: True
class MultiResFile:
    def __init__(self, *args): open("pid", "w").write(str(os.getpid()))
    resolutions = lambda self: [100]
    chromosomes = lambda self: {"chr1": 700}
    def fetch(self, *args, **options):
        while True:
            yield SimpleNamespace(bin1_id=1, bin2_id=2, count=3)
            AFTER
File = MultiResFile
"""
READ = """
import os, sys
from genograph.assays.map_file import open_map_file
print("began", flush=True)
for _ in open_map_file("map.hic::/resolutions/100").pixels():
    print("read", "hictkpy" in sys.modules, flush=True)
"""


def stand_in(folder, monkeypatch, code):
    """Have processes that start from now on import a hictkpy of some code."""
    (folder / "path").mkdir()
    (folder / "path" / "hictkpy.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(folder / "path"))


def test_a_script_without_main_guard_reads_hictkpy_free(tmp_path, counts):
    write_hic(tmp_path / "map.hic", {"chr1": 700}, 100, counts[:7, :7])
    (tmp_path / "script.py").write_text(READ)
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("began\nread False\n", "")


def test_a_process_that_is_killed_is_told_in_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(hic_module, "CHUNK", 1)
    (tmp_path / "map.hic").touch()
    stand_in(tmp_path, monkeypatch, ENDLESS.replace("AFTER", "os.kill(os.getpid(), 9)"))
    pixels = open_map_file("map.hic::/resolutions/100").pixels()
    assert [each.tolist() for each in next(pixels)] == [[1], [2], [3]]
    with pytest.raises(
        InputError, match=r"map 'map\.hic::/resolutions/100': the process .* was ended by SIGKILL\. Give"
    ):
        next(pixels)


def test_an_error_of_the_process_is_told_with_its_exit_code(tmp_path, monkeypatch, capfd):
    (tmp_path / "map.hic").touch()
    stand_in(tmp_path, monkeypatch, "raise MemoryError")
    with pytest.raises(InputError, match="the process that reads it ended with exit code 1"):
        open_map_file(str(tmp_path / "map.hic"))
    assert capfd.readouterr().err.endswith("MemoryError\n")


@pytest.mark.parametrize("end", [lambda pid: os.killpg(pid, signal.SIGINT), lambda pid: os.kill(pid, signal.SIGKILL)])
def test_both_processes_end_where_the_reader_is_interrupted_or_killed(tmp_path, monkeypatch, end):
    stand_in(tmp_path, monkeypatch, ENDLESS.replace("AFTER", ""))
    (tmp_path / "map.hic").touch()
    # A job that a shell has in the background, and what it starts, is deaf to SIGINT.
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{heard}\nimport genograph.assays.hic as hic; hic.CHUNK = 10\n{READ}"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdout=PIPE, stderr=PIPE, text=True, start_new_session=True
    ) as reader:
        assert [reader.stdout.readline() for _ in range(2)] == ["began\n", "read False\n"]
        end(reader.pid)
        told = reader.communicate(timeout=60)[1]
    assert told.count("Traceback") == told.count("KeyboardInterrupt") == (reader.returncode == -signal.SIGINT)
    for _ in range(600):
        if not is_running(int((tmp_path / "pid").read_text())):
            return
        time.sleep(0.1)
    pytest.fail("the process that reads goes on")


def is_running(pid):
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


# What is refused


def test_a_resolution_that_is_not_in_the_file_lists_those_that_are(tmp_path, counts):
    uri = write_hic(tmp_path / "map.hic", SIZES, 100, counts)
    for wrong in (tmp_path / "map.hic", f"{tmp_path / 'map.hic'}::/resolutions/300"):
        with pytest.raises(InputError, match=f"No contact map at '{wrong}'. Name one of those in the file: {uri}"):
            read(wrong, tmp_path / "out")


def test_a_file_without_vectors_says_what_to_do(tmp_path, counts):
    uri = write_hic(tmp_path / "map.hic", SIZES, 100, counts)
    with pytest.raises(InputError, match=rf"no weights 'weight'.*contacts\.file: \['{uri}'\], or set balance: null"):
        read(uri, tmp_path / "out")


def test_vectors_are_listed_where_one_is_not_there(tmp_path, counts):
    uri = write_hic(tmp_path / "map.hic", SIZES, 100, counts, {"KR": BIAS, "VC": BIAS})
    with pytest.raises(InputError, match=r"no weights 'weight'.*Known: KR, VC"):
        read(uri, tmp_path / "out")


def test_without_hictkpy_the_extra_is_named(tmp_path, counts, monkeypatch):
    uri = write_hic(tmp_path / "map.hic", SIZES, 100, counts)
    stand_in(tmp_path, monkeypatch, "raise ImportError")
    with pytest.raises(InputError, match=r"map\.hic' is read by hictkpy.*pip install 'genograph\[hic\]'"):
        read(uri, tmp_path / "out")


def test_a_file_that_is_missing_cut_short_or_no_hic_is_named(tmp_path, counts):
    uri = write_hic(tmp_path / "map.hic", SIZES, 100, counts)
    with pytest.raises(InputError, match=r"No contact map '.*absent.hic'"):
        read(tmp_path / "absent.hic", tmp_path / "out")
    path = tmp_path / "map.hic"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"Cannot read contact map '.*map.hic.*cut short"):
        read(uri, tmp_path / "out")
    path.write_text("chrom\tstart\n")
    with pytest.raises(InputError, match=r"map.hic' is no .hic file"):
        read(uri, tmp_path / "out")


# A real map


def yeast_chromosomes(shared_data) -> tuple[dict[str, int], pd.DataFrame, np.ndarray]:
    """Sizes, pixels and weights of the chromosomes of `configs/yeast.yaml`, the weights as 1 over a float32."""
    whole = cooler.Cooler(str(shared_data / "yeast" / "scer_w303_g1_2kb_SRR8769554.cool"))
    sizes = {roman: int(whole.chromsizes[name]) for roman, name in YEAST.items()}
    bins = np.concatenate([np.arange(*whole.extent(name)) for name in YEAST.values()])
    number = np.full(whole.info["nbins"], -1)
    number[bins] = np.arange(len(bins))
    pixels = whole.pixels()[:]
    pixels["bin1_id"], pixels["bin2_id"] = np.sort([number[pixels["bin1_id"]], number[pixels["bin2_id"]]], axis=0)
    pixels = pixels[pixels["bin1_id"] >= 0].sort_values(["bin1_id", "bin2_id"])
    weight = whole.bins()["weight"][:].to_numpy()[bins]
    return sizes, pixels, 1 / (1 / weight).astype(np.float32).astype(float)


@pytest.mark.needs_shared_data
def test_yeast_as_hic_gives_the_graph_of_the_cooler(shared_data, tmp_path):
    sizes, pixels, weight = yeast_chromosomes(shared_data)
    bins = cooler.binnify(pd.Series(sizes), 2000).assign(weight=weight)
    cooler.create_cooler(str(tmp_path / "yeast.cool"), bins, pixels, ordered=True)
    columns = {key: each.tolist() for key, each in pixels.items()}
    hic = write_hic_pixels(tmp_path / "yeast.hic", sizes, 2000, columns, {"KR": 1 / weight})
    nodes = Bins(sizes, 4000, partial=True)
    from_hic = read(hic, tmp_path / "from_hic", nodes, trans=True, balance="KR")
    assert_same(from_hic, read(tmp_path / "yeast.cool", tmp_path / "from_cool", nodes, trans=True))
    assert len(from_hic) > 150_000
