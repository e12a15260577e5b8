from __future__ import annotations

import pytest

from genograph.simulate import simulate

TINY = ["size=1200000", "chroms=3", "cells=1", "variants=60"]


@pytest.fixture(scope="session")
def tiny_settings():
    return TINY


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    return simulate(tmp_path_factory.mktemp("worlds") / "world", TINY)


@pytest.fixture(scope="session")
def silent_world(tmp_path_factory):
    return simulate(tmp_path_factory.mktemp("worlds") / "silent", [*TINY, "effect_scale=0"])


@pytest.fixture(scope="session")
def leaky_world(tmp_path_factory):
    return simulate(tmp_path_factory.mktemp("worlds") / "leaky", [*TINY, "mappability_leak=true"])
