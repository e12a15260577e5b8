"""What a simulated world is made of: the settings of `genograph simulate`."""

from __future__ import annotations

from pydantic import Field, model_validator

from genograph.errors import InputError
from genograph.sections import Section


class WorldSettings(Section):
    """Sizes, effects, noise and leaks of a world. Every length is in bp."""

    seed: int = Field(0, ge=0)
    size: int = Field(40_000_000, ge=400_000)  # of the genome
    chroms: int = Field(10, ge=3)  # of equal size; the last is held out to judge, the one before to choose
    genes_per_mb: float = Field(80.0, gt=0, le=150)
    elements_per_mb: float = Field(200.0, gt=0, le=400)
    resolution: int = Field(2000, ge=500)  # of the contact map

    effect_scale: float = Field(1.0, ge=0, le=10)  # of what contacts carry; 0: they carry nothing
    loops_per_gene: int = Field(4, ge=0, le=12)
    decay: float = Field(1.0, gt=0, le=10)  # contacts fall off with distance to this power
    insulation: float = Field(0.3, ge=0, le=1)  # contacts left between domains

    contacts_per_node: float = Field(2000.0, gt=0, le=1e6)  # reads within 1 Mb
    expression_reads: float = Field(80.0, gt=0, le=1e6)  # mean of a promoter
    accessibility_reads: float = Field(20.0, gt=0, le=1e6)  # mean at the top of an element of activity 1
    methylation_coverage: float = Field(20.0, gt=0, le=1e6)  # mean reads on a CpG in bulk
    cells: int = Field(4, ge=0)  # with calls of their own
    cell_coverage: float = Field(0.1, gt=0, le=1)  # share of the CpGs that a cell covers
    dispersion: float = Field(0.05, ge=0, le=10)  # variance of counts beyond Poisson, in squared means
    variants: int = Field(1000, ge=0, le=100_000)

    degree_leak: bool = False  # a hidden cause makes expression and loops, and contacts carry nothing
    mappability_leak: bool = False  # stretches that neither the map nor the tracks see

    @model_validator(mode="after")
    def _chromosomes_hold_something(self) -> WorldSettings:
        if self.size // self.chroms < 100 * self.resolution:
            raise InputError(
                f"size {self.size} over {self.chroms} chroms leaves {self.size // self.chroms} bp each, less than 100 "
                f"bins of the map of {self.resolution} bp. Raise size, or lower chroms or resolution."
            )
        for key in ("genes_per_mb", "elements_per_mb"):
            if not round(getattr(self, key) * self.chrom_size / 1e6):
                raise InputError(
                    f"{key} {getattr(self, key):g} puts none on a chromosome of {self.chrom_size} bp. "
                    f"Raise {key} or size, or lower chroms."
                )
        return self

    @property
    def chrom_size(self) -> int:
        """bp of each chromosome, whole bins of the map."""
        return self.size // self.chroms // self.resolution * self.resolution
