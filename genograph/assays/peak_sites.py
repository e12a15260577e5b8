"""Sites from peaks: one list for all tracks, with the tracks that each site is a peak of."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from genograph.errors import InputError
from genograph.genome.interval import Interval
from genograph.genome.sites import Sites


def merge_peaks(
    peaks: Sequence[Sequence[Interval]], sizes: Mapping[str, int], *, length: int, overlap: int
) -> tuple[Sites, np.ndarray]:
    """Sites of `length` bp that the peaks of several tracks share, and which track has a peak in which.

    As Basset makes its table (Kelley, Snoek & Rinn 2016, Genome Research 26:990; davek44/Basset,
    preprocess_features.py): every peak becomes `length` bp about its midpoint, moved inside its chromosome. Peaks of
    which each shares more than `overlap` bp with the one before it are a group. In a group, again and again, the two
    sites that share most, the first two of several, become one, as long as they share at least `overlap` bp. It lies
    about the mean of the two midpoints, each weighed by one more than the tracks of its site, rounded half up.

    Args:
        peaks: Of each track, on the chromosomes of `sizes`. Strands are not told apart.
        sizes: Chromosome sizes in bp.
        length: Of a site, in bp.
        overlap: bp that two sites may share.

    Returns:
        The sites, and (sites, tracks) True where a track's peak went into a site.

    Raises:
        InputError: If a chromosome with peaks is shorter than a site, or `overlap` is not below `length`.
    """
    if not 0 <= overlap < length:
        raise InputError(f"sites.overlap: {overlap} bp is not below the {length} bp of a site.")
    chrom, first, last = _arrays((each for track in peaks for each in track), sizes)
    size = np.array([*sizes.values()], dtype=np.int64)[chrom]
    for short in np.unique(chrom[size < length])[:1].tolist():
        name = [*sizes][short]
        raise InputError(f"{name} has {sizes[name]:,} bp, sites have {length}. Leave it out: genome.chroms.")
    start = np.clip((first + last) // 2 - length // 2, 0, size - length)
    track = np.repeat(np.arange(len(peaks)), [len(each) for each in peaks])
    order = np.lexsort((track, start, chrom))
    chrom, start, track = chrom[order], start[order], track[order]
    is_apart = (np.diff(chrom) != 0) | (np.diff(start) >= length - overlap)
    bounds = [0, *(np.flatnonzero(is_apart) + 1).tolist(), len(start)] if len(start) else []
    sites = [
        (chrom[begin], *site)
        for begin, end in pairwise(bounds)
        for site in _merge(start[begin:end].tolist(), track[begin:end].tolist(), length - overlap)
    ]
    has_peak = np.zeros((len(sites), len(peaks)), dtype=bool)
    for row, (*_, members) in zip(has_peak, sites, strict=True):
        row[[*members]] = True
    chrom, start = np.array([site[:2] for site in sites], dtype=np.int64).reshape(-1, 2).T
    return Sites(sizes, length, chrom=chrom, start=start), has_peak


def _merge(start: list[int], track: list[int], reach: int) -> list[tuple[int, set[int]]]:
    """Start and tracks of the sites of a group, from starts, which ascend, and tracks of its peaks.

    Two sites become one if starts are no more than `reach` bp apart. Of sites of one length those that share most are
    next to each other, so a heap of neighbours is enough. A mean of starts lies as a mean of midpoints, and between
    the two, so never outside the chromosome.
    """
    members = [{each} for each in track]
    before, after = [*range(-1, len(start) - 1)], [*range(1, len(start) + 1)]
    heap: list[tuple[int, int, int]] = []

    def offer(one: int, other: int) -> None:
        if one >= 0 and other < len(start) and start[other] - start[one] <= reach:
            heapq.heappush(heap, (start[other] - start[one], one, other))

    for one in range(len(start) - 1):
        offer(one, one + 1)
    while heap:
        gap, one, other = heapq.heappop(heap)
        if after[one] != other or start[other] - start[one] != gap:
            continue  # one of them has been merged since
        weight, weight_of_other = 1 + len(members[one]), 1 + len(members[other])
        total = weight + weight_of_other
        start[one] = (2 * (start[one] * weight + start[other] * weight_of_other) + total) // (2 * total)
        members[one] |= members[other]
        after[one], after[other] = after[other], -1
        if after[one] < len(start):
            before[after[one]] = one
        offer(before[one], one)
        offer(one, after[one])
    return [(start[each], members[each]) for each in range(len(start)) if after[each] >= 0]


def tile_peaks(peaks: Sequence[Interval], sizes: Mapping[str, int], *, length: int, stride: int) -> Sites:
    """Sites of `length` bp at multiples of `stride` bp of which a peak covers at least half.

    A peak shorter than a site makes those that hold its midpoint, as in `read_peaks`.

    Args:
        peaks: Of all tracks together.
        sizes: Chromosome sizes in bp.
        length: Of a site, in bp.
        stride: bp from one to the next.
    """
    chrom, start, end = _arrays(peaks, sizes)
    size = np.array([*sizes.values()], dtype=np.int64)
    first = np.maximum(start - length, 0) // stride
    count = np.maximum(np.minimum(end, size[chrom] - length) // stride + 1 - first, 0)
    number = np.repeat(first - np.cumsum(count) + count, count) + np.arange(count.sum())
    # On one axis, a chromosome after the other, so that sorting is of whole numbers.
    room = int(size.max(initial=0)) + 1
    place = np.unique(np.repeat(chrom, count) * room + number * stride)
    near = Sites(sizes, length, chrom=place // room, start=place % room)
    marked = near.marked_by(peaks)
    return Sites(sizes, length, chrom=near.chrom[marked], start=near.start[marked])


def _arrays(peaks: Iterable[Interval], sizes: Mapping[str, int]) -> np.ndarray:
    """The position in `sizes` of each peak's chromosome, its start and its end: (3, peaks) int64."""
    index = {name: number for number, name in enumerate(sizes)}
    rows = [(index[each.chrom], each.start, each.end) for each in peaks]
    return np.array(rows, dtype=np.int64).reshape(-1, 3).T
