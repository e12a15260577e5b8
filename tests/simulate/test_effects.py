from __future__ import annotations

import numpy as np
import pytest

from genograph.simulate.effects import write_variants
from genograph.simulate.grammar import FACTORS
from genograph.simulate.settings import WorldSettings
from genograph.simulate.world import draw_world


@pytest.fixture(scope="module")
def drawn():
    return draw_world(WorldSettings(size=600_000, chroms=3))


def variants(drawn, path, count):
    """Chromosome, position, reference, other base and feature of each variant."""
    truth, motifs = drawn
    write_variants(path, truth, motifs, count, np.random.default_rng(0))
    rows = [line.split("\t") for line in path.read_text().splitlines() if line[0] != "#"]
    return [(row[0], int(row[1]), row[3], row[4], row[7].split(";")[0].removeprefix("FEATURE=")) for row in rows]


def positions_in_sites(truth):
    sites = [site for each in truth.sites for site in each if site.factor != "CTCF"]
    return sum(FACTORS[site.factor] for site in sites)


def test_half_of_the_variants_and_by_chance_a_few_more_lie_in_sites(drawn, tmp_path):
    rows = variants(drawn, tmp_path / "few.vcf", 400)
    inside = sum(feature != "." for *_, feature in rows)
    by_chance = 200 * positions_in_sites(drawn[0]) / 600_000
    assert 200 <= inside <= 200 + by_chance + 4 * by_chance**0.5


def test_more_variants_than_sites_have_positions_take_them_all_and_the_others_anywhere(drawn, tmp_path):
    positions = positions_in_sites(drawn[0])
    rows = variants(drawn, tmp_path / "many.vcf", 3 * positions)
    assert len({row[:2] for row in rows}) == len(rows) == 3 * positions
    assert sum(feature != "." for *_, feature in rows) == positions
    assert rows == sorted(rows, key=lambda row: row[:2])
    assert all(ref != alt for _, _, ref, alt, _ in rows)
