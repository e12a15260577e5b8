from __future__ import annotations

import numpy as np
import pytest
import torch

from genograph.errors import InputError
from genograph.nn.encoders import ENCODERS, BasenjiEncoder, BassetEncoder, NoEncoder, ResNetEncoder
from genograph.nn.encoders.recurrent import Recurrent, RecurrentSpec
from genograph.nn.model import count_parameters

BIN = 8
BASSET = {
    "input_length": 30,
    "blocks": [{"filters": 6, "kernel": 5, "pool": 3}, {"filters": 8, "kernel": 3, "pool": 2}],
    "hidden": [10, 12],
}
# What is dropped of a remainder is not read: these lengths leave none.
OPTIONS = {
    "basenji": [{"blocks": [{"filters": 6, "kernel": 6, "pool": 2}, {"filters": [6, 8], "kernel": 3, "pool": 2}]}],
    "basset": [
        BASSET,
        BASSET | {"order": "act_conv_norm", "activation": "gelu", "padding": "same", "bias": False, "dropout": 0.5},
        BASSET | {"norm_eps": None, "init": "glorot_uniform", "remainder": "drop", "input_length": 28},
        BASSET | {"recurrent": {"cell": "lstm", "width": 5}, "hidden": []},
        BASSET | {"recurrent": {"cell": "gru", "width": 5, "dropout": 0.5}},
    ],
    "resnet": [
        {"input_length": 30, "units": [1, 2], "width": 4},
        {"input_length": 30, "units": [2], "width": 4, "square_kernels": True},
    ],
}
CASES = [(name, options) for name, cases in OPTIONS.items() for options in cases]


@pytest.fixture(params=CASES, ids=[f"{name}-{number}" for number, (name, _) in enumerate(CASES)])
def encoder(request) -> torch.nn.Module:
    torch.manual_seed(0)
    name, options = request.param
    return ENCODERS[name](BIN, **options)


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


def test_no_encoder_gives_embeddings_without_channels_of_inner_bins():
    encoder = NoEncoder(BIN)
    assert encoder(one_hot(3, 9), 2).shape == (3, 5, encoder.channels) == (3, 5, 0)


@pytest.mark.parametrize("halo", [1, 2, 3])
def test_inner_bins_are_those_that_are_there_without_a_halo(halo, encoder):
    sequence = one_hot(3, 9)
    torch.testing.assert_close(encoder.eval()(sequence, halo), encoder(sequence)[:, halo : 9 - halo])


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


@pytest.mark.parametrize(("bin_size", "length"), [(1, 21), (8, 30), (8, 5)])
@pytest.mark.parametrize("name", ["basset", "resnet"])
def test_bins_read_by_themselves_cost_one_evaluation_per_inner_bin(name, bin_size, length):
    options = {"basset": {"blocks": [{"filters": 2, "kernel": 3}], "hidden": [2]}, "resnet": {"units": [1], "width": 1}}
    encoder = ENCODERS[name](bin_size, input_length=length, **options[name]).eval()
    sizes = []
    network = encoder.convs if name == "basset" else encoder.stem
    network.register_forward_hook(lambda _, inputs, __: sizes.append(inputs[0].shape))
    bins = 3 + 2 * encoder.halo
    assert encoder(torch.rand(2, 4, bins * bin_size), encoder.halo).shape == (2, 3, encoder.channels)
    assert sizes == [(2 * 3, 4, 1, length)]


def test_one_base_is_the_middle_of_what_is_read_for_it():
    encoder = BassetEncoder(1, input_length=1001, blocks=[{"filters": 1, "kernel": 1}], hidden=[], norm_eps=None)
    assert encoder.halo == 500
    sequence = torch.rand(1, 4, 1001)
    assert torch.equal(encoder.reader(sequence, 500)[0, :, 0], sequence[0])


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


def test_a_remainder_of_positions_is_kept_as_in_basset_or_dropped_as_in_deepsea():
    def channels(**options):
        return BassetEncoder(10, input_length=10, blocks=[{"filters": 1, "pool": 4}], hidden=[], **options).channels

    assert (channels(), channels(remainder="drop")) == (3, 2)


