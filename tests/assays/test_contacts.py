"""Contact maps: what is read, masked, summed and expected, against dense computations."""

from __future__ import annotations

import json
import tracemalloc

import cooler
import h5py
import numpy as np
import pandas as pd
import pytest

from genograph.assays import contacts as contacts_module
from genograph.assays import cool as cool_module
from genograph.errors import InputError
from genograph.genome.bins import Bins
from tests.maps import NODES, SIZES, dense, open_map, random_map, read, write_map


def test_balanced_is_count_times_both_weights(tmp_path):
    counts, weight = random_map()
    contacts = open_map(tmp_path, NODES, counts, weight, trans=True)
    whole = np.nan_to_num(np.triu(counts) * weight[:, None] * weight)
    np.testing.assert_allclose(dense(contacts), whole, rtol=1e-6)
    assert len(contacts) == np.count_nonzero(whole)


def test_trans_pairs_are_kept_only_when_asked_for(tmp_path):
    counts, weight = random_map()
    contacts = open_map(tmp_path, NODES, counts, weight)
    assert not dense(contacts)[:7, 7:].any()
    assert dense(contacts)[:7, :7].any()
    assert np.isnan(contacts.trans_expected)


def test_the_scalars_are_json_that_any_reader_takes(tmp_path):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    contacts = open_map(tmp_path, NODES, *random_map())
    scalars = json.loads((contacts.folder / "contacts.json").read_text(), parse_constant=refuse)
    assert scalars == {"trans_expected": None, "max_distance": None}


def test_pairs_are_sorted_and_in_the_upper_triangle_whatever_the_files_order_of_chromosomes(tmp_path):
    counts, weight = random_map()
    order = np.r_[7:12, 0:7]  # chr2 first
    symmetric = np.triu(counts) + np.triu(counts, 1).T
    reordered = {"chr2": 450, "chr1": 700}
    uri = write_map(tmp_path / "reordered.cool", reordered, 100, symmetric[order][:, order], weight[order])
    contacts = read(uri, tmp_path / "reordered", trans=True)
    straight = open_map(tmp_path / "straight", NODES, counts, weight, trans=True)
    np.testing.assert_array_equal(contacts.row, straight.row)
    np.testing.assert_array_equal(contacts.col, straight.col)
    np.testing.assert_array_equal(contacts.balanced, straight.balanced)
    np.testing.assert_allclose(contacts.expected, straight.expected)
    assert (contacts.row <= contacts.col).all()
    assert (np.diff(contacts.row.astype(int) * 12 + contacts.col) > 0).all()


def test_chunks_do_not_change_what_is_written(tmp_path, monkeypatch):
    counts, weight = random_map()
    nodes = Bins(SIZES, 200, partial=True)
    uri = write_map(tmp_path / "map.cool", SIZES, 100, counts, weight)
    whole = read(uri, tmp_path / "whole", nodes, trans=True)
    monkeypatch.setattr(cool_module, "CHUNK", 5)
    monkeypatch.setattr(contacts_module, "CHUNK", 7)
    chunked = read(uri, tmp_path / "chunked", nodes, trans=True)
    for name in ("row", "col", "balanced"):
        np.testing.assert_array_equal(getattr(chunked, name), getattr(whole, name))
    np.testing.assert_allclose(chunked.expected, whole.expected)
    assert chunked.trans_expected == pytest.approx(whole.trans_expected)


def test_a_bin_without_weight_is_masked_and_loses_its_contacts(tmp_path):
    contacts = open_map(tmp_path, NODES, *random_map())
    np.testing.assert_array_equal(np.flatnonzero(contacts.masked), [2, 9])
    assert not np.isin([contacts.row, contacts.col], [2, 9]).any()
    np.testing.assert_array_equal(np.isnan(contacts.weight), contacts.masked)


def test_larger_nodes_hold_the_sum_of_their_unmasked_bins(tmp_path):
    counts, weight = random_map()
    weight[[4, 5]] = np.nan  # all of node 2
    uri = write_map(tmp_path / "map.cool", SIZES, 100, counts, weight)
    contacts = read(uri, tmp_path / "out", Bins(SIZES, 200, partial=True), trans=True)
    node = np.array([0, 0, 1, 1, 2, 2, 3, 4, 4, 5, 5, 6])
    fine = np.nan_to_num(np.triu(counts) * weight[:, None] * weight)
    coarse = np.zeros((7, 7))
    np.add.at(coarse, (node[:, None], node), fine)
    np.testing.assert_allclose(dense(contacts), coarse, rtol=1e-6)
    np.testing.assert_array_equal(np.flatnonzero(contacts.masked), [2])
    np.testing.assert_array_equal(contacts.mapped, [1, 0.5, 0, 0.5, 1, 0.5, 0.5])
    assert contacts.weight[1] == pytest.approx(weight[3])
    assert contacts.weight[0] == pytest.approx(weight[:2].mean())


