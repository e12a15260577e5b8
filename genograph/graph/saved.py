"""Edges of a graph that was made by hand and saved."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from genograph.errors import InputError, nearest
from genograph.genome.bins import Bins
from genograph.graph.building import Known
from genograph.graph.genome_graph import Edges

ARRAYS = ("first", "second", "kind", "weight", "edge_types", "attributes", "values")


@dataclass(frozen=True, kw_only=True)
class SavedEdges:
    """The edges of one type in a file that `GenomeGraph.save` wrote, over the same nodes."""

    needs_contacts: ClassVar[bool] = False

    file: Path
    type: str

    @property
    def name(self) -> str:
        return self.type

    def __call__(self, nodes: Bins, known: Known) -> Edges:
        arrays = self._arrays()
        self._check_nodes(arrays, nodes)
        types = arrays["edge_types"].tolist()
        if self.type not in types:
            raise InputError(f"{self.file} has no '{self.type}' edges.{nearest(self.type, types)}")
        rows = arrays["kind"] == types.index(self.type)
        attributes = dict(zip(arrays["attributes"].tolist(), arrays["values"].T, strict=True))
        return Edges(arrays["first"], arrays["second"], arrays["weight"], attributes).take(rows)

    @property
    def attributes(self) -> tuple[str, ...]:
        """What else is known of the edges, in a file that is there."""
        return tuple(self._arrays()["attributes"].tolist()) if self.file.is_file() else ()

    def _arrays(self) -> dict[str, np.ndarray]:
        try:
            with np.load(self.file, allow_pickle=False) as file:
                arrays = dict(file)
            return {name: arrays[name] for name in (*ARRAYS, *(key for key in arrays if key.startswith("nodes.")))}
        except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise InputError(f"{self.file} is no saved graph ({error}). Write it anew: GenomeGraph.save") from None

    def _check_nodes(self, arrays: dict[str, np.ndarray], nodes: Bins) -> None:
        layout = {f"nodes.{name}": values for name, values in nodes.layout().items()}
        saved = {name: values for name, values in arrays.items() if name.startswith("nodes.")}
        for key in {**layout, **saved}:
            if key not in saved or key not in layout or not np.array_equal(saved[key], layout[key]):
                raise InputError(
                    f"{self.file}: its graph is over other nodes than this config's, which differ in "
                    f"{key.removeprefix('nodes.')}. Make it over those: Experiment.open(config).store.nodes"
                )
