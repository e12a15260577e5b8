"""Store and graph -> batches: `WindowDataset`, and what it reads, turns and orders them with."""

from genograph.dataset.augment import reverse_complement, turned
from genograph.dataset.covered import CoveredReader
from genograph.dataset.pieces import PieceReader, Stretches
from genograph.dataset.sampler import TurnSampler
from genograph.dataset.stored_pieces import EmbeddingReader
from genograph.dataset.windows import NO_AUGMENTATION, WindowDataset

__all__ = [
    "NO_AUGMENTATION",
    "CoveredReader",
    "EmbeddingReader",
    "PieceReader",
    "Stretches",
    "TurnSampler",
    "WindowDataset",
    "reverse_complement",
    "turned",
]
