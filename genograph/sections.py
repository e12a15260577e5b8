"""Sections of settings, read strictly: an unknown key is an error that names the nearest known one."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from genograph.errors import InputError, nearest

Kind = TypeVar("Kind", bound="Section")


class Section(BaseModel):
    """A group of settings: frozen, and closed to keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def parse_section(
    kind: type[Kind], tree: Mapping[str, Any], *, root: str = "config", each: str = "key", **context: Any
) -> Kind:
    """The section of a nested dict, checked.

    Args:
        kind: Its class.
        tree: Keys and values.
        root: What an error calls the whole tree.
        each: What an error calls a key.
        context: What its validators want to know, such as the folder that paths start from.

    Raises:
        InputError: With the path of the first wrong key.
    """
    try:
        return kind.model_validate(tree, context=context)
    except ValidationError as error:
        raise InputError(_first_error(kind, error, root, each)) from None


def _first_error(kind: type[Section], error: ValidationError, root: str, each: str) -> str:
    first = error.errors()[0]
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
    if first["type"] == "extra_forbidden":
        section, _, key = where.rpartition(".")
        return f"{section or root}: no {each} '{key}'.{nearest(key, _keys(kind, section))}"
    if first["type"] == "missing":
        return f"{where}: is missing."
    if "error" in first.get("ctx", {}):  # raised by a check of ours: it says the value itself
        return f"{where}: {first['ctx']['error']}".removeprefix(": ")  # of the whole tree: it says the key too
    return f"{where}: {first['msg']}; got {first['input']!r}."


def _keys(kind: type[Section], section: str) -> list[str]:
    """The keys that a section such as `training` or the root `` knows."""
    model: Any = kind
    for part in filter(None, re.sub(r"\[\d+\]", "", section).split(".")):
        if part not in model.model_fields:  # the name of one of several sections
            continue
        options = [model.model_fields[part].annotation, *typing.get_args(model.model_fields[part].annotation)]
        model = next(each for each in options if inspect.isclass(each) and issubclass(each, BaseModel))
    return list(model.model_fields)
