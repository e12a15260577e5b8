from __future__ import annotations

import numpy as np
import pytest
import torch

from genograph.nn.encoders.recurrent import Recurrent, RecurrentSpec
from genograph.nn.model import count_parameters
from genograph.nn.neighbours import NEIGHBOURS, DeepCpGNeighbours

NAN = float("nan")
SMALL = {
    "RnnL1": {"hidden": [6], "recurrent": [{"cell": "gru", "width": 5}]},
    "RnnL2": {"hidden": [6], "recurrent": [{"cell": "gru", "width": 3}, {"cell": "gru", "width": 5}]},
    "FcAvg": {"hidden": [6, 7], "recurrent": []},
}


@pytest.fixture(params=SMALL)
def network(request):
    torch.manual_seed(0)
    return DeepCpGNeighbours(count=2, **SMALL[request.param])


def near(bins: int, cells: int = 3, seed: int = 0) -> dict[str, torch.Tensor]:
    """States and distances of two CpGs on each side, some of which there are not."""
    rng = torch.Generator().manual_seed(seed)
    state = torch.randint(0, 2, (bins, cells, 4), generator=rng).float()
    distance = torch.randint(1, 40_000, (bins, cells, 4), generator=rng).float()
    is_missing = torch.rand(state.shape, generator=rng) < 0.2
    return {"state": state.masked_fill(is_missing, NAN), "distance": distance.masked_fill(is_missing, NAN)}


def test_every_registered_network_is_tested():
    assert list(NEIGHBOURS) == ["deepcpg"]


@pytest.mark.parametrize(
    ("options", "parameters", "channels"),
    [
        ({}, 813_824, 512),
        ({"recurrent": [{"cell": "gru", "width": 128}, {"cell": "gru", "width": 256}]}, 1_109_504, 512),
        ({"hidden": [512], "recurrent": []}, 51_712, 512),
    ],
    ids=["RnnL1", "RnnL2", "FcAvg"],
)
def test_networks_have_the_originals_parameters(options, parameters, channels):
    with torch.device("meta"):
        network = DeepCpGNeighbours(**options)
    assert count_parameters(network).total == parameters
    assert network.channels == channels


def test_an_embedding_for_each_bin_whatever_the_number_of_cells(network):
    for cells in (1, 3):
        assert network(**near(4, cells)).shape == (4, network.channels)


def test_every_parameter_gets_a_gradient(network):
    network(**near(30)).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.abs().max() > 1e-8, name


def test_bins_stand_alone(network):
    both = network(**near(5))
    one = network(**{name: values[3:4] for name, values in near(5).items()})
    torch.testing.assert_close(both[3:4], one)


def test_a_cpg_that_is_missing_counts_as_half_methylated_and_as_far_as_any(network):
    values = near(6)
    filled = {"state": values["state"].nan_to_num(0.5), "distance": values["distance"].nan_to_num(25_000.0)}
    assert values["state"].isnan().any()
    assert torch.equal(network(**values), network(**filled))


def test_distances_are_cut_at_25000_bp_and_counted_in_these():
    network = DeepCpGNeighbours(count=1, hidden=[1], recurrent=[])
    torch.nn.init.constant_(network.dense[0][0].weight, 1.0)
    state, distance = torch.tensor([[[0.0, 1.0]]]), torch.tensor([[[5_000.0, 30_000.0]]])
    assert network(state, distance).item() == pytest.approx(0 + 1 + 0.2 + 1)
    shorter = DeepCpGNeighbours(count=1, hidden=[1], recurrent=[], max_distance=10_000)
    shorter.load_state_dict(network.state_dict())
    assert shorter(state, distance).item() == pytest.approx(0 + 1 + 0.5 + 1)


def test_without_a_recurrent_layer_the_order_of_cells_is_nothing_and_with_one_it_is_something(network):
    values = near(4)
    turned = {name: each.flip(1) for name, each in values.items()}
    assert torch.allclose(network(**values), network(**turned), atol=1e-6) == (not network.recurrent)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_each_state_is_the_last_one_of_what_came_before_it_in_either_direction(cell):
    torch.manual_seed(0)
    layer = Recurrent(3, RecurrentSpec(cell=cell, width=4))
    steps = torch.from_numpy(np.random.default_rng(0).normal(size=(5, 2, 3)).astype(np.float32))
    every = layer.each(steps)
    assert every.shape == (5, 2, 8)
    for step in range(5):
        torch.testing.assert_close(every[step, :, :4], layer.last(steps[: step + 1])[:, :4])
        torch.testing.assert_close(every[step, :, 4:], layer.last(steps[step:])[:, 4:])
