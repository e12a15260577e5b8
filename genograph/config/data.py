"""The sections of a config that say what the data are: genome, tracks, contacts, bins or sites, splits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from genograph.errors import InputError
from genograph.sections import Section

SiteKind = Literal["source", "flanking", "accessible", "random"]


def _from_folder(path: Path, info: ValidationInfo) -> Path:
    return (info.context or {}).get("folder", Path()).joinpath(path.expanduser()).resolve()


def _uri_from_folder(uri: str, info: ValidationInfo) -> str:
    path, separator, group = uri.partition("::")
    return f"{_from_folder(Path(path), info)}{separator}{group}"


FilePath = Annotated[Path, AfterValidator(_from_folder)]
MapURI = Annotated[str, AfterValidator(_uri_from_folder)]  # map.cool, or map.mcool or map.hic::/resolutions/N


class GenomeConfig(Section):
    fasta: FilePath | None = None  # None: no sequence is known, and chrom_sizes say what chromosomes there are
    chrom_sizes: FilePath | None = None  # checked against the FASTA
    blacklist: FilePath | None = None  # BED; its bins leave loss and metrics
    aliases: FilePath | None = None  # TSV: alias, name
    chroms: list[str] | None = Field(None, min_length=1)  # None: all of the FASTA
    circular: list[str] = Field([])

    @model_validator(mode="after")
    def _chromosomes_are_known(self) -> GenomeConfig:
        if self.fasta is None and self.chrom_sizes is None:
            raise InputError("fasta is not given. A model that reads no sequence needs chrom_sizes in its place.")
        return self


class TracksConfig(Section):
    targets: FilePath  # Basenji's targets table
    folder: FilePath | None = None  # what the table's files are relative to; None: the table's own folder
    use: list[str] | None = Field(None, min_length=1)  # identifiers of those that a model has; None: all
    genes: FilePath | None = None  # GFF3, GTF, BED or TSV; for expression tables and gene-level accuracy
    paint: Literal["gene", "tss"] = "gene"


class TfrecordsConfig(Section):
    folder: FilePath  # of Basenji or Baskerville: statistics.json, sequences.bed, targets.txt, tfrecords/
    targets: FilePath | None = None  # a table with some of its rows; None: the folder's
    train: list[str] | None = Field(None, min_length=1)  # splits or folds of sequences.bed; None: all others
    valid: list[str] = Field(["valid"], min_length=1)
    test: list[str] = Field(["test"], min_length=1)


class ContactsConfig(Section):
    file: MapURI | list[MapURI]  # a list is merged and balanced anew
    balance: str | None = "weight"  # the file's weights; None: raw counts
    max_distance: int | None = Field(None, gt=0)  # bp
    trans: bool = False
    mask: bool = True  # bins that the map masks leave loss and metrics

    @model_validator(mode="after")
    def _names_a_file(self) -> ContactsConfig:
        if not self.file:
            raise InputError("file names no contact map. Name one or several, or leave out the section contacts.")
        return self

    @property
    def groups(self) -> str | list[str]:
        """What stands behind the path of each file, such as `/resolutions/5000`; a list if the files are one."""
        uris = [self.file] if isinstance(self.file, str) else self.file
        groups = [uri.partition("::")[2] for uri in uris]
        return groups[0] if isinstance(self.file, str) else groups

    @property
    def paths(self) -> dict[str, Path]:
        """Every file, by the key that names it."""
        if isinstance(self.file, str):
            return {"contacts.file": Path(self.file.partition("::")[0])}
        return {f"contacts.file[{i}]": Path(uri.partition("::")[0]) for i, uri in enumerate(self.file)}


class BinsConfig(Section):
    bin_size: int = Field(128, gt=0)  # bp; tracks are read and predicted here
    node_size: int | None = Field(None, gt=0)  # bp; contacts live here. None: bin_size
    nodes: FilePath | None = None  # BED or genes: nodes of unequal length, in place of those of node_size

    @model_validator(mode="after")
    def _node_holds_bins(self) -> BinsConfig:
        if self.node_size is not None and self.node_size < self.bin_size:
            raise InputError(
                f"node_size {self.node_size} is smaller than bin_size {self.bin_size}; a node is a group of bins."
            )
        if self.node_size is not None and self.nodes is not None:
            raise InputError("nodes have the lengths of their file; leave out node_size, or nodes.")
        return self


class SplitsConfig(Section):
    train: list[str] | None = None  # regions; None: all that is neither valid nor test, less the gap
    valid: list[str]
    test: list[str]
    gap: int = Field(0, ge=0)  # bp left out around valid and test
    groups: FilePath | None = None  # BED of regions that belong into one split: chrom, start, end, group, genome
    resolve_groups: bool = True  # what of a group lies before the last split that it touches leaves its split
    genome: str | None = None  # which rows of groups are of this genome; None: all
    elsewhere: dict[str, dict[Literal["valid", "test"], list[str]]] = Field({})  # held out in the others of groups

    @model_validator(mode="after")
    def _other_genomes_need_a_name(self) -> SplitsConfig:
        if self.groups is None and (self.genome is not None or self.elsewhere):
            raise InputError("genome and elsewhere say what the rows of groups are of; give groups too.")
        if self.elsewhere and (self.genome is None or self.genome in self.elsewhere):
            raise InputError("elsewhere names the other genomes of groups; say by genome which one this is.")
        return self

    @property
    def files(self) -> dict[str, Path]:
        """The file of groups, by its key, if one is given."""
        return {} if self.groups is None else {"splits.groups": self.groups}


class NegativesConfig(Section):
    flanking: int = Field(0, ge=0)  # on both sides of every site
    accessible: FilePath | None = None  # BED of regions that are open elsewhere
    random: float = Field(0, ge=0)  # from anywhere, for each site of the source
    # random ones have the GC content of the source's, over the bin, or over so many bp about its middle
    match_gc: bool | Annotated[int, Field(gt=0)] = False
    match_mappability: FilePath | None = None  # bigWig or bedGraph, 0 to 1; random ones have that of the source's
    seed: int = Field(0, ge=0)  # of random ones


class SitesConfig(Section):
    source: Literal["bed", "peaks", "covered"]
    bed: FilePath | None = None  # places; a site lies about the midpoint of each
    overlap: int = Field(200, ge=0)  # bp: peaks that share more become one site
    stride: int | None = Field(None, gt=0)  # bp: peaks are tiled so, and not merged
    negatives: NegativesConfig = NegativesConfig()
    train: list[SiteKind] | None = Field(None, min_length=1)  # kinds that train; None: all
    valid: list[SiteKind] | None = Field(None, min_length=1)
    test: list[SiteKind] | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _bed_goes_with_its_source(self) -> SitesConfig:
        if (self.source == "bed") != (self.bed is not None):
            raise InputError("sites.bed is the file of source: bed; give both or neither.")
        if self.stride is not None and self.source != "peaks":
            raise InputError(f"sites.stride tiles peaks; source is {self.source}. Leave it out, or set source: peaks.")
        return self
