"""Sites of two tracks of peaks with negatives of every kind, and a table of reference tracks."""

from __future__ import annotations

import pytest

from tests.prepare.test_prepare_sites import EVERY, SIZES, world

__all__ = ["world"]
SHORT = ("training.max_epochs=1", "study.seeds=1")


@pytest.fixture(scope="module")
def peaks(world):
    """The path of the config; nothing in its folder is to be changed."""
    folder = world.parent
    open_elsewhere = [
        f"{chrom}\t{middle - 20}\t{middle + 20}"
        for chrom, size in SIZES.items()
        for middle in range(500, size, 4 * EVERY)
    ]
    (folder / "open.bed").write_text("\n".join(open_elsewhere) + "\n")
    (folder / "reference.tsv").write_text(
        "identifier\tfile\tassay\nboth\tone.bed\taccessibility\nopen\topen.bed\taccessibility\n"
    )
    text = world.read_text().replace("random: 0.5", "accessible: open.bed\n    flanking: 1\n    random: 0.5")
    config = folder / "study.yaml"
    config.write_text(text + "study: {reference: reference.tsv, trees: 5}\n")
    return config
