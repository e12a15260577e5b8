"""docs/simulate.md names every setting with its default, and every file that is written."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from genograph.simulate.settings import WorldSettings

DOCS = (Path(__file__).parents[2] / "docs" / "simulate.md").read_text()


def test_every_setting_is_documented_with_its_default_and_none_that_is_gone():
    section = DOCS.split("\n## Settings\n")[1].split("\n## ")[0]
    documented = re.findall(r"^\| `(\w+)` \| `([^`]+)` \| .+ \|$", section, re.MULTILINE)
    assert {key: yaml.safe_load(default) for key, default in documented} == WorldSettings().model_dump()
    assert [key for key, _ in documented] == list(WorldSettings.model_fields)


def test_every_file_is_documented(world):
    documented = set(re.findall(r"`([\w/<>]+\.[\w.]+)`", DOCS.split("\n## Files\n")[1]))
    tracks = {f"{path.stem}.bw" for path in (world / "truth").glob("*.bw")}
    for folder, here in ((world, "*"), (world / "cells", "*"), (world / "truth", "*")):
        for path in folder.glob(here):
            name = path.relative_to(world).as_posix().removeprefix("truth/")
            assert path.is_dir() or name in documented or name in tracks, name
    assert "<identifier>.bw" in documented


def test_every_column_of_the_tables_of_the_truth_is_documented(world):
    for name in ("ceilings.tsv", "features.tsv", "links.tsv"):
        (row,) = re.findall(rf"^\| `{name}` \| (.+) \|$", DOCS, re.MULTILINE)
        with (world / "truth" / name).open() as file:
            columns = file.readline().split()
        assert re.findall(r"`(\w+)`", row) == columns


def test_every_heading_that_the_page_links_to_exists():
    headings = {heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.*)$", DOCS, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", DOCS)) <= headings
