"""A class of one's own, which a config names `module:Name` or `path/to/file.py:Name`."""

from __future__ import annotations

import inspect
import sys
import zlib
from functools import cache
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from genograph.errors import InputError, nearest


def is_own(name: str) -> bool:
    """Whether a name is that of a class of one's own, and not of one that is registered."""
    return ":" in name


def label(name: str) -> str:
    """What a component is called wherever its file lies: of `path/to/file.py:Name` the class, else the name."""
    return name.rpartition(":")[2]


def own_file(name: str) -> Path | None:
    """The file of `path/to/file.py:Name`; None for any other name."""
    where = name.rpartition(":")[0]
    return Path(where) if where.endswith(".py") else None


def located(name: str, folder: Path) -> str:
    """The name with the absolute path of its file, if it has one; a relative path starts from `folder`."""
    file = own_file(name)
    return name if file is None else f"{folder.joinpath(file.expanduser()).resolve()}:{label(name)}"


def own_class(name: str) -> type:
    """The class of a name.

    A module has to be installed or on PYTHONPATH, and not that of a notebook. A file is a module by itself: it imports
    what is installed. One that has changed since is read again.

    Raises:
        InputError: If there is no such module, file or class, or it cannot be imported.
    """
    where, file = name.rpartition(":")[0], own_file(name)
    module = _imported(where, name) if file is None else _read(file)
    found = getattr(module, label(name), None)
    if found is None:
        classes = [key for key, each in vars(module).items() if _is_of(each, module)]
        raise InputError(f"{where} has no class '{label(name)}'.{nearest(label(name), classes)}")
    if not inspect.isclass(found):
        raise InputError(f"'{label(name)}' in {where} is of type {type(found).__name__}, not a class.")
    return found


def _is_of(each: object, module: ModuleType) -> bool:
    return inspect.isclass(each) and each.__module__ == module.__name__


def _imported(where: str, name: str) -> ModuleType:
    if where == "__main__":
        raise InputError(
            f"'{name}': a class of a notebook or script is not there when a run is opened again. Put it in a file and "
            f"name that: path/to/file.py:{label(name)}"
        )
    try:
        return import_module(where)
    except (ImportError, ValueError) as error:
        raise InputError(
            f"'{name}': no module '{where}' can be imported ({error}). Install it, put its folder on PYTHONPATH, or "
            f"name its file: path/to/file.py:{label(name)}"
        ) from error


def _read(file: Path) -> ModuleType:
    if not file.is_file():
        raise InputError(
            f"no such file: {file}. Relative paths start from the folder of the config, of changes to a run from where "
            "you are."
        )
    return _executed(file, file.stat().st_mtime_ns)


@cache
def _executed(file: Path, modified: int) -> ModuleType:
    name = f"own_{file.stem}_{zlib.crc32(str(file).encode()):08x}"
    spec = spec_from_file_location(name, file)
    module = module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses and type hints look for what a class was defined among
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise InputError(f"{file} cannot be imported: {type(error).__name__}: {error}") from error
    return module
