from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pyBigWig
import pytest
import torch
import yaml

from genograph.assays.tfrecords import write_records
from genograph.config import load_config
from genograph.dataset import reverse_complement
from genograph.errors import InputError
from genograph.evaluate import evaluate, summarize
from genograph.experiment import Experiment
from genograph.predict import predict, write_track
from genograph.prepare import prepare
from genograph.store import Contig
from genograph.train import train
from tests.records import config_tree, example, window, write_folder

NAMES = ["chr1:84-148", "chr2:24-88", "chr1:484-548", "chr2:284-348", "chr1:-16-48", "chr1:4-68"]


def write_config(folder, **changes):
    path = folder / "records.yaml"
    path.write_text(yaml.safe_dump(config_tree() | changes))
    return path


@pytest.fixture
def path(tmp_path):
    write_folder(tmp_path / "hg38")
    return write_config(tmp_path)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    write_folder(folder / "hg38")
    return train(load_config(write_config(folder)), folder / "run")


def test_every_window_is_a_contig_that_knows_its_place_and_split(path):
    store = prepare(load_config(path))
    assert store.sizes == dict.fromkeys(NAMES, 64)
    assert store.contigs["chr1:-16-48"] == Contig("chr1", -16, 16, "test")
    assert [contig.split for contig in store.contigs.values()] == ["train"] * 3 + ["valid"] + ["test"] * 2


def test_a_store_has_the_values_of_the_records_and_nothing_in_the_crop(path):
    store = prepare(load_config(path))
    assert list(store.targets) == ["expression", "accessibility"]
    for number, name in enumerate(NAMES):
        codes, target = window(number)
        span = store.bins.span(name)
        assert np.array_equal(store.codes(name, 0, 64), codes)
        for assay, columns in {"expression": [0, 1, 3], "accessibility": [2]}.items():
            signals = store.signals(assay)[span]
            assert signals.dtype == np.float16
            assert np.array_equal(signals[2:6], target[:, columns])
            assert np.isnan(signals[[0, 1, 6, 7]]).all()
        assert store.mask[span].tolist() == [False] * 2 + [True] * 4 + [False] * 2


def test_missing_values_stay_missing_and_unsequenced_bins_leave_loss_and_metrics(path, tmp_path):
    codes, target = window(3)
    codes[24:29], target[1, :], target[2, 0] = 4, np.nan, np.nan  # most of bin 3, all of bin 3, one of bin 4
    codes[32:37] = 4  # most of bin 4
    write_records(tmp_path / "hg38" / "tfrecords" / "valid-0.tfr", [example(codes, target)])
    store = prepare(load_config(path))
    span = store.bins.span("chr2:284-348")
    assert store.mask[span].tolist() == [False, False, True, False, False, True, False, False]
    assert np.isnan(store.signals("expression")[span][3]).all()
    assert np.isnan(store.signals("expression")[span][4]).tolist() == [True, False, False]


def test_a_window_of_the_whole_record_is_one_window_of_a_dataset(path):
    experiment = Experiment.open(load_config(path))
    for split, numbers in {"train": [0, 1, 2], "valid": [3], "test": [4, 5]}.items():
        dataset = experiment.dataset(split, halo=0)
        assert len(dataset) == len(numbers)
        for number in numbers:
            batch = dataset.make_batch([number - numbers[0]])
            assert np.array_equal(batch.codes[0].numpy(), window(number)[0])
            assert np.array_equal(batch.target["expression"][0].numpy(), window(number)[1][:, [0, 1, 3]])
            assert batch.mask["expression"].all()


def test_a_window_stays_whole_where_its_first_values_are_missing(path, tmp_path):
    codes, target = window(3)
    target[:2] = np.nan
    write_records(tmp_path / "hg38" / "tfrecords" / "valid-0.tfr", [example(codes, target)])
    dataset = Experiment.open(load_config(path)).dataset("valid", halo=0)
    batch = dataset.make_batch([0])
    assert len(dataset) == 1
    assert np.array_equal(batch.codes[0].numpy(), codes)
    assert batch.mask["accessibility"][0, :, 0].tolist() == [False, False, True, True]


