"""genograph: graph neural networks for modelling genomes.

Each verb of the command line is a function of the same name: `genograph.train.train`, and so on.
"""

from __future__ import annotations

from importlib.metadata import version

__version__ = version("genograph")
