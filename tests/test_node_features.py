"""What nodes bring along besides sequence, from a table to the bins of a model."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from genograph.checkpoint import load_run
from genograph.config import load_config
from genograph.errors import InputError
from genograph.experiment import Experiment
from genograph.export_model import export_model
from genograph.genome.bins import Bins
from genograph.genome.interval import Interval
from genograph.genome.regions import Regions
from genograph.graph.features import FeatureScale, NodeFeatures, read_features
from genograph.predict import predict
from genograph.train import train
from tests.test_export_model import assert_predicts_alike
from tests.tiny import NODE, SIZES, write_world

NAMES = {"aliases": {"one": "chr1"}, "whole_genome": True}
NODES = Bins({"chr1": 3000, "chr2": 1000}, 1000)
HEAD = "chrom\tstart\tend\tage\tsize\n"


def read(folder, text, nodes=NODES, name="features.tsv") -> NodeFeatures:
    (folder / name).write_text(text)
    return read_features(folder / name, nodes, **NAMES)


def test_rows_are_of_the_node_that_holds_their_midpoint_and_the_rest_is_missing(tmp_path):
    found = read(tmp_path, HEAD + "chr2\t0\t1000\t5\t\none\t1900\t2600\tNA\t2.5\none\t0\t10\t1\t1e3\n")
    assert found.names == ("age", "size")
    np.testing.assert_array_equal(found.values, [[1, 1000], [np.nan, np.nan], [np.nan, 2.5], [5, np.nan]])


def test_a_row_is_of_the_node_that_is_its_place(tmp_path):
    nodes = Regions.of([Interval("chr1", 0, 100), Interval("chr1", 40, 160)], NODES.sizes)
    found = read(tmp_path, HEAD + "chr1\t40\t160\t7\t8\n", nodes)
    np.testing.assert_array_equal(found.values, [[np.nan, np.nan], [7, 8]])


def test_a_table_may_be_a_csv_compressed_or_have_a_hash_before_its_header(tmp_path):
    expected = read(tmp_path, HEAD + "chr1\t0\t1000\t1\t2\n").values
    np.testing.assert_array_equal(read(tmp_path, "#" + HEAD + "chr1\t0\t1000\t1\t2\n").values, expected)
    text = (HEAD + "chr1\t0\t1000\t1\t2\n").replace("\t", ",")
    np.testing.assert_array_equal(read(tmp_path, text, name="features.csv").values, expected)
    (tmp_path / "features.tsv.gz").write_bytes(gzip.compress((HEAD + "chr1\t0\t1000\t1\t2\n").encode()))
    np.testing.assert_array_equal(read_features(tmp_path / "features.tsv.gz", NODES, **NAMES).values, expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chrom\tstart\tend\nchr1\t0\t10\n", "needs a header with chrom, start, end and the names of features"),
        ("chr1\t0\t10\t5\n", "needs a header with chrom, start, end and the names of features; got chr1, 0, 10, 5"),
        ("", "is no table of features"),
        (HEAD + "chr1\t0\t10\t1\t2\nchr1\t20\t30\t1\t2\n", "two rows are of the node at chr1:0-1000. Merge them"),
        (HEAD + "chr1\t0\t10\tx\t2\n", "'age' is no number in row 1: 'x'"),
        (HEAD + "chr1\t0\t10\tinf\t2\n", "'age' is no number in row 1: 'inf'"),
        (HEAD + "chr1\t10\t0\t1\t2\n", "expected chrom, start and end; got 'chr1 10 0'"),
        (HEAD + "chr1\t\t10\t1\t2\n", "expected chrom, start and end; got 'chr1  10'"),
        (HEAD + "chr1\t9000\t9100\t1\t2\n", "no row is of a node"),
        (HEAD + "chrX\t0\t10\t1\t2\n", "no chromosome of the genome is in this file"),
    ],
)
def test_what_is_no_table_of_features_is_one_line(text, message, tmp_path):
    with pytest.raises(InputError, match=message):
        read(tmp_path, text)


def scaled_over(values, is_train):
    features = NodeFeatures(("a", "b"), np.array(values, dtype=float))
    return FeatureScale.of(features, np.array(is_train)).apply(features)


def test_features_have_mean_0_and_variance_1_over_training_nodes_and_say_what_is_missing():
    values = np.array([[1, 10], [3, np.nan], [np.nan, 30], [7, 50.0]])
    scaled = scaled_over(values, [True, True, True, False])
    expected = [[-1, -1, 0, 0], [1, 0, 0, 1], [0, 1, 1, 0], [5, 3, 0, 0]]
    np.testing.assert_allclose(scaled, expected)
    assert scaled.dtype == np.float32


def test_a_feature_that_is_never_missing_has_no_further_column():
    assert scaled_over([[1, 10], [3, np.nan], [2, 30]], [True, True, True]).shape == (3, 3)


def test_a_feature_that_no_training_node_lacks_is_the_mean_where_it_is_missing(caplog):
    with caplog.at_level("INFO"):
        scaled = scaled_over([[1, 10], [3, 30], [np.nan, 50]], [True, True, False])
    assert scaled.tolist() == [[-1, -1], [1, 1], [0, 3]]
    assert "'a' is missing at 1 nodes, none in training" in caplog.text


def test_features_are_found_by_name_and_others_are_refused():
    scale = FeatureScale(("a", "b"), (1.0, 10.0), (2.0, 5.0), ("b",))
    swapped = NodeFeatures(("b", "a"), np.array([[15.0, 5.0], [np.nan, 1.0]]))
    assert scale.apply(swapped).tolist() == [[2, 1, 0], [0, 0, 1]]
    with pytest.raises(InputError, match=r"the run was trained with a, b; the table has a, c. Give it the same"):
        scale.apply(NodeFeatures(("a", "c"), np.zeros((1, 2))))


@pytest.mark.parametrize(
    ("values", "told"), [([1, 1, 5], "is 1 at"), ([np.nan, np.nan, 5], "is missing at"), ([2, np.nan, 5], "is 2 at")]
)
def test_a_feature_that_tells_nothing_in_training_is_refused(values, told):
    features = NodeFeatures(("age",), np.array(values, dtype=float)[:, None])
    with pytest.raises(InputError, match=rf"graph\.features: 'age' {told} every training node"):
        FeatureScale.of(features, np.array([True, True, False]))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("features")
    rng, rows = np.random.default_rng(0), []
    for chrom, size in SIZES.items():
        for start in range(0, size, NODE):
            age = "" if (chrom, start) == ("chrA", 4000) else f"{rng.normal():.4f}"
            rows.append(f"{chrom}\t{start}\t{min(start + NODE, size)}\t{age}\t{rng.normal():.4f}")
    (folder / "features.tsv").write_text(HEAD + "\n".join(rows) + "\n")
    return write_world(folder)


@pytest.fixture(scope="module")
def experiment(world) -> Experiment:
    return Experiment.open(load_config(world, ["graph.features=features.tsv", "training.max_epochs=1"]))


def batch_and_model(experiment, windows=(0, 1)):
    model = experiment.model().eval()
    return experiment.dataset("train", model.halo).make_batch(list(windows)), model


def test_a_batch_has_the_features_of_its_nodes_and_a_row_for_bins_of_none(experiment):
    batch, _ = batch_and_model(experiment, [0])
    assert batch.features.shape == (batch.num_nodes + 1, 3)  # two features, and where the first is missing
    np.testing.assert_array_equal(batch.features[:3], experiment.features[:3])
    assert batch.features[2, [0, 2]].tolist() == [0, 1]
    np.testing.assert_array_equal(batch.features[-1], experiment.features[-1])


def test_a_feature_changes_what_is_predicted_for_its_node(experiment):
    batch, model = batch_and_model(experiment)
    changed = batch.features.clone()
    changed[0] += 1
    with torch.inference_mode():
        before, after = model(batch)["coverage"], model(replace(batch, features=changed))["coverage"]
    assert not torch.allclose(before[0], after[0])
    torch.testing.assert_close(before[1], after[1])  # nodes of the other window


def test_renumbered_nodes_with_their_features_give_the_same_predictions(experiment):
    batch, model = batch_and_model(experiment)
    place = torch.randperm(batch.num_nodes, generator=torch.Generator().manual_seed(0))
    features = batch.features.clone()
    features[place] = batch.features[:-1]
    node = torch.where(batch.node_of_bin < 0, -1, place[batch.node_of_bin])
    moved = replace(batch, node_of_bin=node, edge_index=place[batch.edge_index], features=features)
    with torch.inference_mode():
        for assay, rates in model(batch).items():
            torch.testing.assert_close(model(moved)[assay], rates, rtol=1e-4, atol=1e-5)


def test_a_batch_of_two_windows_is_two_batches_of_one(experiment):
    model = experiment.model().eval()
    windows = experiment.dataset("train", model.halo)
    with torch.inference_mode():
        together, apart = model(windows.make_batch([0, 1])), [model(windows.make_batch([each])) for each in (0, 1)]
    for assay, rates in together.items():
        torch.testing.assert_close(rates, torch.cat([each[assay] for each in apart]), rtol=1e-4, atol=1e-5)


def test_a_model_without_features_starts_with_the_same_weights(world, experiment):
    weights, without = [], Experiment.open(load_config(world))
    with torch.random.fork_rng():
        for each in (experiment, without):
            torch.manual_seed(0)
            weights.append(each.model().state_dict())
    own, plain = weights
    assert {*own} - {*plain} == {"features.weight"}
    assert all(torch.equal(own[name], plain[name]) for name in plain)


def test_features_are_scaled_over_nodes_of_the_training_split(experiment):
    is_train = np.zeros(len(experiment.features), dtype=bool)
    is_train[experiment.store.nodes.span("chrA")] = True
    assert experiment.features[is_train, 1].mean() == pytest.approx(0, abs=1e-6)
    assert experiment.features[is_train, 1].std() == pytest.approx(1, abs=1e-5)


def test_a_run_with_features_is_found_again_and_predicts(experiment, world, tmp_path):
    run = train(experiment.config, tmp_path / "run")
    found, model = load_run(run)
    np.testing.assert_array_equal(found.features, experiment.features)
    assert model.features.weight.shape == (8, 3)
    with pytest.raises(InputError, match=r"graph\.features: cannot differ from what the run was trained with"):
        load_run(run, load_config(run, ["graph.features=null"]))
    other, _ = load_run(run, load_config(run, ["splits.valid=[chrC]", "splits.test=[chrA]"]))
    np.testing.assert_array_equal(other.features, experiment.features)
    table = pd.read_csv(world.parent / "features.tsv", sep="\t")
    table[["chrom", "start", "end", "size", "age"]].to_csv(world.parent / "swapped.tsv", sep="\t", index=False)
    swapped, _ = load_run(run, load_config(run, [f"graph.features={world.parent / 'swapped.tsv'}"]))
    np.testing.assert_array_equal(swapped.features, experiment.features)
    assert len(list(predict(run, tmp_path / "predictions").glob("*.bw"))) == 4


def test_a_model_begins_with_the_features_of_a_run_scaled_as_there_and_keeps_them(experiment, world, tmp_path):
    run = train(experiment.config, tmp_path / "run")
    begun = [f"training.start_from={{features: {run}}}", "training.freeze=[features]", "training.max_epochs=1"]
    splits = ["splits.valid=[chrC]", "splits.test=[chrA]"]
    config = load_config(world, ["graph.features=features.tsv", *begun, *splits])
    (first, before), (other, after) = load_run(run), load_run(train(config, tmp_path / "other"))
    assert torch.equal(before.features.weight, after.features.weight)
    np.testing.assert_array_equal(first.features, other.features)
    with pytest.raises(InputError, match=r"training\.freeze: this model has no features with weights"):
        train(load_config(world, ["training.freeze=[features]"]), tmp_path / "none")


def test_a_model_with_features_is_a_program_too(experiment, tmp_path):
    run = train(experiment.config, tmp_path / "run")
    folder = export_model(run, tmp_path / "program")
    described = json.loads((folder / "model.json").read_text())
    assert "features" in described["inputs"]
    assert described["features"]["names"] == ["age", "size"]
    assert described["features"]["missing"] == ["age"]
    assert described["features"]["mean"] == list(experiment.scale.mean)
    assert_predicts_alike(run, folder)


def test_bins_of_no_node_lack_all_features(world):
    (world.parent / "nodes.bed").write_text("chrA\t1024\t2048\nchrA\t4096\t5120\n")
    (world.parent / "some.tsv").write_text(HEAD + "chrA\t1024\t2048\t1\t3\nchrA\t4096\t5120\t2\t5\n")
    own = ["contacts=null", "bins={bin_size: 128, nodes: nodes.bed}", "graph={edges: [], features: some.tsv}"]
    features = Experiment.open(load_config(world, [*own, f"store={world.parent / 'own'}"])).features
    assert features.tolist() == [[-1, -1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1]]


def test_a_missing_table_is_named(world):
    with pytest.raises(InputError, match=r"graph\.features: no such file"):
        Experiment.open(load_config(world, ["graph.features=nowhere.tsv"]))