def test_smaller_windows_stay_within_what_a_record_predicts(path):
    config = load_config(path, ["batch={window: 4, crop: 1, stride: 1, size: 1}"])
    dataset = Experiment.open(config).dataset("valid", halo=0)
    first = dataset.store.bins.span("chr2:284-348").start
    assert [dataset.make_batch([i]).position[0].tolist() for i in range(len(dataset))] == [
        [first + 2, first + 3],
        [first + 4, first + 5],
    ]
    assert len(Experiment.open(config).dataset("train", halo=0)) == 9  # starts at 2, 3 and 4, in three records


def test_the_strands_of_a_pair_trade_places_in_the_reverse_complement(path):
    experiment = Experiment.open(load_config(path))
    batch = experiment.dataset("valid", halo=0).make_batch([0])
    turned = reverse_complement(batch, 8, experiment.store.targets)
    expected = batch.target["expression"].flip(1)[..., [1, 0, 2]]
    assert torch.equal(turned.target["expression"], expected)


def test_a_changed_record_is_a_reason_to_build_again_and_an_unchanged_folder_none(path, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="genograph")
    prepare(load_config(path))
    prepare(load_config(path))
    assert len(caplog.records) == 1
    write_records(tmp_path / "hg38" / "tfrecords" / "valid-0.tfr", [example(*window(7))])
    store = prepare(load_config(path))
    assert "the content of tfrecords valid-0.tfr" in caplog.records[-1].getMessage()
    assert store.signals("expression")[store.bins.span("chr2:284-348")][2, 0] == 700


def test_a_damaged_folder_leaves_no_store(path, tmp_path):
    (tmp_path / "hg38" / "tfrecords" / "test-0.tfr").write_bytes(b"text")
    with pytest.raises(InputError, match=r"test-0\.tfr is no ZLIB"):
        prepare(load_config(path))
    assert not (tmp_path / "store").exists()


def test_splits_are_chosen_by_name_whatever_they_are_called(path, tmp_path):
    bed = tmp_path / "hg38" / "sequences.bed"
    bed.write_text(bed.read_text().replace("train", "fold0").replace("valid", "fold1").replace("test", "fold2"))
    for file in (tmp_path / "hg38" / "tfrecords").iterdir():
        name = file.name.replace("train", "fold0").replace("valid", "fold1").replace("test", "fold2")
        file.rename(file.with_name(name))
    config = load_config(path, ["tfrecords.valid=[fold2]", "tfrecords.test=[fold0]"])
    per_bin = Experiment.open(config).split_of_bin.reshape(6, 8)
    assert per_bin.tolist() == [[split] * 8 for split in (2, 2, 2, 0, 1, 1)]
    named = Experiment.open(
        load_config(path, ["tfrecords={folder: hg38, train: [fold0], valid: [fold1], test: [fold1]}"])
    )
    with pytest.raises(InputError, match="'fold1' is named twice"):
        _ = named.split_of_bin
    left = Experiment.open(
        load_config(path, ["tfrecords={folder: hg38, train: [fold2], valid: [fold1], test: [fold0]}"])
    )
    assert left.split_of_bin.reshape(6, 8)[:, 0].tolist() == [2, 2, 2, 1, 0, 0]


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("tfrecords.valid=[vaild]", "tfrecords.valid: sequences.bed has no 'vaild'. Did you mean 'valid'?"),
        ("tfrecords.valid=[valid, train]", "nothing is left to train on"),
    ],
)
def test_a_split_that_is_not_there_is_named(path, override, complaint):
    with pytest.raises(InputError) as error:
        _ = Experiment.open(load_config(path, [override])).split_of_bin
    assert complaint in str(error.value)


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("bins.bin_size=16", "bins.bin_size is 16, .* pool_width of 8. Set bins.bin_size: 8"),
        ("genome={fasta: a.fa}", "leave out genome"),
        ("splits={valid: [a], test: [b]}", "leave out splits"),
        ("graph.candidates=a.bed", "leave out graph.candidates"),
        ("model.heads={coverage: {}}", "the targets table has tracks of"),
    ],
)
def test_what_does_not_fit_the_folder_is_refused(path, override, complaint):
    overrides = [override, "model.encoder.blocks.0.pool=16"] if "bin_size" in override else [override]
    with pytest.raises(InputError, match=complaint):
        Experiment.open(load_config(path, overrides))


