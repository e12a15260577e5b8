"""Ablations: arms x folds x seeds, audited, compared and reported. `ablate` does all of it."""

from genograph.ablate.ablation import RunsFailed, ablate

__all__ = ["RunsFailed", "ablate"]
