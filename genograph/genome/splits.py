"""Which bins train a model, which choose it and which judge it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from genograph.errors import InputError
from genograph.genome.bins import Bins
from genograph.genome.interval import Interval, parse_region

TRAIN, VALID, TEST, NONE = 0, 1, 2, -1
SPLITS = {"train": TRAIN, "valid": VALID, "test": TEST}


def assign_splits(
    bins: Bins, *, train: Sequence[str] | None, valid: Sequence[str], test: Sequence[str], gap: int = 0
) -> np.ndarray:
    """The split of every bin: (bins,) int8 of TRAIN, VALID, TEST or NONE.

    A bin belongs to a region only if it lies wholly inside. Whole chromosomes are the safe choice: on one
    chromosome, neighbouring bins share sequence context and contacts, which `gap` keeps apart.

    Args:
        bins: The bins to split.
        train: Regions such as `chr2` or `chr2:0-1,000,000`; None takes everything that is not held out.
        valid: Regions held out to choose the model.
        test: Regions held out to judge it.
        gap: bp around held-out regions in which nothing trains; on a circular chromosome this goes
            across the origin.

    Raises:
        InputError: If a region is unknown, two splits overlap, or a split has no bin.
    """
    texts = {"train": train or [], "valid": valid, "test": test}
    regions = {name: [parse_region(text, bins.sizes) for text in texts[name]] for name in texts}
    _refuse_overlaps(regions)
    split = np.full(len(bins), NONE, dtype=np.int8)
    if train is None:
        split[:] = TRAIN
    for name in SPLITS:
        for region in regions[name]:
            split[bins.inside(region)] = SPLITS[name]
    held_out = regions["valid"] + regions["test"]
    too_close = bins.mark(piece for region in held_out for piece in _widened(region, bins, gap))
    split[too_close & (split == TRAIN)] = NONE
    for name, code in SPLITS.items():
        if not (split == code).any():
            raise InputError(f"No bin of {bins.bin_size} bp is left for the {name} split, {texts[name] or 'the rest'}.")
    return split


def runs(mask: np.ndarray, bins: Bins) -> list[tuple[int, int]]:
    """The longest stretches of bins where `mask` holds, as (first, one past the last), within chromosomes."""
    inside = np.concatenate([[False], np.asarray(mask, dtype=bool), [False]])
    new_chrom = np.zeros(len(bins) + 1, dtype=bool)
    new_chrom[bins.offsets] = True
    first = np.flatnonzero(inside[1:] & (~inside[:-1] | new_chrom))
    last = np.flatnonzero(inside[:-1] & (~inside[1:] | new_chrom))
    return list(zip(first.tolist(), last.tolist(), strict=True))


def _refuse_overlaps(regions: dict[str, list[Interval]]) -> None:
    for one, other in combinations(regions, 2):
        for first in regions[one]:
            for second in regions[other]:
                if first.overlaps(second):
                    raise InputError(f"{one} region {first} and {other} region {second} overlap. Splits must not.")


def _widened(region: Interval, bins: Bins, gap: int) -> list[Interval]:
    """A region with `gap` bp on both sides; what leaves a circular chromosome comes in at its other end."""
    chrom, size = region.chrom, bins.sizes[region.chrom]
    start, end = region.start - gap, region.end + gap
    pieces = [Interval(chrom, max(start, 0), min(end, size))]
    if chrom in bins.circular:
        if start < 0:
            pieces.append(Interval(chrom, max(size + start, 0), size))
        if end > size:
            pieces.append(Interval(chrom, 0, min(end - size, size)))
    return pieces