def test_larger_nodes_of_raw_counts_hold_exact_sums(tmp_path):
    """Five bins a node; the last node of each chromosome is shorter."""
    sizes = {"chr1": 1700, "chr2": 900}  # 17 and 9 bins
    counts = np.triu(np.random.default_rng(0).integers(0, 1000, (26, 26)))
    uri = write_map(tmp_path / "map.cool", sizes, 100, counts)
    contacts = read(uri, tmp_path / "out", Bins(sizes, 500, partial=True), trans=True, balance=None)
    node = np.r_[np.arange(17) // 5, 4 + np.arange(9) // 5]
    sums = np.zeros((6, 6), int)
    np.add.at(sums, (node[:, None], node), counts)
    np.testing.assert_array_equal(dense(contacts), sums)


def test_a_partly_masked_node_is_expected_to_have_less(tmp_path):
    """Uniform contacts have O/E 1 everywhere, also at nodes of which half is masked."""
    size = 40
    weight = np.ones(size)
    weight[[6, 11, 20]] = np.nan
    uri = write_map(tmp_path / "map.cool", {"chr1": 100 * size}, 100, np.full((size, size), 3), weight)
    contacts = read(uri, tmp_path / "out", Bins({"chr1": 100 * size}, 200, partial=True))
    row, col, _, oe = next(contacts.blocks())
    np.testing.assert_allclose(oe[row < col], 1.0, rtol=1e-5)


def test_raw_counts_mask_the_bins_without_any_contact(tmp_path):
    counts, _ = random_map()
    counts = np.triu(counts + 1)
    counts[3, :] = counts[:, 3] = 0
    uri = write_map(tmp_path / "map.cool", SIZES, 100, counts)
    contacts = read(uri, tmp_path / "out", trans=True, balance=None)
    np.testing.assert_array_equal(dense(contacts), counts)
    np.testing.assert_array_equal(np.flatnonzero(contacts.masked), [3])


def test_max_distance_keeps_pairs_up_to_and_including_it(tmp_path):
    contacts = open_map(tmp_path, NODES, np.ones((12, 12), int), max_distance=250)
    assert (contacts.col - contacts.row).max() == 2
    assert np.isnan(contacts.expected[3:7]).all()
    assert contacts.expected[:3].tolist() == [1, 1, 1]
    assert contacts.max_distance == 250


def test_blocks_go_through_all_pairs_in_order(tmp_path):
    contacts = open_map(tmp_path, NODES, *random_map(), trans=True)
    (whole,) = contacts.blocks()
    pieces = [np.concatenate(each) for each in zip(*contacts.blocks(size=4), strict=True)]
    for one, other in zip(whole, pieces, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_map_without_contacts_can_be_opened(tmp_path):
    contacts = open_map(tmp_path, NODES, np.zeros((12, 12), int))
    assert len(contacts) == 0
    assert list(contacts.blocks()) == []


def test_nodes_beyond_the_map_are_masked_and_bins_beyond_the_genome_dropped(tmp_path):
    """Some pipelines round sizes to whole bins, up or down."""
    uri = write_map(tmp_path / "map.cool", {"chr1": 600, "chr2": 500, "chr9": 100}, 100, np.ones((12, 12), int))
    nodes = Bins({"chr1": 650, "chr2": 400}, 100, partial=True)
    contacts = read(uri, tmp_path / "out", nodes, balance=None, trans=True)
    np.testing.assert_array_equal(np.flatnonzero(contacts.masked), [6])
    assert len(contacts) == 10 * 11 / 2


# What is refused


def test_a_resolution_that_does_not_divide_the_node_size_names_the_nearest_that_do(tmp_path):
    uri = write_map(tmp_path / "map.cool", SIZES, 100, *random_map())
    with pytest.raises(InputError, match=r"resolution that does not divide.*100 bp and 250 bp.*200 or 300"):
        read(uri, tmp_path / "out", Bins(SIZES, 250, partial=True))
    with pytest.raises(InputError, match=r"100 bp and 64 bp\. The nearest node sizes are 100\."):
        read(uri, tmp_path / "out", Bins(SIZES, 64, partial=True))


def test_a_map_without_weights_says_how_to_balance(tmp_path):
    uri = write_map(tmp_path / "map.cool", SIZES, 100, random_map()[0])
    with pytest.raises(InputError, match=r"no weights 'weight'.*cooler balance .*map.cool.*balance: null"):
        read(uri, tmp_path / "out")


def test_weights_that_are_not_there_are_refused_with_those_that_are(tmp_path):
    uri = write_map(tmp_path / "map.cool", SIZES, 100, *random_map())
    with pytest.raises(InputError, match=r"no weights 'KR'\. .*Known: weight\."):
        read(uri, tmp_path / "out", balance="KR")


def test_a_file_of_several_resolutions_lists_them(tmp_path):
    uri = write_map(tmp_path / "map.cool", SIZES, 100, *random_map())
    mcool = tmp_path / "map.mcool"
    cooler.zoomify_cooler(uri, str(mcool), [100, 200], chunksize=1000)
    with pytest.raises(InputError, match=r"map.mcool::/resolutions/100, .*map.mcool::/resolutions/200"):
        read(mcool, tmp_path / "out")
    with pytest.raises(InputError, match=r"No contact map at .*300"):
        read(f"{mcool}::/resolutions/300", tmp_path / "out")
    contacts = read(f"{mcool}::/resolutions/200", tmp_path / "out", Bins(SIZES, 200, partial=True), balance=None)
    assert contacts.balanced[0] == random_map()[0][:2, :2][np.triu_indices(2)].sum()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"No contact map '.*absent.cool'"):
        read(tmp_path / "absent.cool", tmp_path / "out")


def test_a_file_that_is_not_hdf5_is_named(tmp_path):
    (tmp_path / "text.cool").write_text("chrom\tstart\tend\n")
    with pytest.raises(InputError, match=r"Cannot read contact map '.*text.cool'"):
        read(tmp_path / "text.cool", tmp_path / "out")


def test_a_file_cut_short_is_named(tmp_path):
    path = tmp_path / "map.cool"
    write_map(path, SIZES, 100, *random_map())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"Cannot read contact map '.*map.cool'.*cut short"):
        read(path, tmp_path / "out")


