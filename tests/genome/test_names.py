"""Names of one chromosome in different files are found to be the same, and only those."""

from __future__ import annotations

import logging

import pytest

from genograph.errors import InputError
from genograph.genome.names import match_names, read_aliases

ROMAN = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "Mito"]
HUMAN = [*map(str, range(1, 23)), "X", "Y", "MT"]


def match(wanted, found, aliases=None, **options):
    return match_names(wanted, found, aliases=aliases or {}, source="file", **options)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("1", "chr1"),
        ("chr1", "1"),
        ("chr1", "Chr01"),
        ("X", "chrX"),
        ("MT", "chrM"),
        ("chrM", "Mito"),
        ("Mito", "mitochondrion"),
        ("NC_000913.3", "NC_000913"),
        ("NC_000913", "NC_000913.3"),
        ("NC_000913.3", "ref|NC_000913.3|"),
        ("NC_001133", "ref|NC_001133|"),
    ],
)
def test_one_chromosome_spelled_in_two_ways_matches(wanted, found):
    assert match([wanted], [found]) == {wanted: found}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [("1", "11"), ("X", "10"), ("chr1", "chr1_random"), ("I", "1"), ("NC_000913.2", "NC_000913.3")],
)
def test_different_chromosomes_do_not_match(wanted, found):
    with pytest.raises(InputError, match="no chromosome of the genome"):
        match([wanted], [found])


def test_the_same_name_goes_before_another_spelling():
    assert match(["chrM"], ["MT", "chrM"]) == {"chrM": "chrM"}


def test_roman_numerals_are_read_where_the_names_show_them():
    found = [*(f"chr{number}" for number in range(1, 11)), "chrM"]
    assert match(ROMAN, found) == dict(zip(ROMAN, found, strict=True))
    assert match(found, ["II", "IV", "IX"]) == {"chr2": "II", "chr4": "IV", "chr9": "IX"}
    assert match(ROMAN, ["chrX"]) == {"X": "chrX"}


def test_human_x_is_never_ten():
    found = [f"chr{name}" for name in HUMAN[:-1]]
    assert match(HUMAN, found) == dict(zip(HUMAN[:-1], found, strict=True))
    with pytest.raises(InputError, match="no chromosome"):
        match(["X"], ["chr10"])


def test_x_of_the_worm_is_a_letter():
    worm = ["I", "II", "III", "IV", "V", "X"]
    assert match(worm, ["chr1", "chrX", "chr10"]) == {"I": "chr1", "X": "chrX"}


def test_a_file_may_have_some_of_the_chromosomes_and_others_besides():
    assert match(["1", "2", "3"], ["chrUn", "chr2"]) == {"2": "chr2"}


def test_names_come_in_the_order_of_the_genome():
    assert list(match(["3", "1", "2"], ["chr1", "2", "chr3"])) == ["3", "1", "2"]


def test_aliases_work_in_both_directions_and_between_aliases():
    aliases = {"U00096": "ecoli", "Chromosome": "ecoli"}
    assert match(["ecoli"], ["U00096"], aliases) == {"ecoli": "U00096"}
    assert match(["U00096"], ["ecoli"], aliases) == {"U00096": "ecoli"}
    assert match(["U00096"], ["Chromosome"], aliases) == {"U00096": "Chromosome"}


def test_two_names_for_one_chromosome_are_an_error_that_shows_both():
    with pytest.raises(InputError, match="MT and chrM in the file could be Mito"):
        match(["Mito"], ["chrM", "MT"])


def test_an_alias_settles_which_of_two_names_is_meant():
    assert match(["Mito"], ["chrM", "MT"], {"chrM": "Mito"}) == {"Mito": "chrM"}


def test_no_match_shows_both_lists_shortened():
    with pytest.raises(InputError, match=r"has 0, 1, 2, 3, 4, 5, 6, 7 and 12 more; the file has a, b\."):
        match([str(number) for number in range(20)], ["a", "b"])


def test_another_size_is_another_assembly():
    options = {"sizes": {"1": 1000}, "found_sizes": {"chr1": 1010}}
    with pytest.raises(InputError, match=r"wrong assembly. chr1 has 1,010 bp .* 1 has 1,000 bp"):
        match(["1"], ["chr1"], **options, tolerance=9)
    assert match(["1"], ["chr1"], **options, tolerance=10) == {"1": "chr1"}


def test_translation_is_logged_once_with_an_example(caplog):
    caplog.set_level(logging.WARNING, logger="genograph")
    match(["1", "2"], ["chr1", "chr2"])
    assert [record.message for record in caplog.records] == [
        "file: chromosome names translated, e.g. the file's 'chr1' is the genome's '1'."
    ]
    caplog.clear()
    match(["1", "2"], ["1", "2"])
    assert not caplog.records


def test_chromosomes_that_a_whole_genome_lacks_are_logged_once(caplog):
    caplog.set_level(logging.WARNING, logger="genograph")
    match(["1", "2"], ["1", "2", "3", "4", "5", "Un"], whole_genome=True)
    assert [record.message for record in caplog.records] == [
        "file: the genome does not have 4 of the 6 chromosomes in this file, which are left out: 3, 4, 5 and 1 more. "
        "If they belong to it, the FASTA file may be cut short."
    ]
    caplog.clear()
    match(["1", "2"], ["2"], whole_genome=True)
    match(["1", "2"], ["1", "2", "3"])
    assert not caplog.records


def test_an_alias_table_is_read_without_its_comments(tmp_path):
    path = tmp_path / "aliases.tsv"
    path.write_text("# RefSeq\nNC_1\tI\n\nNC_2\tII\n")
    assert read_aliases(path) == {"NC_1": "I", "NC_2": "II"}


def test_an_alias_for_two_names_is_an_error(tmp_path):
    path = tmp_path / "aliases.tsv"
    path.write_text("NC_1\tI\nNC_1\tII\n")
    with pytest.raises(InputError, match="line 2: 'NC_1' already stands for 'I'"):
        read_aliases(path)
