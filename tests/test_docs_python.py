"""docs/python.md: its code runs from top to bottom and prints what it says."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
from pathlib import Path

import pytest

import genograph

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "python.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```(?:\n\n```text\n(.*?)^```)?", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A folder with the E. coli config and data, in which nothing else is."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "configs").mkdir()
    for name in ("ecoli.yaml", "ecoli_regulation.yaml"):
        shutil.copy(ROOT / "configs" / name, folder / "configs")
    shutil.copytree(ROOT / "data" / "ecoli", folder / "data" / "ecoli")
    return folder


def test_the_page_runs_from_top_to_bottom_and_prints_what_it_says(checkout, monkeypatch):
    monkeypatch.chdir(checkout)
    names, printed, said = {}, [], []
    for code, output in BLOCKS:
        if re.match(r"# \w+\.py\n", code):
            Path(code.split()[1]).write_text(code)
            continue
        with contextlib.redirect_stdout(io.StringIO()) as text:
            exec(compile(code, "python.md", "exec"), names)
        printed.append([line for line in text.getvalue().splitlines() if not line.startswith("epoch ")])
        said.append(output.splitlines())
    assert printed == said
    assert len(printed) >= 5


def test_what_is_to_be_typed_is_short():
    typed = [code for code, _ in BLOCKS if not code.startswith("# ")]
    assert max(len([line for line in code.splitlines() if line.strip()]) for code in typed) <= 15


def test_the_functions_that_the_page_names_are_public():
    named = re.findall(r"`((?:from|to)_\w+)\(", PAGE)
    assert len(named) == 4
    assert {*named} <= {*genograph.HOMES}
