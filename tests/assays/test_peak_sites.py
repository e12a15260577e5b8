from __future__ import annotations

from functools import partial
from itertools import pairwise

import numpy as np
import pytest

from genograph.assays import negative_sites
from genograph.assays.negative_sites import flanking_sites, gc_content, gc_of_sites, random_sites, sites_in
from genograph.assays.peak_sites import merge_peaks, tile_peaks
from genograph.errors import InputError
from genograph.genome.interval import Interval
from genograph.genome.sites import Sites

SIZES = {"chr1": 1000, "chr2": 300}


def places(sites):
    return [
        (sites.chroms[chrom], start) for chrom, start in zip(sites.chrom.tolist(), sites.start.tolist(), strict=True)
    ]


def peak(middle, chrom="chr1"):
    return Interval(chrom, middle - 10, middle + 10)


def merged(*tracks, overlap=20, length=100):
    sites, has_peak = merge_peaks(
        [[peak(middle) for middle in track] for track in tracks], SIZES, length=length, overlap=overlap
    )
    return places(sites), has_peak.tolist()


def test_a_peak_becomes_a_site_about_its_midpoint():
    assert merged([200, 500]) == ([("chr1", 150), ("chr1", 450)], [[True], [True]])


def test_peaks_that_share_more_than_the_overlap_become_one_about_their_mean():
    assert merged([200], [279]) == ([("chr1", 190)], [[True, True]])
    assert merged([200], [280]) == ([("chr1", 150), ("chr1", 230)], [[True, False], [False, True]])


def test_those_that_share_most_are_merged_first_and_weigh_one_more_than_their_tracks():
    # 300 and 310 become 305 and weigh 3, 240 weighs 2: one site about 279.
    assert merged([240, 300], [310]) == ([("chr1", 229)], [[True, True]])
    # Merged from the left 240 and 300 would be 270, and 350, 80 away, would stay alone.
    assert merged([240, 300, 350]) == ([("chr1", 190), ("chr1", 275)], [[True], [True]])


def test_a_site_of_three_tracks_weighs_twice_as_much_as_one_of_one():
    tracks = [[Interval("chr", middle, middle)] for middle in (1100, 1100, 1100, 1400)]
    sites, has_peak = merge_peaks(tracks, {"chr": 5000}, length=600, overlap=200)
    assert (sites.start.tolist(), has_peak.tolist()) == ([900], [[True] * 4])


def test_peaks_of_one_track_weigh_no_more_together_than_each():
    assert merged([300, 300, 300, 360])[0] == [("chr1", 280)]


def test_a_merged_site_is_merged_again_with_one_that_shares_no_more_than_the_overlap():
    # 150 and 200 become 175; 255 is 80 away, which two peaks may be.
    assert merged([150, 200, 255]) == ([("chr1", 165)], [[True]])


