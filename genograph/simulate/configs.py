"""The two ready configs of a world: a graph model and its Basenji twin, which differ in edges and processor alone."""

from __future__ import annotations

from typing import Any

from genograph.simulate.settings import WorldSettings
from genograph.simulate.truth import BIN

DILATED = {
    "name": "dilated",
    "filters": 32,
    "layers": 9,
    "rate_multiplier": 2,
    "dropout": 0.1,
}  # reads 131 kb, with the encoder


def config_trees(settings: WorldSettings, chroms: list[str], *, ceiling: float) -> dict[str, dict[str, Any]]:
    """Both configs as nested dicts, by file name.

    Args:
        settings: Of the world.
        chroms: Its chromosomes; the last is held out, the one before chooses the epoch.
        ceiling: r of a perfect model over the promoters that are held out.
    """
    edges = [{"name": "linear", "reach": 10}, {"name": "hic", "top_k": 6, "min_distance": 10_000, "min_oe": 4.0}]
    before, behind = ({"name": "gat", "dropout": 0.1} for _ in range(2))  # one dict twice is an alias in YAML
    graph = _tree("graph", settings, chroms, edges=edges, processor=[before, DILATED, behind])
    graph["ablation"] = {"assay": "expression", "elements": "elements.bed"}
    if ceiling > 0 and not settings.degree_leak:  # nothing varies, or what does is in no file
        graph["ablation"]["ceiling"] = {"expression": round(ceiling, 4)}
    basenji = _tree("basenji", settings, chroms, edges=[], processor=[DILATED])
    return {"graph.yaml": graph, "basenji.yaml": basenji}


def _tree(
    name: str, settings: WorldSettings, chroms: list[str], *, edges: list[dict], processor: list[dict]
) -> dict[str, Any]:
    return {
        "name": name,
        "source": f"genograph simulate, seed {settings.seed}",
        "store": "store",
        "genome": {"fasta": "genome.fa"},
        "tracks": {"targets": "targets.tsv", "genes": "genes.gtf", "paint": "tss"},
        "contacts": {"file": f"contacts.mcool::/resolutions/{settings.resolution}"},
        "bins": {"bin_size": BIN, "node_size": settings.resolution},
        "splits": {"valid": [chroms[-2]], "test": [chroms[-1]]},
        "graph": {"edges": edges},
        "batch": {"window": 1024, "crop": 64, "stride": 896, "size": 4, "partners": 64, "chunk": 16},
        "augment": {"reverse_complement": True, "shift": 3},
        "model": {
            "encoder": {
                "name": "basenji",
                "blocks": [
                    {"filters": 32, "kernel": 15, "pool": 8},
                    {"filters": [48, 64], "kernel": 5, "pool": 4},
                    {"filters": 64, "kernel": 5},  # an element is longer than a bin
                ],
            },
            "processor": processor,
            "trunk": {"filters": 96, "dropout": 0.1},
            "heads": {
                "expression": {"loss": "poisson", "weight": 10.0},
                "accessibility": {"loss": "poisson", "weight": 15.0},
                "methylation": {"weight": 20.0},
            },
        },
        "training": {
            "optimizer": "adamw",
            "learning_rate": 0.02,
            "weight_decay": 0.1,
            "warmup": 50,
            "schedule": "cosine",
            "clip_norm": 2.0,
            "max_epochs": 20,
            "patience": 20,
            "threads": 1,
        },
        "prediction": {"reverse_complement": True, "shifts": [-3, 0, 3]},
    }
