"""From edge builders to a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from genograph.assays.contacts import ContactMap
from genograph.genome.bins import Bins
from genograph.genome.genes import Genes
from genograph.graph.genome_graph import Edges, GenomeGraph


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known of a genome besides its nodes: what an edge builder may use.

    Attributes:
        contacts: The contact map over the nodes.
        genes: The annotated genes.
        aliases: Further names of chromosomes, alias -> name.
        whole_genome: Whether the chromosomes are all that the FASTA has, so that others in a file are logged.

    >>> import numpy as np
    >>> class Neighbours:
    ...     name, needs_contacts = "neighbours", False
    ...
    ...     def __call__(self, nodes: Bins, known: Known) -> Edges:
    ...         source = np.arange(len(nodes) - 1)
    ...         return Edges(source, source + 1, np.ones(len(source)))
    >>> build_graph([Neighbours()], Bins({"chr1": 5000}, 1000)).num_edges
    8
    """

    contacts: ContactMap | None = None
    genes: Genes | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    whole_genome: bool = False

    @property
    def names(self) -> dict[str, Any]:
        """What readers of files ask to know of chromosome names."""
        return {"aliases": self.aliases, "whole_genome": self.whole_genome}


class EdgeBuilder(Protocol):
    """A kind of edge: a frozen dataclass with keyword options.

    Attributes:
        name: The type of its edges; builders of one type make one type.
        needs_contacts: Whether a config without a contact map is refused.
        attributes: Names of what else is known of its edges, if anything is: it need not be there.
    """

    @property
    def name(self) -> str: ...

    @property
    def needs_contacts(self) -> bool: ...

    def __call__(self, nodes: Bins, known: Known) -> Edges: ...


def build_graph(
    edges: Sequence[EdgeBuilder],
    nodes: Bins,
    contacts: ContactMap | None = None,
    *,
    genes: Genes | None = None,
    aliases: Mapping[str, str] | None = None,
    whole_genome: bool = False,
) -> GenomeGraph:
    """The graph that some edge builders make of a genome.

    Pairs are joined in both directions; of a pair that a type names twice the larger weight stays, and
    a pair of a node with itself goes. The mask is the contact map's, whether or not an edge uses it, so
    that graphs to be compared leave out the same nodes.

    Args:
        edges: Builders; none gives a graph without edges.
        nodes: The genome's nodes.
        contacts: The contact map over these nodes, for the builders that need one.
        genes, aliases, whole_genome: What else builders may use, see `Known`.

    Raises:
        InputError: If an edge type has a name that it cannot have, or a builder cannot make its edges.
    """
    known = Known(contacts=contacts, genes=genes, aliases=aliases or {}, whole_genome=whole_genome)
    found = [(builder.name, builder(nodes, known)) for builder in edges]
    return GenomeGraph.of(nodes, found, masked=None if contacts is None else contacts.masked)
