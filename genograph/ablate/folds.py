"""Folds of a genome: whole chromosomes where there are enough, else contiguous stretches with gaps."""

from __future__ import annotations

import itertools

import numpy as np

from genograph.config import Config, SplitsConfig, parse_config
from genograph.errors import InputError
from genograph.genome.splits import assign_splits
from genograph.store import Store

LARGEST = 2  # of a group of chromosomes, over an even share of the genome


def fold_configs(config: Config, store: Store) -> list[Config]:
    """The config with the splits of each fold; see `ablation.folds`.

    Raises:
        InputError: If the data bring their own splits, or the genome does not hold so many folds.
    """
    folds = config.ablation.folds
    if folds is None:
        return [config]
    if config.tfrecords is not None:
        raise InputError("ablation.folds: a TFRecord folder has its own splits; leave folds out.")
    if isinstance(folds, int):
        splits = config.section("splits")
        made = make_folds(store, folds, gap=splits.gap)
        folds = [splits.model_copy(update={"train": None, "valid": each.valid, "test": each.test}) for each in made]
    tree = config.model_dump(mode="json")
    return [parse_config({**tree, "splits": each.model_dump(mode="json")}) for each in folds]


def make_folds(store: Store, count: int, *, gap: int = 0) -> list[SplitsConfig]:
    """Splits that hold out every measured part of a genome once: fold i judges part i and chooses by the part after it.

    With as many measured chromosomes as folds, or more, a part is a group of whole chromosomes of about equal
    length. Where there are fewer, or one is most of the genome, every chromosome is cut into as many stretches as there
    are folds, which end where nodes do.

    Args:
        store: Its mask says which chromosomes are measured.
        count: Folds, at least 3: one part trains, one chooses, one judges.
        gap: bp around held-out parts in which nothing trains.

    Raises:
        InputError: If there are less than 3 folds, or a chromosome is too short for them and their gaps.
    """
    if count < 3:
        raise InputError(f"ablation.folds: at least 3, to train, choose and judge; got {count}.")
    parts = _chromosomes(store, count) or _stretches(store, count)
    folds = [SplitsConfig(valid=parts[(i + 1) % count], test=part, gap=gap) for i, part in enumerate(parts)]
    for each in folds:
        try:
            assign_splits(store.bins, train=None, valid=each.valid, test=each.test, gap=gap)
        except InputError as error:
            raise InputError(
                f"ablation.folds: {count} parts with gaps of {gap:,} bp do not fit into the genome. {error} "
                "Ask for fewer, or lower splits.gap."
            ) from None
    return folds


def _measured(store: Store) -> list[str]:
    """Chromosomes in which any track has a value that counts, the longest first."""
    has_value = store.mask & np.any([np.isfinite(store.signals(assay)).any(axis=1) for assay in store.targets], axis=0)
    chroms = [chrom for chrom in store.bins.chroms if has_value[store.bins.span(chrom)].any()]
    return sorted(chroms, key=lambda chrom: -store.bins.sizes[chrom])


def _chromosomes(store: Store, count: int) -> list[list[str]]:
    """Groups of chromosomes, each new one to the group that is shortest so far; none if they cannot be about equal."""
    chroms, sizes = _measured(store), store.bins.sizes
    groups: list[list[str]] = [[] for _ in range(count)]
    for chrom in chroms:
        min(groups, key=lambda group: sum(sizes[each] for each in group)).append(chrom)
    largest = max(sum(sizes[each] for each in group) for group in groups)
    is_even = largest * count <= LARGEST * sum(sizes[chrom] for chrom in chroms)
    return groups if len(chroms) >= count and is_even else []


def _stretches(store: Store, count: int) -> list[list[str]]:
    """Stretches of every measured chromosome; one that is too short goes whole to the part that is shortest so far."""
    node, parts, lengths = store.nodes.bin_size, [[] for _ in range(count)], np.zeros(count)
    for chrom in _measured(store):
        size = store.bins.sizes[chrom]
        borders = [_first_bin(round(size * i / count / node) * node, store) for i in range(count)] + [size]
        stretches = list(itertools.pairwise(borders))
        if any(end <= start for start, end in stretches):
            stretches = [(0, size) if i == lengths.argmin() else (0, 0) for i in range(count)]
        for i, (start, end) in enumerate(stretches):
            parts[i] += [f"{chrom}:{start:,}-{end:,}"] if end > start else []
            lengths[i] += end - start
    if not all(parts):
        raise InputError(
            f"ablation.folds: the genome is too short for {count} parts of whole nodes of {node:,} bp. Ask for fewer."
        )
    return parts


def _first_bin(start: int, store: Store) -> int:
    """Where the first bin of the node that starts at `start` bp starts: it may lie astride the border of nodes."""
    size = store.bins.bin_size
    return -(-(start - size // 2) // size) * size
