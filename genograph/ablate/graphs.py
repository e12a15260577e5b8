"""The graphs of arms before anything is trained: that they can be made, what they keep, and how much windows show."""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from genograph.ablate.arms import REFERENCE, SCRAMBLED, Arm
from genograph.audit import Finding
from genograph.audit.exposure import splits_of_nodes
from genograph.config import Config, parse_config
from genograph.errors import InputError
from genograph.experiment import Experiment
from genograph.genome.splits import SPLITS
from genograph.graph import GenomeGraph
from genograph.graph.rewiring import pair_key

log = logging.getLogger("genograph")

MORE_PARTNERS = 8  # times those of the reference that an arm may have at most
AS_MANY = 0.98  # of the contacts that the reference shows are as many
MOST_KEPT = 0.1  # of the reference's edges, in an arm that exchanges them
MOST_APART = 0.1  # by which held-out windows may show more or fewer contacts
CHANGES_NOTHING = "changes_nothing"  # what a finding about an arm that is the reference is called
# What two configs may differ in and yet train the same: names, what is judged, and what only makes graphs and masks.
ASIDE = {"name", "source", "store", "contacts", "evaluation", "ablation", "study", "downloads"}
MAKES_GRAPHS = {"edges", "coarse", "controls"}


def with_graphs(arms: Sequence[Arm], folds: Sequence[Experiment]) -> tuple[list[Arm], list[list[Finding]]]:
    """The arms whose graphs can be made in every fold, and for each fold what is found about them.

    That is what those that exchange contacts, `SCRAMBLED`, keep; these are given the partners that show as much as the
    reference: see `showing_as_much`. An arm that trains the same as the reference is told of, and kept.

    Args:
        arms: All, the reference first.
        folds: The reference's experiments.

    Raises:
        InputError: If the graph of an arm that the config names cannot be made. Another one is left out, which is told.
    """
    kept, findings = [arms[0]], [[] for _ in folds]
    for arm in arms[1:]:
        own = [_opened(arm, fold) for fold in folds]
        try:
            levels = [each.levels for each in own]
        except InputError as error:
            if arms[0].config.ablation.arms is not None:
                raise InputError(f"arm '{arm.name}': {error}") from None
            log.warning("Arm '%s' is left out: %s", arm.name, error)
            continue
        if arm.name in SCRAMBLED:
            arm = showing_as_much(arm, folds[0], own[0])
            for fold, graphs, found in zip(folds, levels, findings, strict=True):
                for level in (number for number, graph in enumerate(graphs) if graph.contact_types):
                    found.append(edges_kept(arm.name, fold, graphs[level], level))
                    if found[-1].status != "ok":
                        log.warning(found[-1].message)
        elif all(trains_the_same(each, fold) for each, fold in zip(own, folds, strict=True)):
            same = f"arm {arm.name} has the graph, model and training of {REFERENCE}: nothing of it differs."
            log.warning(same)
            for found in findings:
                found.append(Finding(CHANGES_NOTHING, "note", 1, same, arm=arm.name))
        kept.append(arm)
    return kept, findings


def showing_as_much(arm: Arm, reference: Experiment, own: Experiment) -> Arm:
    """An arm whose contacts reach other partners, with as many of these as show a model as many contacts as before.

    Contacts exchanged at random share fewer partners, so that the reference's limit would hide more of them, and degree
    would seem to explain less than it does. Training windows and the smallest nodes decide; if windows held out, or
    larger nodes, differ, that is told.

    Args:
        arm: With the reference's limit.
        reference: Of a fold.
        own: The arm's, of that fold.
    """
    if not arm.config.batch.partners:
        return arm
    shows, windows = _shown(reference, "train"), own.dataset("train", halo=0)
    aim = AS_MANY * shows
    limits = range(windows.num_partners, MORE_PARTNERS * windows.num_partners + 1)
    partners = limits[bisect_left(limits, aim, hi=len(limits) - 1, key=lambda each: windows.contacts_shown(each)[0])]
    if (shown := windows.contacts_shown(partners)[0]) < aim:
        log.warning(
            "%s: with %d partners a window shows %.2f contacts a node, %s shows %.2f. Raise batch.partners, or what "
            "this arm has lost may be contacts that it was not shown.",
            *(arm.name, partners, shown, REFERENCE, shows),
        )
    held_out, aim = own.dataset("test", halo=0).contacts_shown(partners)[0], _shown(reference, "test")
    if abs(held_out - aim) > MOST_APART * aim:
        log.warning(
            "%s: held-out windows show %.2f contacts a node, those of %s %.2f; in training it is %.2f and %.2f.",
            *(arm.name, held_out, REFERENCE, aim, shown, shows),
        )
    for level in range(1, len(own.levels)):
        ours, aim = windows.contacts_shown(partners, level)[0], _shown(reference, "train", level)
        if abs(ours - aim) > MOST_APART * aim:
            log.warning(
                "%s: training windows show %.2f contacts a node of level %d, those of %s %.2f. What this arm has lost "
                "may be contacts that it was not shown.",
                *(arm.name, ours, level, REFERENCE, aim),
            )
    batch = arm.config.batch.model_copy(update={"partners": partners})
    return replace(arm, config=arm.config.model_copy(update={"batch": batch}))


