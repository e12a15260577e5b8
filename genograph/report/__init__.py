"""The report of an ablation: `write_report` writes `report.html`."""

from genograph.report.ablation import Ablation, Locus
from genograph.report.page import render, write_report

__all__ = ["Ablation", "Locus", "render", "write_report"]
