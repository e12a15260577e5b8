"""docs/simulate.md has every setting of a simulated world, the numbers of its formulas, every file and its columns."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml

from genograph.simulate import contacts, grammar, layout, simulate, truth
from genograph.simulate.settings import WorldSettings

DOCS = (Path(__file__).parents[1] / "docs" / "simulate.md").read_text()
FIELDS = WorldSettings.model_fields
STATED = [
    f"consensus base has probability {grammar.CONSENSUS}",
    f"{grammar.PAIR_GAP[0]} to {grammar.PAIR_GAP[1] - 1} bp apart",
    f"({grammar.ALONE} sum_i o_i + {grammar.PAIRED} sum_(i,j) o_i o_j) prod_k (1 - {grammar.REPRESSION} o_k)",
    f"Domains are {layout.DOMAINS[0] // 1000} to {layout.DOMAINS[1] // 1000} kb long",
    f"the first part 0 beyond {contacts.REACH // 1_000_000} Mb",
    f"A loop adds {contacts.STRENGTH[0]} to {contacts.STRENGTH[1]} to",
    f"{contacts.LOOPS[0] // 1000} to {contacts.LOOPS[1] // 1000} kb away",
    f"own = {truth.BASAL:g} + {truth.OWN} activity of the promoter",
    f"response = 1 / (1 + exp(-{truth.EFFECT} effect_scale carried))",
    f"({truth.OPEN['element']} element, {truth.OPEN['promoter']} promoter, {truth.OPEN['border']} border)",
    f"exp(-(distance / {truth.WIDTH} bp)^2 / 2)",
    f"logit(mean) = {truth.METHYLATED:g} - {-truth.BY_DENSITY} (other CpGs within {truth.CPG_WINDOW} bp)",
    f"- {'' if truth.BY_OPENNESS == -1 else -truth.BY_OPENNESS}bell - {-truth.BY_CARRIED} effect_scale carried(n)",
]


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


@pytest.mark.parametrize("statement", STATED)
def test_the_formulas_have_the_numbers_of_the_code(statement):
    assert statement in " ".join(DOCS.split())


def test_the_shares_of_what_features_are_made_of_are_the_documented_ones():
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in DOCS.splitlines()]
    shares = {row[0]: (float(row[1]), float(row[2])) for row in rows if len(row) == 4 and row[0] in layout.ELEMENTS}
    assert shares == {make: (share, layout.PROMOTERS.get(make, 0)) for make, share in layout.ELEMENTS.items()}


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
