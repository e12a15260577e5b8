from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from genograph.errors import InputError
from genograph.nn.layers import LAYERS, Dilated, GatedGCN
from genograph.nn.layers.dilated import dilation_rates
from genograph.nn.layers.gcn import GraphConvolution
from genograph.nn.layers.graph_block import GraphBlock, NodeNorm, NodePool
from genograph.nn.layers.sage import SAGE
from genograph.nn.layers.scatter import EdgeWeight

CHANNELS = 8
GRAPH_LAYERS = [name for name, layer in LAYERS.items() if issubclass(layer, GraphBlock)]


def make(name: str, tiny) -> torch.nn.Module:
    torch.manual_seed(0)
    layer = LAYERS[name](CHANNELS, tiny.edge_dim, **tiny.small.get(name, {}))
    tiny.randomise(layer)
    return layer.eval()


def bins(num_windows: int = 1) -> torch.Tensor:
    """Embeddings of the bins of `tiny.batch`, the same for each window."""
    one = torch.randn(8, CHANNELS, generator=torch.Generator().manual_seed(1))
    return torch.cat([one[:6]] * num_windows + [one[6:]] * num_windows)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_takes_bins_and_gives_bins(name, tiny):
    layer = make(name, tiny)
    assert layer(bins(2), tiny.batch(0, 1)).shape == (16, layer.channels)


@pytest.mark.parametrize("name", LAYERS)
def test_every_parameter_of_a_layer_gets_a_gradient(name, tiny):
    layer = make(name, tiny)
    layer(bins(2), tiny.batch(0, 1)).square().sum().backward()
    for each, parameter in layer.named_parameters():
        assert parameter.grad is not None, each
        assert parameter.grad.abs().max() > 1e-5, each


@pytest.mark.parametrize("name", LAYERS)
def test_two_windows_give_what_each_gives_alone(name, tiny):
    def double(batch):
        return replace(batch, edge_attr=batch.edge_attr.double())

    layer = make(name, tiny).double()
    both = layer(bins(2).double(), double(tiny.batch(0, 1)))
    for number, seed in enumerate((0, 1)):
        alone = layer(bins().double(), double(tiny.batch(seed)))
        torch.testing.assert_close(both[6 * number : 6 * number + 6], alone[:6])
        torch.testing.assert_close(both[12 + 2 * number : 14 + 2 * number], alone[6:])


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_finite_without_any_edge(name, tiny):
    batch = replace(
        tiny.batch(0),
        edge_index=torch.empty(2, 0, dtype=torch.long),
        edge_attr=torch.empty(0, tiny.edge_dim),
    )
    layer, x = make(name, tiny), bins().requires_grad_()
    out = layer(x, batch)
    out.sum().backward()
    assert out.isfinite().all()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("name", GRAPH_LAYERS)
def test_an_isolated_node_is_finite(name, tiny):
    batch = tiny.batch(0)
    touches = (batch.edge_index == 3).any(0)
    batch = replace(batch, edge_index=batch.edge_index[:, ~touches], edge_attr=batch.edge_attr[~touches])
    assert make(name, tiny)(bins(), batch).isfinite().all()


@pytest.mark.parametrize("name", GRAPH_LAYERS)
def test_renumbered_nodes_give_renumbered_messages(name, tiny):
    layer, batch = make(name, tiny), tiny.batch(0)
    x, order = torch.randn(4, CHANNELS), torch.tensor([2, 0, 3, 1])
    place = order.argsort()
    moved = layer.message(x[order], place[batch.edge_index], batch.edge_attr)
    torch.testing.assert_close(moved, layer.message(x, batch.edge_index, batch.edge_attr)[order])


@pytest.mark.parametrize("name", GRAPH_LAYERS)
def test_numbers_and_order_of_nodes_and_edges_do_not_matter_to_bins(name, tiny):
    layer, batch = make(name, tiny), tiny.batch(0)
    place, shuffle = torch.tensor([2, 0, 3, 1]), torch.randperm(12)
    renumbered = replace(
        batch,
        node_of_bin=torch.where(batch.node_of_bin < 0, -1, place[batch.node_of_bin]),
        edge_index=place[batch.edge_index][:, shuffle],
        edge_attr=batch.edge_attr[shuffle],
    )
    torch.testing.assert_close(layer(bins(), renumbered), layer(bins(), batch))


@pytest.mark.parametrize("column", range(4))
@pytest.mark.parametrize("name", GRAPH_LAYERS)
def test_every_edge_attribute_changes_the_output(name, column, tiny):
    layer, batch = make(name, tiny), tiny.batch(0)
    changed = batch.edge_attr.clone()
    changed[0, column] += 1
    before, after = layer(bins(), batch), layer(bins(), replace(batch, edge_attr=changed))
    assert (before - after).abs().max() > 1e-4


