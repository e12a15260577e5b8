"""What a node's contacts by number, strength and distance, or the map's mask, say of the tracks by themselves.

These are shortcuts that a graph model may take. Where one of them predicts a track, a gain over a model without
contacts need not come from who meets whom.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from genograph.assays.assay import ASSAYS
from genograph.evaluate import GeneRows, Held
from genograph.experiment import Experiment
from genograph.genome.bins import Bins
from genograph.genome.splits import SPLITS
from genograph.graph.genome_graph import GenomeGraph
from genograph.graph.levels import larger_nodes
from genograph.kmer import KmerRidge
from genograph.metrics import TrackSums

MAX_BINS = 200_000  # looked at; drawn evenly where there are more
MAX_VALUES = 2**24  # of tracks held at once
REACH = 5  # nodes on both sides within which masked ones are counted


def degree_features(graph: GenomeGraph) -> np.ndarray:
    """What a node's edges say by their number, strength and reach: (nodes, 2 types + 2).

    For every edge type log1p of the degree, then the squares of these; then of the contact edges the summed weight and
    the mean of log10 of the distance in bp, 0 where there are none.
    """
    degree = np.log1p([graph.degree(name) for name in graph.edge_types]).reshape(-1, graph.num_nodes).T
    is_contact = graph.is_contact(graph.edge_type)
    node, attr = graph.edge_index[1, is_contact], graph.edge_attr[is_contact]
    count, strength, distance = (
        np.bincount(node, weights=weights, minlength=graph.num_nodes) for weights in (None, attr[:, 0], attr[:, 1])
    )
    return np.column_stack([degree, degree**2, strength, distance / np.maximum(count, 1)])


def degree_of_levels(levels: Sequence[GenomeGraph]) -> np.ndarray:
    """`degree_features` of every node, and of the larger nodes that hold it: (nodes, features)."""
    number, nodes = np.arange(levels[0].num_nodes), levels[0].nodes
    return np.concatenate([degree_features(each)[larger_nodes(number, nodes, each)] for each in levels], axis=1)


def mask_features(masked: np.ndarray, nodes: Bins) -> np.ndarray:
    """Whether each node is masked, and the share that is of the nodes up to `REACH` away: (nodes, 2).

    Args:
        masked: (nodes,) as of a contact map.
        nodes: The genome's nodes.
    """
    number = np.arange(len(nodes))
    chrom = nodes.chrom_index(number)
    low = np.maximum(number - REACH, nodes.offsets[chrom])
    high = np.minimum(number + REACH + 1, nodes.offsets[chrom + 1])
    total = np.concatenate([[0], np.cumsum(masked)])
    return np.stack([masked, (total[high] - total[low]) / (high - low)], axis=1).astype(np.float64)


def predictability(experiment: Experiment, features: np.ndarray) -> dict[str, float]:
    """Pearson r that a ridge on features of nodes alone reaches on the validation split.

    It is fitted on the training bins that enter the loss, and for genes on those of genes alone. Its penalty is
    chosen on the bins that it is scored on, which favours it a little. The test split is not looked at.

    Args:
        experiment: Whose tracks and splits.
        features: (nodes, features)

    Returns:
        `<assay>.bins` and, if genes are known, `<assay>.genes`: means over the assay's tracks, NaN where undefined.
    """
    train, valid = counted(experiment, "train"), counted(experiment, "valid")
    genes = GeneRows.of(experiment, valid)
    features, known = np.vstack([features, np.zeros_like(features[:1])]), {}  # the last row is that of no node, -1
    for assay in experiment.targets:
        rows = drawn(train), drawn(valid)
        of_rows = [features[experiment.store.node_of_bin[bins]] for bins in rows]
        known[f"{assay}.bins"] = mean_of(
            [pearsonr(predicted, target) for _, predicted, target in ridge(experiment, assay, of_rows, *rows)]
        )
        if genes is not None:
            known[f"{assay}.genes"] = _over_genes(experiment, assay, features, train, valid, genes)
    return known


def label_correlation(experiment: Experiment, level: int = 0) -> dict[str, float]:
    """Pearson r of a node's log1p degree with its mean label over training nodes of a level.

    Returns:
        `<assay>.<edge type>`, for every edge type but linear: means over the assay's tracks, NaN where undefined.
    """
    graph, node_of_bin = experiment.levels[level], experiment.node_of_bin(level)
    bins = counted(experiment, "train")
    bins = bins[np.isin(node_of_bin[bins], _drawn_nodes(node_of_bin[bins]))]
    first = np.flatnonzero(np.diff(node_of_bin[bins], prepend=-1))
    known = {}
    for assay in experiment.targets:
        means = [group_means(values, first) for _, values in blocks_of_tracks(experiment, assay, bins)]
        for name in graph.contact_types:
            degree = np.log1p(graph.degree(name)[node_of_bin[bins[first]]])[:, None]
            known[f"{assay}.{name}"] = mean_of([pearsonr(np.broadcast_to(degree, each.shape), each) for each in means])
    return known


def named_by_level(level: int, values: Mapping[str, float]) -> dict[str, float]:
    """Values by name; above level 0 names begin with the level."""
    return {f"level{level}.{name}" if level else name: value for name, value in values.items()}


def signal_ratio(experiment: Experiment, bins: np.ndarray, others: np.ndarray) -> dict[str, np.ndarray]:
    """Mean signal of some bins over that of others: for each assay (tracks,), NaN where undefined."""
    ratios = {}
    for assay in experiment.targets:
        here, there = (
            np.concatenate(
                [group_means(values, np.zeros(1, int))[0] for _, values in blocks_of_tracks(experiment, assay, rows)]
            )
            for rows in (drawn(bins), drawn(others))
        )
        ratios[assay] = np.divide(here, there, out=np.full(len(here), np.nan), where=there > 0)
    return ratios


def share_inside(experiment: Experiment, bins: np.ndarray, inside: np.ndarray) -> dict[str, float]:
    """The share of the signal of some bins that those `inside` hold: for each assay of counts, NaN without signal.

    Args:
        experiment: Whose tracks.
        bins: (n,) numbers of the bins.
        inside: (all bins,) True for those inside.
    """
    bins, shares = drawn(bins), {}
    for assay in experiment.targets:
        if ASSAYS[assay].kind == "count":
            total, part = 0.0, 0.0
            for _, values in blocks_of_tracks(experiment, assay, bins):
                total, part = total + np.nansum(values), part + np.nansum(values[inside[bins]])
            shares[assay] = float(part / total) if total > 0 else float("nan")
    return shares


def in_candidates(experiment: Experiment) -> dict[str, float]:
    """The share of held-out bins that are candidates, and of the signal of each assay of counts that they hold."""
    inside = experiment.candidates
    held_out = np.concatenate([counted(experiment, split) for split in ("valid", "test")])
    shares = {"candidates.bins": float(inside[held_out].mean())}
    return shares | {f"candidates.{key}": value for key, value in share_inside(experiment, held_out, inside).items()}


def counted(experiment: Experiment, split: str) -> np.ndarray:
    """The bins of a split that enter loss and metrics: (n,), ascending."""
    return np.flatnonzero((experiment.split_of_bin == SPLITS[split]) & experiment.counted(split))


def drawn(numbers: np.ndarray, limit: int = MAX_BINS) -> np.ndarray:
    """At most `limit` of some numbers, evenly."""
    return numbers if len(numbers) <= limit else numbers[np.linspace(0, len(numbers) - 1, limit).astype(np.int64)]


def mean_of(values: Sequence[np.ndarray]) -> float:
    """The mean of all that is not NaN, NaN of nothing."""
    flat = np.concatenate(values)
    return float(flat[np.isfinite(flat)].mean()) if np.isfinite(flat).any() else float("nan")


def _drawn_nodes(node_of_bin: np.ndarray) -> np.ndarray:
    """Some of the nodes of ascending bins, so many that they hold at most about `MAX_BINS` bins."""
    nodes = np.unique(node_of_bin[node_of_bin >= 0])
    return drawn(nodes, max(1, MAX_BINS * len(nodes) // max(len(node_of_bin), 1)))


def blocks_of_tracks(experiment: Experiment, assay: str, bins: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """A bounded number of tracks at a time, with their values at some bins: (bins, tracks) float32."""
    signals = experiment.store.signals(assay)
    step = max(1, MAX_VALUES // max(len(bins), 1))
    for start in range(0, signals.shape[1], step):
        yield slice(start, start + step), signals[bins, start : start + step].astype(np.float32)


def ridge(
    experiment: Experiment, assay: str, features: Sequence[np.ndarray], train: np.ndarray, valid: np.ndarray
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Tracks, and the predictions of a ridge and the values at the `valid` bins, (bins, tracks) each.

    Args:
        experiment: Whose tracks.
        assay: Of these.
        features: Of the training bins and of the `valid` ones: (bins, features) each.
        train: (n,) bins that it is fitted on.
        valid: (m,) bins that its penalty is chosen on.
    """
    of_train, of_valid = features
    # Both in blocks of as many tracks, those that the larger of the two allows.
    both = np.concatenate([train, valid])
    for tracks, values in blocks_of_tracks(experiment, assay, both):
        target, held_out = np.split(values, [len(train)])
        yield tracks, KmerRidge().fit(of_train, target, of_valid, held_out).predict(of_valid), held_out


