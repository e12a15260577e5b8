"""genograph: graph neural networks for modelling genomes.

What is public is imported when it is first used, as torch takes seconds. Each verb of the command line is a function in
a module of the same name: `from genograph.train import train`, and so on.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version

__version__ = version("genograph")

HOMES = {  # where each name is at home
    "Bins": "genograph.genome.bins",
    "Edges": "genograph.graph.genome_graph",
    "Experiment": "genograph.experiment",
    "GenomeGraph": "genograph.graph.genome_graph",
    "GraphBlock": "genograph.nn.layers.graph_block",
    "Head": "genograph.nn.heads",
    "InputError": "genograph.errors",
    "Known": "genograph.graph.building",
    "ModuleEncoder": "genograph.nn.encoders.module",
    "Regions": "genograph.genome.regions",
    "Sites": "genograph.genome.sites",
    "from_networkx": "genograph.graph.interchange",
    "from_pandas": "genograph.graph.interchange",
    "from_pyg": "genograph.graph.interchange",
    "from_scipy": "genograph.graph.interchange",
    "load_config": "genograph.config",
    "load_run": "genograph.checkpoint",
    "load_weights": "genograph.weights",
    "save_embeddings": "genograph.embeddings",
    "to_networkx": "genograph.graph.interchange",
    "to_pyg": "genograph.graph.interchange",
    "write_graph": "genograph.graph.export",
}
__all__ = [*HOMES]


def __getattr__(name: str) -> object:
    if name not in HOMES:
        raise AttributeError(f"module 'genograph' has no attribute '{name}'")
    return getattr(import_module(HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *HOMES})
