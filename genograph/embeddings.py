"""Embeddings of bins on disk: what a sequence encoder gives, computed once.

    embeddings.json      what they are; a config names this file
    embeddings.npy       (rows, channels) float16 or float32: a row for each bin, NaN where a bin has none

Those that `genograph embed` makes have further rows, for places of windows where there is no bin: one of N alone, then
for each run of bins that was encoded apart from the others, `border` before its first bin and as many behind its last.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from pydantic import BaseModel, ConfigDict, ValidationError

from genograph.atomic import replacing
from genograph.errors import InputError
from genograph.genome.bins import Bins
from genograph.genome.sites import Sites
from genograph.store import write_json

DESCRIPTION = "embeddings.json"
DTYPES = ("float16", "float32")
ROWS = 100_000  # looked through at a time

Stretches = tuple[tuple[int, int], ...]  # of bins: first, end


class Description(BaseModel):
    """What stands in `embeddings.json`; all but the first three may be left out.

    Attributes:
        bin_size: bp of a bin.
        chroms: Sizes of the chromosomes in bp, in the order of the bins.
        channels: Of an embedding.
        sites: Digest of where the bins lie, if they are sites; None if they tile the chromosomes.
        array: The file with the array, beside this one.
        missing: Bins without an embedding; None if not counted.
        receptive_field: bp that an embedding depends on; None if not known.
        both_strands: Whether those of the reverse complement are the same, in reverse.
        runs: The runs of bins that were encoded apart, N beyond; None if whole chromosomes were.
        border: Bins beyond each end of a run that have a row.
        trained: The bins that the encoder was trained on; None if not known.
        chosen: The bins by which its epoch was chosen.
        made_of: The run, its weights and sources, for people to read.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    bin_size: int
    chroms: dict[str, int]
    channels: int
    sites: str | None = None
    array: str = "embeddings.npy"
    missing: int | None = None
    receptive_field: int | None = None
    both_strands: bool = False
    runs: Stretches | None = None
    border: int = 0
    trained: Stretches | None = None
    chosen: Stretches = ()
    made_of: dict[str, Any] = {}

    @classmethod
    def read(cls, path: Path) -> Description:
        """The description in a file.

        Raises:
            InputError: If there is none, or it is none.
        """
        try:
            return cls.model_validate(json.loads(path.read_text()))
        except OSError as error:
            raise InputError(
                f"{path}: {error.strerror}. Give the JSON of embeddings, which genograph embed RUN writes; "
                "relative paths start from the folder of the config."
            ) from None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise InputError(f"{path} describes no embeddings: {where}: {first['msg']}.") from None
        except ValueError as error:
            raise InputError(f"{path} is no JSON: {error}") from None


