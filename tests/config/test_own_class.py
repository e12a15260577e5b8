"""Classes that a config names by module or file."""

from __future__ import annotations

import os

import pytest

from genograph.config.own_class import located, own_class
from genograph.errors import InputError


def write(folder, text, name="mine.py"):
    path = folder / name
    path.write_text(text)
    return path


def test_a_class_comes_from_a_module_or_from_a_file(tmp_path):
    path = write(tmp_path, "class Mine: pass\n")
    assert own_class("collections:OrderedDict").__name__ == "OrderedDict"
    assert own_class(f"{path}:Mine").__name__ == "Mine"
    assert own_class(f"{path}:Mine") is own_class(f"{path}:Mine")


def test_a_file_that_has_changed_is_read_again(tmp_path):
    path = write(tmp_path, "class Mine: size = 1\n")
    assert own_class(f"{path}:Mine").size == 1
    write(tmp_path, "class Mine: size = 2\n")
    os.utime(path, ns=(1, 1))
    assert own_class(f"{path}:Mine").size == 2


def test_the_path_of_a_file_becomes_absolute_and_a_module_stays(tmp_path):
    assert located("own/mine.py:Mine", tmp_path) == f"{tmp_path}/own/mine.py:Mine"
    assert located(f"{tmp_path}/mine.py:Mine", tmp_path / "elsewhere") == f"{tmp_path}/mine.py:Mine"
    assert located("package.module:Mine", tmp_path) == "package.module:Mine"
    assert located("gat", tmp_path) == "gat"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module:Mine", "no module 'no_such_module' can be imported .* its file: path/to/file.py:Mine$"),
        (
            "__main__:Mine",
            "a class of a notebook or script is not .* Put it in a file and name that: path/to/file.py:Mine$",
        ),
        ("none.py:Mine", r"no such file: .*/none\.py\. Relative paths start from the folder of the config, of"),
        ("mine.py:Mime", r"mine\.py has no class 'Mime'\. Did you mean 'Mine'\?"),
        ("mine.py:Path", r"mine\.py has no class 'Path'\. Known: Mine"),
        ("mine.py:SIZE", r"'SIZE' in .*/mine\.py is of type int, not a class"),
        ("mine.py:make", r"'make' in .*/mine\.py is of type function, not a class"),
        ("broken.py:Mine", r"broken\.py cannot be imported: SyntaxError: "),
        ("failing.py:Mine", r"failing\.py cannot be imported: ZeroDivisionError: division by zero"),
    ],
)
def test_what_is_no_class_is_one_line(tmp_path, name, message):
    write(tmp_path, "SIZE = 3\ndef make(): pass\nclass Mine: pass\n")
    write(tmp_path, "class Mine(:\n", "broken.py")
    write(tmp_path, "1 / 0\n", "failing.py")
    with pytest.raises(InputError, match=message) as caught:
        own_class(located(name, tmp_path))
    assert "\n" not in str(caught.value)
