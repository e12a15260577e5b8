"""Checks that predict tracks from what a model sees besides sequence: how much that alone gives away."""

from __future__ import annotations

from genograph.audit.finding import MASK, Finding, greatest, not_applicable
from genograph.audit.layout import layout_predictability
from genograph.audit.shortcuts import degree_of_levels, mask_features, predictability
from genograph.experiment import Experiment
from genograph.genome.sites import Sites

SHORTCUT_R = 0.2  # of a predictor that sees degree or mask or features alone
SHORTCUT_AUROC = 0.7  # likewise, of one that sees where sites lie

APART = "Leave out sites.negatives.flanking, or compare with graph.controls=[{name: isolated}]."


def degree_predicts(experiment: Experiment) -> Finding:
    """How well do degrees alone predict the tracks of the validation split?"""
    name = "degree_predicts"
    if not any(graph.contact_types for graph in experiment.levels):
        return not_applicable(name, "the graph has no edges but linear ones")
    values = predictability(experiment, degree_of_levels(experiment.levels))
    foul = sum(r > SHORTCUT_R for r in values.values())
    message = f"Best r of degree alone on the validation split: {greatest(values)}."
    advice = " Judge contacts by what they add over rewired ones, which keep every degree." if foul else ""
    return Finding(name, "note" if foul else "ok", foul, message + advice, values)


def mask_predicts(experiment: Experiment) -> Finding:
    """How well does the contact map's mask alone predict the tracks of the validation split?"""
    name, store = "mask_predicts", experiment.store
    if store.contacts is None:
        return not_applicable(name, "there is no contact map")
    values = predictability(experiment, mask_features(store.contacts.masked, store.nodes))
    foul = sum(r > SHORTCUT_R for r in values.values())
    message = f"Best r of the map's mask alone on the validation split: {greatest(values)}."
    if foul and (store.mask & store.contacts.masked[store.node_of_bin]).any():
        return Finding(name, "leak", foul, f"{message} Masked bins are scored. {MASK}", values)
    advice = " Masked bins are not scored, but what lies beside them differs." if foul else ""
    return Finding(name, "note" if foul else "ok", foul, message + advice, values)


def layout_predicts(experiment: Experiment) -> Finding:
    """How well does where sites lie, by itself, predict the tracks of the validation split?"""
    name = "layout_predicts"
    if not isinstance(experiment.store.bins, Sites):
        return not_applicable(name, "bins tile the genome")
    values = layout_predictability(experiment)
    limits = {"bins": SHORTCUT_R, "auroc": SHORTCUT_AUROC}
    foul = sum(value > limits[key.rpartition(".")[2]] for key, value in values.items())
    best = {kind: {key: each for key, each in values.items() if key.endswith(kind)} for kind in limits}
    message = f"Best r of where sites lie alone on the validation split: {greatest(best['bins'])}"
    message += f", AUROC: {greatest(best['auroc'])}." if best["auroc"] else "."
    advice = f" A model whose sites talk can read that off their distances. {APART}" if foul else ""
    return Finding(name, "note" if foul else "ok", foul, message + advice, values)


def features_predict(experiment: Experiment) -> Finding:
    """How well do the features of nodes alone predict the tracks of the validation split?

    That they were made from the tracks, no data can prove.
    """
    name = "features_predict"
    if experiment.features is None:
        return not_applicable(name, "there is no graph.features")
    values = predictability(experiment, experiment.features[:-1])  # the last row is that of no node
    foul = sum(r > SHORTCUT_R for r in values.values())
    message = f"Best r of the features of nodes alone on the validation split: {greatest(values)}."
    advice = " Make sure that none was made from the tracks; the arm drop_features says what they add." if foul else ""
    return Finding(name, "note" if foul else "ok", foul, message + advice, values)
