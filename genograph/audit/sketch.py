"""A sketch of sequence by its minimizers, which finds copies and near-copies without an alignment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

JOINS = ((1, 1), (2, 2), (4, 4), (8, 8), (16, 8))  # how words of one base grow to k-mers
K = sum(JOINS[-1])
WINDOW = 50  # k-mers, of which the one with the lowest hash is kept
BLOCK = 2**17  # windows sketched at once
UNUSED = np.uint64(2**64 - 1)
# Bits 0 to 3 say which of A C G T a k-mer holds, bit 4 that it holds N.
IS_USED = np.array([held < 16 and held.bit_count() >= 3 for held in range(32)])


def minimizers(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First base and hash of every minimizer of a sequence, in order: (n,) int64 and (n,) uint64.

    Of each `WINDOW` consecutive k-mers the one with the lowest hash is kept (Roberts et al. 2004, Bioinformatics
    20:3363), about one in 25 bases. A k-mer hashes like its reverse complement. One with N, or of only one or two
    kinds of bases, as in a simple repeat, is never kept.

    Args:
        codes: (bp,) uint8: A C G T are 0 to 3, all else is 4.
    """
    parts = [(start + place, hashes) for start, place, hashes in _blocks(codes)]
    position = np.concatenate([np.empty(0, np.int64), *(place for place, _ in parts)])
    hashes = np.concatenate([np.empty(0, np.uint64), *(each for _, each in parts)])
    position, first = np.unique(position, return_index=True)  # neighbouring blocks may keep one k-mer twice
    return position, hashes[first]


def share_found(held_out: Iterable[np.ndarray], training: Iterable[np.ndarray], tile: int) -> np.ndarray:
    """The share of the minimizers of every tile of held-out sequence that are found in training sequence.

    Memory follows the held-out sequence, about 1 byte a base; training sequence streams by.

    Args:
        held_out: Stretches of codes; each is cut into tiles from its first base on.
        training: Stretches of codes.
        tile: Length of a tile in bp; the last of a stretch may be shorter.

    Returns:
        (tiles,), NaN where a tile has no minimizer.
    """
    tiles, hashes, num_tiles = [np.empty(0, np.int64)], [np.empty(0, np.uint64)], 0
    for codes in held_out:
        position, found = minimizers(codes)
        tiles.append(num_tiles + position // tile)
        hashes.append(found)
        num_tiles += -(-len(codes) // tile)
    tile_of = np.concatenate(tiles)
    known, number = np.unique(np.concatenate(hashes), return_inverse=True)
    total = np.bincount(tile_of, minlength=num_tiles)
    found = np.bincount(tile_of, weights=_occur(known, training)[number], minlength=num_tiles)
    return np.divide(found, total, out=np.full(len(total), np.nan), where=total > 0)


def _occur(known: np.ndarray, training: Iterable[np.ndarray]) -> np.ndarray:
    """Which of some sorted hashes training sequence has: (hashes,)."""
    occurs = np.zeros(len(known), dtype=bool)
    for codes in training:
        for _, _, hashes in _blocks(codes):
            hashes.sort()
            place = np.searchsorted(known, hashes)
            inside = place < len(known)
            place, hashes = place[inside], hashes[inside]
            occurs[place[known[place] == hashes]] = True
    return occurs


def _blocks(codes: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """The minimizers of `BLOCK` windows at a time: first base of the block, places in it, hashes."""
    for start in range(0, max(len(codes) - K - WINDOW + 2, 1), BLOCK):
        block = codes[start : start + BLOCK + WINDOW + K - 2]
        if len(block) >= K:
            yield start, *_minimizers(block)


def _minimizers(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places and hashes of the minimizers of a block; one shorter than a window counts as one window."""
    hashes = _hashes(codes)
    width = min(WINDOW, len(hashes))
    lowest = np.zeros(len(hashes) + width - 1, dtype=np.uint64)
    lowest[width - 1 : len(hashes)] = _slide(hashes, width, np.minimum)
    # No window's lowest hash lies above that of a k-mer in it; a k-mer is kept if for one of them it equals it.
    place = np.flatnonzero((_slide(lowest, width, np.maximum) == hashes) & (hashes != UNUSED))
    return place, hashes[place]


def _hashes(codes: np.ndarray) -> np.ndarray:
    """The hash of the k-mer at each base, alike on both strands: (bp - K + 1,); `UNUSED` for those never kept."""
    base = codes.astype(np.uint64) & np.uint64(3)
    words = {1: (base, base ^ np.uint64(3))}
    for left, right in JOINS:
        (forward, reverse), (forward_right, reverse_right) = words[left], words[right]
        count, up, down = len(codes) - left - right + 1, np.uint64(2 * right), np.uint64(2 * left)
        words[left + right] = (
            forward[:count] << up | forward_right[left:],
            reverse[:count] | reverse_right[left:] << down,
        )
    hashes = _scramble(np.minimum(*words[K]))
    held = _slide(np.uint8(1) << codes, K, np.bitwise_or)
    hashes[~IS_USED[held]] = UNUSED
    return hashes


def _scramble(words: np.ndarray) -> np.ndarray:
    """The finalizer of SplitMix64 (Steele et al. 2014, OOPSLA): one to one, and without the order of the alphabet."""
    words = (words ^ words >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ words >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return words ^ words >> np.uint64(31)


def _slide(values: np.ndarray, width: int, merge: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """`merge`, a minimum or the like, of `width` consecutive values from each on: (len(values) - width + 1,)."""
    reach = 1
    while reach < width:  # two overlapping stretches cover a longer one
        step = min(reach, width - reach)
        values = merge(values[:-step], values[step:])
        reach += step
    return values
