"""Shared by all tests: one thread, and the real data that stands beside a checkout."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest

# How long an example takes says nothing on a busy machine.
hypothesis.settings.register_profile("genograph", deadline=None)
hypothesis.settings.load_profile("genograph")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_configure(config):
    import torch

    torch.set_num_threads(1)


def pytest_collection_modifyitems(items):
    if SHARED_DATA.is_dir():
        return
    skip = pytest.mark.skip(reason=f"no folder {SHARED_DATA}: this test needs the shared real data")
    for item in items:
        if "needs_shared_data" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside a checkout; only tests marked `needs_shared_data` may ask for it."""
    return SHARED_DATA
