"""bigWig files: reading with clear errors, and writing whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyBigWig

from genograph.atomic import replacing
from genograph.errors import InputError

_MAGIC = (b"\x26\xfc\x8f\x88", b"\x88\x8f\xfc\x26")


def is_bigwig(path: Path) -> bool:
    """Whether a file starts as bigWigs do."""
    with path.open("rb") as file:
        return file.read(4) in _MAGIC


@contextmanager
def readable_bigwig(path: Path) -> Iterator[None]:
    """Turn what pybigtools raises in this block, whose panics are no `Exception`, into one line."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit, MemoryError, GeneratorExit, InputError):
        raise
    except BaseException as error:
        raise InputError(
            f"{path} cannot be read as a bigWig ({error}). It may be cut short: copy or download it again."
        ) from None


def write_bigwig(
    path: Path,
    sizes: Mapping[str, int],
    stretches: Iterable[tuple[str, np.ndarray, np.ndarray, np.ndarray]],
) -> None:
    """Write a bigWig, whole or not at all.

    Args:
        path: The file.
        sizes: Chromosome sizes in bp, for the header.
        stretches: Chromosome by chromosome its name, and starts, ends and values of its stretches, (stretches,)
            each, in order. A stretch without a value (NaN) is left out.
    """
    with replacing(path) as written, pyBigWig.open(str(written), "w") as file:
        file.addHeader(list(sizes.items()))
        for chrom, *columns in stretches:
            has_value = np.isfinite(columns[2])
            starts, ends, values = (column[has_value] for column in columns)
            if len(starts):
                values = values.astype(float).tolist()
                file.addEntries([chrom] * len(starts), starts.tolist(), ends=ends.tolist(), values=values)
