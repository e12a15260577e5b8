"""A class that is defined in a notebook or script: what a run could not find again is refused, with the way out."""

from __future__ import annotations

import subprocess
import sys

import pytest

from genograph.config import load_config, parse_config
from genograph.errors import InputError
from genograph.nn.layers.sage import SAGE
from tests.tiny import config_tree, write_world

CELL = """
from genograph import GraphBlock, InputError, load_config

class Mine(GraphBlock):
    def message(self, x, edge_index, edge_attr):
        return x

try:
    load_config("tiny.yaml", ["model.processor=[{name: '__main__:Mine'}]"])
except InputError as error:
    print(error)
"""


def test_a_class_of_a_script_is_to_be_put_in_a_file(tmp_path):
    write_world(tmp_path)
    done = subprocess.run([sys.executable, "-c", CELL], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == (
        "model.processor[0]: '__main__:Mine': a class of a notebook or script is not there when a run is opened again. "
        "Put it in a file and name that: path/to/file.py:Mine\n"
    )


def test_a_class_in_place_of_its_name_is_to_be_put_in_a_file(tmp_path):
    tree = config_tree()
    tree["model"]["processor"] = [{"name": SAGE}]
    message = "a config names a class, .* Put SAGE in a file and name that: path/to/file.py:SAGE$"
    with pytest.raises(InputError, match=message):
        parse_config(tree, tmp_path)
    assert load_config(write_world(tmp_path), ["model.processor=[{name: sage}]"]).model.processor[0].kind is SAGE
