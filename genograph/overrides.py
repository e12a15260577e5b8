"""Changes to a config on the command line."""

from __future__ import annotations

from copy import copy
from typing import Any

import yaml

from genograph.errors import InputError


def apply_override(tree: Any, override: str) -> None:
    """Set one value, such as `training.max_epochs=5` or `graph.edges.1.top_k=16`, in a config's nested dict.

    A number is an item of a list, counted from 0. Sections that are not there are made.

    Raises:
        InputError: If it is no `section.key=value`, the value is no YAML, or there is no such item.
    """
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise InputError(f"'{override}' is no override; write section.key=value, such as training.max_epochs=5.")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise InputError(f"'{override}': the value is not YAML.") from None
    *sections, last = key.split(".")
    for depth, section in enumerate(sections):
        if isinstance(tree, dict) and tree.get(section) is None:
            tree[section] = {}
        # A copy, as one that YAML says again by an alias is the same.
        item = copy(_item(tree, section, override, ".".join(sections[:depth])))
        tree[int(section) if isinstance(tree, list) else section] = item
        tree = item
    if isinstance(tree, list):
        _item(tree, last, override, ".".join(sections))
        tree[int(last)] = value
    elif isinstance(tree, dict):
        tree[last] = value
    else:
        raise InputError(f"'{override}': '{'.'.join(sections)}' holds no keys.")


def _item(tree: Any, key: str, override: str, where: str) -> Any:
    if isinstance(tree, dict):
        return tree[key]
    if not isinstance(tree, list):
        raise InputError(f"'{override}': '{where}' holds no keys.")
    if key.isdecimal() and int(key) < len(tree):
        return tree[int(key)]
    raise InputError(f"'{override}': there is no item {key} in {where}, which has {len(tree)}, counted from 0.")
