from __future__ import annotations

import pytest

from genograph.atomic import making, replacing


def test_a_folder_that_was_made_for_nothing_is_gone(tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(KeyboardInterrupt), making(tmp_path / "there" / "new" / "below"):
        raise KeyboardInterrupt
    assert [*tmp_path.rglob("*")] == [tmp_path / "there"]


def test_a_folder_that_holds_something_stays(tmp_path):
    with pytest.raises(UnicodeEncodeError), making(tmp_path / "new"):
        (tmp_path / "new" / "a.tsv").write_text("half \udc80")
    assert (tmp_path / "new" / "a.tsv").read_text() == ""


def test_a_file_stays_as_it_was_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "arms.tsv"
    path.write_text("old")
    with replacing(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["arms.tsv"]
    assert path.read_text() == "new"


def test_an_error_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "arms.tsv"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError), replacing(path) as partial:
        partial.write_text("new \udc80")
    assert [each.name for each in tmp_path.iterdir()] == ["arms.tsv"]
    assert path.read_text() == "old"


def test_what_a_kill_left_is_written_over(tmp_path):
    (tmp_path / ".arms.tsv.partial").write_text("half of a longer one")
    with replacing(tmp_path / "arms.tsv") as partial:
        partial.write_text("new")
    assert [each.name for each in tmp_path.iterdir()] == ["arms.tsv"]
