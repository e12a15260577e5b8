"""Reverse complement of a whole batch: sequence, bins, nodes and signals together.

A shift needs no function of its own: the dataset reads the sequence a few bases further on, as Basenji
shifts its input (Kelley et al. 2018), but with the genome's own bases at the edge instead of zeros.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from genograph.assays.targets import Target, strand_permutation
from genograph.genome.assembly import COMPLEMENT
from genograph.graph.batch import GenomeBatch


def reverse_complement(batch: GenomeBatch, piece_bins: int, targets: Mapping[str, Sequence[Target]]) -> GenomeBatch:
    """The batch as the other strand shows it; doing it twice gives the batch back.

    Every piece of sequence is reversed and complemented, every stretch of bins runs the other way, and a
    stranded track trades places with its partner. Covered CpGs on the left of a bin are then on its right: a CpG is
    methylated alike on both strands. Edges join nodes, which have no direction, and stay. So do stored embeddings,
    which are then those of both strands.

    Args:
        batch: What to turn round.
        piece_bins: Bins in a piece of sequence, without its context.
        targets: For each assay its tracks; `strand_pair` says which trade places.
    """
    order = _reversed_stretches(batch.layout)
    source = batch.source[order]
    place = source % piece_bins
    mirrored = torch.where(source >= 0, source - place + piece_bins - 1 - place, source)

    return replace(
        batch,
        codes=_other_strand(batch.codes),
        source=mirrored,
        node_of_bin=batch.node_of_bin[order],
        coarse=tuple(replace(each, node_of_bin=each.node_of_bin[order]) for each in batch.coarse),
        neighbours={
            name: each[order].flip(2)[:, strand_permutation(targets["methylation"])]
            for name, each in batch.neighbours.items()
        },
        position=batch.position.flip(1),
        target=turned(batch.target, targets),
        coverage=turned(batch.coverage, targets),
        mask=turned(batch.mask, targets),
    )


def turned(values: Mapping[str, Tensor], targets: Mapping[str, Sequence[Target]]) -> dict[str, Tensor]:
    """Values of bins (windows, bins, tracks) of each assay as the other strand shows them; twice gives them back."""
    return {assay: each.flip(1)[:, :, strand_permutation(targets[assay])] for assay, each in values.items()}


def _other_strand(codes: Tensor) -> Tensor:
    return codes if codes.is_floating_point() else torch.from_numpy(COMPLEMENT)[codes.flip(1).long()]


def _reversed_stretches(layout: Sequence[tuple[int, int]]) -> Tensor:
    """For every bin of the flat axis the bin that takes its place when each stretch is reversed: (bins,)."""
    order, offset = [], 0
    for count, length in layout:
        block = torch.arange(offset, offset + count * length).view(count, length)
        order.append(block.flip(1).reshape(-1))
        offset += count * length
    return torch.cat(order)
