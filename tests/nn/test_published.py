"""The rebuilt networks are held to the numbers of the originals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from genograph.config import changed_keys, load_config
from genograph.describe import models
from genograph.nn.encoders import BassetEncoder
from genograph.nn.model import GenomeModel, build_model, count_parameters
from genograph.ported import sequence_batch

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def build(name: str, **options: bool) -> GenomeModel:
    config = load_config(CONFIGS / f"{name}.yaml")
    return build_model(config.model, bin_size=config.bins.bin_size, edge_dim=2, tracks={}, **options)


@pytest.mark.parametrize(
    ("name", "total", "trainable", "receptive_field"),
    [
        ("basenji_small", 111_011, 109_235, 16_430),
        ("basenji2", 30_123_584, 30_088_228, 54_918),
        ("basenji_2018", 15_200_568, 15_190_636, 32_871),
    ],
)
def test_parameters_and_receptive_field_are_the_originals(name, total, trainable, receptive_field):
    with torch.device("meta"):
        model = build(name)
    assert count_parameters(model) == (total, trainable, total - trainable)
    assert model.receptive_field == receptive_field


@pytest.mark.parametrize(
    ("name", "parameters", "trainable", "receptive_field", "tracks"),
    [
        ("basset", 4_135_064 + 2 * 2_700, 4_135_064, 600, 164),
        ("basset_padded", 4_735_064 + 2 * 2_700, 4_735_064, 600, 164),
        ("basset_1344", 5_983_844, 5_983_844 - 2 * 3_664, 1344, 164),
        ("deepsea", 52_843_119, 52_843_119, 1000, 919),
        ("study_cnn", 5_969_201 + 2 * 2_700, 5_969_201, 1000, 1),
        ("study_cnn_rnn", 3_942_961 + 2 * 2_700, 3_942_961, 1000, 1),
        ("study_resnet", 23_501_825 + 2 * 15_168, 23_501_825, 1000, 1),
        ("deepcpg_dna", 4_102_144, 4_102_144, 1001, 0),
        ("deepcpg_dna_rnn", 1_023_360, 1_023_360, 1001, 0),
        ("deepcpg_cpg", 813_824, 813_824, 0, 0),
        ("deepcpg_joint", 5_506_816, 5_506_816, 1001, 0),
        ("deepcpg_graph", 6_824_192, 6_824_192 - 2 * 512, 1001, 0),
    ],
)
def test_networks_that_read_each_bin_by_itself_are_listed_with_the_originals_counts(
    name, parameters, trainable, receptive_field, tracks
):
    listed = models([load_config(CONFIGS / f"{name}.yaml")]).iloc[0]
    expected = (name, parameters, trainable, receptive_field, tracks)
    assert tuple(listed[["name", "parameters", "trainable", "receptive_field", "tracks"]]) == expected


def test_the_two_bassets_differ_in_padding_alone():
    valid, padded = (load_config(CONFIGS / f"{name}.yaml").model_dump() for name in ("basset", "basset_padded"))
    assert changed_keys(valid, padded) == {"name", "source", "store", "model.encoder.padding"}


def test_the_count_of_deepsea_is_the_sum_over_its_layers():
    positions, channels, total = 1000, 4, 0
    for filters, pool in ((320, 4), (480, 4), (960, 1)):
        total += 8 * channels * filters + filters
        positions, channels = (positions - 8 + 1) // pool, filters
    assert positions == 53
    total += positions * channels * 925 + 925
    total += 925 * 919 + 919
    assert total == 52_843_119


@pytest.mark.parametrize(
    ("layers", "hidden", "parameters"),
    [(1, 128, 4_052_736), (1, 256, 8_099_712), (2, 256, 8_099_968), (3, 128, 4_430_336), (3, 256, 8_362_624)],
)
def test_the_other_cnns_of_deepcpg_differ_in_blocks_and_hidden_alone(layers, hidden, parameters):
    options = load_config(CONFIGS / "deepcpg_dna.yaml").model.encoder.options
    blocks = [*options["blocks"], {"filters": 512, "kernel": 3, "pool": 2}][:layers]
    with torch.device("meta"):
        encoder = BassetEncoder(1, **options | {"blocks": blocks, "hidden": [hidden]})
    assert count_parameters(encoder).total == parameters


@pytest.mark.parametrize(
    ("name", "parameters"), [("deepcpg_dna", 4_102_789), ("deepcpg_cpg", 816_389), ("deepcpg_joint", 5_509_381)]
)
def test_deepcpg_of_five_cells_has_the_totals_that_keras_printed(name, parameters):
    config = load_config(CONFIGS / f"{name}.yaml", ["model.heads={methylation: {tracks: 5}}"])
    listed = models([config]).iloc[0]
    assert (listed["parameters"], listed["tracks"]) == (parameters, 5)


@pytest.mark.parametrize(("layers", "dense"), [(0, 0), (1, 328_192), (2, 590_848), (3, 853_504)])
def test_the_joint_modules_of_deepcpg_differ_in_the_number_of_dense_layers(layers, dense):
    processor = ", ".join(["{name: dense, width: 512, init: glorot_uniform}"] * layers)
    listed = models([load_config(CONFIGS / "deepcpg_joint.yaml", [f"model.processor=[{processor}]"])]).iloc[0]
    assert listed["parameters"] == 4_102_144 + 813_824 + dense


@pytest.mark.parametrize("name", ["deepsea", "study_cnn", "study_cnn_rnn", "study_resnet", "basset_1344"])
def test_a_window_of_one_bin_is_read_with_the_originals_context(name):
    config = load_config(CONFIGS / f"{name}.yaml")
    with torch.device("meta"):
        model = build(name, whole_windows=config.whole_windows)
    assert (config.batch.window + 2 * model.halo) * config.bins.bin_size == model.receptive_field


@pytest.mark.parametrize(("name", "predicted"), [("basenji_small", 1024), ("basenji2", 896), ("basenji_2018", 960)])
def test_a_window_has_the_originals_bins(name, predicted):
    config = load_config(CONFIGS / f"{name}.yaml")
    assert config.batch.predicted == predicted
    assert config.batch.window * config.bins.bin_size == 131_072


def test_the_small_model_reads_16430_bp_and_not_one_more(tiny):
    torch.manual_seed(0)
    model = build("basenji_small").double().eval()
    tiny.randomise(model)
    bins, bin_size, middle = 132, 128, 66
    batch = replace(tiny.batch(0), layout=((1, bins),), source=torch.arange(bins), crop=0, target={})
    reads = torch.zeros(bins * bin_size, dtype=torch.bool)
    for _ in range(3):  # a max pool hides what is not its maximum
        codes = torch.randint(0, 4, (1, bins * bin_size), dtype=torch.uint8)
        one_hot = model.one_hot(codes).requires_grad_()
        model.decode(model.encode(one_hot), batch)["expression"][0, middle].sum().backward()
        reads |= (one_hot.grad[0] != 0).any(0)
    positions = reads.nonzero()
    first = middle * bin_size - 63 * bin_size - 87
    assert (positions.min().item(), positions.max().item()) == (first, first + 16_430 - 1)


def test_the_small_models_output_is_that_of_a_literal_transcription(tiny):
    """Basenji's blocks written out with one-dimensional functions, on the same weights."""
    torch.manual_seed(0)
    model = build("basenji_small").eval()
    tiny.randomise(model)
    batch = replace(tiny.batch(0), layout=((1, 8),), source=torch.arange(8), crop=0, target={})
    one_hot = model.one_hot(torch.randint(0, 5, (1, 8 * 128), dtype=torch.uint8))
    prediction = model.rates(model.decode(model.encode(one_hot), batch))["expression"]
    torch.testing.assert_close(prediction, transcription(model, one_hot), rtol=1e-4, atol=1e-4)


