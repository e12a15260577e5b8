"""DeepCpG's data files hold what its own programs expect, and come back as they were."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from genograph.assays.cpg_states import CpgStates
from genograph.assays.deepcpg_files import DeepcpgChunk, make_chunks, read_chunk, write_chunks
from genograph.errors import InputError
from genograph.genome.assembly import encode

NAN = np.nan
GENOME = {"chr2": "NACGATACGT", "chrM": "CGCG"}
# Sites of cells b and a: chr2:2 and 7, chrM:0 and 2.
STATES = CpgStates(
    ("chr2", "chrM"),
    ("b", "a"),
    np.array([0, 0, 1, 1]),
    np.array([2, 7, 0, 2]),
    np.array([[1, NAN], [0, 1], [NAN, 0], [1, 1]], dtype=np.float32),
)


def sequence(chrom, start, end):
    text = GENOME[chrom]
    return encode("".join(text[at] if 0 <= at < len(text) else "N" for at in range(start, end)))


def chunks(**options):
    inside = {"islands": np.array([True, False, False, True])}
    defaults = {"dna_width": 5, "count": 1, "min_cells": 2, "widths": (1001,), "annotations": inside}
    options = {"sequence": sequence, **defaults} | options
    return list(make_chunks(STATES, **options))


def assert_same(first, second):
    for name in ("position", "label", "dna", "state", "distance"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
        assert getattr(first, name).dtype == getattr(second, name).dtype
    assert first.cells == second.cells
    for one, other in [
        (first.statistics, second.statistics),
        (first.annotations, second.annotations),
        *((first.window_statistics[width], second.window_statistics[width]) for width in first.window_statistics),
    ]:
        assert set(one) == set(other)
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def test_a_file_read_is_the_chunk_that_was_written(tmp_path):
    written = chunks()
    paths = write_chunks(tmp_path, written)
    assert [path.name for path in paths] == ["c2_000000-000002.h5", "cM_000000-000002.h5"]
    for chunk, path, chrom in zip(written, paths, ("2", "M"), strict=True):
        back = read_chunk(path)
        assert back.chrom == chrom
        assert_same(chunk, back)


def test_a_file_has_the_layout_of_the_original(tmp_path):
    path, _ = write_chunks(tmp_path, chunks())
    with h5py.File(path) as file:
        arrays = {}
        file.visititems(lambda name, item: arrays.update({name: item[:]}) if isinstance(item, h5py.Dataset) else None)
    assert arrays["chromo"].tolist() == [b"2", b"2"]
    assert arrays["pos"].tolist() == [3, 8]  # from 1
    assert arrays["inputs/dna"].tolist() == [[4, 0, 3, 2, 0], [1, 0, 3, 2, 1]]  # A, T, G, C, N
    assert arrays["inputs/cpg/b/state"].tolist() == [[-1, 0], [1, -1]]
    assert arrays["inputs/cpg/b/dist"].tolist() == [[-1, 5], [5, -1]]
    assert arrays["inputs/cpg/a/state"].tolist() == [[-1, 1], [-1, -1]]
    assert arrays["outputs/cpg/a"].tolist() == [-1, 1]
    assert arrays["outputs/cpg_stats/var"].tolist() == [-1, 0.25]
    assert arrays["outputs/win_stats/1001/mean"].tolist() == [0.75, 0.75]
    assert arrays["inputs/annos/islands"].tolist() == [1, 0]
    types = {name: str(values.dtype) for name, values in arrays.items()}
    assert types["pos"] == "int32"
    assert {types[name] for name in ("inputs/dna", "inputs/annos/islands", "inputs/cpg/b/state", "outputs/cpg/b")} == {
        "int8"
    }
    assert types["inputs/cpg/b/dist"] == types["outputs/cpg_stats/entropy"] == "float32"
    assert {types[f"outputs/cpg_stats/{name}"] for name in ("mode", "cat_var", "cat2_var", "diff")} == {"int8"}


def test_files_of_a_chromosome_are_numbered_by_their_sites(tmp_path):
    paths = write_chunks(tmp_path, chunks(size=1))
    assert [path.name for path in paths] == [
        "c2_000000-000001.h5",
        "c2_000001-000002.h5",
        "cM_000000-000001.h5",
        "cM_000001-000002.h5",
    ]
    whole = chunks()[0]
    np.testing.assert_array_equal(np.concatenate([read_chunk(path).state for path in paths[:2]]), whole.state)


def test_fractions_stay_fractions_among_neighbours_and_become_labels_of_a_site(tmp_path):
    state = np.array([[0.25], [0.75]], dtype=np.float32)
    states = CpgStates(("1",), ("a",), np.zeros(2, dtype=np.int64), np.array([3, 9]), state)
    (path,) = write_chunks(tmp_path, make_chunks(states, count=1, min_cells=1, widths=()))
    chunk = read_chunk(path)
    np.testing.assert_array_equal(chunk.state[:, 0], [[NAN, 0.75], [0.25, NAN]])
    np.testing.assert_array_equal(chunk.label, [[0], [1]])
    assert chunk.dna is None
    assert chunk.window_statistics == {}
    assert chunk.statistics["mean"].tolist() == [0.25, 0.75]


def test_a_file_of_sequence_alone_is_read(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["chromo"], file["pos"] = np.array([b"18"]), [7]
        file["inputs/dna"] = np.array([[0, 1, 2, 3]], dtype=np.int8)
    chunk = read_chunk(tmp_path / "x.h5")
    assert (chunk.chrom, chunk.position.tolist(), chunk.cells, chunk.label.shape) == ("18", [6], (), (1, 0))
    assert chunk.dna.tolist() == [encode("ATGC").tolist()]
    assert chunk.state is None


def test_a_file_that_is_none_is_one_clear_error(tmp_path):
    (tmp_path / "x.h5").write_text("no")
    with pytest.raises(InputError, match=r"x\.h5 is no data file of DeepCpG"):
        read_chunk(tmp_path / "x.h5")
    with h5py.File(tmp_path / "z.h5", "w") as file:
        file["chromo"], file["pos"] = np.array([b"18"]), [7]
        file["inputs/dna"] = np.array([[0, 9, 2, 3]], dtype=np.int8)
    with pytest.raises(InputError, match=r"z\.h5: inputs/dna holds 9; bases are A 0, T 1, G 2, C 3 and N 4"):
        read_chunk(tmp_path / "z.h5")
    with h5py.File(tmp_path / "y.h5", "w") as file:
        file["pos"] = [1]
    with pytest.raises(InputError, match=r"y\.h5 is no data file of DeepCpG"):
        read_chunk(tmp_path / "y.h5")
    with h5py.File(tmp_path / "z.h5", "w") as file:
        file["pos"], file["chromo"] = [1, 2], np.array([b"1", b"2"])
    with pytest.raises(InputError, match="one chromosome; it has 2"):
        read_chunk(tmp_path / "z.h5")


def test_nothing_is_written_over_or_under_a_name_that_cannot_be(tmp_path):
    write_chunks(tmp_path, chunks())
    with pytest.raises(InputError, match=r"c2_000000-000002\.h5 is there already"):
        write_chunks(tmp_path, chunks())
    chunk = DeepcpgChunk("1", np.array([1]), ("a/b",), np.ones((1, 1), dtype=np.float32))
    with pytest.raises(InputError, match="'a/b': a slash"):
        write_chunks(tmp_path, [chunk])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dna_width": 4}, "dna_width: bases of a window with the CpG in its middle are an odd number; got 4"),
        ({"dna_width": -3}, "dna_width: .* got -3"),
        ({"count": 0}, "count: at least 1 is needed; got 0"),
        ({"annotations": {"x": np.ones(3, dtype=bool)}}, "annotations: 'x' is of 3 sites, of 4"),
        ({"widths": (1001, -5)}, "widths: at least 1 is needed; got -5"),
    ],
)
def test_numbers_that_make_no_chunk_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        chunks(**options)


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path):
    with pytest.raises(InputError, match=r"no such file: .*none\.h5"):
        read_chunk(tmp_path / "none.h5")
