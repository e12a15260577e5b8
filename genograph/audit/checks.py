"""The leakage audit: what must hold before models with and without contacts can be compared.

Each check looks at what a model is really fed, not at what the config promises. `docs/audit.md` has the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch

from genograph.audit.exposure import (
    bins_shown,
    divided_chroms,
    edges_between,
    exposures,
    foreign_edges,
    judged_bp,
    splits_of_nodes,
    strangers,
)
from genograph.audit.finding import MASK, Finding, greatest, not_applicable
from genograph.audit.likeness import excess, likeness
from genograph.audit.predictors import degree_predicts, features_predict, layout_predicts, mask_predicts
from genograph.audit.shortcuts import (
    counted,
    in_candidates,
    label_correlation,
    mean_of,
    named_by_level,
    signal_ratio,
    unmeasured,
)
from genograph.audit.sketch import share_found
from genograph.dataset import WindowDataset
from genograph.experiment import Experiment
from genograph.genome.names import shorten
from genograph.genome.splits import NONE, SPLITS, TEST, TRAIN, VALID, runs
from genograph.nn.model import GenomeModel
from genograph.seen_before import seen_before
from genograph.splits import groups_of

TILE = 512  # bp whose minimizers, about 20, are sought together, in whole bins
COPIED = 0.5  # share of a tile's minimizers found in training sequence, above which it is a copy
MAX_COPIED = 0.05  # share of the held-out sequence
LABEL_R = 0.3  # between degree and label, or by which labels that edges join are more alike than others
ALIKE = (0.5, 2.0)  # signal of masked bins over that of the others
MANY_TRACKS = 0.1  # of an assay's, whose signal differs
MUCH_SIGNAL, FEW_BINS = 0.9, 0.2  # that candidates hold

HOLD_OUT = "Hold out whole chromosomes, or set batch.partners=0."
ALIGN = "Put borders at multiples of the size of the largest nodes, or set splits.gap to at least that."


def audit(experiment: Experiment) -> list[Finding]:
    """The findings of all checks, in the order of `CHECKS`. Nothing is trained and no test label is fitted to.

    Raises:
        InputError: If a split has no window, as `Experiment.dataset` does.
    """
    return [check(experiment) for check in CHECKS.values()]


def edges_across_splits(experiment: Experiment) -> Finding:
    """Do edges of a window's graph end in nodes of another split?"""
    name, levels = "edges_across_splits", experiment.levels
    if not any(graph.num_edges for graph in levels):
        return not_applicable(name, "the graph has no edges")
    holds = [splits_of_nodes(experiment, level) for level in range(len(levels))]
    found = [foreign_edges(each, holds, code) for code, data in _datasets(experiment) for each in exposures(data)]
    crossing, dividing = np.sum(found, axis=0, dtype=int).tolist()
    between = sum(edges_between(graph, held) for graph, held in zip(levels, holds, strict=True))
    total = sum(graph.num_edges // 2 for graph in levels)
    cut = f"{between} of {total} edges of the genome join two splits and are cut"
    if crossing:
        return Finding(name, "leak", crossing, f"{crossing} edges of windows end in another split; {cut}. {HOLD_OUT}")
    if dividing:
        message = f"{dividing} edges of windows end in a node that a border of splits divides; {cut}. {ALIGN}"
        return Finding(name, "note", dividing, message)
    return Finding(name, "ok", 0, f"No edge of a window ends in another split; {cut}.")


def held_out_neighbours(experiment: Experiment) -> Finding:
    """Do training windows have nodes with held-out bins?"""
    name, holds = "held_out_neighbours", splits_of_nodes(experiment)
    foreign, divided = [np.empty(0, int)], [np.empty(0, int)]
    for code, dataset in _datasets(experiment):
        if code == TRAIN:
            for each in exposures(dataset):
                for nodes, found in zip((foreign, divided), strangers(each, holds, code), strict=True):
                    nodes.append(found)
    crossing, dividing = (len(np.unique(np.concatenate(nodes))) for nodes in (foreign, divided))
    if crossing:
        return Finding(name, "leak", crossing, f"Training windows see {crossing} nodes of held-out bins. {HOLD_OUT}")
    if dividing:
        message = f"{dividing} nodes of training windows have held-out bins too, which are not shown. {ALIGN}"
        return Finding(name, "note", dividing, message)
    return Finding(name, "ok", 0, "No training window has a node with a held-out bin.")


def context_across_splits(experiment: Experiment) -> Finding:
    """Is a base of another split read, be it as context, by a shift or in a window's crop?"""
    name, split, shift = "context_across_splits", experiment.split_of_bin, experiment.config.augment.shift
    crossing = 0
    for code, dataset in _datasets(experiment):
        for by in {-shift, shift}:
            of_bases = [split[each.bins_read()] for each in exposures(dataset, shift=by)]
            crossing += sum(int(((each != code) & (each != NONE)).sum()) for each in of_bases)
    reach, gap = _model(experiment).receptive_field, experiment.config.splits.gap if experiment.config.splits else 0
    known = f"a prediction depends on {reach} bp along the sequence, splits.gap is {gap} bp"
    values = {"receptive_field": float(reach), "gap": float(gap)}
    if crossing:
        message = f"{crossing} bases of other splits are read; {known}. Set splits.gap to at least {reach // 2}."
        return Finding(name, "leak", crossing, message, values)
    if np.isnan(reach):
        divided = divided_chroms(experiment)
        told = f"How far an embedding of {experiment.config.model.embeddings} reaches is not known: its receptive_field"
        told += f" is not given. Chromosomes with bins of several splits: {shorten(divided) or 'none'}."
        return Finding(name, "note" if divided else "ok", len(divided), told, {"gap": float(gap)})
    return Finding(name, "ok", 0, f"No base of another split is read, N stands in its place; {known}.", values)


def pretrained_on_held_out(experiment: Experiment) -> Finding:
    """Has a part of the model learned from held-out bins before: stored embeddings, a run to start from, a file?"""
    name, config, split = "pretrained_on_held_out", experiment.config, experiment.split_of_bin
    seen = seen_before(config, experiment.store)
    if not config.training.start_from and config.model.embeddings is None and not seen.unknown:
        return not_applicable(name, "no part of the model was trained before")
    trained = int((seen.trained & ((split == VALID) | (split == TEST))).sum())
    chosen = int((seen.chosen & (split == TEST)).sum())
    values = {"trained": float(trained), "chosen": float(chosen)}
    told = f"Parts of the model were trained before on {trained} bins that are held out here"
    if chosen:
        told += f", and chosen by {chosen} bins of the test split"
    if seen.unknown:
        told += f"; on what {', '.join(seen.unknown)} was trained, if on anything, is not known"
    count = trained + chosen + len(seen.unknown)
    advice = " Pre-train with the splits of this config." if trained or chosen else ""
    return Finding(name, "leak" if trained else "note" if count else "ok", count, f"{told}.{advice}", values)


def duplicate_sequence(experiment: Experiment) -> Finding:
    """How much of the sequence that is judged is a copy of training sequence, or nearly?

    See `genograph.audit.sketch`. What is masked is not judged, and what no window shows is not trained on.
    """
    name, store = "duplicate_sequence", experiment.store
    size = max(TILE // store.bins.bin_size, 1) * store.bins.bin_size
    split = experiment.split_of_bin
    held_out = [stretch for code in (VALID, TEST) for stretch in runs(split == code, store.bins)]
    is_trained = bins_shown(next(_datasets(experiment))[1])
    training = _codes(experiment, runs(is_trained, store.bins))
    found = share_found(_codes(experiment, held_out), training, size)
    judged = np.concatenate([judged_bp(experiment, stretch, size) for stretch in held_out])
    copied = int(judged[found > COPIED].sum())
    share = copied / max(int(judged[~np.isnan(found)].sum()), 1)
    status = "leak" if share > MAX_COPIED else "note" if copied else "ok"
    message = f"{share:.2%} of the sequence judged ({copied} bp) has most of its minimizers in training sequence."
    advice = " Put copies into one split, or those held out into genome.blacklist." if copied else ""
    return Finding(name, status, copied, message + advice, {"share": share})


def groups_across_splits(experiment: Experiment) -> Finding:
    """Do regions that belong into one split, of `splits.groups`, lie in different ones?"""
    name, splits, store = "groups_across_splits", experiment.config.splits, experiment.store
    if splits is None or (groups := groups_of(experiment.config, store)) is None:
        return not_applicable(name, "splits.groups names no regions that belong into one split")
    found = groups.pairs_across(experiment.split_of_bin, store.bins, resolved=splits.resolve_groups)
    pairs, names = sum(found.values()), list(SPLITS)
    if not pairs:
        return Finding(name, "ok", 0, f"No group has regions in two splits; {len(groups.members)} regions are grouped.")
    listed = ", ".join(f"{count} {names[one]} and {names[two]}" for (one, two), count in found.items() if count)
    message = f"{pairs} pairs of regions of one group lie in two splits: {listed}. Set splits.resolve_groups=true."
    return Finding(name, "leak", pairs, message)


def masked_bins_scored(experiment: Experiment) -> Finding:
    """Do bins that the contact map masks enter loss and metrics, and is their signal another?"""
    name, store = "masked_bins_scored", experiment.store
    if store.contacts is None:
        return not_applicable(name, "there is no contact map")
    scored = np.concatenate([counted(experiment, split) for split in SPLITS])
    is_masked = store.contacts.masked[store.node_of_bin[scored]]
    count = int(is_masked.sum())
    if not count:
        return Finding(name, "ok", 0, "No bin that the contact map masks enters loss or metrics.")
    of_tracks = signal_ratio(experiment, scored[is_masked], scored[~is_masked])
    ratios = {assay: mean_of([each]) for assay, each in of_tracks.items()}
    apart = {f"{assay}.apart": float(np.mean(_is_apart(each))) for assay, each in of_tracks.items()}
    differs = any(map(_is_apart, ratios.values())) or any(share > MANY_TRACKS for share in apart.values())
    listed = ", ".join(
        f"{assay} {ratio:.2f} ({apart[f'{assay}.apart']:.0%} of tracks below {ALIKE[0]} or above {ALIKE[1]})"
        for assay, ratio in ratios.items()
    )
    message = f"{count} bins that the contact map masks are scored; their signal over that of others: {listed}."
    judged = int(store.contacts.masked[store.node_of_bin[counted(experiment, "test")]].sum())
    values = ratios | apart | {"judged": float(judged)}
    return Finding(name, "leak" if differs else "note", count, f"{message} {MASK}", values)


def edges_depend_on_label(experiment: Experiment) -> Finding:
    """Does degree go with the label, do edges join like labels, and do candidates hold nearly all signal?

    That edges or candidates were made from the labels, as HiChIP loops may be, no data can prove.
    """
    name = "edges_depend_on_label"
    if not any(graph.contact_types for graph in experiment.levels) and experiment.candidates is None:
        return not_applicable(name, "the graph has no edges but linear ones, and all bins are read from sequence")
    of_degree, ends, shares = {}, {}, {}
    for level in (number for number, graph in enumerate(experiment.levels) if graph.contact_types):
        of_degree |= named_by_level(level, label_correlation(experiment, level))
        ends |= named_by_level(level, likeness(experiment, level))
    beyond = excess(ends)
    foul = sum(abs(r) > LABEL_R for r in of_degree.values()) + sum(r > LABEL_R for r in beyond.values())
    message = f"Greatest correlation of degree and label over training nodes: {greatest(of_degree, key=abs)}."
    message += f" Greatest excess of r of the labels that edges join over others as far apart: {greatest(beyond)}."
    if experiment.candidates is not None:
        shares = in_candidates(experiment)
        rich = [share for key, share in shares.items() if key != "candidates.bins" and share > MUCH_SIGNAL]
        foul += len(rich) if shares["candidates.bins"] < FEW_BINS else 0
        listed = ", ".join(f"{share:.0%} of {key.removeprefix('candidates.')}" for key, share in shares.items())
        message += f" Candidates hold {listed}."
    advice = " Make sure that neither edges nor candidates come from the tracks to be predicted." if foul else ""
    return Finding(name, "note" if foul else "ok", foul, message + advice, of_degree | ends | shares)


def split_sizes(experiment: Experiment) -> Finding:
    """Has every split windows, and every track measured values in each?"""
    windows = {split: len(dataset) for split, (_, dataset) in zip(SPLITS, _datasets(experiment), strict=True)}
    missing = [f"{track} in {split}" for split in SPLITS for track in unmeasured(experiment, split)]
    message = "Windows: " + ", ".join(f"{count} {split}" for split, count in windows.items())
    rest = f"nothing is measured of {shorten(missing)}" if missing else "every track is measured in each"
    values = {split: float(count) for split, count in windows.items()}
    return Finding("split_sizes", "note" if missing else "ok", len(missing), f"{message}; {rest}.", values)


CHECKS: dict[str, Callable[[Experiment], Finding]] = {
    check.__name__: check
    for check in (
        edges_across_splits,
        held_out_neighbours,
        context_across_splits,
        pretrained_on_held_out,
        duplicate_sequence,
        groups_across_splits,
        masked_bins_scored,
        degree_predicts,
        mask_predicts,
        layout_predicts,
        features_predict,
        edges_depend_on_label,
        split_sizes,
    )
}


def _is_apart(ratio: np.ndarray | float) -> np.ndarray:
    """Where a signal is another than that it is compared with; not where it is NaN."""
    return (np.asarray(ratio) < ALIKE[0]) | (np.asarray(ratio) > ALIKE[1])


def _model(experiment: Experiment) -> GenomeModel:
    """The model without weights, for how far it reads."""
    with torch.device("meta"):
        return experiment.model()


def _datasets(experiment: Experiment) -> Iterator[tuple[int, WindowDataset]]:
    """The code of each split and its windows, as they are trained on or judged."""
    halo = _model(experiment).halo
    return ((code, experiment.dataset(split, halo)) for split, code in SPLITS.items())


def _codes(experiment: Experiment, stretches: Iterable[tuple[int, int]]) -> Iterator[np.ndarray]:
    """The codes of runs of bins, from the first bin's start to the last one's end."""
    bins = experiment.store.bins
    for first, end in stretches:
        start, end = bins.starts(np.array([first, end - 1])) + np.array([0, bins.bin_size])
        yield experiment.store.codes(bins.chroms[int(bins.chrom_index(np.array(first)))], int(start), int(end))
