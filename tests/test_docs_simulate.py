"""docs/simulate.md names every setting of a simulated world with its right default, every file and its columns."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml

from genograph.simulate import simulate
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


def files_tables() -> dict[str, str]:
    """Columns of each row of the two tables of files, by path."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in DOCS.splitlines()]
    return {row[0].split("`")[1]: row[2] for row in rows if len(row) == 3 and row[0].startswith("`") and "." in row[0]}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return simulate(tmp_path_factory.mktemp("documented") / "world", ["size=600000", "chroms=3", "cells=1"])


def test_every_setting_is_documented_and_none_that_is_gone():
    assert list(settings_table()) == list(FIELDS)


@pytest.mark.parametrize("key", FIELDS)
def test_every_default_is_the_documented_one(key):
    default, meaning = settings_table()[key]
    documented, actual = yaml.safe_load(default.strip("`")), FIELDS[key].default
    assert documented == actual
    assert isinstance(documented, bool) == isinstance(actual, bool)
    assert meaning


def test_every_file_is_documented_and_none_that_is_gone(world):
    written = {file.relative_to(world).as_posix() for file in world.rglob("*") if file.is_file()}
    means = {path for path in written if path.startswith("truth/") and path.endswith(".bw")}
    assert set(files_tables()) == written - means | {"truth/expression.bw"}
    for path in means:
        assert f"`{Path(path).stem}`" in DOCS, path


@pytest.mark.parametrize(
    "path", ["targets.tsv", "truth/ceilings.tsv", "truth/features.tsv", "truth/links.tsv"], ids=lambda path: path
)
def test_every_column_of_a_table_with_a_header_is_documented_in_its_order(world, path):
    documented = [column.strip("` ") for column in files_tables()[path].split(",")]
    assert documented == list(pd.read_csv(world / path, sep="\t").columns)


def test_every_field_of_the_variants_is_documented(world):
    header = (world / "truth" / "variants.vcf").read_text().split("##INFO=<ID=")[1:]
    named = ", ".join(f"`{text.split(',')[0]}`" for text in header)
    assert files_tables()["truth/variants.vcf"] == f"INFO: {named}"
