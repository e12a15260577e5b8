"""Two processes, which are two threads that add up what they give, normalise as one does that sees all."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn

from genograph.nn.encoders.resnet import _Offset
from genograph.nn.layers.graph_block import NodeNorm
from genograph.nn.synced_norm import normalise_over_processes


@pytest.fixture
def two(monkeypatch):
    """Runs a function in two threads that a sum over processes joins."""
    barrier, given = threading.Barrier(2), {}

    def all_reduce(values):
        given[threading.current_thread().name] = values.clone()
        barrier.wait(10)
        values.copy_(sum(given[name] for name in ("0", "1")))
        barrier.wait(10)

    def run(function):
        found = {}

        def work(rank):
            found[rank] = function(rank)

        threads = [threading.Thread(target=work, args=(rank,), name=str(rank)) for rank in range(2)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(20)
        return [found[rank] for rank in range(2)]

    monkeypatch.setattr(torch.distributed, "all_reduce", all_reduce)
    return run


def norms(kind):
    norm = {"1d": nn.BatchNorm1d, "nodes": NodeNorm, "2d": nn.BatchNorm2d, "offset": _Offset}[kind](3)
    with torch.no_grad():
        for number, parameter in enumerate(norm.parameters()):
            parameter.add_(0.5 + number)
    return nn.Sequential(norm)


@pytest.mark.parametrize("kind", ["1d", "nodes", "2d", "offset"])
def test_values_gradients_and_moving_statistics_are_those_of_one_process(two, kind):
    torch.manual_seed(0)
    x = torch.randn(5, 3) if kind in ("1d", "nodes") else torch.randn(5, 3, 1, 4)
    one, parts = norms(kind), (slice(0, 1), slice(1, 5))  # one of them alone has a single row
    whole = x.clone().requires_grad_()
    expected = one(whole)
    expected.pow(3).sum().backward()

    def share(rank):
        model, own = norms(kind), x[parts[rank]].clone().requires_grad_()
        normalise_over_processes(model)
        y = model(own)
        y.pow(3).sum().backward()
        return y, own.grad, model

    for (y, gradient, model), part in zip(two(share), parts, strict=True):
        torch.testing.assert_close(y, expected[part])
        torch.testing.assert_close(gradient, whole.grad[part], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(model.state_dict(), one.state_dict())


def test_without_training_the_moving_statistics_normalise_and_nothing_is_exchanged():
    model = norms("2d")
    expected = model.eval()(torch.ones(1, 3, 1, 4))
    normalise_over_processes(model)
    assert torch.equal(model(torch.ones(1, 3, 1, 4)), expected)
