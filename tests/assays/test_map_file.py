"""Vectors of balancing weights: which multiply and which divide, told by what bins sum to."""

from __future__ import annotations

import cooler
import numpy as np
import pandas as pd
import pytest

from genograph.assays.hic import HicFile
from genograph.assays.map_file import bin_weights, open_map_file
from genograph.errors import InputError
from tests.maps import SIZES, write_hic

NUM_BINS = 12
BIAS = np.array([1.0, 2, 3, 1, 0.5, 2, 1, 3, 0.5, 2, 1, 2])  # of the bins of `SIZES`
COUNTS = np.triu(np.rint(40 * BIAS[:, None] * BIAS)).astype(int)
MISLEADING = BIAS[::-1] ** 2


def write_cool(path, **vectors) -> str:
    bins = cooler.binnify(pd.Series(SIZES), 100).assign(**vectors)
    first, second = np.nonzero(COUNTS)
    pixels = pd.DataFrame({"bin1_id": first, "bin2_id": second, "count": COUNTS[first, second]})
    cooler.create_cooler(str(path), bins, pixels, ordered=True)
    return str(path)


def test_a_vector_of_a_cooler_divides_or_multiplies_by_what_makes_the_sums_of_bins_even(tmp_path):
    file = open_map_file(write_cool(tmp_path / "map.cool", KR=BIAS, ICE=1 / BIAS))
    for vector in ("KR", "ICE"):
        np.testing.assert_allclose(bin_weights(file, vector), 1 / BIAS, rtol=1e-6)


def test_vectors_of_hic_files_divide_whatever_their_sums(tmp_path, monkeypatch):
    zero = np.where(np.arange(NUM_BINS) == 3, 0, BIAS)
    file = open_map_file(write_hic(tmp_path / "map.hic", SIZES, 100, COUNTS, {"KR": zero, "ODD": 1 / BIAS}))
    monkeypatch.setattr(HicFile, "pixels", None)  # nothing is read to find that out
    np.testing.assert_allclose(bin_weights(file, "KR"), np.where(zero == 0, np.nan, 1 / BIAS), rtol=1e-6)
    np.testing.assert_allclose(bin_weights(file, "ODD"), BIAS, rtol=1e-6)


def test_coolers_own_weights_multiply_whatever_their_sums(tmp_path):
    file = open_map_file(write_cool(tmp_path / "map.cool", weight=BIAS))
    np.testing.assert_array_equal(bin_weights(file, "weight"), BIAS)


def test_each_chromosome_of_a_vector_may_have_its_own_scale(tmp_path):
    scale = np.repeat([1.0, 100.0], [7, 5])
    file = open_map_file(write_cool(tmp_path / "map.cool", KR=BIAS * scale))
    np.testing.assert_allclose(bin_weights(file, "KR"), 1 / (BIAS * scale))


def test_bins_with_no_or_no_positive_weight_are_masked(tmp_path):
    vector = BIAS.copy()
    vector[[1, 4, 8]] = np.nan, 0, np.inf
    file = open_map_file(write_cool(tmp_path / "map.cool", KR=vector))
    weight = bin_weights(file, "KR")
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(weight)), [1, 4, 8])
    np.testing.assert_allclose(weight[9:], 1 / BIAS[9:])


def test_a_vector_that_evens_nothing_is_refused(tmp_path):
    file = open_map_file(write_cool(tmp_path / "map.cool", KR=MISLEADING))
    spread = r"of 0\.\d\d as counted, multiplied \d\.\d\d, divided \d\.\d\d\. Choose other weights"
    with pytest.raises(InputError, match=f"'KR' of '.*map.cool.*' does not balance the map.*{spread}"):
        bin_weights(file, "KR")