def edges_kept(name: str, reference: Experiment, graph: GenomeGraph, level: int = 0) -> Finding:
    """Which share of the reference's contact edges within each split, on a level, the graph of an arm still has."""
    split = np.where((holds := splits_of_nodes(reference, level)).sum(axis=1) == 1, holds.argmax(axis=1), -1)
    before, after = _keys(reference.levels[level], split), _keys(graph, split)
    kept = {each: np.isin(before[code], after[code]) for each, code in SPLITS.items() if len(before[code])}
    shares = {each: float(is_kept.mean()) for each, is_kept in kept.items()}
    count = sum(int(is_kept.sum()) for is_kept in kept.values())
    foul = max(shares.values(), default=0.0) > MOST_KEPT
    listed = ", ".join(f"{share:.0%} in {each}" for each, share in shares.items())
    edges = f"contact edges of level {level}" if level else "contact edges"
    message = f"'{name}' keeps {count} of the {edges} within a split: {listed}."
    advice = " What they bring it has too: the reference may be worth more than their difference." if foul else ""
    return Finding("edges_kept", "note" if foul else "ok", count, message + advice, shares, name)


def trains_the_same(own: Experiment, reference: Experiment) -> bool:
    """Whether an arm has the graphs, mask, model, batches and training of the reference, by whatever keys."""
    return (
        _besides_graphs(own.config) == _besides_graphs(reference.config)
        and np.array_equal(own.store.mask, reference.store.mask)
        and len(own.levels) == len(reference.levels)
        and all(map(_is_same, own.levels, reference.levels))
    )


def _besides_graphs(config: Config) -> dict[str, Any]:
    tree = config.model_dump(mode="json", exclude=ASIDE)
    return {**tree, "graph": {key: value for key, value in tree["graph"].items() if key not in MAKES_GRAPHS}}


def _is_same(one: GenomeGraph | None, other: GenomeGraph | None) -> bool:
    if one is None or other is None:
        return one is other
    arrays = ("edge_index", "edge_attr", "edge_type", "masked")
    return (
        one.attribute_names == other.attribute_names
        and all(np.array_equal(getattr(one, name), getattr(other, name)) for name in arrays)
        and _is_same(one.partners_from, other.partners_from)
    )


def of_fold(config: Config, fold: Experiment) -> Config:
    """The config with the splits of a fold."""
    tree = config.model_dump(mode="json")
    if fold.config.splits is not None:
        tree["splits"] = fold.config.splits.model_dump(mode="json")
    return parse_config(tree)


def _opened(arm: Arm, fold: Experiment) -> Experiment:
    try:
        return Experiment.open(of_fold(arm.config, fold))
    except InputError as error:
        raise InputError(f"arm '{arm.name}': {error}") from None


def _shown(experiment: Experiment, split: str, level: int = 0) -> float:
    return experiment.dataset(split, halo=0).contacts_shown(level=level)[0]


def _keys(graph: GenomeGraph, split: np.ndarray) -> dict[int, np.ndarray]:
    """By split a number for type and ends of each contact edge in it: (pairs,) each."""
    pairs = graph.pairs().take(graph.is_contact(graph.pairs().kind))
    keys = pairs.kind.astype(np.int64) * graph.num_nodes**2 + pair_key(graph.num_nodes, pairs.first, pairs.second)
    inside = np.where(split[pairs.first] == split[pairs.second], split[pairs.first], -1)
    return {code: keys[inside == code] for code in SPLITS.values()}
