"""Sites that are no peak: next to peaks, in regions open elsewhere, or anywhere in the genome."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from genograph.errors import InputError
from genograph.genome.interval import Interval
from genograph.genome.sites import Sites

_TRIES = 50  # draws of the first round for every random site that is wanted
_DRAWS = 2_000_000  # of a round at most, and of those after the first
_ROUNDS = 20  # after the first
_IN_VAIN = 2  # of these that give nothing, in a row, end the search
_CLASSES = 20  # of a measure

log = logging.getLogger("genograph")

Measure = Callable[[Sites], np.ndarray]


def flanking_sites(sites: Sites, count: int, *, stride: int | None = None) -> Sites:
    """The `count` places on both sides of every site that are none themselves.

    Args:
        sites: What they flank.
        count: How many on each side.
        stride: bp from one to the next; None for sites edge to edge, which then touch none of `sites`.
    """
    steps = np.concatenate([np.arange(-count, 0), np.arange(1, count + 1)]) * (stride or sites.bin_size)
    chrom, start = np.repeat(sites.chrom, len(steps)), (sites.start[:, None] + steps).ravel()
    if stride is None:
        return _apart(sites, chrom, start, sites)
    flanks = _apart(sites, chrom, start, Sites(sites.sizes, sites.bin_size))
    key = int(max(sites.sizes.values())) + 1
    kept = ~np.isin(flanks.chrom * key + flanks.start, sites.chrom * key + sites.start)
    return Sites(sites.sizes, sites.bin_size, chrom=flanks.chrom[kept], start=flanks.start[kept])


def sites_in(places: Iterable[Interval], taken: Sites) -> Sites:
    """Sites about the midpoints of places that touch none of `taken`: regions that are open in other cells."""
    found = Sites.centred(places, taken.sizes, taken.bin_size)
    return _apart(taken, found.chrom, found.start, taken)


def random_sites(
    taken: Sites,
    count: int,
    codes: np.ndarray,
    rng: np.random.Generator,
    *,
    peaks: Sequence[Interval] = (),
    like: Sites | None = None,
    measures: Sequence[Measure] = (),
) -> Sites:
    """`count` sites anywhere in the genome that touch none of `taken`, nor each other, and hold no N.

    Args:
        taken: What they stay away from.
        count: How many.
        codes: (bases,) the genome's sequence, chromosomes end to end.
        rng: Draws them.
        peaks: That may not cover half of one.
        like: Sites whose joint distribution of `measures`, in steps of 5 %, they are to have; None for any.
        measures: Of sites, 0 to 1, NaN where not known: these are not drawn.

    Raises:
        InputError: If the genome does not hold so many.
    """
    length, offsets = taken.bin_size, _offsets(taken)
    quota = None if like is None else _quota(_levels(like, like.chrom, like.start, measures), count, len(measures))
    chosen, occupied = [], np.zeros(int(offsets[-1]) // length + 3, dtype=bool)
    draws, in_vain, drawn = min(_TRIES * count, _DRAWS), 0, 0
    while len(chosen) < count and in_vain < _IN_VAIN and drawn <= _ROUNDS * _DRAWS:
        if drawn:
            log.info("Random negatives: %s of %s are found; drawing more.", f"{len(chosen):,}", f"{count:,}")
        before, drawn = len(chosen), drawn + draws
        for chrom, start, level in _possible(taken, draws, codes, rng, peaks=peaks, measures=measures):
            tile = 1 + (offsets[chrom] + start) // length
            if occupied[tile - 1 : tile + 2].any() or (quota is not None and not quota[level]):
                continue
            occupied[tile] = True
            if quota is not None:
                quota[level] -= 1
            chosen.append((chrom, start))
            if len(chosen) == count:
                break
        draws, in_vain = _DRAWS, in_vain + 1 if len(chosen) == before and draws == _DRAWS else 0
    if len(chosen) < count:
        alike = ", and like the source's in what is matched" if like is not None else ""
        raise InputError(
            f"sites.negatives.random: {count:,} sites are asked for; of {length} bp, apart from others{alike}, "
            f"{len(chosen):,} were found among {drawn:,} drawn. Ask for fewer{', or match less' * bool(alike)}."
        )
    rows = np.array(sorted(chosen), dtype=np.int64).reshape(-1, 2)
    return Sites(taken.sizes, length, chrom=rows[:, 0], start=rows[:, 1])


def _possible(
    taken: Sites,
    draws: int,
    codes: np.ndarray,
    rng: np.random.Generator,
    *,
    peaks: Sequence[Interval],
    measures: Sequence[Measure],
) -> Iterator[tuple[int, int, int]]:
    """Chromosome, first base and class of those of so many draws that may be a random site."""
    chrom, start = _draws(taken, draws, rng)
    is_free = ~_touches(taken, chrom, start) & ~_of_places(taken, chrom, start, lambda each: each.marked_by(peaks))
    chrom, start = chrom[is_free], start[is_free]
    level = _levels(taken, chrom, start, measures)
    level[np.isnan(gc_content(codes, _offsets(taken)[chrom] + start, taken.bin_size))] = -1
    kept = level >= 0
    return zip(chrom[kept].tolist(), start[kept].tolist(), level[kept].tolist(), strict=True)


def gc_of_sites(codes: np.ndarray, sites: Sites, *, length: int | None = None) -> np.ndarray:
    """The `gc_content` of sites, whose chromosomes lie end to end in the codes: (sites,).

    With a `length`, that of so many bp about their middles, NaN where these leave the chromosome.
    """
    length = sites.bin_size if length is None else length
    offsets, start = _offsets(sites), sites.start + (sites.bin_size - length) // 2
    inside = (start >= 0) & (start + length <= np.diff(offsets)[sites.chrom])
    content = np.full(len(sites), np.nan)
    content[inside] = gc_content(codes, offsets[sites.chrom[inside]] + start[inside], length)
    return content


def gc_content(codes: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
    """The share of C and G of stretches of a sequence of codes, NaN where one holds an N: (stretches,)."""
    content = np.empty(len(starts))
    for rows in np.array_split(np.arange(len(starts)), 1 + len(starts) * length // 10_000_000):
        bases = codes[starts[rows, None] + np.arange(length)]
        share = ((bases == 1) | (bases == 2)).mean(axis=1)
        content[rows] = np.where((bases == 4).any(axis=1), np.nan, share)
    return content


def _offsets(like: Sites) -> np.ndarray:
    """Where each chromosome begins, and the last one ends, in the sequence: (chromosomes + 1,)."""
    return np.concatenate([[0], np.cumsum(list(like.sizes.values()))])


def _draws(like: Sites, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Chromosome and first base of `count` draws of places that a site may have, in random order, each once."""
    room = np.maximum(np.asarray(list(like.sizes.values())) - like.bin_size + 1, 0)
    chrom = rng.choice(len(room), count, p=room / room.sum())
    start = (rng.random(count) * room[chrom]).astype(np.int64)
    first = np.sort(np.unique(_offsets(like)[chrom] + start, return_index=True)[1])  # the first draw of every place
    return chrom[first], start[first]


