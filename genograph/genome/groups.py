"""Regions that belong into one split, such as homologous ones of two genomes, or copies within one.

A group is held out as far as any of its regions is, in whatever genome: what of it lies in an earlier split, of train,
valid and test, leaves that. So nothing trains that is homologous to what chooses or judges, and nothing chooses that is
homologous to what judges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from genograph.errors import InputError, nearest
from genograph.genome.assembly import absent_chroms
from genograph.genome.bed import read_rows
from genograph.genome.bins import Bins
from genograph.genome.interval import Interval, parse_region
from genograph.genome.splits import NONE, SPLITS, TEST, TRAIN, VALID

HeldOut = Mapping[str, Sequence[str]]  # valid, test -> regions


class Member(NamedTuple):
    """A region of a group; `genome` is None where a file does not say it, or it is not asked for."""

    place: Interval
    group: str
    genome: str | None
    line: int  # of the file


@dataclass(frozen=True)
class Groups:
    """Groups of regions as one genome meets them.

    Attributes:
        members: All regions of all genomes.
        genome: Whose bins are to be split.
        touched: (members,) TRAIN, VALID or TEST, the last of these that a region touches in its genome.
        held: (members,) the last that any region of its group touches.
    """

    members: list[Member]
    genome: str | None
    touched: np.ndarray
    held: np.ndarray

    @classmethod
    def read(
        cls,
        path: str | Path,
        sizes: Mapping[str, int],
        *,
        genome: str | None,
        held_out: Mapping[str | None, HeldOut],
        part_of: Path | None = None,
    ) -> Groups:
        """Those of a BED file: chrom, start, end, group and, if several genomes are split together, genome.

        Args:
            path: The file; chromosomes are named as in the FASTA files and in the splits of their genomes.
            sizes: Chromosome sizes in bp of the genome.
            genome: Its name in the file; None: all regions are of this genome, and a fifth column is not read.
            held_out: Regions of valid and test, by genome.
            part_of: FASTA or `chrom.sizes` file of the genome if `sizes` are some of its chromosomes; regions on the
                others are left out. None: `sizes` are all.

        Raises:
            InputError: If a line has no group, or names an unknown genome or chromosome, no region is of the genome,
                or one lies beyond its chromosome.
        """
        members = _read_members(path, held_out if genome is not None else None)
        own = [member for member in members if member.genome == genome]
        _check_chroms(path, own, sizes, part_of)
        if not any(member.place.chrom in sizes for member in own):
            of = "this genome" if genome is None else f"this genome, {genome}"
            raise InputError(f"splits.groups: {path}: no region is on the chromosomes in use of {of}.")
        for place in (member.place for member in own):
            if place.start >= sizes.get(place.chrom, place.end):
                raise InputError(
                    f"splits.groups: {path}: {place} lies beyond the end of {place.chrom}, {sizes[place.chrom]:,} bp. "
                    "Is it of another assembly?"
                )
        touched = _touched(members, held_out)
        last: dict[str, int] = {}
        for member, code in zip(members, touched.tolist(), strict=True):
            last[member.group] = max(code, last.get(member.group, TRAIN))
        return cls(members, genome, touched, np.array([last[member.group] for member in members]))

    def apart(self, split: np.ndarray, bins: Bins) -> np.ndarray:
        """The split of every bin, (bins,), with NONE for what touches a region whose group a later split holds.

        Raises:
            InputError: If a split that had bins has none left.
        """
        kept = split.copy()
        for member, code in zip(self.members, self.held.tolist(), strict=True):
            if code > TRAIN and self._is_own(member, bins):
                part = kept[bins.touching(member.place)]  # a view
                part[part < code] = NONE
        for name, code in SPLITS.items():
            if (split == code).any() and not (kept == code).any():
                raise InputError(
                    f"splits.groups: all bins of the {name} split are of groups that a later split holds out. "
                    "Choose other regions, or set splits.resolve_groups=false."
                )
        return kept

    def pairs_across(self, split: np.ndarray, bins: Bins, *, resolved: bool) -> dict[tuple[int, int], int]:
        """How many pairs of regions of one group lie in each two splits, counted at the last that a region is in.

        Args:
            split: (bins,) of this genome.
            bins: Its bins.
            resolved: Whether the other genomes are taken `apart`, too.
        """
        counts: dict[str, np.ndarray] = {}
        for member, touched, held in zip(self.members, self.touched.tolist(), self.held.tolist(), strict=True):
            if member.genome == self.genome:
                own = split[bins.touching(member.place)] if self._is_own(member, bins) else []
                code = max(own, default=NONE)
            else:
                code = NONE if resolved and touched < held else touched
            if code != NONE:
                counts.setdefault(member.group, np.zeros(len(SPLITS), dtype=int))[code] += 1
        total = np.array(list(counts.values())).reshape(-1, len(SPLITS))
        pairs = ((TRAIN, VALID), (TRAIN, TEST), (VALID, TEST))
        return {(one, other): int((total[:, one] * total[:, other]).sum()) for one, other in pairs}

    def _is_own(self, member: Member, bins: Bins) -> bool:
        return member.genome == self.genome and member.place.chrom in bins.sizes


def _check_chroms(path: str | Path, own: Sequence[Member], sizes: Mapping[str, int], part_of: Path | None) -> None:
    """Raise an `InputError` for a chromosome that the genome has not; none if the file that could tell is gone."""
    unknown = {member.place.chrom for member in own} - sizes.keys()
    if unknown and part_of is not None:
        unknown = absent_chroms(part_of, unknown) if part_of.exists() else set()
    for member in own:
        if member.place.chrom in unknown:
            of = "this genome" if member.genome is None else f"this genome, {member.genome}"
            raise InputError(
                f"splits.groups: {path}, line {member.line}: no chromosome '{member.place.chrom}' in {of}. "
                f"Name it as the FASTA does.{nearest(member.place.chrom, sizes)}"
            )


def _read_members(path: str | Path, genomes: Mapping[str | None, HeldOut] | None) -> list[Member]:
    """The regions of a file; `genomes` are those that its fifth column may name, None: it is not read."""
    needed, members = 4 if genomes is None else 5, []
    for number, columns, place in read_rows(path):
        if len(columns) < needed:
            wanted = "chrom, start, end, group" + (" and genome" if genomes is not None else "")
            raise InputError(f"splits.groups: {path}, line {number}: expected {wanted}; got {len(columns)} columns.")
        genome = None if genomes is None else columns[4]
        if genomes is not None and genome not in genomes:
            near = nearest(genome, [str(name) for name in genomes])
            raise InputError(f"splits.groups: {path}, line {number}: no genome '{genome}' in the config.{near}")
        members.append(Member(place, columns[3], genome, number))
    return members


def _touched(members: Sequence[Member], held_out: Mapping[str | None, HeldOut]) -> np.ndarray:
    """The last split of TRAIN, VALID and TEST that each region touches in its genome: (members,)."""
    touched = np.full(len(members), TRAIN)
    for genome, splits in held_out.items():
        own = [number for number, member in enumerate(members) if member.genome == genome]
        ends: dict[str, int] = {}
        for number in own:
            place = members[number].place
            ends[place.chrom] = max(place.end, ends.get(place.chrom, 0))
        for code, name in ((VALID, "valid"), (TEST, "test")):
            regions = [region for text in splits.get(name, ()) if (region := _region(text, ends))]
            for number in own:
                if any(members[number].place.overlaps(region) for region in regions):
                    touched[number] = code
    return touched


def _region(text: str, ends: Mapping[str, int]) -> Interval | None:
    """A region of splits, on chromosomes of which only the last base of interest is known; None on another one."""
    text = text.strip()
    chrom = text if text in ends else text.rpartition(":")[0]
    return parse_region(text, {chrom: 2**62 if chrom != text else ends[chrom]}) if chrom in ends else None