def test_damaged_pixels_are_an_error_that_names_the_file(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "map.cool"
    write_map(path, {"chr1": 30_000}, 100, rng.poisson(2.0, (300, 300)), np.ones(300))
    with h5py.File(path) as file:
        offset, length = (getattr(file["pixels/count"].id.get_chunk_info(0), name) for name in ("byte_offset", "size"))
    content = bytearray(path.read_bytes())
    content[offset : offset + length] = bytes(length)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"Cannot read contact map '.*map.cool::/'.*filter returned failure"):
        read(path, tmp_path / "out", Bins({"chr1": 30_000}, 100))


def test_bins_of_different_sizes_are_refused(tmp_path):
    starts = np.array([0, 100, 300])
    bins = pd.DataFrame({"chrom": "chr1", "start": starts, "end": [100, 300, 700], "weight": 1.0})
    path = tmp_path / "fragments.cool"
    cooler.create_cooler(str(path), bins, pd.DataFrame({"bin1_id": [0], "bin2_id": [1], "count": [5]}))
    with pytest.raises(InputError, match=r"differ in size"):
        read(path, tmp_path / "out")


def test_another_assembly_is_refused(tmp_path):
    uri = write_map(tmp_path / "map.cool", SIZES, 100, *random_map())
    with pytest.raises(InputError, match="wrong assembly"):
        read(uri, tmp_path / "out", Bins({"chr1": 5000, "chr2": 450}, 100, partial=True))


def test_names_are_matched_by_alias(tmp_path):
    counts, weight = random_map()
    uri = write_map(tmp_path / "map.cool", {"one": 700, "two": 450}, 100, counts, weight)
    contacts = read(uri, tmp_path / "out", aliases={"one": "chr1", "two": "chr2"})
    straight = open_map(tmp_path / "straight", NODES, counts, weight)
    np.testing.assert_array_equal(dense(contacts), dense(straight))


# Memory, and a real map