@pytest.mark.parametrize("name", GRAPH_LAYERS)
def test_messages_go_from_source_to_destination_only(name, tiny):
    layer, x = make(name, tiny), torch.randn(3, CHANNELS)
    edge_index, edge_attr = torch.tensor([[0, 2], [1, 1]]), torch.rand(2, tiny.edge_dim)
    before = layer.message(x, edge_index, edge_attr)
    x[0] += 1
    after = layer.message(x, edge_index, edge_attr)
    assert not torch.allclose(before[1], after[1])
    torch.testing.assert_close(before[2], after[2])


@pytest.mark.parametrize("name", GRAPH_LAYERS)
def test_a_bin_without_a_node_stays_as_it_was(name, tiny):
    out = make(name, tiny)(bins(), tiny.batch(0))
    assert torch.equal(out[5], bins()[5])
    assert not torch.isclose(out[:5], bins()[:5]).all(1).any()


@pytest.mark.parametrize("name", ["gat", "transformer"])
def test_heads_that_do_not_share_the_channels_are_an_input_error(name):
    with pytest.raises(InputError, match=r"3 heads cannot share 8 channels evenly. .* \[1, 2, 4, 8\]"):
        LAYERS[name](8, 2, heads=3)


def test_pooling_starts_between_mean_and_max():
    pool, x = NodePool(1), torch.tensor([[0.0], [1.0], [5.0], [9.0]])
    pooled = pool(x, torch.tensor([1, 1, -1, 2]), 4)
    # Two bins of 0 and 1 weigh 1 and e^2; the bin of no node goes nowhere; nodes 0 and 3 have no bin.
    assert pooled.flatten().tolist() == pytest.approx([0, 0.880797, 9, 0])


def test_pooling_does_not_overflow():
    pooled = NodePool(1)(torch.tensor([[1e4], [-1e4]]), torch.tensor([0, 1]), 2)
    assert pooled.flatten().tolist() == [1e4, -1e4]


def test_edges_start_with_a_weight_near_one():
    torch.manual_seed(0)
    weight = EdgeWeight(5)(torch.rand(100, 5) * 6)
    assert ((weight > 0.8) & (weight < 1.25)).all()


def unweighted(layer: torch.nn.Module) -> torch.nn.Module:
    """The layer with edge weights of 1 and identities for linear maps."""
    torch.nn.init.zeros_(layer.edge_weight.linear.weight)
    for linear in (getattr(layer, name, None) for name in ("linear", "of_self")):
        if linear is not None:
            torch.nn.init.eye_(linear.weight)
            if linear.bias is not None:
                torch.nn.init.zeros_(linear.bias)
    return layer


def test_graph_convolution_divides_by_the_roots_of_both_degrees():
    conv = unweighted(GraphConvolution(1, 2))
    edges = torch.tensor([[1, 0, 2, 1], [0, 1, 1, 2]])  # a path 0 - 1 - 2
    out = conv(torch.tensor([[1.0], [2.0], [4.0]]), edges, torch.rand(4, 2))
    root = 6**0.5
    expected = [1 / 2 + 2 / root, 2 / 3 + 5 / root, 4 / 2 + 2 / root]
    assert out.flatten().tolist() == pytest.approx(expected)


# In a sum each of the three messages brings its bias of 100.
@pytest.mark.parametrize(("aggregate", "of_node_0"), [("mean", 1 + 3 + 50), ("sum", 1 + 6 + 50 + 300)])
def test_sage_adds_the_mean_or_sum_of_the_neighbours_of_each_edge_type(aggregate, of_node_0):
    sage = unweighted(SAGE(1, 4, aggregate=aggregate))
    edges = torch.tensor([[1, 2, 3], [0, 0, 0]])
    is_type = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    for linear, factor in zip(sage.of_neighbours, (1.0, 10.0), strict=True):
        torch.nn.init.constant_(linear.weight, factor)
        if linear.bias is not None:
            torch.nn.init.constant_(linear.bias, 100)
    x = torch.tensor([[1.0], [2.0], [4.0], [5.0]])
    out = sage.message(x, edges, torch.cat([torch.rand(3, 2), is_type], dim=1))
    assert out.flatten().tolist() == pytest.approx([of_node_0, 2, 4, 5])


def test_a_silent_node_stays_apart_from_an_active_one():
    norm = NodeNorm(2)
    out = norm(torch.tensor([[0.1, 0.1], [10.0, 10.0]])).detach()
    assert out[1, 0] - out[0, 0] == pytest.approx(2, abs=1e-3)  # layer normalisation would make both 0