def merged_one_by_one(tracks, size, length, overlap):
    """Basset's definition on one chromosome, word for word: starts and tracks of its sites."""
    rows = sorted(
        (min(max((each.start + each.end) // 2 - length // 2, 0), size - length), track)
        for track, list_ in enumerate(tracks)
        for each in list_
    )
    groups = []
    for start, track in rows:
        if not groups or groups[-1][-1][0] + length - overlap <= start:
            groups.append([])
        groups[-1].append((start, {track}))
    for group in groups:
        while len(group) > 1:
            shared = [one[0] + length - two[0] for one, two in pairwise(group)]
            at = shared.index(max(shared))
            if shared[at] < overlap:
                break
            (one, of_one), (two, of_two) = group[at : at + 2]
            weights = [1 + len(of_one), 1 + len(of_two)]
            middle = int(0.5 + np.average([one + length // 2, two + length // 2], weights=weights))
            group[at : at + 2] = [(min(max(middle - length // 2, 0), size - length), of_one | of_two)]
    return [each for group in groups for each in group]


@pytest.mark.parametrize(("length", "overlap"), [(60, 20), (61, 0), (7, 6)])
def test_many_peaks_are_merged_as_one_by_one(length, overlap):
    rng, sizes = np.random.default_rng(length), {"a": 900, "empty": 400, "b": 300}
    tracks = [
        [
            Interval(chrom, start, min(start + int(rng.integers(1, 50)), sizes[chrom]))
            for chrom, count in (("b", 8), ("a", 25))
            for start in rng.integers(0, sizes[chrom], count).tolist()
        ]
        for _ in range(4)
    ]
    sites, has_peak = merge_peaks(tracks, sizes, length=length, overlap=overlap)
    expected = [
        (chrom, *each)
        for chrom, size in sizes.items()
        for each in merged_one_by_one(
            [[peak for peak in track if peak.chrom == chrom] for track in tracks], size, length, overlap
        )
    ]
    assert places(sites) == [(chrom, start) for chrom, start, _ in expected]
    assert [set(np.flatnonzero(row).tolist()) for row in has_peak] == [of_site for *_, of_site in expected]
    assert 10 < len(sites) < 132


def test_no_peaks_make_no_sites():
    sites, has_peak = merge_peaks([[], []], SIZES, length=100, overlap=20)
    assert (len(sites), has_peak.shape) == (0, (0, 2))
    assert len(tile_peaks([], SIZES, length=100, stride=10)) == 0


def test_a_site_that_would_leave_its_chromosome_is_moved_inside():
    assert merged([10, 995])[0] == [("chr1", 0), ("chr1", 900)]


def test_a_site_has_every_track_with_a_peak_in_it_on_its_own_chromosome():
    sites, has_peak = merge_peaks([[peak(200)], [peak(200, "chr2")], [peak(202)]], SIZES, length=100, overlap=20)
    assert places(sites) == [("chr1", 151), ("chr2", 150)]
    assert has_peak.tolist() == [[True, False, True], [False, True, False]]


def test_an_overlap_as_long_as_a_site_is_refused():
    with pytest.raises(InputError, match=r"sites\.overlap: 100 bp is not below the 100 bp of a site"):
        merged([200], overlap=100)


def test_tiles_are_those_of_which_a_peak_covers_half():
    tiled = tile_peaks([Interval("chr1", 105, 155)], SIZES, length=40, stride=10)
    assert places(tiled) == [("chr1", start) for start in (90, 100, 110, 120, 130)]


def test_a_peak_shorter_than_a_tile_makes_those_that_hold_its_midpoint():
    assert places(tile_peaks([Interval("chr1", 100, 104)], SIZES, length=30, stride=10)) == [
        ("chr1", 80),
        ("chr1", 90),
        ("chr1", 100),
    ]


@pytest.mark.parametrize(("length", "stride"), [(40, 10), (21, 8)])
def test_many_peaks_are_tiled_as_one_by_one(length, stride):
    rng = np.random.default_rng(length)
    peaks = [
        Interval(chrom, start, min(start + int(rng.integers(1, 90)), SIZES[chrom]))
        for chrom, count in (("chr2", 2), ("chr1", 6))
        for start in rng.integers(0, SIZES[chrom], count).tolist()
    ]

    def marks(peak, start):
        if len(peak) < length:
            return start <= (peak.start + peak.end) // 2 < start + length
        return 2 * (min(peak.end, start + length) - max(peak.start, start)) >= length

    expected = [
        (chrom, start)
        for chrom, size in SIZES.items()
        for start in range(0, size - length + 1, stride)
        if any(peak.chrom == chrom and marks(peak, start) for peak in peaks)
    ]
    assert places(tile_peaks(peaks, SIZES, length=length, stride=stride)) == expected


def sites_at(*starts, length=50):
    return Sites(SIZES, length, chrom=np.zeros(len(starts), dtype=np.int64), start=np.array(starts, dtype=np.int64))


def test_flanks_lie_edge_to_edge_with_their_site_and_touch_none():
    assert places(flanking_sites(sites_at(0, 120), 2)) == [("chr1", start) for start in (50, 70, 170, 220)]


def test_flanks_of_tiles_are_the_next_strides_that_are_no_tile_themselves():
    assert places(flanking_sites(sites_at(100, 110), 2, stride=10)) == [("chr1", start) for start in (80, 90, 120, 130)]


def test_regions_that_touch_a_site_are_no_negatives():
    regions = [Interval("chr1", 140, 160), Interval("chr1", 300, 400), Interval("chr2", 100, 101)]
    assert places(sites_in(regions, sites_at(100))) == [("chr1", 325), ("chr2", 75)]


def codes(share=0.5, seed=0):
    rng = np.random.default_rng(seed)
    return rng.choice(4, size=sum(SIZES.values()), p=[(1 - share) / 2, share / 2, share / 2, (1 - share) / 2])


def test_random_sites_touch_no_other_and_hold_no_n():
    sequence = codes()
    sequence[500:1000] = 4
    taken = sites_at(100, 300)
    drawn = random_sites(taken, 5, sequence, np.random.default_rng(0))
    spans = places(drawn)
    assert len(spans) == 5
    on_chr1 = sorted([100, 300, *(start for chrom, start in spans if chrom == "chr1")])
    assert all(np.diff(on_chr1) >= 50)
    assert max(on_chr1) <= 450
    assert {chrom for chrom, _ in spans} == {"chr1", "chr2"}


def test_random_sites_that_are_drawn_in_several_rounds_touch_each_other_as_little(monkeypatch):
    monkeypatch.setattr(negative_sites, "_DRAWS", 3)
    taken = sites_at(100, 300)
    spans = places(random_sites(taken, 7, codes(), np.random.default_rng(0)))
    assert len(spans) == 7
    on_chr1 = sorted([100, 300, *(start for chrom, start in spans if chrom == "chr1")])
    assert all(np.diff(on_chr1) >= 50)
    with pytest.raises(InputError, match="sites are asked for"):
        random_sites(taken, 30, codes(), np.random.default_rng(0))


def test_random_sites_of_a_rare_class_are_drawn_until_they_are_found():
    sizes, rich = {"chr1": 1_000_000}, np.arange(1000, 1_000_000, 100_000)
    sequence = np.zeros(1_000_000, dtype=np.uint8)
    sequence[rich[:, None] + np.arange(20)] = 1
    one = Sites(sizes, 20, chrom=np.zeros(1, dtype=np.int64), start=rich[:1])
    drawn = random_sites(
        one, 4, sequence, np.random.default_rng(0), like=one, measures=[partial(gc_of_sites, sequence)]
    )
    assert len(drawn) == 4
    assert all(gc_of_sites(sequence, drawn) >= 0.95)


def test_random_sites_are_none_that_a_wide_peak_covers_half_of():
    wide = [Interval("chr1", 0, 800)]
    drawn = random_sites(sites_at(380), 4, codes(), np.random.default_rng(0), peaks=wide)
    assert len(drawn) == 4
    assert all(chrom == "chr2" or start > 775 for chrom, start in places(drawn))


def test_random_sites_of_matched_gc_have_the_contents_of_the_sites_they_are_matched_to():
    rich, poor = codes(0.9), codes(0.1)
    sequence = np.where(np.arange(1300) // 100 % 2, rich, poor)
    matched = Sites(SIZES, 20, chrom=np.zeros(4, dtype=np.int64), start=np.array([110, 140, 310, 340]))
    gc = partial(gc_of_sites, sequence)
    drawn = random_sites(matched, 8, sequence, np.random.default_rng(1), like=matched, measures=[gc])
    steps = [np.minimum(gc(each) * 20, 19).astype(int) for each in (drawn, matched)]
    assert sorted(steps[0].tolist()) == sorted(np.repeat(steps[1], 2).tolist())


def test_random_sites_match_all_measures_together():
    """Those of the source are high in both or low in both; matched one by one, some would be mixed."""
    matched = sites_at(0, 40, 700, 740, length=20)
    measures = [lambda sites: 1.0 * (sites.start >= 500), lambda sites: 1.0 * (sites.start // 100 % 2)]
    drawn = random_sites(matched, 6, codes(), np.random.default_rng(0), like=matched, measures=measures)
    found = [*zip(*(measure(drawn).tolist() for measure in measures), strict=True)]
    assert sorted(found) == [(0, 0)] * 3 + [(1, 1)] * 3


def test_random_sites_are_not_drawn_where_a_measure_is_not_known():
    taken = sites_at(100)
    measures = [lambda sites: np.where(sites.chrom == 0, 0.5, np.nan)]
    drawn = random_sites(taken, 5, codes(), np.random.default_rng(0), like=taken, measures=measures)
    assert {chrom for chrom, _ in places(drawn)} == {"chr1"}


def test_more_random_sites_than_there_is_room_for_are_refused():
    with pytest.raises(InputError, match=r"negatives\.random: 100 sites are asked for; of 50 bp, .* were found among"):
        random_sites(sites_at(100), 100, codes(), np.random.default_rng(0))


def test_gc_content_is_missing_where_there_is_n():
    np.testing.assert_array_equal(gc_content(np.array([1, 2, 0, 3, 4, 1]), np.array([0, 2, 4]), 2), [1, 0, np.nan])


def test_the_gc_content_of_a_site_is_of_its_bases_or_of_more_about_its_middle():
    sites = Sites({"a": 8, "b": 6}, 2, chrom=np.array([0, 0, 1]), start=np.array([1, 3, 2]))
    sequence = np.array([1, 0, 1, 1, 2, 0, 0, 0, 1, 0, 2, 2, 0, 3])
    np.testing.assert_array_equal(gc_of_sites(sequence, sites), [0.5, 1, 1])
    np.testing.assert_array_equal(gc_of_sites(sequence, sites, length=4), [0.75, 0.75, 0.5])


def test_the_gc_content_of_more_than_the_chromosome_holds_about_a_site_is_missing():
    sites = Sites({"a": 8, "b": 6}, 2, chrom=np.array([0, 0, 1, 1]), start=np.array([0, 6, 0, 4]))
    assert np.isnan(gc_of_sites(np.ones(14, dtype=int), sites, length=4)).all()
