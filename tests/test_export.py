from __future__ import annotations

import json
import logging
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import yaml

from genograph.assays.tfrecord_folder import RecordFolder
from genograph.config import load_config
from genograph.errors import InputError
from genograph.experiment import Experiment
from genograph.export import export
from genograph.genome.interval import Interval
from genograph.prepare import prepare
from tests import records
from tests.tiny import BIN, config_tree, write_world

BATCH = "batch={window: 32, crop: 4, stride: 8, size: 2, partners: 2, chunk: 16}"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A config, the folder that was exported from it, and its experiment."""
    folder = tmp_path_factory.mktemp("world")
    config = load_config(write_world(folder), [BATCH])
    return config, export(config, folder / "exported"), Experiment.open(config)


def test_the_tables_say_what_the_records_are(world):
    _, folder, _ = world
    statistics = json.loads((folder / "statistics.json").read_text())
    bed = pd.read_csv(folder / "sequences.bed", sep="\t", names=["chrom", "start", "end", "split"])
    assert statistics == {
        "num_targets": 4,
        "seq_length": 32 * BIN,
        "seq_1hot": True,
        "pool_width": BIN,
        "crop_bp": 4 * BIN,
        "target_length": 24,
        **{f"{split}_seqs": int((bed["split"] == split).sum()) for split in ("train", "valid", "test")},
    }
    assert (bed["end"] - bed["start"] == 24 * BIN).all()
    assert bed.groupby("split")["chrom"].unique().map(list).to_dict() == {
        "train": ["chrA"],
        "valid": ["chrB"],
        "test": ["chrC"],
    }
    # 187 whole bins hold 7 windows side by side, 312 hold 37 that start every 8.
    assert (bed["split"] == "valid").sum() == 187 // 24
    assert (bed["split"] == "train").sum() == 1 + (312 - 24) // 8
    table = pd.read_csv(folder / "targets.txt", sep="\t")
    assert table["identifier"].tolist() == ["gc", "fwd", "rev", "meth"]
    assert table["strand_pair"].tolist() == [0, 2, 1, 3]
    assert table["assay"].tolist() == ["coverage", "expression", "expression", "methylation"]


def test_records_are_the_genome_and_the_values_of_the_store(world):
    _, folder, experiment = world
    store, read = experiment.store, RecordFolder.open(folder)
    assert [each.strand for each in read.targets] == [".", "+", "-", "."]
    for window, (codes, target) in zip(read.windows, read.records(), strict=True):
        place = window.predicted
        expected = np.array(store.codes(place.chrom, place.start - 4 * BIN, place.end + 4 * BIN))
        last = store.sizes[place.chrom] // BIN * BIN  # each split is a chromosome, less the remainder that has no bin
        expected[max(0, last - place.start + 4 * BIN) :] = 4
        assert np.array_equal(codes, expected)
        bins = store.bins.inside(place)
        for column, row in enumerate(read.targets):
            track = [each.identifier for each in store.targets[row.assay]].index(row.identifier)
            values = np.where(store.mask[bins], store.signals(row.assay)[bins, track], np.nan).astype(np.float16)
            assert np.array_equal(target[:, column], values, equal_nan=True)


def test_a_genome_exported_and_opened_again_gives_the_same_windows(world, tmp_path):
    _, folder, experiment = world
    tree = {key: value for key, value in config_tree().items() if key not in ("genome", "tracks", "contacts", "splits")}
    tree |= {"tfrecords": {"folder": str(folder)}, "bins": {"bin_size": BIN}, "graph": {}, "store": "again"}
    (tmp_path / "again.yaml").write_text(yaml.safe_dump(tree))
    again = Experiment.open(load_config(tmp_path / "again.yaml", ["batch={window: 32, crop: 4}"]))
    contigs = list(again.store.contigs.values())
    for split in ("train", "valid", "test"):
        dataset, original = again.dataset(split, halo=0), experiment.dataset(split, halo=0)
        seen = 0
        for number in range(len(dataset)):
            batch = dataset.make_batch([number])
            contig = contigs[again.store.bins.chrom_index(batch.position[0, 0].numpy())]
            for assay, target in batch.target.items():
                first = original.store.bins.locate(contig.chrom, np.array([contig.start + contig.crop]))[0]
                bins = slice(first, first + 24)
                kept = original.store.mask[bins, None] & np.isfinite(original.store.signals(assay)[bins])
                assert np.array_equal(batch.mask[assay][0].numpy(), kept)
                values = original.store.signals(assay)[bins].astype(np.float16)
                assert np.array_equal(target[0].numpy()[kept], values[kept])
                seen += kept.sum()
        assert seen > 100
    assert again.store.coverage("methylation") is None


def test_beyond_the_split_a_record_reads_n(tmp_path):
    config = load_config(write_world(tmp_path), [BATCH, 'splits={valid: [chrB], test: ["chrA:0-3,072"], gap: 0}'])
    read = RecordFolder.open(export(config, tmp_path / "out"))
    windows = dict(zip([each.predicted for each in read.windows], read.records(), strict=True))
    codes, _ = windows[Interval("chrA", 0, 24 * BIN)]
    assert (codes[: 4 * BIN] == 4).all()
    assert (codes[28 * BIN :] == 4).all()
    assert (codes[4 * BIN : 28 * BIN] < 4).all()
    train = [each.predicted.start for each in read.windows if each.split == "train" and each.predicted.chrom == "chrA"]
    assert min(train) == 3072


def test_what_no_whole_window_holds_is_told(world, tmp_path, caplog):
    config, _, experiment = world
    export(config, tmp_path / "out")
    left = experiment.store.mask[experiment.store.bins.span("chrC")][125 // 24 * 24 :].sum()
    assert f"test: {left} measured bins are left out" in caplog.text
    assert "The coverage of meth has no place in TFRecords" in caplog.text


def test_values_beyond_float16_are_cut_and_told(tmp_path, caplog):
    path = write_world(tmp_path)
    table = (tmp_path / "targets.tsv").read_text().replace("sum_stat\t", "sum_stat\tscale\t")
    rows = [line.split("\t") for line in table.splitlines()]
    rows = [rows[0]] + [[*row[:4], "1e5" if row[1] == "gc" else "", *row[4:]] for row in rows[1:]]
    (tmp_path / "targets.tsv").write_text("\n".join("\t".join(row) for row in rows) + "\n")
    config = load_config(path, [BATCH])
    read = RecordFolder.open(export(config, tmp_path / "out"))
    assert max(np.nanmax(target[:, 0]) for _, target in read.records()) == 65504
    assert "values of gc are beyond float16 and were cut to 65504" in caplog.text
    assert "values of fwd" not in caplog.text


def test_a_folder_of_records_exported_again_has_the_same_records(tmp_path):
    source = records.write_folder(tmp_path / "hg38")
    (tmp_path / "records.yaml").write_text(yaml.safe_dump(records.config_tree()))
    out = export(load_config(tmp_path / "records.yaml"), tmp_path / "out")
    before, after = RecordFolder.open(source), RecordFolder.open(out)
    assert [replace(each, assay="") for each in before.targets] == [replace(each, assay="") for each in after.targets]
    read = dict(zip(after.windows, after.records(), strict=True))
    for window, (codes, target) in zip(before.windows, before.records(), strict=True):
        assert np.array_equal(read[window][0], codes)
        assert np.array_equal(read[window][1], target)


def test_every_file_holds_as_many_records_as_it_may(world, tmp_path, monkeypatch):
    config, folder, _ = world
    assert sorted(path.name for path in (folder / "tfrecords").iterdir()) == [
        "test-0.tfr",
        "train-0.tfr",
        "valid-0.tfr",
    ]
    monkeypatch.setattr("genograph.export.RECORDS_PER_FILE", 3)
    out = export(config, tmp_path / "out")
    names = sorted(path.name for path in (out / "tfrecords").iterdir() if path.name.startswith("valid"))
    assert names == ["valid-0.tfr", "valid-1.tfr", "valid-2.tfr"]
    one, other = (RecordFolder.open(each) for each in (folder, out))
    assert one.windows == other.windows
    for (codes, _), (others, _) in zip(one.records(), other.records(), strict=True):
        assert np.array_equal(codes, others)


def test_an_export_that_fails_leaves_nothing(world, tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError

    monkeypatch.setattr("genograph.export.write_records", fail)
    with pytest.raises(RuntimeError):
        export(world[0], tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_over(world, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="out is there already"):
        export(world[0], tmp_path / "out")


def test_a_split_without_a_whole_window_is_named(tmp_path):
    config = load_config(write_world(tmp_path), [BATCH, 'splits={valid: [chrB], test: ["chrC:0-2,048"]}'])
    with pytest.raises(InputError, match=r"splits\.test has no region that holds the 24 bins"):
        export(config, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_order_of_training_windows_follows_from_the_seed(world, tmp_path):
    config, folder, _ = world
    other = export(config.model_copy(update={"seed": 1}), tmp_path / "out")
    windows = [RecordFolder.open(each).windows for each in (folder, other)]
    assert windows[0] != windows[1]
    assert sorted(windows[0], key=str) == sorted(windows[1], key=str)
    starts = [each.predicted.start for each in windows[0] if each.split == "train"]
    assert starts != sorted(starts)


@pytest.mark.needs_shared_data
def test_real_records_exported_again_are_the_same(shared_data, tmp_path, pytestconfig, caplog):
    caplog.set_level(logging.WARNING)
    source = shared_data / "human_tiny" / "tiny" / "hg38"
    config = load_config(
        pytestconfig.rootpath / "configs" / "human_tiny.yaml",
        [f"store={tmp_path / 'store'}", f"tfrecords.folder={source}", "batch={window: 4096, crop: 1024}"],
    )
    assert prepare(config).mask.sum() == 65 * 2048
    before, after = RecordFolder.open(source), RecordFolder.open(export(config, tmp_path / "out"))
    assert caplog.text == ""
    read = dict(zip(after.windows, after.records(), strict=True))
    for window, (codes, target) in zip(before.windows, before.records(), strict=True):
        assert np.array_equal(read[window][0], codes)
        assert np.array_equal(read[window][1], target)
