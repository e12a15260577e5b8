"""DeepCpG's data files, read and written: CpG sites of one chromosome with their inputs and outputs.

    c{chrom}_{first}-{end}.h5          sites `first` to `end` of a chromosome, six digits each, at most 32,768
    chromo, pos                        name without `chr`, and 1-based position of the C
    inputs/dna                         (n, 1001) int8 about the C: A 0, T 1, G 2, C 3, and here N 4
    inputs/cpg/{cell}/state, dist      (n, 50) the neighbours' states and distances in bp
    inputs/annos/{name}                (n,) int8, 1 inside an annotation
    outputs/cpg/{cell}                 (n,) int8 label, 0 or 1
    outputs/cpg_stats/{name}           (n,) statistics across cells
    outputs/win_stats/{width}/{name}   (n,) the same in windows

-1 is missing. The original draws a random base for an N; it reads a 4 as no base at all. Angermueller, Lee, Reik &
Stegle 2017, Genome Biology 18:67; layout of `dcpg_data.py` in github.com/cangermueller/deepcpg.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from genograph.assays.cpg_neighbours import CoveredSites, neighbours
from genograph.assays.cpg_states import CpgStates, binary
from genograph.assays.cpg_statistics import CLASSES, WINDOWS, statistics, window_statistics
from genograph.atomic import replacing
from genograph.errors import InputError

CHUNK = 32_768  # sites in a file
_OTHER_ORDER = np.array([0, 3, 2, 1, 4], dtype=np.uint8)  # A, C, G, T, N to A, T, G, C, N, and back


@dataclass(frozen=True)
class DeepcpgChunk:
    """What one of the files holds, as this package writes it: 0-based positions, bases as codes, NaN for missing.

    Attributes:
        chrom: Name of the chromosome.
        position: (n,) int64 0-based.
        cells: Names of the cells.
        label: (n, cells) float32, 0 or 1 in a file.
        dna: (n, width) uint8 codes, the C of the CpG in the middle; None without sequence.
        state: (n, cells, neighbours) float32; None without neighbours.
        distance: Likewise, in bp.
        statistics: (n,) float32 each, by name.
        window_statistics: Likewise, by width in bp and name.
        annotations: (n,) bool, True inside, by name.
    """

    chrom: str
    position: np.ndarray
    cells: tuple[str, ...]
    label: np.ndarray
    dna: np.ndarray | None = None
    state: np.ndarray | None = None
    distance: np.ndarray | None = None
    statistics: Mapping[str, np.ndarray] = field(default_factory=dict)
    window_statistics: Mapping[int, Mapping[str, np.ndarray]] = field(default_factory=dict)
    annotations: Mapping[str, np.ndarray] = field(default_factory=dict)


def make_chunks(
    states: CpgStates,
    *,
    sequence: Callable[[str, int, int], np.ndarray] | None = None,
    dna_width: int = 1001,
    count: int = 25,
    min_cells: int = 3,
    widths: Sequence[int] = WINDOWS,
    annotations: Mapping[str, np.ndarray] | None = None,
    size: int = CHUNK,
) -> Iterator[DeepcpgChunk]:
    """All sites of some cells, chromosome by chromosome, at most `size` at a time.

    Args:
        states: Of the cells.
        sequence: Gives the codes of bases `start` to `end` of a chromosome, N beyond it, as `Store.codes` does.
        dna_width: Bases of a window, odd.
        count: Neighbours on each side.
        min_cells: That must cover a site if it is to have statistics.
        widths: Of windows for further statistics, in bp.
        annotations: (sites,) bool of all sites, by name, as `genograph.deepcpg.annotate` makes them; None for none.
        size: Sites in a chunk.

    Raises:
        InputError: If a number is out of range, or an annotation is of more or fewer sites.
    """
    if dna_width < 1 or dna_width % 2 == 0:
        raise InputError(f"dna_width: bases of a window with the CpG in its middle are an odd number; got {dna_width}.")
    for name, least in {"count": count, "min_cells": min_cells, "size": size, "widths": min(widths, default=1)}.items():
        if least < 1:
            raise InputError(f"{name}: at least 1 is needed; got {least}.")
    for name, inside in (annotations or {}).items():
        if len(inside) != len(states.position):
            raise InputError(f"annotations: '{name}' is of {len(inside)} sites, of {len(states.position)}.")
    covered = CoveredSites.of(states)
    offset = np.searchsorted(states.chrom_index, np.arange(len(states.chroms) + 1))
    for index, chrom in enumerate(states.chroms):
        for first in range(offset[index], offset[index + 1], size):
            rows = slice(first, min(first + size, offset[index + 1]))
            place = np.asarray(states.chrom_index[rows]), np.asarray(states.position[rows])
            state, distance = neighbours(covered, *place, count)
            yield DeepcpgChunk(
                chrom=chrom,
                position=place[1],
                cells=states.cells,
                label=binary(states.state[rows]),
                dna=None if sequence is None else _windows(chrom, place[1], sequence, dna_width),
                state=state,
                distance=distance,
                statistics=statistics(states.state[rows], min_cells=min_cells),
                window_statistics=window_statistics(covered, *place, widths, count=count) if widths else {},
                annotations={name: inside[rows] for name, inside in (annotations or {}).items()},
            )


def _windows(
    chrom: str, position: np.ndarray, sequence: Callable[[str, int, int], np.ndarray], width: int
) -> np.ndarray:
    half = width // 2
    return np.stack([sequence(chrom, at - half, at + half + 1) for at in position.tolist()])


def write_chunks(folder: str | Path, chunks: Iterable[DeepcpgChunk]) -> list[Path]:
    """Write each chunk as a file, numbered by the sites of its chromosome that came before it; their paths.

    Chromosomes are called as in DeepCpG, `chr1` `1` and `mt` `MT`. States are int8 if all are 0 or 1, else float32.

    Raises:
        InputError: If a file is there already, or the name of a cell or annotation holds a slash.
    """
    folder, written, paths = Path(folder), {}, []
    folder.mkdir(parents=True, exist_ok=True)
    for chunk in chunks:
        name = re.sub("^CHR", "", chunk.chrom.upper())
        first = written.get(name, 0)
        written[name] = first + len(chunk.position)
        paths.append(folder / f"c{name}_{first:06d}-{written[name]:06d}.h5")
        _write_chunk(paths[-1], name, chunk)
    return paths


def _write_chunk(path: Path, name: str, chunk: DeepcpgChunk) -> None:
    if path.exists():
        raise InputError(f"{path} is there already. Write to an empty folder.")
    slashed = [name for name in (*chunk.cells, *chunk.annotations) if "/" in name]
    if slashed:
        raise InputError(
            f"'{slashed[0]}': a slash parts groups of an HDF5 file. Call the cell or annotation otherwise."
        )
    with replacing(path) as written, h5py.File(written, "w") as file:
        file["chromo"] = np.full(len(chunk.position), name.encode())
        file["pos"] = (chunk.position + 1).astype(np.int32)
        for key, values in _arrays(chunk):
            group, _, leaf = key.rpartition("/")
            if group not in file:
                file.create_group(group, track_order=True)  # by default they are sorted, and cells lose their order
            file[group].create_dataset(leaf, data=values, compression="gzip")


def _arrays(chunk: DeepcpgChunk) -> Iterator[tuple[str, np.ndarray]]:
    """Path and values of every array but chromosome and position."""
    for column, cell in enumerate(chunk.cells):
        yield f"outputs/cpg/{cell}", _filled(binary(chunk.label[:, column]), np.int8)
    for name, values in chunk.statistics.items():
        yield f"outputs/cpg_stats/{name}", _filled(values, np.int8 if name in CLASSES else np.float32)
    for width, by_name in chunk.window_statistics.items():
        for name, values in by_name.items():
            yield f"outputs/win_stats/{width}/{name}", _filled(values, np.int8 if name in CLASSES else np.float32)
    for name, inside in chunk.annotations.items():
        yield f"inputs/annos/{name}", np.asarray(inside, dtype=np.int8)
    if chunk.dna is not None:
        yield "inputs/dna", _OTHER_ORDER[chunk.dna].astype(np.int8)
    if chunk.state is not None and chunk.distance is not None:
        is_binary = not ((chunk.state > 0) & (chunk.state < 1)).any()
        for column, cell in enumerate(chunk.cells):
            yield f"inputs/cpg/{cell}/state", _filled(chunk.state[:, column], np.int8 if is_binary else np.float32)
            yield f"inputs/cpg/{cell}/dist", _filled(chunk.distance[:, column], np.float32)


def _filled(values: np.ndarray, dtype: type) -> np.ndarray:
    return np.where(np.isnan(values), -1, values).astype(dtype)


def read_chunk(path: str | Path) -> DeepcpgChunk:
    """What a file holds; what it lacks is None or empty.

    Cells come in the order that the file keeps, which in DeepCpG's own is the alphabet's.

    Raises:
        InputError: If it is no such file, or holds several chromosomes or a base that is none.
    """
    if not Path(path).is_file():
        raise InputError(f"no such file: {path}")
    try:
        with h5py.File(path) as file:
            return _read_chunk(Path(path), file)
    except (OSError, KeyError, AttributeError) as error:
        raise InputError(f"{path} is no data file of DeepCpG ({error}). Make it with dcpg_data.py.") from None


def _read_chunk(path: Path, file: h5py.File) -> DeepcpgChunk:
    chroms = sorted(set(file["chromo"][:].tolist()))
    if len(chroms) != 1:
        raise InputError(f"{path} must hold the sites of one chromosome; it has {len(chroms)}.")
    labels = _numbers(file.get("outputs/cpg", {}))
    contexts = {cell: _numbers(group) for cell, group in file.get("inputs/cpg", {}).items()}
    cells = tuple(labels or contexts)
    return DeepcpgChunk(
        chrom=chroms[0].decode(),
        position=file["pos"][:].astype(np.int64) - 1,
        cells=cells,
        label=_stacked(labels, cells) if labels else np.full((len(file["pos"]), len(cells)), np.nan, np.float32),
        dna=_bases(path, file["inputs/dna"][:]) if "inputs/dna" in file else None,
        state=_stacked({cell: context["state"] for cell, context in contexts.items()}, cells) if contexts else None,
        distance=_stacked({cell: context["dist"] for cell, context in contexts.items()}, cells) if contexts else None,
        statistics=_numbers(file.get("outputs/cpg_stats", {})),
        annotations={name: values[:] == 1 for name, values in file.get("inputs/annos", {}).items()},
        window_statistics={int(width): _numbers(group) for width, group in file.get("outputs/win_stats", {}).items()},
    )


def _bases(path: Path, dna: np.ndarray) -> np.ndarray:
    """The codes of bases that are numbered as in the file."""
    wrong = dna[(dna < 0) | (dna >= len(_OTHER_ORDER))]
    if len(wrong):
        raise InputError(f"{path}: inputs/dna holds {wrong[0]}; bases are A 0, T 1, G 2, C 3 and N 4.")
    return _OTHER_ORDER[dna]


def _numbers(group: Mapping[str, h5py.Dataset]) -> dict[str, np.ndarray]:
    """The arrays of a group as float32, NaN for -1."""
    return {name: np.where(values[:] == -1, np.nan, values[:]).astype(np.float32) for name, values in group.items()}


def _stacked(by_cell: Mapping[str, np.ndarray], cells: Sequence[str]) -> np.ndarray:
    return np.stack([by_cell[cell] for cell in cells], axis=1)
