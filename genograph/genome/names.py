"""Chromosome names: `I`, `chrI`, `chr1` and `ref|NC_001133|` may all mean the same chromosome."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from genograph.errors import InputError
from genograph.genome.lines import read_lines

_LOGGER = logging.getLogger("genograph")
_NCBI = re.compile(r"(?:^|\|)(?:ref|gb|emb|dbj)\|([^|]+)\|?")
_ACCESSION = re.compile(r"^([A-Z]{1,6}_?\d{5,})\.(\d+)$")
_MITOCHONDRION = frozenset({"m", "mt", "mito", "mitochondrion", "mitochondria"})
_ONES = ["", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX"]
ROMAN = {"X" * tens + ones: 10 * tens + value for tens in range(4) for value, ones in enumerate(_ONES)}
del ROMAN[""]


def read_aliases(path: str | Path) -> dict[str, str]:
    """Alias table of chromosome names: alias -> name in the genome.

    The file has two tab-separated columns, alias and name; `#` starts a comment.

    Raises:
        InputError: If a line has not two columns, or an alias stands for two names.
    """
    aliases: dict[str, str] = {}
    for number, line in read_lines(path):
        columns = [column.strip() for column in line.split("\t")]
        if len(columns) != 2 or not all(columns):
            raise InputError(f"{path}, line {number}: expected alias and name, separated by a tab; got '{line}'.")
        alias, name = columns
        if aliases.setdefault(alias, name) != name:
            raise InputError(f"{path}, line {number}: '{alias}' already stands for '{aliases[alias]}'.")
    return aliases


def match_names(
    wanted: Collection[str],
    found: Collection[str],
    *,
    aliases: Mapping[str, str],
    source: str,
    sizes: Mapping[str, int] | None = None,
    found_sizes: Mapping[str, int] | None = None,
    tolerance: int = 0,
    whole_genome: bool = False,
) -> dict[str, str]:
    """The name in a file of each chromosome of the genome that the file has, in the genome's order.

    The same name is taken first, then one that `aliases` gives for the same chromosome, then one that
    differs only in how it is spelled: `chr1` and `1`, `chrM` and `MT` or `Mito`, `NC_000913.3` and
    `NC_000913` or `ref|NC_000913.3|`, and `IV` and `4` where the names show Roman numerals (a human
    `X` is never read as 10). A translation is logged as one warning, and so are the chromosomes of the file
    that a whole genome does not have: those of a few contigs, or of a FASTA file that is cut short.

    Args:
        wanted: Names in the genome.
        found: Names in the file.
        aliases: Further names of chromosomes, alias -> name.
        source: What the file is called in messages.
        sizes: Chromosome sizes in bp, by the genome's names.
        found_sizes: Chromosome sizes in bp, by the file's names.
        tolerance: Difference in bp that two sizes of one chromosome may have.
        whole_genome: Whether `wanted` is all that the FASTA file has, so that other names in the file are news.

    Raises:
        InputError: If no chromosome matches, two names match one chromosome, or sizes differ.
    """
    in_file = set(found)
    names = {name: name for name in wanted if name in in_file}
    roman = _roman_numerals(wanted, found)
    rules = [lambda name: aliases.get(name, name), lambda name: _normal(aliases.get(name, name), roman)]
    for rule in rules:
        _match_by(rule, wanted, found, names, source)
    if not names:
        raise InputError(
            f"{source}: no chromosome of the genome is in this file. The genome has {shorten(wanted)}; "
            f"the file has {shorten(found)}. If both are one assembly, give their names in an alias table."
        )
    names = {name: names[name] for name in wanted if name in names}
    if sizes is not None and found_sizes is not None:
        _check_sizes(names, sizes, found_sizes, tolerance, source)
    translated = [name for name in names if names[name] != name]
    if translated:
        example = translated[0]
        _LOGGER.warning(
            f"{source}: chromosome names translated, e.g. the file's '{names[example]}' is the genome's '{example}'."
        )
    foreign = sorted(set(found) - set(names.values())) if whole_genome else []
    if foreign:
        _LOGGER.warning(
            f"{source}: the genome does not have {len(foreign)} of the {len(found)} chromosomes in this file, which "
            f"are left out: {shorten(foreign, 3)}. If they belong to it, the FASTA file may be cut short."
        )
    return names


def shorten(names: Iterable[str], shown: int = 8) -> str:
    """The first few names and how many more there are."""
    names = list(names)
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return (", ".join(names[:shown]) or "none") + more


def _match_by(
    rule: Callable[[str], str],
    wanted: Iterable[str],
    found: Iterable[str],
    names: dict[str, str],
    source: str,
) -> None:
    """Add to `names` the pairs that `rule` spells alike, among the names that are still free."""
    ours = _grouped(rule, (name for name in wanted if name not in names))
    theirs = _grouped(rule, set(found) - set(names.values()))
    for form in ours.keys() & theirs.keys():
        if len(ours[form]) > 1 or len(theirs[form]) > 1:
            raise InputError(
                f"{source}: {' and '.join(sorted(theirs[form]))} in the file could be "
                f"{' and '.join(ours[form])} in the genome. Say which is which in an alias table."
            )
        if _same_version(ours[form][0], theirs[form][0]):
            names[ours[form][0]] = theirs[form][0]


def _grouped(rule: Callable[[str], str], names: Iterable[str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(rule(name), []).append(name)
    return groups


def _roman_numerals(wanted: Iterable[str], found: Iterable[str]) -> dict[str, int]:
    """The numerals to read as numbers: none unless the names hold II, III or IV.

    The X of *C. elegans* (I to V and X) is a letter, so X counts only among numerals from VI on.
    """
    bare = {_bare(name) for name in [*wanted, *found]}
    if not bare & {"II", "III", "IV"}:
        return {}
    has_ten = any(ROMAN.get(name, 0) > 5 and name != "X" for name in bare)
    return {numeral: value for numeral, value in ROMAN.items() if has_ten or numeral != "X"}


def _bare(name: str) -> str:
    """A name without NCBI's bars and without `chr`."""
    accession = _NCBI.search(name)
    name = accession[1] if accession else name
    return re.sub(r"^(chromosome|chr)_?(?=.)", "", name, flags=re.IGNORECASE)


def _normal(name: str, roman: Mapping[str, int]) -> str:
    """One spelling for all spellings of a chromosome's name."""
    name = _bare(name)
    if name.lower() in _MITOCHONDRION:
        return "M"
    if name in roman:
        return str(roman[name])
    if name.isdecimal():
        return str(int(name))
    accession = _ACCESSION.match(name)
    return accession[1] if accession else name


def _same_version(name: str, other: str) -> bool:
    """False for two versions of one accession: NC_000913.2 is not NC_000913.3."""
    first, second = _ACCESSION.match(_bare(name)), _ACCESSION.match(_bare(other))
    if first is None or second is None:
        return True
    return first[1] != second[1] or first[2] == second[2]


def _check_sizes(
    names: Mapping[str, str], sizes: Mapping[str, int], found_sizes: Mapping[str, int], tolerance: int, source: str
) -> None:
    for name, other in names.items():
        if abs(int(sizes[name]) - int(found_sizes[other])) > tolerance:
            raise InputError(
                f"{source}: wrong assembly. {other} has {int(found_sizes[other]):,} bp in this file, "
                f"but {name} has {int(sizes[name]):,} bp in the genome. Use files of one assembly."
            )
