"""DeepCpG's own files, in Python: tables of cells, and its HDF5 data files, from a store or from tables of cells.

states_of      sites and cells of a store
read_cells     the same of a table of each cell, or a bigWig
write_cells    a table or bedGraph of each cell
annotate       which sites lie in BED files
make_chunks    the sites of some cells with their inputs and outputs, piece by piece
write_chunks   these as data files
read_chunk     what a data file holds
"""

from __future__ import annotations

import numpy as np

from genograph.assays.cpg_states import CpgStates, read_cells, write_cells
from genograph.assays.deepcpg_files import make_chunks, read_chunk, write_chunks
from genograph.errors import InputError
from genograph.genome.sites import Sites
from genograph.metrics import annotate
from genograph.store import Store

__all__ = ["annotate", "make_chunks", "read_cells", "read_chunk", "states_of", "write_cells", "write_chunks"]


def states_of(store: Store) -> CpgStates:
    """The CpGs that the cells of a store cover and what each shows there; states stay on disk until they are sliced.

    Raises:
        InputError: If its bins are no such CpGs.
    """
    if store.covered is None or not isinstance(store.bins, Sites):
        raise InputError(f"{store.path}: its bins are no CpGs that cells cover; set sites: {{source: covered}}.")
    sites = store.bins
    cells = tuple(target.identifier for target in store.targets["methylation"])
    position = sites.centres(np.arange(len(sites)))
    return CpgStates(tuple(store.sizes), cells, sites.chrom, position, store.signals("methylation"))
