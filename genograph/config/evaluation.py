"""The sections of a config that say how a trained model predicts and how it is judged."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from genograph.config.data import FilePath
from genograph.errors import InputError
from genograph.sections import Section


class PredictionConfig(Section):
    reverse_complement: bool = False  # the mean over both strands
    shifts: list[int] = Field([0], min_length=1)  # bp: the mean over sequence read so much further on


class EvaluationConfig(Section):
    split: Literal["valid", "test"] = "test"
    kmer_ridge: int | None = Field(4, ge=1, le=8)  # k of the baseline; None: no baseline
    auprc: Literal["steps", "trapezoid"] = "steps"  # how points of a precision-recall curve are joined
    annotations: dict[str, FilePath] = Field({})  # BED of each; sites, peaks and fractions are judged in each, too

    @field_validator("annotations", mode="before")
    @classmethod
    def _not_that_of_all(cls, annotations: object) -> object:
        if isinstance(annotations, dict) and "global" in annotations:
            raise InputError("'global' stands for all sites; call the annotation otherwise.")
        return annotations
