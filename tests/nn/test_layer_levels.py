"""Graph layers over larger nodes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from genograph.config import ModelConfig
from genograph.errors import InputError
from genograph.graph.batch import NodeGraph
from genograph.nn.layers import LAYERS
from genograph.nn.layers.graph_block import GraphBlock
from genograph.nn.model import build_model

CHANNELS, COARSE_DIM = 8, 3
GRAPH_LAYERS = [name for name, layer in LAYERS.items() if issubclass(layer, GraphBlock)]


def with_levels(batch, edge_attr=None):
    """A batch of `tiny`, each window's nodes 0 and 1 in one larger node, 2 in another and the partner in a third."""
    samples = batch.layout[0][0]
    larger = torch.cat([torch.tensor([0, 0, 1, 2]) + 3 * number for number in range(samples)])
    edges = torch.tensor([[1, 0, 2, 1], [0, 1, 1, 2]])
    weights = torch.tensor([1.0, 1.0, 3.0, 3.0]) if edge_attr is None else edge_attr
    coarse = NodeGraph(
        node_of_bin=torch.cat([larger, torch.tensor([-1])])[batch.node_of_bin],
        num_nodes=3 * samples,
        edge_index=torch.cat([edges + 3 * number for number in range(samples)], dim=1),
        edge_attr=weights[:, None].repeat(samples, 1) * torch.tensor([1.0, 0.5, 0.25]),
    )
    return replace(batch, coarse=(coarse,))


def make(name, tiny):
    torch.manual_seed(0)
    layer = LAYERS[name](CHANNELS, COARSE_DIM, level=1)
    tiny.randomise(layer)
    return layer.eval()


def bins(num_windows=1):
    one = torch.randn(8, CHANNELS, generator=torch.Generator().manual_seed(1))
    return torch.cat([one[:6]] * num_windows + [one[6:]] * num_windows)


@pytest.mark.parametrize("name", GRAPH_LAYERS)
def test_every_parameter_of_a_layer_over_larger_nodes_gets_a_gradient(name, tiny):
    layer = make(name, tiny)
    layer(bins(2), with_levels(tiny.batch(0, 1))).square().sum().backward()
    for each, parameter in layer.named_parameters():
        assert parameter.grad is not None, each
        assert parameter.grad.abs().max() > 1e-5, each


@pytest.mark.parametrize("name", GRAPH_LAYERS)
def test_two_windows_give_what_each_gives_alone_over_larger_nodes(name, tiny):
    layer = make(name, tiny)
    both = layer(bins(2), with_levels(tiny.batch(0, 1)))
    for number, seed in enumerate((0, 1)):
        alone = layer(bins(), with_levels(tiny.batch(seed)))
        torch.testing.assert_close(both[6 * number : 6 * number + 6], alone[:6])
        torch.testing.assert_close(both[12 + 2 * number : 14 + 2 * number], alone[6:])


@pytest.mark.parametrize("name", GRAPH_LAYERS)
def test_numbers_and_order_of_larger_nodes_and_their_edges_do_not_matter_to_bins(name, tiny):
    layer, batch = make(name, tiny), with_levels(tiny.batch(0))
    (coarse,), place, shuffle = batch.coarse, torch.tensor([2, 0, 1]), torch.tensor([3, 1, 0, 2])
    renumbered = replace(
        coarse,
        node_of_bin=torch.where(coarse.node_of_bin < 0, -1, place[coarse.node_of_bin]),
        edge_index=place[coarse.edge_index][:, shuffle],
        edge_attr=coarse.edge_attr[shuffle],
    )
    torch.testing.assert_close(layer(bins(), replace(batch, coarse=(renumbered,))), layer(bins(), batch))


@pytest.mark.parametrize("name", GRAPH_LAYERS)
def test_a_layer_sees_the_nodes_and_edges_of_its_level_alone(name, tiny):
    layer, batch = make(name, tiny), with_levels(tiny.batch(0))
    before = layer(bins(), batch)
    none = torch.empty(0, dtype=torch.long)
    other = replace(batch, node_of_bin=-torch.ones(8, dtype=torch.long), num_nodes=0, edge_index=none.view(2, 0))
    assert torch.equal(layer(bins(), other), before)
    assert not torch.allclose(layer(bins(), with_levels(tiny.batch(0), torch.tensor([9.0, 9.0, 0.1, 0.1]))), before)


@pytest.mark.parametrize("name", GRAPH_LAYERS)
def test_messages_reach_all_bins_of_a_larger_node_and_none_that_no_edge_leads_to(name, tiny):
    layer, x = make(name, tiny), bins().requires_grad_()
    layer(x, with_levels(tiny.batch(0)))[0].sum().backward()  # a bin of larger node 0, to which 1 is joined, 2 is not
    assert [bool(each.any()) for each in x.grad] == [True, True, True, True, True, False, False, False]


def spec(*processor):
    return ModelConfig(
        encoder={"name": "basenji", "blocks": [{"filters": 8, "kernel": 3, "pool": 8}]},
        processor=list(processor),
        heads={"coverage": {}},
    )


@pytest.mark.parametrize("name", GRAPH_LAYERS)
def test_layers_of_a_model_take_the_attributes_of_the_edges_of_their_level(name, tiny):
    layers = [{"name": name}, {"name": name, "level": 1}]
    options = {"bin_size": tiny.bin_size, "edge_dim": tiny.edge_dim, "tracks": {"coverage": 3}}
    model = build_model(spec(*layers), coarse_edge_dims=[COARSE_DIM], **options)
    out = model(with_levels(tiny.batch(0, 1)))
    assert out["coverage"].shape == (2, 4, 3)
    assert [layer.level for layer in model.processor.layers] == [0, 1]


def test_a_level_that_the_graph_does_not_have_is_refused(tiny):
    layers = [{"name": "gcn", "level": 2}]
    with pytest.raises(InputError, match=r"'gcn' is over level 2, but the graph has levels 0 to 1\. .* graph\.coarse"):
        build_model(spec(*layers), bin_size=8, edge_dim=4, coarse_edge_dims=[3], tracks={"coverage": 1})
