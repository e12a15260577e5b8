"""The order in which an epoch meets its windows, shared out among processes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from torch.utils.data import BatchSampler, Sampler

FILL = -1  # in place of a window


class EpochSampler(Sampler):
    """Draws of (epoch, window): all windows once an epoch, in an order that seed and epoch decide alone.

    With several processes each takes every `world_size`-th draw. So that all processes step equally often, a
    shuffled (training) epoch is filled up with `FILL`, which counts in nothing. With `positive`, (windows,), a
    shuffled epoch takes turns between windows with a positive and without: all of the class that has more, and of
    the other as many, each again and again.
    """

    def __init__(
        self,
        count: int,
        *,
        seed: int,
        shuffle: bool,
        rank: int = 0,
        world_size: int = 1,
        positive: np.ndarray | None = None,
    ) -> None:
        self.seed, self.shuffle, self.positive = seed, shuffle, positive
        self.windows = count
        self.count = count if positive is None else 2 * max(int(positive.sum()), int((~positive).sum()))
        self.rank, self.world_size, self.epoch = rank, world_size, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next; the training loop calls this."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = np.arange(self.windows)
        if self.shuffle:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(self.windows)
            if self.positive is not None:
                classes = (order[self.positive[order]], order[~self.positive[order]])
                order = np.stack([np.resize(each, self.count // 2) for each in classes], axis=1).ravel()
            order = np.append(order, np.full(len(self) * self.world_size - self.count, FILL))
        epoch = self.epoch
        return ((epoch, int(window)) for window in order[self.rank :: self.world_size])

    def __len__(self) -> int:
        if self.shuffle:
            return -(-self.count // self.world_size)
        return len(range(self.rank, self.count, self.world_size))


class TurnSampler(Sampler):
    """Batches of several genomes in turn, as (genome, draws): all of each once an epoch.

    Args:
        batches: Of each genome, over an `EpochSampler`; in a shuffled epoch of several processes, as many in each.
        seed: With the epoch it alone decides the order of turns, so that it is the same in all processes.
        shuffle: Whether genomes take turns; else one comes after the other.
    """

    def __init__(self, batches: Mapping[str, BatchSampler], *, seed: int, shuffle: bool) -> None:
        self.batches, self.seed, self.shuffle, self.epoch = batches, seed, shuffle, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next; the training loop calls this."""
        self.epoch = epoch
        for batches in self.batches.values():
            batches.sampler.set_epoch(epoch)  # pyright: ignore[reportAttributeAccessIssue]

    def __iter__(self) -> Iterator[tuple[str, list[tuple[int, int]]]]:
        genomes = list(self.batches)
        turns = np.repeat(np.arange(len(genomes)), [len(self.batches[genome]) for genome in genomes])
        if self.shuffle:
            turns = np.random.default_rng([self.seed, self.epoch, len(genomes)]).permutation(turns)
        draws = [iter(self.batches[genome]) for genome in genomes]
        return ((genomes[turn], next(draws[turn])) for turn in turns)

    def __len__(self) -> int:
        return sum(map(len, self.batches.values()))
