from __future__ import annotations

import pytest
import torch

from genograph.errors import InputError
from genograph.nn.encoders import ENCODERS, BasenjiEncoder, BassetEncoder
from genograph.nn.heads import PeakOrCountHead
from genograph.nn.model import count_parameters

BIN = 8
OPTIONS = {
    "basenji": {"blocks": [{"filters": 6, "kernel": 6, "pool": 2}, {"filters": [6, 8], "kernel": 3, "pool": 2}]},
    "basset": {
        "input_length": 30,
        "blocks": [{"filters": 6, "kernel": 5, "pool": 3}, {"filters": 8, "kernel": 3, "pool": 2}],
        "hidden": [10, 12],
    },
}


@pytest.fixture(params=ENCODERS)
def encoder(request) -> torch.nn.Module:
    torch.manual_seed(0)
    return ENCODERS[request.param](BIN, **OPTIONS[request.param])


def one_hot(pieces: int, bins: int) -> torch.Tensor:
    codes = torch.randint(0, 4, (pieces, bins * BIN), generator=torch.Generator().manual_seed(0))
    return torch.eye(4)[codes].transpose(1, 2)


def test_every_registered_encoder_is_tested():
    assert OPTIONS.keys() == ENCODERS.keys()


def test_an_encoder_gives_one_embedding_per_bin(encoder):
    assert encoder(one_hot(3, 5)).shape == (3, 5, encoder.channels)


def test_every_parameter_of_an_encoder_gets_a_gradient(encoder):
    # Twelve bins, so that no ReLU is dead; a bias before a normalisation cancels in training mode.
    encoder.eval()(one_hot(4, 12)).square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad.abs().max() > 1e-8, name


def test_embeddings_do_not_depend_on_where_a_piece_ends_beyond_its_halo(encoder):
    encoder.eval()
    sequence, halo = one_hot(1, 20), encoder.halo
    whole = encoder(sequence)
    piece = encoder(sequence[:, :, (8 - halo) * BIN : (12 + halo) * BIN])
    torch.testing.assert_close(piece[:, halo : halo + 4], whole[:, 8:12])
    assert not torch.allclose(piece[:, halo + 4], whole[:, 12])


def test_a_bin_reads_its_receptive_field_and_no_more(encoder):
    encoder.double().eval()
    reads = torch.zeros(20 * BIN, dtype=torch.bool)
    for seed in range(30):
        codes = torch.randint(0, 4, (1, 20 * BIN), generator=torch.Generator().manual_seed(seed))
        sequence = torch.eye(4, dtype=torch.double)[codes].transpose(1, 2).requires_grad_()
        encoder(sequence)[0, 10].square().sum().backward()
        reads |= (sequence.grad[0] != 0).any(0)
    positions = reads.nonzero()
    assert positions.max() - positions.min() + 1 == encoder.receptive_field


def test_an_encoder_that_does_not_pool_to_the_bin_size_is_an_input_error():
    blocks = [{"filters": 4, "kernel": 3, "pool": 64}, {"filters": 4, "kernel": 3, "pool": 2}]
    with pytest.raises(InputError, match="pools to 128 bp, bins are 100 bp"):
        BasenjiEncoder(100, blocks=blocks)


@pytest.mark.parametrize(("padding", "total"), [("valid", 4_135_064), ("same", 4_735_064)])
def test_basset_has_its_published_number_of_parameters(padding, total):
    with torch.device("meta"):
        encoder = BassetEncoder(600, padding=padding)
        head = PeakOrCountHead(encoder.channels, 164, loss="bce")
    assert count_parameters(encoder).trainable + count_parameters(head).trainable == total


def test_basset_reads_around_the_centre_of_shorter_and_longer_bins():
    assert (BassetEncoder(600).halo, BassetEncoder(128).halo, BassetEncoder(1000).halo) == (0, 2, 0)
    encoder = BassetEncoder(1000).eval()
    sequence = torch.rand(1, 4, 1000)
    cut = sequence.clone()
    cut[:, :, :200] = cut[:, :, 800:] = 0
    torch.testing.assert_close(encoder(cut), encoder(sequence))


def test_a_basset_without_input_left_is_an_input_error():
    with pytest.raises(InputError, match="input_length 20 is too short"):
        BassetEncoder(600, input_length=20)
