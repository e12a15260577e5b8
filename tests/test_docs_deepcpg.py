"""docs/deepcpg.md: its Python runs from top to bottom, and a store is what DeepCpG's files say."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from genograph.assays.cpg_states import binary
from genograph.assays.targets import Target
from genograph.config import load_config
from genograph.deepcpg import read_cells, read_chunk, states_of
from genograph.errors import InputError
from genograph.predict import predict
from genograph.train import train
from tests.cpgs import CELLS, SIZES, write_store, write_world

PAGE = (Path(__file__).parents[1] / "docs" / "deepcpg.md").read_text()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The world of the tests under the names of the page, after its Python has run there."""
    folder = tmp_path_factory.mktemp("cells")
    names = {"cpgs.yaml": "cpg.yaml", "targets.tsv": "cells.tsv", "chrom.sizes": "mm10.chrom.sizes"}
    text = write_world(folder).read_text().replace("chrom_sizes: chrom.sizes", "fasta: genome.fa")
    (folder / "cpgs.yaml").write_text(text.replace("targets.tsv", "cells.tsv"))
    for before, name in names.items():
        (folder / before).rename(folder / name)
    return folder


@pytest.fixture(scope="module")
def found(folder):
    """What the names of the page stand for at its end."""
    names = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
        assert len(blocks) == 2
        for code in blocks:
            exec(compile(code, "deepcpg.md", "exec"), names)
    return names


def test_a_store_is_written_as_data_files_whole(folder, found):
    store, files = found["store"], sorted((folder / "chunks").iterdir())
    assert [path.name[:3] for path in files] == ["c1_", "c2_", "c3_"]
    chunks = [read_chunk(path) for path in files]
    assert chunks[0].cells == CELLS
    label = np.concatenate([chunk.label for chunk in chunks])
    np.testing.assert_array_equal(label, binary(store.signals("methylation")))
    np.testing.assert_array_equal(np.concatenate([chunk.position for chunk in chunks]), store.sites[:, 1])
    at = chunks[1].position[7]
    np.testing.assert_array_equal(chunks[1].dna[7], store.codes("chr2", at - 500, at + 501))


def test_tables_of_cells_are_what_a_store_was_made_of(folder, found):
    files = [Target(identifier=cell, file=folder / "tables" / f"{cell}.tsv.gz") for cell in CELLS]
    back = read_cells(files, sizes=SIZES, aliases={})
    for states in (states_of(found["store"]), found["states"]):
        assert (back.chroms, back.cells) == (states.chroms, states.cells)
        for name in ("chrom_index", "position", "state"):
            np.testing.assert_array_equal(getattr(back, name), getattr(states, name))


def test_predicted_tracks_are_read_as_cells(folder, found):
    run = train(load_config(folder / "cpg.yaml", ["training.max_epochs=1"]), folder / "run")
    out = predict(run)
    states = read_cells([Target(identifier="one", file=out / "one.bw")], sizes=SIZES, aliases={})
    assert len(states.position) == len(found["states"].position)
    assert ((states.state > 0) & (states.state < 1)).all()


def test_sites_wider_than_a_base_lie_about_the_c(tmp_path):
    store = write_store(tmp_path)
    wide = replace(store, manifest={**store.manifest, "bin_size": 3, "chroms": [["a", 50], ["b", 20]]})
    np.testing.assert_array_equal(states_of(wide).position, store.sites[:, 1] + 1)


def test_a_store_of_other_bins_has_no_cells(tmp_path):
    store = write_store(tmp_path)
    for file in (tmp_path / "covered").iterdir():
        file.unlink()
    (tmp_path / "covered").rmdir()
    with pytest.raises(InputError, match=r"its bins are no CpGs that cells cover; set sites: \{source: covered\}"):
        states_of(store)
