"""An ablation whose truth is known: predictions of arms that differ by stretch of genome, by seed and by chance."""

from __future__ import annotations

import numpy as np

from genograph.statistics.comparison import Comparison
from genograph.statistics.scores import Points

BLOCK_SD, SEED_SD = 0.15, 0.1  # how an arm's slope on the target varies with the block, and with the seed


def ablation(rng, slopes, *, folds=1, blocks=10, seeds=5, points=30, tracks=1, seed_sd=SEED_SD, uneven=False, alike=1):
    """A comparison whose arms predict slope x target + noise; arms of one slope are equally good.

    Half the variance of a seed's noise is common to all folds. Errors are partly common to all arms, as those of models
    that read the same sequence are, and partly to all seeds of an arm. What varies with the block is the same in
    `alike` neighbouring ones.
    """
    held_out, predictions = [], {arm: {} for arm in slopes}
    of_seed = rng.normal(size=(len(slopes), seeds))
    for fold in range(folds):
        block = np.repeat(np.arange(blocks), rng.integers(points // 3, 2 * points, blocks) if uneven else points)
        shape, stretch = (len(block), tracks), block // alike
        target = rng.normal(size=shape) + 0.5 * rng.normal(size=(blocks, tracks))[stretch]
        common = rng.normal(size=shape) + 0.5 * rng.normal(size=(blocks, tracks))[stretch]
        held_out.append(Points(target, block))
        for number, (arm, slope) in enumerate(slopes.items()):
            local = slope + BLOCK_SD * rng.normal(size=(blocks, 1))[stretch]
            error = common + 0.5 * rng.normal(size=shape)
            for seed in range(seeds):
                luck = seed_sd * (of_seed[number, seed] + rng.normal()) / np.sqrt(2)
                noise = 0.5 * rng.normal(size=shape)
                predictions[arm][fold, seed] = (local + luck) * target + error + noise
    return Comparison(held_out, predictions, next(iter(slopes)))
