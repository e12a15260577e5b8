"""When a store has to be built anew, and how it takes the place of the old one."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from genograph.errors import InputError
from genograph.store import FORMAT_VERSION, MANIFEST, read_manifest, write_json

_PLAN, _FINISHED = "building.json", "finished.json"  # of a store that is being built: of what, and what is whole


def sha256(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(sources: Mapping[str, Path], known: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Size, modification time and SHA-256 of each source.

    A file whose size and time stand in `known` is not read again.

    Raises:
        InputError: If a file is missing or cannot be read.
    """
    prints = {}
    for key, path in sources.items():
        if not path.is_file():
            raise InputError(f"{key}: no such file: {path}")
        stat = path.stat()
        quick = {"path": str(path), "bytes": stat.st_size, "modified_ns": stat.st_mtime_ns}
        before = known.get(key, {})
        try:
            digest = before["sha256"] if before == {**quick, "sha256": before.get("sha256")} else sha256(path)
        except OSError as error:
            raise InputError(f"{key}: cannot read {path}: {error.strerror}") from None
        prints[key] = {**quick, "sha256": digest}
    return prints


def what_changed(manifest: Mapping[str, Any], recipe: Mapping[str, Any], prints: Mapping[str, Any]) -> list[str]:
    """In words, all that keeps a store with this manifest from serving this recipe and these sources."""
    if not manifest:
        return ["there is no store yet"]
    if manifest["format_version"] != FORMAT_VERSION:
        return [f"format version {manifest['format_version']} -> {FORMAT_VERSION}"]
    changes = [
        f"{key}: {manifest['recipe'].get(key)} -> {recipe.get(key)}"
        for key in sorted({*manifest["recipe"], *recipe})
        if manifest["recipe"].get(key) != recipe.get(key)
    ]
    for key in sorted({*manifest["sources"], *prints}):
        before, now = manifest["sources"].get(key), prints.get(key)
        if before is None or now is None:
            changes.append(f"{key} is {'new' if before is None else 'gone'}")
        elif before["sha256"] != now["sha256"]:
            changes.append(f"the content of {key} ({now['path']})")
    return changes


def restamp(path: Path, prints: Mapping[str, Any]) -> None:
    """Note in a manifest where sources of the same content lie now and when they were touched.

    Otherwise they would be read again each time. A store that may not be written to stays as it is.
    """
    with suppress(OSError), locked(path):
        manifest = read_manifest(path)
        if _digests(manifest.get("sources", {})) == _digests(prints):
            write_json(path / MANIFEST, manifest | {"sources": prints})


def _digests(prints: Mapping[str, Any]) -> dict[str, str]:
    return {key: each["sha256"] for key, each in prints.items()}


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the right to build the store at `path`; other processes wait.

    A store that a killed build had moved away goes back first; what else one left is removed when the block ends
    without an error.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with (path.parent / f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _put_back(path)
        yield
        _clear(path)


@contextmanager
def building(path: Path, recipe: Mapping[str, Any], prints: Mapping[str, Any]) -> Iterator[Path]:
    """A folder to build a store in; it takes the place of `path` when the block ends without an error.

    What a build that was killed, or interrupted by Ctrl-C, left is still in it if recipe and sources are the same:
    `finished` tells of its whole parts. One that fails leaves nothing. To be used while `locked`.

    Raises:
        InputError: If `path` is there and holds something else than a store, which is not ours to replace.
    """
    is_taken = path.is_file() or (path.is_dir() and any(path.iterdir()))
    if is_taken and not read_manifest(path):
        raise InputError(f"store: {path} is there already and is no store. Name a folder of its own, or remove it.")
    folder, old = _beside(path)
    if what_changed(unfinished(path), recipe, prints):
        _clear(path)
        folder.mkdir()
    write_json(folder / _PLAN, {"format_version": FORMAT_VERSION, "recipe": recipe, "sources": prints})
    try:
        yield folder
        for name in (_PLAN, _FINISHED):
            (folder / name).unlink(missing_ok=True)
        if path.exists():
            path.rename(old)
        folder.rename(path)
    except Exception:
        _clear(path)
        raise


def unfinished(path: Path) -> dict[str, Any]:
    """Recipe and sources of the build of the store at `path` that was killed, as in a manifest; empty for none."""
    return read_manifest(_beside(path)[0], _PLAN)


def finished(folder: Path, part: str) -> dict[str, Any]:
    """What `finish` noted of a part of the store that is built in `folder`; empty if nothing."""
    return _notes(folder).get(part, {})


def finish(folder: Path, part: str, note: Mapping[str, Any]) -> None:
    """Note what is whole, and on disk, of a part of the store that is built in `folder`."""
    write_json(folder / _FINISHED, _notes(folder) | {part: note})


def _notes(folder: Path) -> dict[str, Any]:
    file = folder / _FINISHED
    return json.loads(file.read_text()) if file.exists() else {}


def _beside(path: Path) -> tuple[Path, Path]:
    """Where a store is built, and where the one that it replaces goes meanwhile."""
    return path.parent / f".{path.name}.building", path.parent / f".{path.name}.old"


def _put_back(path: Path) -> None:
    """Return a store that was moved away, but not replaced, to its place."""
    _, old = _beside(path)
    if old.exists() and not path.exists():
        old.rename(path)


def _clear(path: Path) -> None:
    """Leave nothing beside `path`."""
    _put_back(path)
    for leftover in _beside(path):
        if leftover.exists():
            shutil.rmtree(leftover)
