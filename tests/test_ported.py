"""Weights go between genograph and the models of other packages without a change of what is predicted."""

from __future__ import annotations

import random
import re
from copy import deepcopy
from pathlib import Path

import basenji2_pytorch
import pytest
import torch
import torch.nn.functional as f
from torch import Tensor, nn

from genograph.config import load_config
from genograph.errors import InputError
from genograph.nn.model import GenomeModel, build_model
from genograph.ported import basenji2_from_pytorch, basenji2_to_pytorch, basset_from_torch7, sequence_batch

ROOT = Path(__file__).parents[1]
EXACT_GELU = [f"model.{part}.activation=gelu_erf" for part in ("encoder", "processor.0", "trunk")]
NARROW = [
    "model.encoder.blocks.0.filters=6",
    "model.encoder.blocks.1.filters=[5,6,7,8,9,10]",
    "model.processor.0.filters=4",
    "model.trunk.filters=12",
    "model.heads.coverage.tracks=40",
]


def build(name: str, *changes: str) -> GenomeModel:
    config = load_config(ROOT / "configs" / f"{name}.yaml", changes)
    return build_model(config.model, bin_size=config.bins.bin_size, edge_dim=0, tracks={}).eval()


def randomise(model: nn.Module, head: float) -> None:
    """Weights that carry a signal on, less so the last layer's by `head`, and statistics unlike a new model's."""
    torch.manual_seed(1)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            for tensor in (module.weight, module.running_var):
                nn.init.uniform_(tensor, 0.5, 1.5)
            for tensor in (module.bias, module.running_mean):
                nn.init.normal_(tensor, std=0.3)
    last = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    nn.init.normal_(last.weight, std=head / last.in_features**0.5)
    nn.init.normal_(last.bias)


def random_sequence(bp: int, seed: int = 0) -> str:
    return "".join(random.Random(seed).choices("ACGTN", k=bp))


def transcribed_basenji2(state: dict[str, Tensor], x: Tensor) -> Tensor:
    """basenji2-pytorch's forward pass (1, 4, bp) -> (1, bins, tracks), from its tensors by name."""

    def block(x, name, rate=1):
        norm = [state[f"{name}.2.{each}"] for each in ("running_mean", "running_var", "weight", "bias")]
        x = f.conv1d(f.gelu(x), state[f"{name}.1.weight"], padding="same", dilation=rate)
        return f.batch_norm(x, *norm, eps=1e-3)

    x = f.max_pool1d(block(x, "model.trunk.0.block"), 2)
    for i in range(6):
        x = f.max_pool1d(block(x, f"model.trunk.1.tower.{i}.block"), 2)
    for i, rate in enumerate((1, 2, 3, 4, 6, 9, 14, 21, 32, 48, 72)):
        name = f"model.trunk.2.block.{i}.module"
        x = x + block(block(x, f"{name}.0.block", rate), f"{name}.1.block")
    x = f.gelu(block(x[..., 64:-64], "model.trunk.4.block")).transpose(1, 2)
    return f.softplus(f.linear(x, state["model.head.final.block.1.weight"], state["model.head.final.block.1.bias"]))


class FlatBasset(nn.Sequential):
    """Basset as Kipoi has it: sequence (N, 4, 600, 1) to probabilities (N, 164)."""

    def __init__(self) -> None:
        def conv(channels, filters, kernel, pool):
            yield from (nn.Conv2d(channels, filters, (kernel, 1)), nn.BatchNorm2d(filters))
            yield from (nn.ReLU(), nn.MaxPool2d((pool, 1)))

        def dense(channels, width):
            yield from (nn.Sequential(nn.Identity(), nn.Linear(channels, width)), nn.BatchNorm1d(width))
            yield from (nn.ReLU(), nn.Dropout(0.3))

        super().__init__(
            *conv(4, 300, 19, 3),
            *conv(300, 200, 11, 4),
            *conv(200, 200, 7, 4),
            nn.Flatten(),
            *dense(2000, 1000),
            *dense(1000, 1000),
            nn.Sequential(nn.Identity(), nn.Linear(1000, 164)),
            nn.Sigmoid(),
        )


@pytest.fixture(scope="module")
def narrow() -> GenomeModel:
    """Basenji2's layers, a few channels wide."""
    model = build("basenji2", *EXACT_GELU, *NARROW)
    randomise(model, head=0.1)
    return model


@pytest.fixture(scope="module")
def flat_basset() -> FlatBasset:
    model = FlatBasset().eval()
    randomise(model, head=1)
    return model


def test_every_tensor_of_basenji2_goes_out_and_comes_back(narrow):
    state = narrow.state_dict()
    ported = basenji2_to_pytorch(state)
    assert len(ported) == len(state)
    assert ported["model.trunk.2.block.10.module.1.block.1.weight"].shape == (10, 4, 1)
    back = basenji2_from_pytorch(ported)
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], state[name]) for name in state)


