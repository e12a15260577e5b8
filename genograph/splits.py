"""Which split each bin of a store belongs to, as a config has it."""

from __future__ import annotations

import numpy as np

from genograph.config import Config
from genograph.genome.groups import Groups
from genograph.genome.splits import assign_splits
from genograph.prepare.tfrecords import split_of_contigs
from genograph.store import Store


def split_by(config: Config, store: Store) -> np.ndarray:
    """TRAIN, VALID, TEST or NONE for every bin of a store, (bins,), as a config has it, be it of another run."""
    if config.tfrecords is not None:
        return split_of_contigs(config, store)
    splits, groups = config.section("splits"), groups_of(config, store)
    split = assign_splits(store.bins, train=splits.train, valid=splits.valid, test=splits.test, gap=splits.gap)
    return groups.apart(split, store.bins) if groups and splits.resolve_groups else split


def groups_of(config: Config, store: Store) -> Groups | None:
    """The regions that belong into one split, of a config and its store; None if no file of them is given."""
    splits = config.splits
    if splits is None or splits.groups is None:
        return None
    held_out = {**splits.elsewhere, splits.genome: {"valid": splits.valid, "test": splits.test}}
    genome = config.section("genome")
    part_of = genome.chroms and (genome.fasta or genome.chrom_sizes)
    return Groups.read(splits.groups, store.sizes, genome=splits.genome, held_out=held_out, part_of=part_of)
