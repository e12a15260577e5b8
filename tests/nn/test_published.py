"""The rebuilt Basenjis are held to the numbers of the originals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from genograph.config import load_config
from genograph.nn.model import GenomeModel, build_model, count_parameters

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def build(name: str) -> GenomeModel:
    config = load_config(CONFIGS / f"{name}.yaml")
    return build_model(config.model, bin_size=config.bins.bin_size, edge_dim=2, tracks={})


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
    batch = replace(tiny.batch(0), layout=((1, bins),), source=torch.arange(bins), crop=0)
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
    batch = replace(tiny.batch(0), layout=((1, 8),), source=torch.arange(8), crop=0)
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
