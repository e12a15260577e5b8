"""Files and folders that are written whole or not at all, whatever ends the process meanwhile."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write, which takes the place of `path` when the block ends without an error and is gone otherwise.

    It lies beside `path`, as only within a file system one file replaces another at once. What a kill leaves of it is
    written over the next time; one process at a time may write to `path`.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def making(folder: Path) -> Iterator[None]:
    """A folder to write into, made if need be; one that was made, and is empty, is gone if the block ends early."""
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for each in made:
            with suppress(OSError):  # something is in it
                each.rmdir()
        raise


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to write, which is called `path` when the block ends without an error and is gone otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(mkdtemp(dir=path.parent, prefix=f".{path.name}-"))
    try:
        yield folder
        folder.chmod(0o755)
        folder.rename(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
