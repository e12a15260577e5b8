"""docs/simulate.md names every setting of a simulated world with its right default."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from genograph.simulate.settings import WorldSettings

DOCS = (Path(__file__).parents[1] / "docs" / "simulate.md").read_text()
FIELDS = WorldSettings.model_fields


def settings_table() -> dict[str, list[str]]:
    """Default and meaning of each row of the table of settings, by key."""
    lines = DOCS.splitlines()
    found = {}
    for line in lines[lines.index("| key | default | meaning |") + 2 :]:
        if not line.startswith("|"):
            break
        key, *rest = (cell.strip() for cell in line.strip("|").split("|"))
        found[key.strip("`")] = rest
    return found


def test_every_setting_is_documented_and_none_that_is_gone():
    assert list(settings_table()) == list(FIELDS)


@pytest.mark.parametrize("key", FIELDS)
def test_every_default_is_the_documented_one(key):
    default, meaning = settings_table()[key]
    documented, actual = yaml.safe_load(default.strip("`")), FIELDS[key].default
    assert documented == actual
    assert isinstance(documented, bool) == isinstance(actual, bool)
    assert meaning
