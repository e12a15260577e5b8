"""A module of others with its weights as an encoder: one that works like Enformer, in small."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from genograph import ModuleEncoder, load_weights
from genograph.checkpoint import load_run
from genograph.config import load_config
from genograph.embed import embed
from genograph.errors import InputError
from genograph.experiment import Experiment
from genograph.train import train
from tests import tiny

OWN = '''
from pathlib import Path

import torch
from torch import nn

from genograph import ModuleEncoder, load_weights


class Trunk(nn.Module):
    """Convolutions, attention over eight positions on each side, a crop of eight: positions of 64 bp."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv1d(4, 6, 15, padding=7), nn.GELU(), nn.AvgPool1d(64))
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)

    def forward(self, one_hot):
        x = self.stem(one_hot).transpose(1, 2)
        place = torch.arange(x.shape[1], device=x.device)
        far = (place[:, None] - place).abs() > 8
        return (x + self.attention(x, x, x, attn_mask=far)[0])[:, 8:-8]


class Small(ModuleEncoder):
    def __init__(self, bin_size: int, *, weights: Path | None = None) -> None:
        trunk = Trunk()
        if weights is not None:
            load_weights(trunk, weights)
        super().__init__(trunk, bin_size, channels=6, stride=64, context=8 * 64 + 7, channels_last=True)
'''


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The tiny world, with the file of the class and weights for it."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "small.py").write_text(OWN)
    config = tiny.write_world(folder)
    torch.manual_seed(3)
    module = Experiment.open(load_config(config, ["model.encoder={name: small.py:Small}"])).model().encoder.module
    save_file(module.state_dict(), folder / "trunk.safetensors")
    return config


ENCODER = "model.encoder={name: small.py:Small, weights: trunk.safetensors}"


def opened(world, *changes):
    return Experiment.open(load_config(world, changes))


def test_a_model_begins_with_the_weights_of_the_file(world):
    saved = load_file(world.parent / "trunk.safetensors")
    encoder = opened(world, ENCODER).model().encoder
    assert {name: each.tolist() for name, each in encoder.module.state_dict().items()} == {
        name: each.tolist() for name, each in saved.items()
    }
    fresh = opened(world, "model.encoder={name: small.py:Small}", "seed=1").model().encoder
    assert not torch.equal(fresh.module.stem[0].weight, saved["stem.0.weight"])


def test_bins_have_the_mean_of_their_positions_wherever_a_piece_ends(world):
    encoder = opened(world, ENCODER).model().encoder.eval()
    codes = torch.randint(0, 4, (1, 24 * 128), generator=torch.Generator().manual_seed(0))
    sequence = torch.eye(4)[codes].transpose(1, 2)
    positions = encoder.module(sequence)  # without the 8 that are cropped: the first is the first of bin 4
    expected = positions.unflatten(1, (16, 2)).mean(2)
    torch.testing.assert_close(encoder(sequence, 5), expected[:, 1:-1])
    piece = sequence[:, :, 3 * 128 : 15 * 128]  # bins 3 to 14: 8 and 9 with a halo of 5
    torch.testing.assert_close(encoder(piece, 5), expected[:, 4:6])


def test_it_trains_frozen_and_is_embedded_as_any_other(world, tmp_path):
    run = train(load_config(world, [ENCODER, "training.max_epochs=1", "training.freeze=[encoder]"]), tmp_path / "run")
    _, model = load_run(run)
    saved = load_file(world.parent / "trunk.safetensors")
    assert all(torch.equal(model.encoder.module.state_dict()[name], each) for name, each in saved.items())
    values = np.load(embed(run).with_name("embeddings.npy"))
    assert values.shape[1] == 6
    assert np.isfinite(values).all()


def test_a_module_that_crops_more_than_its_context_is_refused(world):
    encoder = ModuleEncoder(nn.Conv1d(4, 6, 257), 128, channels=6, stride=1, context=127)
    assert encoder.halo == 1
    with pytest.raises(InputError, match="gives 128 positions of 1 bp for 384 bp, of which 0 on each side are context"):
        encoder(torch.zeros(1, 4, 384), 0)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"channels": 7, "stride": 1, "context": 0}, r"gives \(1, 6, 256\) for \(1, 4, 256\), not .* with 7 channels"),
        ({"channels": 6, "stride": 2, "context": 0}, "gives 256 positions of 2 bp for 256 bp"),
        ({"channels": 6, "stride": 3, "context": 0}, "128 bp, no multiple of the 3 bp"),
    ],
)
def test_what_a_module_gives_must_be_what_is_said_of_it(options, told):
    with pytest.raises(InputError, match=told):
        ModuleEncoder(nn.Conv1d(4, 6, 1), 128, **options)(torch.zeros(1, 4, 256))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"weight": torch.zeros(2, 3)}, "other weights than Linear: bias is missing"),
        ({"weight": torch.zeros(2, 3), "bias": torch.zeros(2), "more": torch.zeros(1)}, "more is not in the module"),
        ({"weight": torch.zeros(3, 2), "bias": torch.zeros(2)}, "weight differs"),
        ([1], "holds no state dict"),
        (nn.Linear(3, 2), "holds no weights"),
    ],
    ids=["one missing", "one more", "another shape", "a list", "a whole module"],
)
def test_weights_that_are_not_the_modules_are_one_line(content, told, tmp_path):
    torch.save(content, tmp_path / "weights.pt")
    with pytest.raises(InputError, match=told):
        load_weights(nn.Linear(3, 2), tmp_path / "weights.pt")


def test_a_file_that_is_not_there_or_damaged_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"none\.safetensors: No such file"):
        load_weights(nn.Linear(3, 2), tmp_path / "none.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(b"1234")
    with pytest.raises(InputError, match=r"cut\.safetensors holds no weights"):
        load_weights(nn.Linear(3, 2), tmp_path / "cut.safetensors")