def _levels(like: Sites, chrom: np.ndarray, start: np.ndarray, measures: Sequence[Measure]) -> np.ndarray:
    """The class of each place, of all measures together, -1 where one is not known: (places,)."""
    level = np.zeros(len(start), dtype=np.int64)
    for measure in measures:
        value = _of_places(like, chrom, start, measure)
        is_known = ~np.isnan(value) & (level >= 0)
        step = np.minimum(np.where(is_known, value, 0) * _CLASSES, _CLASSES - 1).astype(np.int64)
        level = np.where(is_known, level * _CLASSES + step, -1)
    return level


def _quota(level: np.ndarray, count: int, num_measures: int) -> np.ndarray:
    """How many of `count` sites each class takes, as those of `level` do: (classes,)."""
    known = level[level >= 0]
    exact = np.bincount(known, minlength=_CLASSES**num_measures) / max(len(known), 1) * count
    quota = np.floor(exact).astype(int)
    quota[np.argsort(quota - exact, kind="stable")[: count - quota.sum()]] += 1  # largest remainders first
    return quota


def _apart(like: Sites, chrom: np.ndarray, start: np.ndarray, taken: Sites) -> Sites:
    """Sites at some places, in order and each once, without those that leave their chromosome or touch `taken`."""
    sizes = np.asarray(list(like.sizes.values()))
    kept = (start >= 0) & (start + like.bin_size <= sizes[chrom])
    kept[kept] &= ~_touches(taken, chrom[kept], start[kept])
    rows = np.unique(np.stack([chrom[kept], start[kept]]), axis=1)
    return Sites(like.sizes, like.bin_size, chrom=rows[0], start=rows[1])


def _of_places(like: Sites, chrom: np.ndarray, start: np.ndarray, measure: Measure) -> np.ndarray:
    """What is measured of the site at each place: (places,)."""
    order = np.lexsort((start, chrom))
    found = np.asarray(measure(Sites(like.sizes, like.bin_size, chrom=chrom[order], start=start[order])))
    values = np.empty(len(start), dtype=found.dtype)
    values[order] = found
    return values


def _touches(taken: Sites, chrom: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Whether a stretch of a site's length at each place shares a base with a site: (places,)."""
    offsets, length = _offsets(taken), taken.bin_size
    # A chromosome further apart than a site is long, so that ends of neighbours do not meet.
    own = offsets[taken.chrom] + taken.start + length * taken.chrom
    place = offsets[chrom] + start + length * chrom
    return np.searchsorted(own, place - length, side="right") < np.searchsorted(own, place + length, side="left")
