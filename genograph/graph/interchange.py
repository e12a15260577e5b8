"""Graphs from networkx, pandas, scipy and PyTorch Geometric, and back.

Whatever they come from: every edge runs both ways, of several between two nodes of one type that of the largest weight
stays, and an edge of a node to itself is left out. Nodes are those of a genome, so that some may have no edges.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from numbers import Integral
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from genograph.errors import InputError, nearest
from genograph.genome.bins import Bins
from genograph.genome.interval import Interval, parse_region
from genograph.graph.batch import EDGE_MEASURES
from genograph.graph.checking import check_list, check_named, check_nodes
from genograph.graph.genome_graph import GenomeGraph

if TYPE_CHECKING:
    import networkx
    import pandas as pd
    from scipy.sparse import sparray, spmatrix
    from torch_geometric.data import Data

CONTACT = "contact"  # the type of edges that do not say theirs
BEDPE = ("chrom1", "start1", "end1", "chrom2", "start2", "end2")


def from_networkx(graph: networkx.Graph, nodes: Bins, *, attributes: Sequence[str] = ()) -> GenomeGraph:
    """The graph of an undirected networkx graph.

    Its nodes are numbers of nodes, or regions `chrom:start-end`, which stand for the node that holds their midpoint.
    Edges may have `weight`, else 1, and `type`, else `contact`; all of them have the `attributes` that are asked for.

    Raises:
        InputError: If it is directed, a node is none of the genome's, two are the same, or an edge lacks an attribute.

    >>> import networkx
    >>> other = networkx.Graph()
    >>> other.add_edge("chr1:0-1000", "chr1:3000-4000", weight=2.5, type="loop")
    >>> from_networkx(other, Bins({"chr1": 5000}, 1000)).degree("loop").tolist()
    [1, 0, 0, 1, 0]
    """
    check_nodes(nodes)
    check_list(attributes)
    if graph.is_directed():
        raise InputError("edges run both ways, but this networkx graph is directed. Say so: graph.to_undirected()")
    number = {label: _number(label, nodes) for label in graph}
    found: dict[int, Hashable] = {}
    for label, node in number.items():
        if found.setdefault(node, label) != label:
            raise InputError(f"'{found[node]}' and '{label}' are both node {node}. Merge them.")
    edges = list(graph.edges(data=True))
    return GenomeGraph.from_edges(
        nodes,
        [number[source] for source, _, _ in edges],
        [number[destination] for _, destination, _ in edges],
        weight=[data.get("weight", 1.0) for _, _, data in edges],
        kind=[data.get("type", CONTACT) for _, _, data in edges] or CONTACT,
        attributes={name: [_of_edge(edge, name) for edge in edges] for name in attributes},
    )


def from_pandas(frame: pd.DataFrame, nodes: Bins, *, attributes: Sequence[str] = ()) -> GenomeGraph:
    """The graph of a table of edges.

    Its columns are `source` and `destination`, numbers of nodes or regions `chrom:start-end`, or those of BEDPE:
    chrom1, start1, end1, chrom2, start2, end2. A region stands for the node that holds its midpoint. Columns `weight`
    and `type` are taken if there are such; else weights are 1 and the type is `contact`. The columns `attributes` say
    what else is known of edges.

    Raises:
        InputError: If columns are missing, an end is missing or none of the genome's (its row is told, from 0), or a
            weight is negative or no number.

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"source": [0, 1], "destination": [3, 4], "weight": [1.0, 2.5]})
    >>> from_pandas(frame, Bins({"chr1": 5000}, 1000)).weight.tolist()
    [1.0, 2.5, 1.0, 2.5]
    """
    check_nodes(nodes)
    check_list(attributes)
    if not hasattr(frame, "columns"):
        raise InputError(f"a table of edges is a pandas DataFrame; got {type(frame).__name__}.")
    if {*BEDPE} <= {*frame.columns}:
        places = [_ends(frame, column) for column in BEDPE]
        ends = [_regions(*places[first : first + 3]) for first in (0, 3)]
    elif {"source", "destination"} <= {*frame.columns}:
        ends = [_ends(frame, column) for column in ("source", "destination")]
    else:
        columns = ", ".join(map(str, frame.columns))
        raise InputError(
            f"a table of edges has source and destination, or {', '.join(BEDPE)}; got {columns or 'nothing'}."
        )
    for name in attributes:
        if name not in frame:
            raise InputError(f"the table of edges has no column '{name}'.{nearest(name, map(str, frame.columns))}")
    return GenomeGraph.from_edges(
        nodes,
        *(_numbers(each, nodes) for each in ends),
        weight=frame.get("weight", 1.0),
        kind=list(frame["type"]) if "type" in frame else CONTACT,
        attributes={name: frame[name] for name in attributes},
    )


def from_scipy(matrix: sparray | spmatrix | np.ndarray, nodes: Bins, *, kind: str = CONTACT) -> GenomeGraph:
    """The graph of a matrix of weights, (nodes, nodes), sparse or not; one triangle is enough.

    Raises:
        InputError: If it is of another shape, or a weight is negative or no number.

    >>> from scipy.sparse import coo_array
    >>> from_scipy(coo_array(([2.0], ([0], [3])), shape=(5, 5)), Bins({"chr1": 5000}, 1000)).num_edges
    2
    """
    from scipy.sparse import coo_array, issparse

    check_nodes(nodes)
    if np.shape(matrix) != (len(nodes), len(nodes)):
        raise InputError(f"{len(nodes):,} nodes have a matrix of as many rows and columns; got {np.shape(matrix)}.")
    matrix = matrix if issparse(matrix) else coo_array(matrix)
    # Entries that come twice are parts of one, as in all of scipy's sums.
    entries = matrix.tocsr().tocoo()
    is_edge = entries.data != 0
    row, column = entries.row[is_edge], entries.col[is_edge]
    return GenomeGraph.from_edges(nodes, row, column, weight=entries.data[is_edge], kind=kind)


def from_pyg(
    data: Data,
    nodes: Bins,
    *,
    weight: ArrayLike | None = None,
    kind: str = CONTACT,
    attributes: Mapping[str, ArrayLike] = MappingProxyType({}),
) -> GenomeGraph:
    """The graph of a PyTorch Geometric `Data`, such as `to_pyg` makes.

    Args:
        data: With `edge_index`. Its `edge_weight`, or an `edge_attr` of one column, are the weights; with `edge_types`,
            names, `edge_type` numbers them, and the first column of `edge_attr` is the weight; with `attributes`,
            names, the last columns are those.
        nodes: The genome's nodes, as many as it has.
        weight: (edges,) in place of those.
        kind: The type of all edges, if it has no `edge_types`.
        attributes: What else is known of edges, (edges,) each, such as `{"score": data.edge_attr[:, 1]}`.

    Raises:
        InputError: If it has no edges at all, other nodes, or attributes that do not say which is the weight.

    >>> import torch
    >>> from torch_geometric.data import Data
    >>> data = Data(edge_index=torch.tensor([[0, 3], [3, 0]]), num_nodes=5)
    >>> from_pyg(data, Bins({"chr1": 5000}, 1000)).degree().tolist()
    [1, 0, 0, 1, 0]
    """
    check_nodes(nodes)
    check_named(attributes)
    if getattr(data, "edge_index", None) is None:
        raise InputError("a PyTorch Geometric graph needs an edge_index, as a homogeneous Data has it.")
    if data.edge_index.ndim != 2 or len(data.edge_index) != 2:
        raise InputError(f"an edge_index is sources and destinations, (2, edges); got {tuple(data.edge_index.shape)}.")
    if ("num_nodes" in data or data.x is not None) and data.num_nodes != len(nodes):
        raise InputError(f"the PyTorch Geometric graph has {data.num_nodes:,} nodes, the genome {len(nodes):,}.")
    types = data.edge_types if "edge_types" in data else None
    if types is not None and not data.edge_type.lt(len(types)).all():
        raise InputError(f"edge_type has a {int(data.edge_type.max())}, but there are {len(types)} edge_types.")
    source, destination = data.edge_index.cpu().numpy()
    return GenomeGraph.from_edges(
        nodes,
        source,
        destination,
        weight=_pyg_weight(data, types is not None) if weight is None else np.asarray(weight),
        kind=kind if types is None else [types[number] for number in data.edge_type.tolist()],
        attributes={**_pyg_attributes(data), **{name: np.asarray(each) for name, each in attributes.items()}},
    )


def to_networkx(graph: GenomeGraph) -> networkx.MultiGraph:
    """An undirected networkx graph whose nodes are named `chrom:start-end`.

    A node has `chrom`, `start`, `end` and `masked`; an edge's key is its type and it has `weight`, `log10_distance` and
    the graph's own attributes. Meant for parts of a genome: a million edges take seconds and a gigabyte.

    >>> graph = GenomeGraph.from_edges(Bins({"chr1": 5000}, 1000), [0], [3], weight=2.5)
    >>> list(to_networkx(graph).edges(data="weight"))
    [('chr1:0-1000', 'chr1:3000-4000', 2.5)]
    """
    import networkx

    result = networkx.MultiGraph()
    names = []
    for number in range(graph.num_nodes):
        place = graph.nodes.interval(number)
        names.append(str(place))
        masked = bool(graph.masked[number])
        result.add_node(names[-1], chrom=place.chrom, start=place.start, end=place.end, masked=masked)
    columns = {name: graph.attribute_names.index(name) for name in (*EDGE_MEASURES, *graph.attributes)}
    for edge in np.flatnonzero(graph.edge_index[0] < graph.edge_index[1]):
        source, destination = graph.edge_index[:, edge]
        kind = graph.edge_types[graph.edge_type[edge]]
        told = {name: float(graph.edge_attr[edge, column]) for name, column in columns.items()}
        result.add_edge(names[source], names[destination], key=kind, type=kind, **told)
    return result


def to_pyg(graph: GenomeGraph) -> Data:
    """A PyTorch Geometric `Data` with the graph's `edge_index`, `edge_attr`, `edge_type` and `masked`.

    Its `edge_types` and `attributes` are the names of the graph's.

    >>> graph = GenomeGraph.from_edges(Bins({"chr1": 5000}, 1000), [0], [3], weight=2.5)
    >>> to_pyg(graph).edge_index.tolist()
    [[3, 0], [0, 3]]
    """
    import torch
    from torch_geometric.data import Data

    arrays = {name: getattr(graph, name) for name in ("edge_index", "edge_attr", "edge_type", "masked")}
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
    names = {"edge_types": list(graph.edge_types), "attributes": list(graph.attributes)}
    return Data(num_nodes=graph.num_nodes, **names, **tensors)


def _ends(frame: pd.DataFrame, name: str) -> pd.Series:
    """A column that says where edges end; numbers that a missing one has made floats are whole again."""
    column = frame[name]
    missing = np.flatnonzero(column.isna())
    if len(missing):
        raise InputError(f"row {missing[0]}: {name} is missing. Leave such rows out: frame.dropna(subset=['{name}'])")
    if column.dtype.kind != "f":
        return column
    for row, value in enumerate(column):
        if not float(value).is_integer():
            raise InputError(f"row {row}: {name} is {value}, which is no whole number.")
    return column.astype("int64")


def _numbers(column: Iterable[Any], nodes: Bins) -> np.ndarray:
    """The node that each row of a column names, by its number or a region that it holds the midpoint of: (rows,)."""
    numbers = []
    for row, label in enumerate(column):
        try:
            numbers.append(_number(label, nodes))
        except InputError as error:
            raise InputError(f"row {row}: {error}") from None
    return np.array(numbers, dtype=np.int64)


def _number(label: Any, nodes: Bins) -> int:
    if isinstance(label, Integral) and not isinstance(label, bool):
        if not 0 <= label < len(nodes):
            raise InputError(f"there is no node {label}: the {len(nodes):,} nodes are numbered from 0.")
        return int(label)
    if not isinstance(label, str | Interval) or (":" not in str(label) and str(label) not in nodes.sizes):
        raise InputError(
            f"'{label}' is no node: give its number, or a region such as chr1:0-1000. For genes by name map them to "
            "their regions, or let a config read them: edges `table`."
        )
    place = parse_region(str(label), nodes.sizes)
    start, end, middle = np.array([[place.start], [place.end], [(place.start + place.end) // 2]])
    (node,) = nodes.find(place.chrom, start, end, middle)
    if node < 0:
        raise InputError(f"no node holds the midpoint of {label}.")
    return int(node)


def _regions(chrom: pd.Series, start: pd.Series, end: pd.Series) -> list[str]:
    return [f"{name}:{first}-{last}" for name, first, last in zip(chrom, start, end, strict=True)]


def _of_edge(edge: tuple[Any, Any, dict[str, Any]], name: str) -> Any:
    source, destination, data = edge
    if name not in data:
        raise InputError(f"the edge of '{source}' and '{destination}' has no '{name}'.{nearest(name, data)}")
    return data[name]


def _pyg_attributes(data: Data) -> dict[str, ArrayLike]:
    """Those that `to_pyg` names, the last columns of `edge_attr`."""
    if "attributes" not in data:
        return {}
    columns = data.edge_attr.detach().cpu().numpy()[:, data.edge_attr.shape[1] - len(data["attributes"]) :]
    return dict(zip(data["attributes"], columns.T, strict=True))


def _pyg_weight(data: Data, is_own: bool) -> ArrayLike:
    if "edge_weight" in data:
        return data.edge_weight.cpu().numpy().reshape(-1)
    if data.edge_attr is None:
        return 1.0
    attr = data.edge_attr.detach().cpu().numpy()
    attr = attr[:, None] if attr.ndim == 1 else attr
    if attr.shape[1] != 1 and not is_own:
        raise InputError(f"edge_attr has {attr.shape[1]} columns. Say which is the weight: weight=data.edge_attr[:, 0]")
    return attr[:, 0]