def test_memory_follows_the_chunk_and_not_the_map(tmp_path, monkeypatch):
    """5,000 bins and 400,000 pixels; a dense float64 map would be 200 MB."""
    size, reach = 5000, 80
    row = np.repeat(np.arange(size), reach)
    col = row + np.tile(np.arange(reach), size)
    row, col = row[col < size], col[col < size]
    bins = cooler.binnify(pd.Series({"chr1": size * 100}), 100).assign(weight=1.0)
    pixels = pd.DataFrame({"bin1_id": row, "bin2_id": col, "count": 1 + 100 // (1 + col - row)})
    cooler.create_cooler(str(tmp_path / "map.cool"), bins, pixels, ordered=True)
    monkeypatch.setattr(cool_module, "CHUNK", 20_000)
    monkeypatch.setattr(contacts_module, "CHUNK", 20_000)
    tracemalloc.start()
    contacts = read(tmp_path / "map.cool", tmp_path / "out", Bins({"chr1": size * 100}, 100))
    num_pairs = sum(len(block[0]) for block in contacts.blocks(size=20_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert num_pairs == len(pixels)
    assert peak < 12e6  # the pixels alone are 8 MB as read and 16 MB as int64 pairs and counts


@pytest.fixture(scope="module")
def yeast(shared_data, tmp_path_factory):
    uri = str(shared_data / "yeast" / "scer_w303_g1_2kb_SRR8769554.cool")
    sizes = {str(name): int(size) for name, size in cooler.Cooler(uri).chromsizes.items()}
    return uri, read(uri, tmp_path_factory.mktemp("yeast"), Bins(sizes, 2000, partial=True), trans=True)


@pytest.mark.needs_shared_data
def test_yeast_map_is_read_whole(yeast):
    uri, contacts = yeast
    assert 1 - contacts.masked.mean() == pytest.approx(0.945, abs=5e-4)
    pixels = cooler.Cooler(uri).matrix(balance=True, as_pixels=True, join=False)[:]
    pixels = pixels[pixels.balanced.notna()]
    np.testing.assert_array_equal(contacts.row, pixels.bin1_id)
    np.testing.assert_array_equal(contacts.col, pixels.bin2_id)
    np.testing.assert_allclose(contacts.balanced, pixels.balanced, rtol=1e-6)


@pytest.mark.needs_shared_data
def test_yeast_expected_equals_a_dense_computation(yeast):
    uri, contacts = yeast
    matrix = cooler.Cooler(uri).matrix(balance=True).fetch("chr4")
    valid = np.isfinite(matrix)
    span = contacts.nodes.span("chr4")
    for distance in range(9):  # these stand alone
        mean = np.nanmean(np.diagonal(matrix, distance))
        assert contacts.expected[span.start + distance] == pytest.approx(mean, rel=1e-6)
    window = range(90, 113)  # 100 / 1.122 to 100 * 1.122
    total = sum(np.nansum(np.diagonal(matrix, distance)) for distance in window)
    pairs = sum(np.diagonal(valid, distance).sum() for distance in window)
    assert contacts.expected[span.start + 100] == pytest.approx(total / pairs, rel=1e-6)


@pytest.mark.needs_shared_data
def test_yeast_map_fits_the_reference_genome_though_ends_are_missing(yeast, tmp_path):
    uri, straight = yeast
    genome = {"I": 230_218, "IV": 1_531_933, "Mito": 85_779}
    contacts = read(uri, tmp_path / "out", Bins(genome, 2000, partial=True))
    np.testing.assert_allclose(contacts.expected[:115], straight.expected[:115])
    assert contacts.masked[115]  # the map ends 218 bp before chromosome I does
    assert contacts.masked[contacts.nodes.span("IV")][-3:].all()  # and three bins before IV


def test_sizes_made_up_from_bins_may_lack_the_last_bins_and_true_sizes_may_not(tmp_path):
    nodes = Bins({"chr1": 1050}, 100, partial=True)
    made_up = write_map(tmp_path / "made_up.cool", {"chr1": 700}, 100, np.ones((7, 7), int))
    contacts = read(made_up, tmp_path / "made_up", nodes, balance=None)
    np.testing.assert_array_equal(np.flatnonzero(contacts.masked), [7, 8, 9, 10])
    true = write_map(tmp_path / "true.cool", {"chr1": 690}, 100, np.ones((7, 7), int))
    with pytest.raises(InputError, match="wrong assembly"):
        read(true, tmp_path / "true", nodes, balance=None)
