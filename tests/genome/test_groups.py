"""Regions of one group never lie in two splits, in whatever genome they are."""

from __future__ import annotations

import pytest

from genograph.errors import InputError
from genograph.genome.bins import Bins
from genograph.genome.groups import Groups
from genograph.genome.splits import NONE, TEST, TRAIN, VALID, assign_splits

BINS = Bins({"a": 100, "b": 50, "c": 30}, 10)
HELD_OUT = {"valid": ["b"], "test": ["c"]}
SPLIT = assign_splits(BINS, train=None, **HELD_OUT)
B, C = slice(10, 15), slice(15, 18)


def read(tmp_path, text, *, genome=None, elsewhere=(), sizes=BINS.sizes, part_of=None):
    (tmp_path / "groups.bed").write_text(text)
    held_out = {genome: HELD_OUT, **dict(elsewhere)}
    return Groups.read(tmp_path / "groups.bed", sizes, genome=genome, held_out=held_out, part_of=part_of)


def test_a_copy_of_a_test_region_leaves_training_with_every_bin_that_it_touches(tmp_path):
    groups = read(tmp_path, "a\t15\t30\tg1\nc\t0\t5\tg1\n")
    split = groups.apart(SPLIT, BINS)
    assert split[:10].tolist() == [TRAIN, NONE, NONE] + [TRAIN] * 7
    assert split[B].tolist() == [VALID] * 5
    assert split[C].tolist() == [TEST] * 3
    assert SPLIT[1] == TRAIN  # what was given is not written to


def test_a_validation_region_with_a_copy_in_test_chooses_nothing(tmp_path):
    groups = read(tmp_path, "b\t0\t10\tg1\nc\t0\t5\tg1\n")
    assert groups.apart(SPLIT, BINS)[B].tolist() == [NONE] + [VALID] * 4


def test_a_group_that_trains_alone_stays(tmp_path):
    assert (read(tmp_path, "a\t0\t10\tg1\na\t20\t30\tg1\n").apart(SPLIT, BINS) == SPLIT).all()


def test_groups_do_not_reach_through_a_region_that_two_of_them_share(tmp_path):
    groups = read(tmp_path, "c\t0\t5\tg1\na\t0\t10\tg1\na\t0\t10\tg2\na\t20\t30\tg2\n")
    assert groups.apart(SPLIT, BINS)[:3].tolist() == [NONE, TRAIN, TRAIN]


def test_what_another_genome_tests_on_leaves_training_here(tmp_path):
    text = "a\t0\t10\tg1\thuman\nx\t500\t600\tg1\tmouse\na\t20\t30\tg2\thuman\nx\t700\t800\tg2\tmouse\n"
    groups = read(tmp_path, text, genome="human", elsewhere={"mouse": {"valid": ["y"], "test": ["x:550-560"]}})
    assert groups.apart(SPLIT, BINS)[:3].tolist() == [NONE, TRAIN, TRAIN]


def test_a_chromosome_of_the_same_name_in_another_genome_is_another_one(tmp_path):
    text = "a\t0\t10\tg1\thuman\nc\t0\t10\tg1\tmouse\n"  # c is tested on in human alone
    groups = read(tmp_path, text, genome="human", elsewhere={"mouse": {"valid": ["y"], "test": ["x"]}})
    assert (groups.apart(SPLIT, BINS) == SPLIT).all()


def test_pairs_are_counted_by_the_splits_they_lie_in(tmp_path):
    groups = read(tmp_path, "a\t0\t10\tg1\na\t20\t30\tg1\nb\t0\t10\tg1\nc\t0\t10\tg1\nc\t20\t30\tg2\nb\t0\t10\tg3\n")
    pairs = groups.pairs_across(SPLIT, BINS, resolved=False)
    assert pairs == {(TRAIN, VALID): 2, (TRAIN, TEST): 2, (VALID, TEST): 1}
    assert not any(groups.pairs_across(groups.apart(SPLIT, BINS), BINS, resolved=True).values())


def test_a_pair_with_another_genome_counts_until_both_are_resolved(tmp_path):
    text = "c\t0\t10\tg1\thuman\nx\t500\t600\tg1\tmouse\n"  # tested on here, trained on there
    groups = read(tmp_path, text, genome="human", elsewhere={"mouse": {"valid": ["y"], "test": ["z"]}})
    assert groups.pairs_across(SPLIT, BINS, resolved=False)[TRAIN, TEST] == 1
    assert groups.pairs_across(SPLIT, BINS, resolved=True)[TRAIN, TEST] == 0


def test_a_split_that_groups_leave_empty_is_an_error(tmp_path):
    with pytest.raises(InputError, match="all bins of the valid split"):
        read(tmp_path, "b\t0\t50\tg1\nc\t0\t5\tg1\n").apart(SPLIT, BINS)


def test_a_line_without_a_group_is_an_error_that_names_it(tmp_path):
    with pytest.raises(InputError, match="line 2: expected chrom, start, end, group; got 3 columns"):
        read(tmp_path, "a\t0\t10\tg1\nc\t0\t5\n")


def test_a_genome_that_the_config_does_not_have_is_an_error_with_the_nearest(tmp_path):
    with pytest.raises(InputError, match=r"no genome 'mose' in the config\. Did you mean 'mouse'"):
        read(tmp_path, "a\t0\t10\tg1\tmose\n", genome="human", elsewhere={"mouse": {}})


def test_an_unknown_chromosome_is_an_error_that_names_its_line(tmp_path):
    with pytest.raises(InputError, match=r"groups.bed, line 2: no chromosome 'chra' in this genome\. Name it as"):
        read(tmp_path, "c\t0\t5\tg1\nchra\t0\t10\tg1\n")


@pytest.mark.parametrize("text", [">a\nAC\n>z\nAC\n>b\nAC\n", "a\t2\nz\t2\nb\t2\n"])
def test_of_a_part_of_a_genome_only_what_the_rest_has_is_left_out(tmp_path, text):
    part_of = tmp_path / "genome"
    part_of.write_text(text)
    groups = read(tmp_path, "z\t0\t10\tg1\nc\t0\t5\tg1\n", part_of=part_of)
    assert (groups.apart(SPLIT, BINS) == SPLIT).all()
    misspelled = "z\t0\t10\tg1\nc\t0\t5\tg1\nchrz\t0\t10\tg1\n"
    with pytest.raises(InputError, match="line 3: no chromosome 'chrz' in this genome"):
        read(tmp_path, misspelled, part_of=part_of)
    part_of.unlink()  # beside a store that was moved, say
    assert (read(tmp_path, misspelled, part_of=part_of).apart(SPLIT, BINS) == SPLIT).all()


def test_a_region_beyond_its_chromosome_is_of_another_assembly(tmp_path):
    with pytest.raises(InputError, match="lies beyond the end of a, 100 bp"):
        read(tmp_path, "a\t100\t110\tg1\nc\t0\t5\tg1\n")


def test_spaces_around_a_held_out_region_do_not_matter(tmp_path):
    (tmp_path / "groups.bed").write_text("a\t0\t10\tg1\nc\t0\t5\tg1\n")
    held_out = {None: {"valid": ["b"], "test": [" c"]}}
    groups = Groups.read(tmp_path / "groups.bed", BINS.sizes, genome=None, held_out=held_out)
    assert groups.apart(SPLIT, BINS)[0] == NONE


def test_a_file_without_a_region_of_the_genome_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no region is on the chromosomes in use of this genome, human"):
        read(tmp_path, "a\t0\t10\tg1\tmouse\n", genome="human", elsewhere={"mouse": {}})