def test_weights_of_basenji2_predict_the_same_in_the_ports_layers(narrow):
    batch = sequence_batch(random_sequence(131 * 128), bin_size=128, crop=64)
    with torch.no_grad():
        ours = narrow(batch)["coverage"]
        theirs = transcribed_basenji2(basenji2_to_pytorch(narrow.state_dict()), narrow.one_hot(batch.codes))
    assert ours.shape == (1, 3, 40)
    assert ours.std(dim=1).max() > 0.1  # the sequence matters
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


def test_the_tanh_form_of_gelu_predicts_otherwise_than_the_port(narrow):
    tanh = build("basenji2", *NARROW)
    tanh.load_state_dict(narrow.state_dict())
    batch = sequence_batch(random_sequence(131 * 128), bin_size=128, crop=64)
    with torch.no_grad():
        assert (tanh(batch)["coverage"] - narrow(batch)["coverage"]).abs().max() > 1e-3


def test_weights_of_basenji2_pytorch_predict_as_in_that_package():
    params = deepcopy(basenji2_pytorch.basenji2_params["model"])
    params["seq_length"] = 132 * 128
    theirs = basenji2_pytorch.Basenji2(params).eval()
    randomise(theirs, head=0.01)  # outputs of about one
    ours = build("basenji2", *EXACT_GELU)
    ours.load_state_dict(basenji2_from_pytorch(theirs.state_dict()))
    batch = sequence_batch(random_sequence(132 * 128), bin_size=128, crop=64)
    with torch.no_grad():
        expected = theirs(ours.one_hot(batch.codes))
        torch.testing.assert_close(ours(batch)["coverage"], expected, rtol=0, atol=1e-4)
    assert expected.std(dim=1).mean() > 0.05  # the sequence matters
    theirs.load_state_dict(basenji2_to_pytorch(ours.state_dict()))  # strict: every name and shape


def test_weights_of_kipois_basset_predict_as_in_that_model(flat_basset):
    ours = build("basset")
    ours.load_state_dict(basset_from_torch7(flat_basset.state_dict()))
    batch = sequence_batch(random_sequence(600), bin_size=600)
    with torch.no_grad():
        prediction = ours(batch)["accessibility"][0]
        torch.testing.assert_close(prediction, flat_basset(ours.one_hot(batch.codes)[..., None]), rtol=0, atol=1e-5)
        other = ours(sequence_batch(random_sequence(600, seed=1), bin_size=600))["accessibility"][0]
    assert (other - prediction).abs().max() > 0.1  # the sequence matters


def test_weights_saved_before_normalisation_counted_batches_load(flat_basset):
    """Kipoi's file is of such a version of torch."""
    state = {key: tensor for key, tensor in flat_basset.state_dict().items() if "num_batches" not in key}
    build("basset").load_state_dict(basset_from_torch7(state))


def test_a_foreign_or_missing_layer_is_named(flat_basset, narrow):
    wrapped = {f"basenji2.{key}": tensor for key, tensor in basenji2_to_pytorch(narrow.state_dict()).items()}
    with pytest.raises(InputError, match=r"'basenji2\.model\.\S+' is no tensor of basenji2-pytorch's Basenji2"):
        basenji2_from_pytorch(wrapped)
    headless = {key: tensor for key, tensor in flat_basset.state_dict().items() if not key.startswith("21")}
    with pytest.raises(InputError, match=r"has no '21\.1\.weight' of Kipoi's Basset"):
        basset_from_torch7(headless)
    with pytest.raises(InputError, match=r"'encoder\.convs\S+' is no tensor of configs/basenji2\.yaml"):
        basenji2_to_pytorch(build("basset").state_dict())


def test_a_sequence_is_one_window_of_whole_bins():
    batch = sequence_batch("acgtNACG", bin_size=2, crop=1)
    assert batch.codes.tolist() == [[0, 1, 2, 3, 4, 0, 1, 2]]
    assert (batch.layout, batch.crop, batch.position.shape) == (((1, 4),), 1, (1, 2))
    assert batch.source.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(("bp", "crop"), [(7, 0), (0, 0), (8, 2)])
def test_a_sequence_of_broken_or_no_bins_is_refused(bp, crop):
    with pytest.raises(InputError, match=rf"the sequence has {bp} bp: it must be a multiple of 2, of more than"):
        sequence_batch("A" * bp, bin_size=2, crop=crop)


def test_the_examples_of_the_docs_run(flat_basset, tmp_path, monkeypatch):
    examples = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "docs" / "weights.md").read_text(), re.DOTALL | re.MULTILINE
    )
    torch.save(flat_basset.state_dict(), tmp_path / "pretrained_model_reloaded_th.pth")
    torch.save(basenji2_to_pytorch(build("basenji2").state_dict()), tmp_path / "basenji2.pth")
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    shapes = []
    for example in examples:
        exec(example, names)
        shapes.append(tuple(names["prediction"].shape))
    assert shapes == [(1, 1, 164), (1, 128, 5313)]
    assert (tmp_path / "to_pytorch.pth").is_file()
