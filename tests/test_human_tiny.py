"""configs/human_tiny.yaml on the real records that it names."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from genograph.assays.tfrecord_folder import RecordFolder, description_prefix
from genograph.config import load_config
from genograph.experiment import Experiment

pytestmark = pytest.mark.needs_shared_data


@pytest.fixture(scope="module")
def source(shared_data):
    return shared_data / "human_tiny" / "tiny" / "hg38"


@pytest.fixture(scope="module")
def experiment(source, pytestconfig, tmp_path_factory):
    store = tmp_path_factory.mktemp("human_tiny") / "store"
    config = pytestconfig.rootpath / "configs" / "human_tiny.yaml"
    return Experiment.open(load_config(config, [f"store={store}", f"tfrecords.folder={source}"]))


def test_the_folder_has_the_windows_and_tracks_that_are_known_of_it(source):
    records = RecordFolder.open(source)
    assert Counter(window.split for window in records.windows) == {"train": 45, "valid": 10, "test": 10}
    assert (records.seq_length, records.pool_width, records.crop, records.target_length) == (131_072, 32, 32_768, 2048)
    prefixes = Counter(description_prefix(target.description) for target in records.targets)
    assert prefixes == {"CAGE": 24, "DNASE": 10, "RNA": 30, "RNA3": 10}
    assert [path.name for path in records.shards["train"]] == [f"train-{number}.tfr" for number in range(12)]
    pairs = {target.identifier: target.strand_pair for target in records.targets}
    assert (pairs["CNhs10752+"], pairs["CNhs10752-"], pairs["ENCFF890OGQ"]) == (
        "CNhs10752-",
        "CNhs10752+",
        "ENCFF890OGQ",
    )


def test_every_base_of_a_target_is_measured_and_none_of_the_crop(experiment):
    store = experiment.store
    assert next(iter(store.sizes)) == "chrX:132299877-132430949"
    assert store.mask.sum() == 65 * 2048
    assert {assay: len(rows) for assay, rows in store.targets.items()} == {"expression": 64, "accessibility": 10}
    assert np.bincount(experiment.split_of_bin).tolist() == [45 * 4096, 10 * 4096, 10 * 4096]


def test_training_windows_of_the_config_lie_where_values_are(experiment):
    train, valid = (experiment.dataset(split, experiment.model().halo) for split in ("train", "valid"))
    assert (len(train), len(valid)) == (45 * 7, 10 * 4)
    batch = train.make_batch([0, len(train) - 1])
    assert all(mask.all() for mask in batch.mask.values())
    assert (batch.codes < 4).all()
