from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from genograph.nn.blocks import ACTIVATIONS, ConvBlock, SameConv, SameMaxPool, from_image, initialise, to_image


def as_image(values: list[float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float).view(1, 1, 1, -1)


def test_images_are_channels_last_views_and_come_back_unchanged():
    x = torch.randn(2, 5, 3)
    image = to_image(x)
    assert image.shape == (2, 3, 1, 5)
    assert image.is_contiguous(memory_format=torch.channels_last)
    assert image.data_ptr() == x.data_ptr()
    assert torch.equal(from_image(image), x)


def test_he_normal_has_its_variance_after_the_cut_at_two_deviations():
    torch.manual_seed(0)
    weight = torch.empty(400, 50, 1, 10)
    initialise(weight)
    std = (2 / 500) ** 0.5
    assert weight.std().item() == pytest.approx(std, rel=0.01)
    assert weight.abs().max().item() <= 2 * std / 0.8796
    assert weight.abs().max().item() > 2.2 * std  # the cut is at two deviations of the normal that was cut


def test_a_block_is_activation_then_convolution_then_normalisation():
    block = ConvBlock(1, 1, dropout=0.1, pool=2).eval()
    assert [name for name, _ in block.named_children()] == ["act", "conv", "norm", "dropout", "pool"]
    torch.nn.init.ones_(block.conv.weight)
    # The tanh form of GELU(1) is 0.841192 (the exact one 0.841345), then a variance of 1 + 1e-3.
    assert block(as_image([1.0, 0.0])).item() == pytest.approx(0.841192 / 1.001**0.5, abs=1e-6)


def test_gelu_is_the_tanh_form_unless_the_exact_one_is_asked_for():
    one = torch.ones(())
    assert ACTIVATIONS["gelu"]()(one).item() == pytest.approx(0.841192, abs=1e-6)
    assert ACTIVATIONS["gelu_erf"]()(one).item() == pytest.approx(0.841345, abs=1e-6)


def test_only_the_convolution_before_its_activation_has_a_bias():
    assert ConvBlock(4, 2, 3).conv.bias is None
    block = ConvBlock(4, 2, 3, order="conv_norm_act", activation="relu")
    assert [name for name, _ in block.named_children()] == ["conv", "norm", "act"]
    assert block.conv.bias.shape == (2,)


def test_pooling_keeps_a_remainder_and_pads_both_sides():
    assert SameMaxPool(3)(as_image([1, 2, 3, 4])).flatten().tolist() == [2, 4]
    assert SameMaxPool(3)(as_image([-1, -2, -3, -4, -5])).flatten().tolist() == [-1, -4]


def test_an_even_kernel_has_its_longer_arm_to_the_right():
    conv = SameConv(1, 1, 2)
    torch.nn.init.ones_(conv.weight)
    assert conv(as_image([1, 2, 3])).flatten().tolist() == [3, 5, 3]


@pytest.mark.parametrize(("kernel", "dilation"), [(1, 1), (3, 4), (6, 1), (22, 1), (4, 3)])
def test_same_convolution_is_the_one_dimensional_one_padded_as_tensorflow_pads(kernel, dilation):
    torch.manual_seed(0)
    conv, x = SameConv(3, 5, kernel, dilation=dilation), torch.randn(2, 3, 40)
    span = dilation * (kernel - 1)
    padded = F.pad(x, (span // 2, span - span // 2))
    expected = F.conv1d(padded, conv.weight.squeeze(2), dilation=dilation)
    torch.testing.assert_close(conv(x.unsqueeze(2)).squeeze(2), expected, rtol=1e-5, atol=1e-5)