@dataclass(frozen=True)
class Embeddings:
    """Opened embeddings; the array stays on disk until rows of it are taken.

    Attributes:
        description: What they are.
        values: (rows, channels)
        num_bins: Bins of the genome.
    """

    description: Description
    values: np.ndarray
    num_bins: int

    @classmethod
    def open(cls, path: Path, bins: Bins) -> Embeddings:
        """The embeddings that a JSON describes.

        Raises:
            InputError: If they are not of these bins, or the array is not what the JSON says.
        """
        description = Description.read(path)
        for key, value in layout(bins).items():
            if getattr(description, key) != value:
                raise InputError(
                    f"{path} has embeddings of other bins than the config: {key} differs. Embed a run of these bins."
                )
        file = path.parent / description.array
        if not file.is_file():
            raise InputError(f"{path} names {file}, which is not there. Keep both in one folder.")
        values = np.load(file, mmap_mode="r")
        opened = cls(description, values, len(bins))
        if values.shape != opened.shape or values.dtype.name not in DTYPES:
            raise InputError(
                f"{file} is {values.shape} {values.dtype}; {path.name} and the genome want {opened.shape} "
                f"{' or '.join(DTYPES)}."
            )
        return opened

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and channels that the array is to have."""
        runs = self.description.runs
        beyond = 0 if runs is None else 1 + 2 * self.description.border * len(runs)
        return self.num_bins + beyond, self.description.channels

    def rows(self, first: np.ndarray, end: np.ndarray, place: np.ndarray) -> np.ndarray:
        """The row of each place of a run of bins, or beyond it; -1 where there is none.

        Args:
            first: First bin of the run that each place is of.
            end: Its end.
            place: Bin numbers, which go on beyond the run.
        """
        if self.description.runs is None:
            return np.where((place >= first) & (place < end), place, -1)
        border, row = self.description.border, np.full(place.shape, self.num_bins)
        for side, (borders, at) in enumerate(((first, place - first + border), (end, place - end))):
            number = self._number(borders, side)
            behind = self.num_bins + 1 + border * (2 * number + side) + at
            row = np.where((number >= 0) & (at >= 0) & (at < border), behind, row)
        return np.where((place >= first) & (place < end), place, row)

    def border_rows(self, run: int) -> slice:
        """The rows of the places beyond both ends of a run, of this number in `runs`."""
        start = self.num_bins + 1 + 2 * self.description.border * run
        return slice(start, start + 2 * self.description.border)

    def _number(self, bins: np.ndarray, side: int) -> np.ndarray:
        """The number of the run that begins (side 0) or ends (1) there; -1 where none does."""
        borders = self._runs[:, side]
        number = np.minimum(np.searchsorted(borders, bins), max(len(borders) - 1, 0))
        return np.where(borders[number] == bins, number, -1)

    @cached_property
    def _runs(self) -> np.ndarray:
        return np.asarray(self.description.runs, dtype=np.int64).reshape(-1, 2)

    def encoded_with(self, bins: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First bin and end of what the embedding of each bin may depend on, by its run and receptive field.

        Where the receptive field is not known these are the bin itself.

        Args:
            bins: (n,) bin numbers.
            offsets: Of the chromosomes, `Bins.offsets`.
        """
        known = self.description
        reach = -(-max((known.receptive_field or 0) - known.bin_size, 0) // (2 * known.bin_size))
        apart = np.stack([offsets[:-1], offsets[1:]], axis=1) if known.runs is None else self._runs
        apart = apart[apart[:, 0] < apart[:, 1]]
        first, end = apart[np.searchsorted(apart[:, 0], bins, side="right") - 1].T
        return np.maximum(bins - reach, first), np.minimum(bins + reach + 1, end)


def layout(bins: Bins) -> dict[str, Any]:
    """What tells the bins of a description from others."""
    sites = None
    if isinstance(bins, Sites):
        digest = hashlib.sha256(np.asarray([bins.chrom, bins.start], dtype=np.int64).tobytes())
        sites = digest.hexdigest()
    return {"bin_size": bins.bin_size, "chroms": dict(bins.sizes), "sites": sites}


def save_embeddings(
    values: np.ndarray,
    bins: Bins,
    folder: str | Path,
    *,
    receptive_field: int | None = None,
    both_strands: bool = False,
    trained: np.ndarray | None = None,
) -> Path:
    """Write embeddings of one's own; returns the `embeddings.json` that a config may name.

    Args:
        values: (bins, channels) float16 or float32, of all bins of the genome; NaN where a bin has none. It may be a
            memory map.
        bins: Of the config: `Experiment.open(config).store.bins`.
        folder: A new one.
        receptive_field: bp about a bin that its embedding depends on; the audit asks whether it reaches into another
            split.
        both_strands: Whether the reverse complement of a sequence has the same embeddings, in reverse.
        trained: (bins,) True for those that the encoder was trained on, for the audit; None if that is not known.

    Raises:
        InputError: If the array does not fit the bins, or the folder has embeddings already.

    >>> from genograph import Bins
    >>> path = save_embeddings(np.ones((39, 8), np.float32), Bins({"chr1": 5000}, 128), "own")
    >>> path.name, np.load(path.with_name("embeddings.npy")).shape
    ('embeddings.json', (39, 8))
    """
    path, file = Path(folder) / DESCRIPTION, Path(folder) / "embeddings.npy"
    for each in (path, file):  # values may be a memory map of that very file
        if each.exists():
            raise InputError(f"{each} is there already. Name another folder.")
    if values.ndim != 2 or len(values) != len(bins) or values.dtype.name not in DTYPES:
        raise InputError(
            f"embeddings are (bins, channels) of {' or '.join(DTYPES)}, here ({len(bins)}, channels); got "
            f"{values.shape} {values.dtype}."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as written:
        array = open_memmap(written, mode="w+", dtype=values.dtype, shape=values.shape)
        for start in range(0, len(values), ROWS):
            array[start : start + ROWS] = values[start : start + ROWS]
        array.flush()
    description = Description(
        **layout(bins),
        channels=values.shape[1],
        receptive_field=receptive_field,
        both_strands=both_strands,
        trained=None if trained is None else stretches(trained),
    )
    return finish(path, description, array[: len(bins)])


def finish(path: Path, description: Description, values: np.ndarray) -> Path:
    """Count what is missing, and write the description, without which there are none."""
    blocks = (values[start : start + ROWS] for start in range(0, len(values), ROWS))
    missing = sum(int(np.isnan(block).any(axis=1).sum()) for block in blocks)
    write_json(path, description.model_copy(update={"missing": missing}).model_dump(mode="json"))
    return path


def stretches(mask: np.ndarray) -> Stretches:
    """First and end of each stretch of bins where a mask holds."""
    change = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return tuple((first, end) for first, end in change.reshape(-1, 2).tolist())


def marked(parts: Sequence[tuple[int, int]], num_bins: int) -> np.ndarray:
    """(bins,) True within stretches of bins."""
    mask = np.zeros(num_bins, dtype=bool)
    for first, end in parts:
        mask[first:end] = True
    return mask
