"""Embeddings of one's own: what is written, what is refused, and what a model reads of them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from genograph.audit.checks import context_across_splits
from genograph.config import load_config
from genograph.embeddings import Description, Embeddings, save_embeddings
from genograph.errors import InputError
from genograph.experiment import Experiment
from genograph.genome.bins import Bins
from genograph.genome.sites import Sites
from genograph.seen_before import seen_before
from genograph.train import train
from tests import tiny

BINS = Bins({"chr1": 45, "chr2": 30}, 10)  # four bins, and three
VALUES = np.arange(14, dtype=np.float32).reshape(7, 2)


def described(tmp_path, **changes):
    """The JSON of embeddings written by hand."""
    np.save(tmp_path / "embeddings.npy", VALUES)
    content = {"bin_size": 10, "chroms": {"chr1": 45, "chr2": 30}, "channels": 2, **changes}
    path = tmp_path / "embeddings.json"
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
    return path


def test_what_is_saved_is_opened(tmp_path):
    values = VALUES.copy()
    values[3] = np.nan
    trained = np.array([1, 1, 0, 0, 1, 0, 1], dtype=bool)
    path = save_embeddings(values, BINS, tmp_path / "own", receptive_field=30, trained=trained)
    opened = Embeddings.open(path, BINS)
    np.testing.assert_array_equal(opened.values, values)
    assert opened.description.missing == 1
    assert opened.description.trained == ((0, 2), (4, 5), (6, 7))
    assert opened.description.receptive_field == 30


def test_three_keys_and_an_array_are_enough(tmp_path):
    opened = Embeddings.open(described(tmp_path), BINS)
    np.testing.assert_array_equal(opened.values, VALUES)
    assert opened.description.missing is None


def test_beyond_the_runs_of_ones_own_there_is_none(tmp_path):
    opened = Embeddings.open(described(tmp_path), BINS)
    first, end = np.array([[1], [4]]), np.array([[3], [7]])
    place = np.array([[0, 1, 2, 3], [4, 5, 6, 7]])
    assert opened.rows(first, end, place).tolist() == [[-1, 1, 2, -1], [4, 5, 6, -1]]


def test_each_place_beyond_a_run_has_a_row_of_its_own_as_far_as_the_border_and_then_that_of_n():
    known = Description(bin_size=10, chroms={"chr1": 45, "chr2": 30}, channels=2, runs=((0, 4), (4, 7)), border=2)
    opened = Embeddings(known, VALUES, 7)
    assert opened.shape == (16, 2)  # 7 bins, N, and for each run two before and two behind
    places = np.arange(-3, 10)
    assert opened.rows(np.array(0), np.array(4), places[:10]).tolist() == [7, 8, 9, 0, 1, 2, 3, 10, 11, 7]
    assert opened.rows(np.array(4), np.array(7), places[4:]).tolist() == [7, 12, 13, 4, 5, 6, 14, 15, 7]
    assert opened.rows(np.array(1), np.array(3), places[2:8]).tolist() == [7, 7, 1, 2, 7, 7]  # borders of no run


@pytest.mark.parametrize(
    ("runs", "reached"),
    [(None, [(0, 2), (2, 4), (4, 6)]), (((0, 1), (1, 3), (3, 4), (4, 7)), [(0, 1), (3, 4), (4, 6)])],
    ids=["whole chromosomes", "runs"],
)
def test_an_embedding_depends_on_what_its_receptive_field_reaches_in_its_run(runs, reached):
    known = Description(bin_size=10, chroms={"chr1": 45, "chr2": 30}, channels=2, receptive_field=21, runs=runs)
    found = Embeddings(known, VALUES, 7).encoded_with(np.array([0, 3, 4]), BINS.offsets)
    assert list(zip(*(each.tolist() for each in found), strict=True)) == reached


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"bin_size": 5}, "embeddings of other bins than the config: bin_size differs"),
        ({"chroms": {"chr1": 46, "chr2": 30}}, "embeddings of other bins than the config: chroms differs"),
        ({"sites": "abc"}, "embeddings of other bins than the config: sites differs"),
        ({"channels": 3}, r"embeddings\.npy is \(7, 2\) float32; embeddings\.json and the genome want \(7, 3\)"),
        ({"channels": None}, r"embeddings\.json describes no embeddings: channels: Field required"),
        ({"chanels": 3}, "describes no embeddings: chanels: Extra inputs"),
        ({"array": "other.npy"}, r"names .*other\.npy, which is not there"),
    ],
)
def test_what_does_not_fit_is_one_line(changes, told, tmp_path):
    with pytest.raises(InputError, match=told):
        Embeddings.open(described(tmp_path, **changes), BINS)


def test_a_file_that_is_not_there_or_no_json_is_one_line(tmp_path):
    with pytest.raises(
        InputError, match=r"none\.json: No such file .*; relative paths start from the folder of the config"
    ):
        Description.read(tmp_path / "none.json")
    (tmp_path / "text.json").write_text("text")
    with pytest.raises(InputError, match=r"text\.json is no JSON"):
        Description.read(tmp_path / "text.json")


def test_sites_are_known_by_where_they_lie(tmp_path):
    here, there = (Sites(BINS.sizes, 10, chrom=np.array([0, 1]), start=np.array([at, 8])) for at in (3, 4))
    path = save_embeddings(VALUES[:2], here, tmp_path / "sites")
    assert len(Embeddings.open(path, here).values) == 2
    with pytest.raises(InputError, match="of other bins than the config: sites differs"):
        Embeddings.open(path, there)


@pytest.mark.parametrize("values", [VALUES[:6], VALUES[:, 0], VALUES.astype(np.float64), VALUES.astype(int)])
def test_an_array_of_another_shape_or_kind_is_not_saved(values, tmp_path):
    with pytest.raises(InputError, match=r"\(bins, channels\) of float16 or float32, here \(7, channels\)"):
        save_embeddings(values, BINS, tmp_path / "own")
    assert not (tmp_path / "own").exists()


def test_embeddings_are_not_written_over(tmp_path):
    save_embeddings(VALUES, BINS, tmp_path)
    with pytest.raises(InputError, match="is there already"):
        save_embeddings(VALUES, BINS, tmp_path)


def test_a_memory_map_is_not_written_over_by_itself(tmp_path):
    np.save(tmp_path / "embeddings.npy", VALUES)
    with pytest.raises(InputError, match=r"embeddings\.npy is there already"):
        save_embeddings(np.load(tmp_path / "embeddings.npy", mmap_mode="r"), BINS, tmp_path)
    np.testing.assert_array_equal(np.load(tmp_path / "embeddings.npy"), VALUES)


def test_what_is_not_written_to_its_end_is_not_there(tmp_path):
    class Torn(np.ndarray):
        def __getitem__(self, rows):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_embeddings(VALUES.view(Torn), BINS, tmp_path)
    assert [*tmp_path.iterdir()] == []


def test_bins_without_an_embedding_take_the_placeholder(tmp_path):
    config = tiny.write_world(tmp_path)
    experiment = Experiment.open(load_config(config))
    values = np.random.default_rng(0).normal(size=(len(experiment.store.bins), 4)).astype(np.float16)
    values[::3] = np.nan
    path = save_embeddings(values, experiment.store.bins, tmp_path / "own", receptive_field=tiny.BIN)
    changes = [f"model.encoder={{name: embeddings, file: {path}}}", "augment.shift=0", "training.max_epochs=1"]
    experiment = Experiment.open(load_config(config, [*changes, "augment.reverse_complement=false"]))
    batch = experiment.dataset("valid", 0).make_batch([0])
    bins = batch.position[0].numpy()
    source = batch.windows(batch.source[:, None].float())[0, :, 0].long().numpy()
    assert ((source < 0) == (bins % 3 == 0)).all()
    np.testing.assert_array_equal(batch.codes[0, source[source >= 0]], values[bins[source >= 0]])
    assert experiment.model().placeholder.requires_grad
    assert seen_before(experiment.config, experiment.store).unknown == (str(path),)
    assert experiment.sources["model.encoder.array"]["path"] == str(path.with_name("embeddings.npy"))
    train(experiment.config, tmp_path / "run")


@pytest.mark.parametrize(
    ("splits", "expected"),
    [([], ("ok", 0)), (["splits.valid=['chrA:8000-17000']"], ("note", 1))],
    ids=["whole chromosomes", "chrA divided"],
)
def test_how_far_embeddings_reach_is_not_known_unless_it_is_said(splits, expected, tmp_path):
    config = tiny.write_world(tmp_path)
    bins = Experiment.open(load_config(config)).store.bins
    path = save_embeddings(np.ones((len(bins), 4), np.float32), bins, tmp_path / "own")
    changes = [f"model.encoder={{name: embeddings, file: {path}}}", "augment.shift=0", *splits]
    experiment = Experiment.open(load_config(config, [*changes, "augment.reverse_complement=false"]))
    assert np.isnan(experiment.model().receptive_field)
    finding = context_across_splits(experiment)
    assert (finding.status, finding.count) == expected
    assert finding.values == {"gap": 0}
    assert "its receptive_field is not given" in finding.message
