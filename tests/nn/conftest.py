"""Tiny batches by hand: windows of six 8-bp bins, each with one contact partner of two bins."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from genograph.config import ModelConfig
from genograph.graph.batch import GenomeBatch

BIN_SIZE, EDGE_DIM, NODES = 8, 4, 4
SMALL = {"dilated": {"layers": 2}, "dilated_dense": {"layers": 2, "filters": 4}}
ENCODER = {"blocks": [{"filters": 6, "kernel": 3, "pool": 2}, {"filters": 8, "kernel": 3, "pool": 4}]}


def _sample(seed: int) -> dict[str, torch.Tensor]:
    """One window: 3 pieces of 2 bins and a partner's, with 1 bin of context; nodes 0-2 its own, 3 the partner."""
    random = torch.Generator().manual_seed(seed)
    source, destination = torch.meshgrid(torch.arange(NODES), torch.arange(NODES), indexing="ij")
    edges = torch.stack([source.T.flatten(), destination.T.flatten()])
    edges = edges[:, edges[0] != edges[1]]
    return {
        "codes": torch.randint(0, 5, (4, 4 * BIN_SIZE), generator=random, dtype=torch.uint8),
        "edge_index": edges,
        "edge_attr": torch.rand(edges.shape[1], EDGE_DIM, generator=random) * 3,
        "target": torch.randint(0, 9, (1, 4, 3), generator=random).float(),
    }


def tiny_batch(*seeds: int, masked_bin: bool = False) -> GenomeBatch:
    """A batch with one window per seed; the last bin of each window belongs to no node."""
    samples = [_sample(seed) for seed in seeds]
    windows = [torch.arange(6) + 8 * i for i in range(len(samples))]
    partners = [torch.tensor([6, 7]) + 8 * i for i in range(len(samples))]
    own = [torch.tensor([0, 0, 1, 1, 2, -1]) for _ in samples]
    nodes = [torch.where(each < 0, each, each + NODES * i) for i, each in enumerate(own)]
    nodes += [torch.tensor([3, 3]) + NODES * i for i in range(len(samples))]
    source = torch.cat(windows + partners)
    if masked_bin:
        source[1] = -1
    target = torch.cat([each["target"] for each in samples])
    return GenomeBatch(
        codes=torch.cat([each["codes"] for each in samples]),
        source=source,
        layout=((len(samples), 6), (len(samples), 2)),
        crop=1,
        node_of_bin=torch.cat(nodes),
        num_nodes=NODES * len(samples),
        edge_index=torch.cat([each["edge_index"] + NODES * i for i, each in enumerate(samples)], dim=1),
        edge_attr=torch.cat([each["edge_attr"] for each in samples]),
        position=torch.zeros(len(samples), 4, dtype=torch.long),
        target={"coverage": target, "methylation": target[..., :1] / 10},
        coverage={"methylation": torch.full_like(target[..., :1], 5)},
        mask={
            "coverage": torch.ones_like(target, dtype=torch.bool),
            "methylation": torch.ones_like(target[..., :1], dtype=torch.bool),
        },
    )


def tiny_spec(*processor: str) -> ModelConfig:
    """A model for these batches."""
    return ModelConfig(
        encoder={"name": "basenji", **ENCODER},
        processor=[{"name": name, **SMALL.get(name, {})} for name in processor],
        trunk={"filters": 8},
        heads={"coverage": {}, "methylation": {}},
    )


def randomise(module: torch.nn.Module) -> None:
    """Move every parameter, so that none hides behind one that starts at zero."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            fan_in = parameter[0].numel() if parameter.ndim > 1 else 1
            parameter.add_(0.3 / fan_in**0.5 * torch.randn_like(parameter))


@pytest.fixture
def tiny() -> SimpleNamespace:
    """The helpers above; a fixture, so that tests need not import this file."""
    return SimpleNamespace(
        batch=tiny_batch, spec=tiny_spec, randomise=randomise, small=SMALL, bin_size=BIN_SIZE, edge_dim=EDGE_DIM
    )
