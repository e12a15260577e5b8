"""The order in which an epoch meets its windows, shared out among processes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

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
