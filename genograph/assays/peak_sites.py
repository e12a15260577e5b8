"""Sites from peaks: one list for all tracks, with the tracks that each site is a peak of."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from genograph.errors import InputError
from genograph.genome.interval import Interval
from genograph.genome.sites import Sites


def merge_peaks(
    peaks: Sequence[Iterable[Interval]], sizes: Mapping[str, int], *, length: int, overlap: int
) -> tuple[Sites, np.ndarray]:
    """Sites of `length` bp that the peaks of several tracks share, and which track has a peak in which.

    As Basset makes its table (Kelley, Snoek & Rinn 2016, Genome Research 26:990): every peak becomes `length` bp about
    its midpoint; then, again and again, the two that share most become one, about the mean of all midpoints in it,
    until none share more than `overlap` bp. What leaves its chromosome is moved inside.

    Args:
        peaks: Of each track, on the chromosomes of `sizes`.
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
    index = {name: number for number, name in enumerate(sizes)}
    rows = [
        (index[each.chrom], (each.start + each.end) / 2, track) for track, list_ in enumerate(peaks) for each in list_
    ]
    rows.sort()
    chroms, starts, tracks = [], [], []
    for name, chrom in index.items():
        here = [(middle, track) for number, middle, track in rows if number == chrom]
        if here and sizes[name] < length:
            raise InputError(f"{name} has {sizes[name]:,} bp, sites have {length}. Leave it out: genome.chroms.")
        for middle, members in _merge(here, length, overlap):
            chroms.append(chrom)
            starts.append(min(max(int(middle) - length // 2, 0), sizes[name] - length))
            tracks.append(members)
    keys, number = np.unique(np.array([chroms, starts], dtype=np.int64).reshape(2, -1), axis=1, return_inverse=True)
    has_peak = np.zeros((keys.shape[1], len(peaks)), dtype=bool)
    for site, members in zip(number.ravel(), tracks, strict=True):
        has_peak[site, list(members)] = True
    return Sites(sizes, length, chrom=keys[0], start=keys[1]), has_peak


def _merge(peaks: list[tuple[float, int]], length: int, overlap: int) -> list[tuple[float, set[int]]]:
    """Midpoint and tracks of each site of a chromosome, from midpoints and tracks of its peaks, which ascend.

    Of sites of one length those that share most are next to each other, so a heap of neighbours is enough.
    """
    middle = [each for each, _ in peaks]
    members, count = [{track} for _, track in peaks], [1] * len(peaks)
    before, after = [*range(-1, len(peaks) - 1)], [*range(1, len(peaks) + 1)]
    version = [0] * len(peaks)
    heap: list[tuple[float, int, int, int, int]] = []

    def offer(first: int, second: int) -> None:
        if first >= 0 and second < len(peaks) and middle[second] - middle[first] < length - overlap:
            heapq.heappush(heap, (middle[second] - middle[first], first, second, version[first], version[second]))

    for first in range(len(peaks) - 1):
        offer(first, first + 1)
    while heap:
        _, first, second, *versions = heapq.heappop(heap)
        if versions != [version[first], version[second]]:
            continue  # one of them has been merged since
        total = count[first] + count[second]
        middle[first] = (middle[first] * count[first] + middle[second] * count[second]) / total
        members[first] |= members[second]
        count[first], count[second] = total, 0
        version[first], version[second] = version[first] + 1, -1
        after[first] = after[second]
        if after[first] < len(peaks):
            before[after[first]] = first
        offer(before[first], first)
        offer(first, after[first])
    return [(middle[each], members[each]) for each in range(len(peaks)) if count[each]]


def tile_peaks(peaks: Iterable[Interval], sizes: Mapping[str, int], *, length: int, stride: int) -> Sites:
    """Sites of `length` bp at multiples of `stride` bp of which a peak covers at least half.

    A peak shorter than a site makes those that hold its midpoint, as in `read_peaks`.

    Args:
        peaks: Of all tracks together.
        sizes: Chromosome sizes in bp.
        length: Of a site, in bp.
        stride: bp from one to the next.
    """
    index, places = {name: number for number, name in enumerate(sizes)}, []
    for each in peaks:
        last = min(each.end, sizes[each.chrom] - length) // stride
        number = np.arange(max(each.start - length, 0) // stride, last + 1)
        candidates = Sites(sizes, length, chrom=np.full(len(number), index[each.chrom]), start=number * stride)
        _, site = candidates.marked(each.chrom, np.array([each.start]), np.array([each.end]))
        places.append(np.stack([candidates.chrom[site], candidates.start[site]]))
    chrom, start = np.unique(np.concatenate([np.empty((2, 0), dtype=np.int64), *places], axis=1), axis=1)
    return Sites(sizes, length, chrom=chrom, start=start)
