from __future__ import annotations

import copy
import json
import logging

import pytest
import torch

from genograph.config import load_config
from genograph.describe import models
from genograph.errors import InputError
from genograph.nn.model import build_model

# Written by hand from what is published of the two models (Kelley et al. 2018; Kelley 2020).
SMALL = {
    "train": {
        "batch_size": 4,
        "optimizer": "sgd",
        "learning_rate": 0.1,
        "loss": "poisson",
        "momentum": 0.99,
        "patience": 8,
        "clip_norm": 2,
    },
    "model": {
        "seq_length": 131072,
        "augment_rc": True,
        "augment_shift": 3,
        "activation": "gelu",
        "batch_norm": True,
        "bn_momentum": 0.9,
        "trunk": [
            {"name": "conv_block", "filters": 64, "kernel_size": 15, "pool_size": 8},
            {
                "name": "conv_tower",
                "filters_init": 64,
                "filters_mult": 1.125,
                "kernel_size": 5,
                "pool_size": 4,
                "repeat": 2,
            },
            {"name": "dilated_residual", "filters": 32, "rate_mult": 2, "repeat": 6, "dropout": 0.25},
            {"name": "conv_block", "filters": 64, "dropout": 0.05},
        ],
        "head_human": {"name": "final", "units": 3, "activation": "softplus"},
    },
}
BASENJI2 = {
    "train": {
        "batch_size": 4,
        "optimizer": "sgd",
        "learning_rate": 0.15,
        "loss": "poisson",
        "momentum": 0.99,
        "patience": 16,
        "clip_norm": 2,
    },
    "model": {
        "seq_length": 131072,
        "target_length": 1024,
        "activation": "gelu",
        "batch_norm": True,
        "bn_momentum": 0.9,
        "trunk": [
            {"name": "conv_block", "filters": 288, "kernel_size": 15, "pool_size": 2},
            {
                "name": "conv_tower",
                "filters_init": 339,
                "filters_mult": 1.1776,
                "kernel_size": 5,
                "pool_size": 2,
                "repeat": 6,
            },
            {
                "name": "dilated_residual",
                "filters": 384,
                "kernel_size": 3,
                "rate_mult": 1.5,
                "round": True,
                "repeat": 11,
                "dropout": 0.3,
            },
            {"name": "Cropping1D", "cropping": 64},
            {"name": "conv_block", "filters": 1536, "dropout": 0.05},
        ],
        "head_human": {"name": "final", "units": 5313, "activation": "softplus"},
    },
}

# Basset in Basenji's blocks, 1,344 bp.
BASSET = {
    "train": {
        "batch_size": 64,
        "optimizer": "sgd",
        "loss": "bce",
        "learning_rate": 0.005,
        "momentum": 0.98,
        "patience": 12,
        "train_epochs_min": 10,
    },
    "model": {
        "seq_length": 1344,
        "augment_rc": True,
        "augment_shift": 3,
        "activation": "gelu",
        "batch_norm": True,
        "bn_momentum": 0.9,
        "verbose": False,
        "trunk": [
            {"name": "conv_dna", "filters": 288, "kernel_size": 17, "pool_size": 3},
            {
                "name": "conv_tower",
                "filters_init": 288,
                "filters_end": 512,
                "divisible_by": 16,
                "kernel_size": 5,
                "pool_size": 2,
                "repeat": 6,
            },
            {"name": "conv_block", "filters": 256},
            {"name": "dense_block", "units": 768, "flatten": True, "dropout": 0.2},
        ],
        "head": [{"name": "dense", "units": 164, "activation": "sigmoid"}],
    },
}


def load(params, folder, overrides=()):
    path = folder / "params.json"
    path.write_text(json.dumps(params))
    return load_config(path, overrides)


def changed(params, where, **keys):
    """A copy with keys set in a part of it; None takes a key out."""
    params = copy.deepcopy(params)
    part = params
    for step in where:
        part = part[step]
    part.update(keys)
    for key in [key for key, value in keys.items() if value is None]:
        del part[key]
    return params


@pytest.mark.parametrize(
    ("params", "total", "trainable", "receptive_field"),
    [(SMALL, 111_011, 109_235, 16_430), (BASENJI2, 30_123_584, 30_088_228, 54_918)],
)
def test_a_params_file_gives_the_published_model(params, total, trainable, receptive_field, tmp_path):
    row = models([load(params, tmp_path)]).iloc[0]
    assert (row["parameters"], row["trainable"], row["receptive_field"]) == (total, trainable, receptive_field)
    assert row["tracks"] == params["model"]["head_human"]["units"]


