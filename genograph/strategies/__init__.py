"""How classifiers of sites are trained, compared: negatives, strands, many tasks, architectures, pre-training."""

from genograph.strategies.studies import STUDIES, study

__all__ = ["STUDIES", "study"]
