"""One resolution of a `.hic` file of Juicer or hictk, `map.hic::/resolutions/N`, read in parts."""

from __future__ import annotations

import json
import pickle
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import numpy as np

from genograph.assays import hic_process
from genograph.errors import InputError

CHUNK = 1_000_000  # pixels handed on at once
GROUP = "/resolutions/"


@dataclass(frozen=True)
class HicFile:
    """A `MapFile` over a `.hic` file, read by hictkpy (Rossini and Paulsen 2024, Bioinformatics 40:btae408).

    Bins are numbered as in a cooler, through the chromosomes in the file's order.
    """

    path: str
    resolution: int
    sizes: dict[str, int]

    @classmethod
    def open(cls, uri: str) -> HicFile:
        """The contact map that a URI such as `map.hic::/resolutions/5000` names.

        Raises:
            InputError: If hictkpy is not installed; if the file is missing, damaged or no `.hic`; or if the
                URI names none of its resolutions.
        """
        path, _, group = uri.partition("::")
        if not Path(path).is_file():
            raise InputError(f"No contact map '{path}'.")
        (described,) = _asked(uri, "described", path)
        if described is None:
            raise InputError(f"'{path}' is no .hic file. It may be cut short; copy or download it again.")
        resolutions, sizes = described
        found = {f"{GROUP}{each}": each for each in resolutions}
        resolution = found.get(f"/{group.strip('/')}")
        if resolution is None:
            listed = ", ".join(f"{path}::{name}" for name in found) or "none"
            raise InputError(f"No contact map at '{uri}'. Name one of those in the file: {listed}.")
        return cls(path, resolution, sizes)

    @property
    def uri(self) -> str:
        return f"{self.path}::{GROUP}{self.resolution}"

    @property
    def num_bins(self) -> int:
        return sum(-(-size // self.resolution) for size in self.sizes.values())

    @property
    def how_to_balance(self) -> str:
        return f"Name one of the file's, have them computed by contacts.file: ['{self.uri}']"

    def extent(self, chrom: str) -> tuple[int, int]:
        first = 0
        for name, size in self.sizes.items():
            last = first + -(-size // self.resolution)
            if name == chrom:
                return first, last
            first = last
        raise KeyError(chrom)

    def pixels(self, *, trans: bool = True) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        for part in self._asked("pixels", trans, CHUNK):
            yield part["first"], part["second"], part["count"]

    def vectors(self) -> list[str]:
        (names,) = self._asked("vectors")
        return names

    def vector(self, name: str) -> np.ndarray:
        (values,) = self._asked("vector", name)
        return values

    def divides(self, name: str) -> bool:
        return True

    def _asked(self, question: str, *details: object) -> Iterator[Any]:
        return _asked(self.uri, question, self.path, self.resolution, *details)


def _asked(uri: str, question: str, *details: object) -> Iterator[Any]:
    """The parts that `hic_process` answers a question by, in a process that ends with them.

    Raises:
        InputError: If hictkpy is not installed, the file is damaged, or the process is killed.
    """
    command = [sys.executable, "-P", hic_process.__file__, json.dumps([question, *details])]
    # Ctrl-C is for this process, which ends the other: in a group of its own that gets none of it.
    with Popen(command, stdout=PIPE, process_group=0) as process:
        try:
            while (answer := _answer(process, uri))[0] == "part":
                yield answer[1]
        finally:
            process.kill()


def _answer(process: Popen, uri: str) -> tuple[str, Any]:
    """What a process says next, a `part` or the `end`."""
    try:
        kind, value = pickle.load(process.stdout)
    except (EOFError, pickle.UnpicklingError) as error:
        code = process.wait()
        ended = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        raise InputError(
            f"Cannot read contact map '{uri}': the process that reads it {ended}. "
            "Give it more memory; if that does not help, copy or download the file again."
        ) from error
    if kind == "absent":
        path = uri.partition("::")[0]
        raise InputError(f"'{path}' is read by hictkpy, which is not here: pip install 'genograph[hic]'.")
    if kind == "unreadable":
        raise InputError(f"Cannot read contact map '{uri}': {value}. It may be cut short; copy or download it again.")
    return kind, value