@pytest.mark.parametrize(("params", "shipped"), [(SMALL, "basenji_small"), (BASENJI2, "basenji2")])
def test_a_params_file_is_the_shipped_config(params, shipped, tmp_path, pytestconfig):
    ours = load_config(pytestconfig.rootpath / "configs" / f"{shipped}.yaml")
    read = load(params, tmp_path)
    for section in ("bins", "batch", "augment"):
        assert getattr(read, section) == getattr(ours, section), section
    # Shipped configs end after 100 epochs at the latest, as others of genograph.
    assert read.training == ours.training.model_copy(update={"max_epochs": 10_000})
    with torch.device("meta"):
        nets = [build_model(each.model, bin_size=128, edge_dim=2, tracks={}) for each in (read, ours)]
    for part in ("encoder", "processor", "trunk"):
        assert str(getattr(nets[0], part)) == str(getattr(nets[1], part))


def test_the_params_file_of_basset_is_the_shipped_config(tmp_path, pytestconfig, caplog):
    ours = load_config(pytestconfig.rootpath / "configs" / "basset_1344.yaml")
    read = load(BASSET, tmp_path, ["bins.bin_size=192"])
    for section in ("bins", "batch", "augment", "sites"):
        assert getattr(read, section) == getattr(ours, section), section
    assert read.training == ours.training.model_copy(update={"max_epochs": 10_000})
    assert models([read]).loc[0, "parameters"] == 5_983_844
    with torch.device("meta"):
        nets = [build_model(each.model, bin_size=192, edge_dim=2, tracks={}) for each in (read, ours)]
    assert str(nets[0]) == str(nets[1])
    assert "model.verbose = false is left out" in caplog.text


def test_a_dense_block_of_each_position_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"trunk\[3\]\.flatten: genograph has true only; left out, it is false"):
        load(changed(BASSET, ["model", "trunk", 3], flatten=None), tmp_path)
    with pytest.raises(InputError, match=r"seq_length: must be a multiple of 192"):
        load(changed(BASSET, ["model"], seq_length=1000), tmp_path)


def test_all_that_trains_a_model_is_taken_over(tmp_path):
    train = {
        "optimizer": "adam",
        "learning_rate": 1e-4,
        "adam_beta1": 0.8,
        "adam_beta2": 0.95,
        "global_clipnorm": 0.1,
        "warmup_steps": 10_000,
        "patience": 25,
        "train_epochs_min": 3,
        "train_epochs_max": 7,
        "batch_size": 2,
        "loss": "poisson_mn",
        "total_weight": 0.2,
    }
    config = load(SMALL | {"train": train}, tmp_path)
    training = config.training
    assert (training.optimizer, training.learning_rate, training.momentum, training.beta2) == ("adam", 1e-4, 0.8, 0.95)
    assert (training.clip_norm, training.clip, training.warmup, training.patience) == (0.1, "global", 10_000, 25)
    assert (training.min_epochs, training.max_epochs, config.batch.size) == (3, 7, 2)
    assert config.model.heads == {"coverage": {"tracks": 3, "loss": "poisson_multinomial"}}


def test_what_a_params_file_leaves_out_is_basenjis_default(tmp_path):
    left_out = ("optimizer", "learning_rate", "momentum", "patience", "loss", "clip_norm")
    params = changed(SMALL, ["train"], **dict.fromkeys(left_out))
    params = changed(params, ["model"], augment_rc=None, augment_shift=None)
    params = changed(params, ["model", "trunk", 0], name="conv_dna", kernel_size=None)
    params = changed(params, ["model", "trunk", 2], kernel_size=None, dropout=None)
    config = load(changed(params, ["model", "trunk", 1], repeat=None, kernel_size=None, pool_size=32), tmp_path)
    training = config.training
    assert (training.optimizer, training.learning_rate, training.momentum) == ("sgd", 0.01, 0.99)
    assert (training.patience, training.min_epochs, training.max_epochs) == (20, 1, 10_000)
    assert (training.clip_norm, training.warmup, training.monitor) == (None, 0, "pearsonr")
    assert (config.augment.reverse_complement, config.augment.shift) == (False, 0)
    first, tower = config.model.encoder.options["blocks"]
    assert (first["kernel"], tower["kernel"], tower["filters"]) == (15, 1, [64])
    dilated = config.model.processor[0].options
    assert (dilated["kernel"], dilated["dropout"]) == (3, 0)
    assert config.model.heads == {"coverage": {"tracks": 3, "loss": "poisson"}}


def test_betas_that_are_left_out_are_basenjis(tmp_path):
    training = load(changed(SMALL, ["train"], optimizer="adam", momentum=None), tmp_path).training
    assert (training.momentum, training.beta2) == (0.9, 0.999)
    assert {"momentum", "beta2"} <= training.model_fields_set


def test_peaks_are_an_accessibility_head_that_is_watched_by_its_loss(tmp_path):
    params = changed(SMALL, ["train"], loss="bce")
    params = changed(params, ["model", "head_human"], activation="sigmoid")
    config = load(params, tmp_path)
    assert config.model.heads == {"accessibility": {"tracks": 3, "loss": "bce"}}
    assert config.training.monitor == "loss"


def test_overrides_complete_a_params_file(tmp_path):
    config = load(SMALL, tmp_path, ["tfrecords.folder=hg38", "model.heads={expression: {}}"])
    assert config.tfrecords.folder == tmp_path / "hg38"
    assert list(config.model.heads) == ["expression"]
    assert config.name == "params"