def _over_genes(
    experiment: Experiment, assay: str, features: np.ndarray, train: np.ndarray, valid: np.ndarray, genes: GeneRows
) -> float:
    """Mean r over the tracks of an assay and the genes of the validation split."""
    of_training = GeneRows.of(experiment, train)
    train = train[np.unique(of_training.row)] if of_training else train
    rows, place = np.unique(genes.row, return_inverse=True)
    genes = GeneRows(genes.genes, genes.gene, place)
    r, fitted = [], (drawn(train), valid[rows])
    of_rows = [features[experiment.store.node_of_bin[bins]] for bins in fitted]
    for tracks, predicted, target in ridge(experiment, assay, of_rows, *fitted):
        held = Held(experiment.targets[assay][tracks], False, predicted.T, target.T, np.isfinite(target.T))
        over = genes.over(held)
        r.append(pearsonr(over.prediction.T, over.target.T))
    return mean_of(r)


def pearsonr(prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Of every track, over the bins that it has a value at: (tracks,)."""
    sums = TrackSums(target.shape[1])
    sums.update(prediction, target)
    return sums.pearsonr()


def group_means(values: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The mean of what is measured in each group of rows, which starts at `first`: (groups, tracks), else NaN."""
    measured = np.isfinite(values)
    if not len(values):
        return np.full((len(first), values.shape[1]), np.nan)
    count = np.add.reduceat(measured, first, axis=0, dtype=np.float64)
    total = np.add.reduceat(np.where(measured, values, 0), first, axis=0, dtype=np.float64)
    return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)


def unmeasured(experiment: Experiment, split: str) -> list[str]:
    """The tracks that have no value in a split."""
    bins, names = counted(experiment, split), []
    for assay, targets in experiment.targets.items():
        signals, is_measured = experiment.store.signals(assay), np.zeros(len(targets), dtype=bool)
        for rows in np.array_split(bins, 1 + len(bins) // 100_000):
            is_measured |= np.isfinite(signals[rows]).any(axis=0)
            if is_measured.all():
                break
        names += [target.identifier for target, known in zip(targets, is_measured, strict=True) if not known]
    return names
