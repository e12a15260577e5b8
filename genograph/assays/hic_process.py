"""Reads a `.hic` file in a process of its own, which answers `hic.py` in pickles on its standard output.

hictkpy's library leaves hooks that may hang any later fork, such as a loader's worker. So it is imported here only.
This file is run by its path and imports nothing of genograph: it starts in .2 s, and does not run the caller's script
again, as a spawned process of multiprocessing would, whether that script has a main guard or not.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
from collections.abc import Iterator
from itertools import combinations_with_replacement, islice

import numpy as np

PIXEL = np.dtype([("first", np.int64), ("second", np.int64), ("count", np.float64)])


def described(hictkpy, path: str) -> Iterator[tuple[list[int], dict[str, int]] | None]:
    """The resolutions and chromosomes of a file; None if it is no `.hic`."""
    if not hictkpy.is_hic(path):
        yield None
        return
    file = hictkpy.MultiResFile(path)
    yield [int(each) for each in file.resolutions()], dict(file.chromosomes())


def pixels(hictkpy, path: str, resolution: int, trans: bool, chunk: int) -> Iterator[np.ndarray]:
    """`PIXEL`s by pair of chromosomes, at most `chunk` at once; those between chromosomes only with `trans`."""
    file = hictkpy.File(path, resolution)
    chroms = list(file.chromosomes())
    for chrom, other in combinations_with_replacement(chroms, 2) if trans else zip(chroms, chroms, strict=True):
        found = iter(file.fetch(chrom, other, count_type="float64"))
        while len(part := _taken(found, chunk)):
            yield part


def _taken(found: Iterator, chunk: int) -> np.ndarray:
    rows = ((pixel.bin1_id, pixel.bin2_id, pixel.count) for pixel in islice(found, chunk))
    return np.fromiter(rows, dtype=PIXEL)


def vectors(hictkpy, path: str, resolution: int) -> Iterator[list[str]]:
    yield sorted(hictkpy.File(path, resolution).avail_normalizations())


def vector(hictkpy, path: str, resolution: int, name: str) -> Iterator[np.ndarray]:
    yield np.asarray(hictkpy.File(path, resolution).weights(name, divisive=True), dtype=np.float64)


QUESTIONS = {each.__name__: each for each in (described, pixels, vectors, vector)}


def answers(question: str, *details) -> Iterator[tuple[str, object]]:
    """Every `part` that answers a question, then `end`; `absent` without hictkpy, `unreadable` with hictk's reason."""
    try:
        import hictkpy
    except ImportError:
        yield "absent", None
        return
    try:
        for part in QUESTIONS[question](hictkpy, *details):
            yield "part", part
    except (OSError, RuntimeError) as error:
        yield "unreadable", str(error).partition("\n")[0]
    else:
        yield "end", None


def main() -> None:
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # whoever asked may be gone
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    for answer in answers(*json.loads(sys.argv[1])):
        pickle.dump(answer, output, protocol=5)
        output.flush()


if __name__ == "__main__":
    main()
