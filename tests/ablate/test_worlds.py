"""Is the verdict right where the truth is known? Worlds small enough to be learnt in seconds.

`benchmarks/worlds.py` asks the same of worlds with motifs, elements and genes.
"""

from __future__ import annotations

import pytest

from benchmarks.small_worlds import judge
from genograph.ablate.grid import finish
from genograph.ablate.launchers import LAUNCHERS
from genograph.errors import InputError


@pytest.fixture(autouse=True, scope="module")
def _here():
    """Runs in this process save the time in which processes start."""

    def here(runs, workers, folder, options):
        for run in runs:
            finish(run)
            yield run, None

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(LAUNCHERS, "local", here)
        yield


def verdict(folder, kind, *arms, **contacts):
    said = judge(folder, kind, arms=[*arms], **contacts)
    print(said.sentence, *said.reasons, sep="\n")
    return said.label


def test_where_contacts_carry_effects_they_help(tmp_path):
    assert verdict(tmp_path, "contacts", "features_only", "rewired", "distance_matched") == "contacts help"


def test_where_contacts_carry_nothing_there_is_no_difference(tmp_path):
    assert verdict(tmp_path, "own", "features_only", "rewired") == "no difference found"


def test_where_contacts_are_counted_and_carry_nothing_degree_explains_the_gain(tmp_path):
    assert verdict(tmp_path, "degree", "features_only", "rewired") == "degree explains it"


def test_what_neither_map_nor_track_sees_is_refused_where_it_is_scored(tmp_path):
    with pytest.raises(InputError, match=r"the audit found .* leak"):
        verdict(tmp_path, "unseen", "features_only", mask=False)


def test_what_neither_map_nor_track_sees_makes_no_difference_where_it_is_masked(tmp_path):
    assert verdict(tmp_path, "unseen", "features_only", "rewired") == "no difference found"