def test_a_node_alone_is_normalised_by_the_moving_statistics():
    norm = NodeNorm(1, eps=0.0)
    norm.running_mean.fill_(1.0)
    norm.running_var.fill_(4.0)
    assert norm(torch.tensor([[5.0]])).item() == 2.0


def test_a_closed_gate_of_chromegcn_keeps_the_node():
    layer, x = GatedGCN(2, 2), torch.randn(3, 2)
    torch.nn.init.constant_(layer.keep_or_take[0].bias, -100)
    torch.testing.assert_close(layer.message(x, torch.tensor([[0], [1]]), torch.rand(1, 2)), x)


def test_dilations_are_rounded_one_after_another_half_to_even():
    assert dilation_rates(11, 1.5) == [1, 2, 3, 4, 6, 9, 14, 21, 32, 48, 72]
    assert dilation_rates(6, 2, first=2) == [2, 4, 8, 16, 32, 64]


@pytest.mark.parametrize("name", ["dilated", "bilstm"])
def test_a_residual_layer_starts_as_the_identity(name, tiny):
    assert torch.equal(LAYERS[name](CHANNELS, 4).eval()(bins(), tiny.batch(0)), bins())


@pytest.mark.parametrize("name", ["dilated", "bilstm"])
def test_bins_talk_within_their_stretch_only(name, tiny):
    layer, x = make(name, tiny), bins(2).requires_grad_()
    layer(x, tiny.batch(0, 1))[:6].sum().backward()  # the first window
    assert (x.grad[:6] != 0).all()
    assert (x.grad[6:] == 0).all()


@pytest.mark.parametrize("name", ["dilated", "dilated_dense"])
def test_a_dilated_layer_reads_its_span_and_no_more(name, tiny):
    layer = LAYERS[name](CHANNELS, 4, layers=3)
    tiny.randomise(layer)
    x = torch.randn(80, CHANNELS, dtype=torch.double, requires_grad=True)
    batch = replace(tiny.batch(0), layout=((1, 80), (0, 2)))  # no partners: an empty group
    layer.double().eval()(x, batch)[40].sum().backward()
    reads = (x.grad != 0).any(1).nonzero()
    assert reads.max() - reads.min() == layer.span
    assert layer.span == (14 if name == "dilated" else 28)


def test_a_bilstm_reads_its_whole_stretch_in_both_directions(tiny):
    layer = LAYERS["bilstm"](CHANNELS, 4, width=5)
    tiny.randomise(layer)
    x = torch.randn(30, CHANNELS, dtype=torch.double, requires_grad=True)
    batch = replace(tiny.batch(0), layout=((1, 30), (0, 2)))
    out = layer.double().eval()(x, batch)
    for read, by in ((0, 29), (29, 0)):
        assert (torch.autograd.grad(out[by].sum(), x, retain_graph=True)[0][read] != 0).all()
    assert layer.span == math.inf


def test_a_bilstm_adds_what_torchs_lstm_makes_of_a_window(tiny):
    layer, x = make("bilstm", tiny), bins()
    states = torch.cat([layer.lstm(x[None, :6])[0][0], layer.lstm(x[None, 6:])[0][0]])
    torch.testing.assert_close(layer(x, tiny.batch(0)), x + layer.norm(layer.project(states)))


def test_normalisation_runs_over_all_stretches_together(tiny):
    # In training mode, statistics of each group of stretches alone would differ from those of evaluation.
    layer, x = Dilated(CHANNELS, 4, layers=1), bins(2)
    norm = layer.residuals[0].dilated.norm
    layer.train()(x, tiny.batch(0, 1))
    assert norm.num_batches_tracked == 1


@pytest.mark.parametrize(
    ("channels", "parameters"),
    [(128 + 512, (328_192, 590_848, 853_504)), (256 + 512, (393_728, 656_384, 919_040))],
    ids=["h128", "h256"],
)
def test_dense_layers_join_sequence_and_cpgs_with_the_originals_parameters(channels, parameters):
    layers, total = [LAYERS["dense"](width, 2) for width in (channels, 512, 512)], 0
    for layer, expected in zip(layers, parameters, strict=True):
        total += sum(each.numel() for each in layer.parameters())
        assert total == expected


def test_a_dense_layer_is_a_linear_map_and_a_relu(tiny):
    layer, x = make("dense", tiny), bins()
    torch.testing.assert_close(layer(x, tiny.batch(0)), (x @ layer[0].weight.T + layer[0].bias).clamp(min=0))
