"""The names of `genograph` itself: imported late, typed, each with an example that runs."""

from __future__ import annotations

import ast
import doctest
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import genograph
from genograph.config import load_config
from genograph.train import train
from tests.tiny import write_world


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with the config `tiny.yaml` and its run `run`."""
    folder = tmp_path_factory.mktemp("world")
    train(load_config(write_world(folder), ["training.max_epochs=1"]), folder / "run")
    return folder


@pytest.mark.parametrize("name", genograph.HOMES)
def test_every_public_name_has_an_example_that_runs(name, world, monkeypatch):
    monkeypatch.chdir(world)
    public, module = getattr(genograph, name), import_module(genograph.HOMES[name])
    tests = doctest.DocTestFinder().find(public, name, module=module)
    assert any(test.examples and test.name == name for test in tests)
    for test in tests:
        assert doctest.DocTestRunner().run(test).failed == 0


def test_nothing_is_imported_until_it_is_used():
    code = "import sys, genograph; print([n for n in sys.modules if n.startswith('genograph.') or n == 'torch'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]"]


def test_a_name_that_is_not_public_is_no_attribute():
    with pytest.raises(AttributeError, match="module 'genograph' has no attribute 'from_julia'"):
        _ = genograph.from_julia
    assert {*genograph.HOMES} <= {*dir(genograph)}
    assert genograph.__all__ == list(genograph.HOMES) == sorted(genograph.HOMES)


def test_type_checkers_see_the_same_names_at_home_in_the_same_modules():
    stub = ast.parse(Path(genograph.__file__).with_suffix(".pyi").read_text())
    names = {
        alias.asname: node.module for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert names == genograph.HOMES
