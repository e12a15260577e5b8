"""From `contacts` of a config to the contacts of its store, whatever files it names."""

from __future__ import annotations

import cooler
import numpy as np
import pytest

from genograph.config import load_config
from genograph.errors import InputError
from genograph.experiment import Experiment
from genograph.store import read_manifest
from tests import tiny
from tests.maps import write_hic_pixels


@pytest.fixture
def world(tmp_path):
    """The path of the tiny world's config; the same pixels stand in `map.cool` and `map.hic`."""
    path = tiny.write_world(tmp_path)
    pixels = cooler.Cooler(str(tmp_path / "map.cool")).pixels()[:]
    columns = {name: values.tolist() for name, values in pixels.items()}
    write_hic_pixels(tmp_path / "map.hic", tiny.SIZES, tiny.NODE, columns)
    return path


def opened(world, *overrides):
    return Experiment.open(load_config(world, ["contacts.balance=null", *overrides]))


def test_a_hic_file_is_named_as_a_cooler_is(world):
    one = opened(world)
    other = opened(world, "contacts.file=map.hic::/resolutions/2000", "store=other")
    np.testing.assert_array_equal(one.graph.edge_index, other.graph.edge_index)
    np.testing.assert_array_equal(one.graph.edge_attr, other.graph.edge_attr)


def test_a_list_of_maps_is_their_sum_and_every_file_is_a_source(world):
    one = opened(world)
    both = opened(world, "contacts.file=[map.cool, map.hic::/resolutions/2000]", "store=both")
    np.testing.assert_array_equal(both.store.contacts.balanced, 2 * one.store.contacts.balanced)
    sources = read_manifest(both.store.path)["sources"]
    assert {key for key in sources if key.startswith("contacts")} == {"contacts.file[0]", "contacts.file[1]"}


def test_an_empty_list_is_refused(world):
    with pytest.raises(InputError, match=r"contacts: file names no contact map"):
        opened(world, "contacts.file=[]")