def test_widths_of_a_tower_are_rounded_where_they_are_used_only(tmp_path):
    tower = {
        "filters_mult": None,
        "filters_init": 40,
        "filters_end": 64,
        "divisible_by": 4,
        "repeat": 4,
        "pool_size": 2,
    }
    config = load(changed(SMALL, ["model", "trunk", 1], **tower), tmp_path)
    # 40, 46.8, 54.7 and 64, to multiples of 4.
    assert config.model.encoder.options["blocks"][1]["filters"] == [40, 48, 56, 64]


def test_conv_dna_activates_after_its_convolution(tmp_path):
    config = load(changed(SMALL, ["model", "trunk", 0], name="conv_dna"), tmp_path)
    with torch.device("meta"):
        tower = build_model(config.model, bin_size=128, edge_dim=2, tracks={}).encoder.tower
    names = [[name for name, _ in block.named_children()] for block in tower]
    assert names == [["conv", "norm", "act", "pool"], *[["act", "conv", "norm", "pool"]] * 2]
    assert tower[0].conv.bias is None
    assert models([config])["parameters"].item() == 111_011


def test_what_is_left_out_is_told(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    params = changed(SMALL, ["train"], shuffle_buffer=64, train_epochs=50, adam_beta1=0.9)
    load(changed(params, ["model"], l2_scale=1e-7), tmp_path)
    told = [record.getMessage() for record in caplog.records]
    assert [message.split(": ", 1)[1].split(" is left out")[0] for message in told] == [
        "model.l2_scale = 1e-07",
        "train.shuffle_buffer = 64",
        "train.train_epochs = 50",
        "train.adam_beta1 = 0.9",
    ]


@pytest.mark.parametrize(
    ("where", "keys", "complaint"),
    [
        (["model", "trunk", 2], {"name": "transformer_tower"}, "no block transformer_tower"),
        (["model", "trunk", 0], {"strides": 2}, r"trunk\[0\]: 'strides' is nothing"),
        (["model", "trunk", 0], {"norm_type": None, "activation": "linear"}, r"trunk\[0\].activation.*\"gelu\" only"),
        (["model", "trunk", 2], {"rate_mult": 1.5}, 'add "round": true'),
        (["model", "trunk", 3], {"kernel_size": 3}, "the last conv_block has kernel_size 1"),
        (
            ["model", "trunk", 3],
            {"name": "Cropping1D", "cropping": 2, "filters": None, "dropout": None},
            "the blocks are",
        ),
        (["model"], {"activation": None}, "model.activation: genograph has"),
        (["model"], {"batch_norm": False}, "model.batch_norm"),
        (["model"], {"kernel_initializer": "lecun_normal"}, "model.kernel_initializer"),
        (["model"], {"bn_momentum": 0.99}, "model.bn_momentum: genograph has 0.9 only; got 0.99."),
        (["model"], {"bn_momentum": None}, "model.bn_momentum: genograph has 0.9 only; left out, it is 0.99"),
        (["model", "trunk", 1], {"filters_mult": None}, r"trunk\[1\].filters_mult: a number is needed; got None"),
        (["train"], {"batch_size": None}, "train.batch_size: a number is needed; got None"),
        (["model"], {"seq_length": 131_073}, "a multiple of 128"),
        (["model"], {"target_length": 1000}, "model.target_length: genograph has 1024"),
        (["model"], {"head_mouse": {"name": "final", "units": 2}}, "one head; got head_human, head_mouse"),
        (["model", "head_human"], {"units": None}, "head_human.units: a number is needed; got None"),
        (["model", "head_human"], {"activation": "linear"}, "head_human.activation"),
        (["train"], {"loss": "mse"}, "train.loss"),
        (["train"], {"loss": "poisson_mn"}, "train.total_weight: genograph has 0.2 only; left out, it is 1"),
        (["train"], {"loss": "poisson_mn", "total_weight": 1}, r"train.total_weight: genograph has 0.2 only; got 1"),
        (["train"], {"optimiser": "adam"}, "'optimiser' is nothing that genograph can do. Did you mean 'optimizer'"),
        (["train"], {"global_clipnorm": 1}, "one or the other"),
        ([], {"models": {}}, "'models' is nothing"),
    ],
)
def test_what_genograph_cannot_do_is_refused_by_name(where, keys, complaint, tmp_path):
    with pytest.raises(InputError, match=complaint):
        load(changed(SMALL, where, **keys), tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"train": {}}', '{"model": {"trunk": 3}}', '{"model": {"trunk": [3]}}'])
def test_another_json_is_refused(text, tmp_path):
    (tmp_path / "params.json").write_text(text)
    with pytest.raises(InputError, match=r"params\.json"):
        load_config(tmp_path / "params.json")


@pytest.mark.needs_shared_data
def test_a_transformer_is_refused_by_name(shared_data):
    with pytest.raises(InputError, match="no block res_tower, transformer_tower, unet_conv"):
        load_config(shared_data / "human_tiny" / "params.json")
