"""How many contacts chance alone gives: the decay with distance, and the level between chromosomes."""

from __future__ import annotations

import numpy as np

from genograph.genome.bins import Bins

# Distances within 12 % of each other are pooled. Up to eight nodes apart that is the distance alone;
# far out, where a diagonal holds a handful of contacts, it is a window of a tenth of a decade.
POOL = 10**0.05


def pairs_at_distance(valid: np.ndarray, circular: bool) -> np.ndarray:
    """Pairs of mapped places at every distance along one chromosome: (nodes,).

    Args:
        valid: (nodes,) integers; how many map bins of each node are unmasked (0 or 1 when a node is one
            bin of the map).
        circular: Whether the distance is the short way round.
    """
    return np.rint(products_at_distance(valid.astype(np.float64), circular))


def products_at_distance(values: np.ndarray, circular: bool) -> np.ndarray:
    """Summed products of the values of any two nodes at every distance along one chromosome: (nodes,) float64.

    The autocorrelation, by fast Fourier transform: n log n instead of n squared.

    Args:
        values: (nodes,) float.
        circular: Whether the distance is the short way round.
    """
    num_nodes = len(values)
    spectrum = np.fft.rfft(values, n=2 * num_nodes)
    products = np.fft.irfft(spectrum * spectrum.conj(), n=2 * num_nodes)[:num_nodes]
    if not circular:
        return products
    distance = np.arange(num_nodes)
    return np.bincount(np.minimum(distance, num_nodes - distance), weights=products, minlength=num_nodes)


def mean_at_distance(contacts: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Mean contacts of a pair at every distance, pooled over the distances within `POOL` of it.

    The mean of a diagonal over its valid pairs is what cooltools calls `balanced.avg` (Open2C et al.
    2024, PLOS Comput Biol 20:e1012067). Contacts and pairs are summed over the window before they are
    divided, so a distance with many pairs weighs more; NaN where the window holds no pair.

    Args:
        contacts: (distances,) summed balanced contacts.
        pairs: (distances,) number of valid pairs; 0 at distances that were not read.
    """
    distance = np.arange(len(pairs))
    first = np.ceil(distance / POOL).astype(np.int64)
    last = np.minimum(np.floor(distance * POOL).astype(np.int64) + 1, len(pairs))
    below_contacts, below_pairs = (np.concatenate([[0.0], np.cumsum(each)]) for each in (contacts, pairs))
    pooled = below_pairs[last] - below_pairs[first]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (below_contacts[last] - below_contacts[first]) / pooled
    return np.where(pooled > 0, mean, np.nan)


def expected_within(
    contacts: np.ndarray, valid: np.ndarray, nodes: Bins, factor: int, max_distance: int | None
) -> np.ndarray:
    """Contacts expected of two fully mapped nodes of one chromosome, by their distance: (nodes,) float64.

    Entry `nodes.offsets[chrom] + d` belongs to nodes `d` apart on that chromosome; NaN where there are
    no valid pairs, or farther than `max_distance` bp.

    Args:
        contacts: (nodes,) summed balanced contacts, laid out likewise.
        valid: (nodes,) number of unmasked map bins in each node.
        factor: Map bins in a whole node.
    """
    expected = np.full(len(nodes), np.nan)
    for chrom in nodes.chroms:
        span = nodes.span(chrom)
        pairs = pairs_at_distance(valid[span], chrom in nodes.circular) / factor**2
        if max_distance is not None:
            pairs[max_distance // nodes.bin_size + 1 :] = 0
        mean = mean_at_distance(contacts[span], pairs)
        expected[span] = np.where(pairs > 0, mean, np.nan)
    return expected


def expected_between(contacts: float, valid: np.ndarray, nodes: Bins, factor: int) -> float:
    """Contacts expected of two fully mapped nodes of different chromosomes: their mean over the genome.

    Args:
        contacts: All balanced contacts between chromosomes, summed.
        valid: (nodes,) number of unmasked map bins in each node.
        factor: Map bins in a whole node.
    """
    mapped = [valid[nodes.span(chrom)].sum(dtype=np.float64) / factor for chrom in nodes.chroms]
    pairs = (np.sum(mapped) ** 2 - np.sum(np.square(mapped))) / 2
    return float(contacts / pairs) if pairs > 0 else float("nan")