def transcription(model: GenomeModel, x: torch.Tensor) -> torch.Tensor:
    f = torch.nn.functional

    def block(x, weight, norm, rate=1):
        weight = weight.view(*weight.shape[:2], -1)
        x = f.conv1d(f.gelu(x, approximate="tanh"), weight, padding="same", dilation=rate)
        mean, var, gamma, beta = (
            each[:, None] for each in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
        )
        return gamma * (x - mean) / torch.sqrt(var + 1e-3) + beta

    for conv_block, pool in zip(model.encoder.tower, (8, 4, 4), strict=True):
        x = f.max_pool1d(block(x, conv_block.conv.weight, conv_block.norm), pool)
    for residual, rate in zip(model.processor.layers[0].residuals, (1, 2, 4, 8, 16, 32), strict=True):
        y = block(x, residual.dilated.conv.weight, residual.dilated.norm, rate)
        x = x + block(y, residual.project.weight, residual.norm)
    x = f.gelu(block(x, model.trunk.block.conv.weight, model.trunk.block.norm), approximate="tanh")
    head = model.heads["expression"].linear
    return f.softplus(x.transpose(1, 2) @ head.weight.T + head.bias)


@pytest.mark.parametrize(
    ("name", "length"),
    [
        ("basset", 600),
        ("basset_padded", 600),
        ("basset_1344", 1344),
        ("deepsea", 1000),
        ("study_cnn", 1000),
        ("study_cnn_rnn", 1000),
        ("study_resnet", 1000),
        ("deepcpg_dna", 1001),
        ("deepcpg_dna_rnn", 1001),
    ],
)
def test_a_network_of_published_size_learns_with_all_its_parameters(name, length):
    config = load_config(CONFIGS / f"{name}.yaml")
    heads = config.model.heads or {"methylation": {"tracks": 2}}
    torch.manual_seed(0)
    model = build_model(config.model.model_copy(update={"heads": heads}), bin_size=length, edge_dim=2, tracks={})
    batch = sequence_batch("".join("ACGT"[each] for each in torch.randint(4, (3 * length,))), bin_size=length)
    (prediction,) = model(batch).values()
    prediction[..., 0].sum().backward()
    silent = [each for each, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert silent == []