def test_in_the_order_of_basenji_only_the_first_convolution_comes_before_its_activation():
    encoder = BassetEncoder(BIN, **BASSET | {"order": "act_conv_norm"})
    assert [list(dict(block.named_children())) for block in encoder.convs] == [
        ["conv", "norm", "act", "pool"],
        ["act", "conv", "norm", "pool"],
    ]
    layers = [type(layer).__name__ for layer in [*encoder.dense[1], encoder.dense[2]]]
    assert layers == ["ReLU", "Linear", "BatchNorm1d", "Dropout", "ReLU"]


def test_dropout_of_a_block_comes_after_its_pool():
    block = {"filters": 1, "pool": 2, "dropout": 0.1}
    parts = BassetEncoder(10, input_length=10, blocks=[block], norm_eps=None).convs[0]
    assert list(dict(parts.named_children())) == ["conv", "act", "pool", "dropout"]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(cell, steps):
    """Hochreiter and Schmidhuber's equations, one sequence, with numpy."""
    w, b, u = (each.detach().numpy() for each in (cell.input.weight, cell.input.bias, cell.state.weight))
    h = c = np.zeros(u.shape[1])
    for x in steps:
        i, f, g, o = np.split(w @ x + b + u @ h, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
    return h


def gru(cell, steps):
    """Keras' GRU of 2017, one sequence, with numpy: hard sigmoids, the state is reset before its matrix."""
    w, b, u = (each.detach().numpy() for each in (cell.input.weight, cell.input.bias, cell.state.weight))
    (wz, wr, wh), (bz, br, bh), (uz, ur, uh) = (np.split(each, 3) for each in (w, b, u))
    h = np.zeros(u.shape[1])
    for x in steps:
        z = np.clip(0.2 * (wz @ x + bz + uz @ h) + 0.5, 0, 1)
        r = np.clip(0.2 * (wr @ x + br + ur @ h) + 0.5, 0, 1)
        h = z * h + (1 - z) * np.tanh(wh @ x + bh + uh @ (r * h))
    return h


@pytest.mark.parametrize(("cell", "transcription", "gates"), [("lstm", lstm, 4), ("gru", gru, 3)])
def test_a_recurrent_layer_gives_the_last_states_of_both_directions(cell, transcription, gates):
    torch.manual_seed(0)
    layer = Recurrent(3, RecurrentSpec(cell=cell, width=4))
    torch.nn.init.normal_(layer.ahead.input.bias)
    steps = 3 * np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    last = layer(torch.from_numpy(steps.T).reshape(1, 3, 1, 6))
    expected = [*transcription(layer.ahead, steps), *transcription(layer.back, steps[::-1])]
    assert last[0].tolist() == pytest.approx(expected, abs=1e-5)
    assert count_parameters(layer).total == 2 * gates * 4 * (3 + 4 + 1)  # one bias a gate


def test_a_forget_gate_starts_open_and_other_biases_at_zero():
    bias = Recurrent(3, RecurrentSpec(cell="lstm", width=2)).ahead.input.bias
    assert bias.tolist() == [0, 0, 1, 1, 0, 0, 0, 0]


def test_of_a_square_kernel_the_sequence_meets_the_middle_row():
    torch.manual_seed(0)
    square = ResNetEncoder(BIN, input_length=30, units=[1, 1], width=2, square_kernels=True).eval()
    flat = ResNetEncoder(BIN, input_length=30, units=[1, 1], width=2).eval()
    flat.load_state_dict(
        {
            name: value[:, :, value.shape[2] // 2][:, :, None] if value.ndim == 4 else value
            for name, value in square.state_dict().items()
        }
    )
    torch.testing.assert_close(flat(one_hot(1, 9)), square(one_hot(1, 9)))
    image = torch.rand(1, 4, 1, 30)
    stem = square.stem[0]
    as_slim = torch.nn.functional.conv2d(image, stem.weight, stem.bias, stride=2, padding=3)
    torch.testing.assert_close(stem(image), as_slim)


def test_the_last_unit_of_each_stage_but_the_last_halves_the_length():
    encoder = ResNetEncoder(BIN, input_length=100, units=[1, 2, 2], width=2)
    assert [unit.stride for unit in encoder.units] == [2, 1, 2, 1, 1]
    assert [unit.shortcut is None for unit in encoder.units] == [False, False, True, False, True]
    lengths = []
    for part in (*encoder.stem, *encoder.units):
        part.register_forward_hook(lambda _, __, out: lengths.append(out.shape[3]))
    encoder(torch.rand(1, 4, BIN))
    assert lengths == [50, 24, 12, 12, 6, 6, 6]