def test_fractions_are_checked(path, tmp_path):
    table = (tmp_path / "hg38" / "targets.txt").read_text().splitlines()
    rows = [table[0] + "\tassay", *(row + "\texpression" for row in table[1:4])]
    text = "\n".join([*rows, "3\trna\t/nowhere/rna.w5\t\t\t\t\t3\tMETH:liver\tmethylation"])
    (tmp_path / "hg38" / "targets.txt").write_text(text)
    with pytest.raises(InputError, match="methylation is a fraction of 0 to 1, but the records hold 3"):
        prepare(load_config(path))


def test_evaluation_sums_up_by_the_first_word_of_the_description(run):
    for split in ("valid", "test"):
        evaluate(run, run / split, config=load_config(run, [f"evaluation.split={split}"]))
    table = pd.read_csv(run / "test" / "accuracy.tsv", sep="\t").set_index("identifier")
    assert table["n"].tolist() == [8, 8, 8, 8]
    assert pd.read_csv(run / "valid" / "accuracy.tsv", sep="\t")["n"].tolist() == [4, 4, 4, 4]
    summary = summarize(run / "test").set_index(["assay", "experiment", "predictor"])
    assert set(summary.index) == {
        (assay, experiment, predictor)
        for assay, experiment in (("expression", "CAGE"), ("expression", "RNA3"), ("accessibility", "DNASE"))
        for predictor in ("model", "training mean", "2-mer ridge")
    }
    expected = table.loc[["cage+", "cage-"], "pearsonr"].mean()
    assert summary.loc[("expression", "CAGE", "model"), "pearsonr"] == pytest.approx(expected)
    baselines = pd.read_csv(run / "test" / "baselines.tsv", sep="\t").set_index(["predictor", "identifier"])
    assert baselines.loc[("2-mer ridge", "rna"), "n"] == 8


def test_predictions_lie_where_the_windows_do(run, tmp_path):
    predict(run, tmp_path)
    with pyBigWig.open(str(tmp_path / "dnase.bw")) as file:
        assert file.chroms() == {"chr1": 532, "chr2": 332}
        assert [(start, end) for start, end, _ in file.intervals("chr2")] == [
            (start + 8 * i, start + 8 * i + 8) for start in (40, 300) for i in range(4)
        ]
        chr1 = [(start, end) for start, end, _ in file.intervals("chr1")]
    # 0-32 and 20-52 overlap, four bases off each other's bins.
    assert chr1[:10] == [
        (0, 8),
        (8, 16),
        (16, 20),
        (20, 24),
        (24, 28),
        (28, 32),
        (32, 36),
        (36, 44),
        (44, 52),
        (100, 108),
    ]


def test_overlapping_windows_are_averaged(path, tmp_path):
    store = prepare(load_config(path))
    values = np.full(len(store.bins), np.nan, dtype=np.float32)
    values[store.bins.span("chr1:-16-48")] = [np.nan] * 2 + [1, 2, 3, 4] + [np.nan] * 2
    values[store.bins.span("chr1:4-68")] = [np.nan] * 2 + [10, 20, 30, 40] + [np.nan] * 2
    write_track(tmp_path / "x.bw", store, values)
    with pyBigWig.open(str(tmp_path / "x.bw")) as file:
        assert file.intervals("chr2") is None
        assert file.intervals("chr1") == (
            (0, 8, 1.0),
            (8, 16, 2.0),
            (16, 20, 3.0),
            (20, 24, 6.5),
            (24, 28, 7.0),
            (28, 32, 12.0),
            (32, 36, 20.0),
            (36, 44, 30.0),
            (44, 52, 40.0),
        )
