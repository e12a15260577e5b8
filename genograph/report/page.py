"""`report.html` of an ablation: one file that opens from disk, needs no network and says the verdict first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from genograph.atomic import replacing
from genograph.charts import MAX_ARCS, MISSING, decimal
from genograph.report import figures
from genograph.report.ablation import Ablation
from genograph.report.tables import COLUMNS, cells


def render(ablation: Ablation) -> str:
    """The page as HTML: verdict, effects, strata, dose, predictions, audit, training, cost, configuration.

    Every word that comes from the ablation is escaped. NaN is shown as a dash that is read "not defined". Arms stand in
    the order of their r.
    """
    arms = ablation.arms.sort_values("r", ascending=False, kind="stable")
    differences = ablation.differences.sort_values("delta", kind="stable")
    ablation = replace(ablation, arms=arms, differences=differences)
    order = list(arms["arm"])
    return _template().render(
        ablation=ablation,
        forests=figures.forests(ablation),
        strata=figures.strata(ablation.strata, order),
        dose=figures.dose(ablation.dose),
        scatter=figures.scatter(ablation.scatter, order),
        locus=figures.locus(ablation.locus),
        training=figures.training(ablation.curves, order),
        cost=figures.cost(arms),
        columns=COLUMNS,
        cells=cells,
        decimal=decimal,
        missing=MISSING,
        max_arcs=MAX_ARCS,
    )


def write_report(ablation: Ablation, path: str | Path) -> None:
    """Write the page of `render` to `path`, whole or not at all."""
    page = render(ablation)
    with replacing(Path(path)) as written:
        written.write_text(page, encoding="utf-8")


def _template() -> Template:
    loader = PackageLoader("genograph")
    options = {"autoescape": True, "undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    return Environment(loader=loader, **options).get_template("report.html.j2")
