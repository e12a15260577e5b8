"""The tiny world, whose store is built, and a second contact map beside it."""

from __future__ import annotations

import numpy as np
import pytest

from genograph.config import load_config
from genograph.experiment import Experiment
from tests.tiny import write_cool, write_world


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """The path of the config; nothing in its folder is to be changed."""
    folder = tmp_path_factory.mktemp("world")
    config = write_world(folder)
    write_cool(folder / "other.cool", np.random.default_rng(1))
    Experiment.open(load_config(config))
    return config
