"""Edges between chromosomes: pairs that meet more often than any two places on different chromosomes do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from genograph.errors import InputError
from genograph.genome.bins import Bins
from genograph.graph.building import Known
from genograph.graph.genome_graph import Edges
from genograph.graph.ranking import check_ranking, known_contacts, strongest_contacts


@dataclass(frozen=True, kw_only=True)
class TransEdges:
    """Join every node to the `top_k` nodes of other chromosomes that it meets most often.

    Pairs are ranked as those of `hic` edges are, but have no distance: expected is the mean contact of any two mapped
    nodes on different chromosomes (cooltools' `expected_trans`, over all chromosomes at once; Open2C et al. 2024, PLOS
    Comput Biol 20:e1012067). What stands out is where chromosomes gather: centromeres in yeast (Duan et al. 2010,
    Nature 465:363), telomeres, speckles, and repeats that reads of many places map to.

    With `max_fdr` only pairs are ranked that meet more often than chance lets them, at that false discovery rate over
    all pairs in reach, see `genograph.assays.significance`. With `downsample` the edges are those of a shallower map,
    see `ContactMap.thinned`.

    Raises:
        InputError: If the store kept no contacts between chromosomes.
    """

    name: ClassVar[str] = "trans"
    needs_contacts: ClassVar[bool] = True

    top_k: int = 8
    min_oe: float = 1.0
    pseudocount: float = 1.0  # reads
    max_fdr: float | None = None  # leaves pairs out that do not stand out from chance
    downsample: float = 1.0  # share of the reads that are kept, at random
    seed: int = 0  # of that choice

    def __post_init__(self) -> None:
        check_ranking(
            self.name,
            top_k=self.top_k,
            max_fdr=self.max_fdr,
            downsample=self.downsample,
            min_oe=self.min_oe,
            pseudocount=self.pseudocount,
            seed=self.seed,
        )

    def __call__(self, nodes: Bins, known: Known) -> Edges:
        contacts = known_contacts(self.name, known.contacts, self.downsample, self.seed)
        if np.isnan(contacts.trans_expected):
            raise InputError(
                "'trans' edges need contacts between chromosomes. "
                "Set contacts.trans: true in the config and prepare again."
            )
        return strongest_contacts(
            contacts,
            None,
            top_k=self.top_k,
            min_oe=self.min_oe,
            pseudocount=self.pseudocount,
            max_fdr=self.max_fdr,
        )
