"""From finished runs to the answer: tables, a verdict for each assay, and the report."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from genograph.ablate.answers import noted
from genograph.ablate.arms import REFERENCE, Arm
from genograph.ablate.graphs import CHANGES_NOTHING
from genograph.ablate.grid import Run
from genograph.ablate.judged import Judged
from genograph.ablate.left_behind import best_scores, training_warning
from genograph.ablate.simple_predictors import simple_scores
from genograph.assays.assay import ASSAYS
from genograph.atomic import replacing
from genograph.audit import Finding
from genograph.audit.checks import LABEL_R
from genograph.audit.likeness import excess
from genograph.checkpoint import PACKAGES
from genograph.config import Config
from genograph.experiment import Experiment
from genograph.report import Ablation, Locus, write_report
from genograph.statistics.comparison import Comparison, OnDisk
from genograph.statistics.verdict import DILATED, WITHOUT_EDGES, Verdict, verdict

SCATTERED = 400  # points of an arm in the scatter plot
SHOWN = 100_000  # bp of the example on each side
TABLES, SIMPLE = ("arms", "differences", "strata", "tracks"), "baselines"
MOST_TRACKS = 100  # of an assay that are compared one by one, as each costs half a second


@dataclass(frozen=True)
class Outcome:
    """What an ablation says of one assay."""

    assay: str
    comparison: Comparison
    verdict: Verdict
    tables: dict[str, pd.DataFrame]
    judged: list[Judged]


def over_genes(experiment: Experiment) -> bool:
    """Whether genes are judged: where they are known, if the config does not say."""
    over = experiment.config.ablation.over
    return experiment.store.genes is not None if over is None else over == "genes"


def judged_assay(config: Config) -> str:
    """The assay that the verdict is about."""
    return config.ablation.assay or next(iter(config.model.heads))


def outcome(
    folds: Sequence[Experiment],
    runs: Sequence[Run],
    findings: Sequence[Finding],
    assay: str,
    left_behind: Sequence[str] = (),
) -> Outcome:
    """Compare the arms on one assay, over the runs that are done; arms `left_behind` may want more training."""
    config, over = folds[0].config, "genes" if over_genes(folds[0]) else "bins"
    judged = [Judged(each, assay, over) for each in folds]
    predictions: dict[str, dict[tuple[int, int], Callable[[], np.ndarray]]] = {}
    for run in runs:
        if run.is_done:
            predictions.setdefault(run.arm, {})[run.fold, run.seed] = partial(_held, judged[run.fold], run, assay)
    on_disk = {arm: OnDisk(read) for arm, read in predictions.items()}
    comparison = Comparison([each.points for each in judged], on_disk, REFERENCE)
    values = _audit_values(findings, assay, over)
    ceiling = config.ablation.ceiling.get(assay)
    failed = Counter(run.arm for run in runs if not run.is_done)
    told = {"ceiling": ceiling, "failed": failed, "left_behind": left_behind}
    said = verdict(comparison, values, score=f"r of {assay} over {over}", unit=over, **told)
    tables = {name: getattr(comparison, name)() for name in TABLES[:-1]}
    tables["tracks"] = _of_tracks(comparison, [target.identifier for target in folds[0].targets[assay]])
    names = judged[0].labels()
    for stratum in names:
        here = tables["strata"]["stratum"] == stratum
        tables["strata"]["level"] = tables["strata"]["level"].astype(object)
        tables["strata"].loc[here, "level"] = [names[stratum][int(i)] for i in tables["strata"].loc[here, "level"]]
    return Outcome(assay, comparison, said, tables, judged)


def _of_tracks(comparison: Comparison, names: Sequence[str]) -> pd.DataFrame:
    """`Comparison.tracks` by the tracks' names; no rows where they are more than `MOST_TRACKS`."""
    if len(names) > MOST_TRACKS:
        return pd.DataFrame(columns=["track", "arm", "r", "delta", "low", "high"])
    table = comparison.tracks()
    return table.assign(track=[names[number] for number in table["track"]])


def _held(judged: Judged, run: Run, assay: str) -> np.ndarray:
    return judged.of_predictions(run.predictions()[assay])


def write_summary(
    folder: Path,
    arms: Sequence[Arm],
    folds: Sequence[Experiment],
    runs: Sequence[Run],
    findings: Sequence[Sequence[Finding]],
) -> Verdict:
    """Write the tables, `verdict.json` and `report.html`; returns the verdict.

    Args:
        folder: Of the ablation.
        arms: All.
        folds: The reference's experiment of each fold.
        runs: All, done or not.
        findings: Of the audit of each fold.
    """
    config = folds[0].config
    flat = [finding for of_fold in findings for finding in of_fold]
    best = best_scores([run for run in runs if run.is_done])
    left_behind = list(best.loc[best["is_behind"], "arm"])
    outcomes = {assay: outcome(folds, runs, flat, assay, left_behind) for assay in config.model.heads}
    same = dict.fromkeys(finding.message for finding in flat if finding.check == CHANGES_NOTHING)
    for each in outcomes.values():
        each.verdict.warnings.extend([*training_warning(best), *same, *_joining_likes(flat)])
        each.verdict.reasons.extend(
            f"a leak was allowed, scores may be too high: {told}" for told in _allowed(config, flat)
        )
        each.tables[SIMPLE] = simple_scores(folder, each.judged)
        each.verdict.warnings.extend(_behind(each.tables))
    main = outcomes[judged_assay(config)]
    main.verdict.warnings.extend(noted(folder, f"{main.assay}: {main.verdict.judged}", main.verdict.label))
    for name in (*TABLES, SIMPLE):
        table = pd.concat([each.tables[name].assign(assay=assay) for assay, each in outcomes.items()])
        write(folder / f"{name}.tsv", table.to_csv(sep="\t", index=False, na_rep="nan"))
    verdicts = {assay: asdict(each.verdict) for assay, each in outcomes.items()}
    write(folder / "verdict.json", json.dumps(verdicts, indent=2))
    others = {assay: each.verdict.sentence for assay, each in outcomes.items() if each is not main}
    write_report(_report(main, others, arms, folds, runs, flat), folder / "report.html")
    return main.verdict


def _report(
    main: Outcome,
    others: Mapping[str, str],
    arms: Sequence[Arm],
    folds: Sequence[Experiment],
    runs: Sequence[Run],
    findings: Sequence[Finding],
) -> Ablation:
    config, over = folds[0].config, "genes" if over_genes(folds[0]) else "bins"
    done = [run for run in runs if run.is_done]
    table = main.tables["arms"].merge(_costs(done), "left", on="arm")
    table.insert(1, "description", table["arm"].map({arm.name: arm.description for arm in arms}))
    return Ablation(
        name=config.name,
        score=f"Pearson r of {main.assay} over {over}",
        verdict=main.verdict,
        others=others,
        reference=REFERENCE,
        arms=table,
        differences=main.tables["differences"],
        strata=main.tables["strata"],
        tracks=main.tables["tracks"] if len(folds[0].targets[main.assay]) > 1 else main.tables["tracks"][:0],
        baselines=main.tables[SIMPLE],
        dose=_dose(table),
        curves=_curves(done),
        audit=_audit_table(findings, config.ablation.allow_leakage),
        allowed=_allowed(config, findings),
        scatter=_scatter(main),
        locus=_locus(main, folds[0], done),
        config=config.to_yaml(),
        versions=_versions(),
        ceiling=config.ablation.ceiling.get(main.assay),
        unfinished=[run.label for run in runs if not run.is_done],
    )


def _behind(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """A line for each simple predictor that no arm reaches."""
    best = tables["arms"]["r"].max()
    ahead = tables[SIMPLE][tables[SIMPLE]["r"] > best]
    return [
        f"no arm reaches the {row.baseline}, r {row.r:.3f}; the best has {best:.3f}. Look at the model before the arms."
        for row in ahead.itertuples()
    ]


def _joining_likes(findings: Sequence[Finding]) -> list[str]:
    """A line for each arm whose contacts join like labels more than maps do; all controls would lose that."""
    lines = {}
    for each in findings:
        likes = {name: r for name, r in excess(each.values).items() if r > LABEL_R}
        if likes:
            most, arm = max(likes, key=likes.__getitem__), each.arm or REFERENCE
            lines[arm] = (
                f"contacts of {arm} join nodes with like labels, r {likes[most]:.2f} above that of nodes as far apart "
                f"({most}). If they were made from the tracks, what they bring is no prediction."
            )
    return list(lines.values())


def _allowed(config: Config, findings: Sequence[Finding]) -> list[str]:
    """The leaks that were found and are allowed, each with its reason."""
    leaks = {finding.check for finding in findings if finding.status == "leak"}
    return [f"{check}: {why}" for check, why in config.ablation.allow_leakage.items() if check in leaks]


def _audit_values(findings: Sequence[Finding], assay: str, over: str) -> dict[str, float]:
    """What the verdict wants to know of the audit of the reference.

    How many masked bins are judged in all folds, and the greatest r of mask, degree and layout in any of them.
    """
    values: dict[str, float] = {}
    for finding in (each for each in findings if not each.arm):
        before = values.get(finding.check, 0.0)
        if finding.check == "masked_bins_scored":
            values[finding.check] = before + finding.values.get("judged", 0.0)
        elif finding.check in ("mask_predicts", "degree_predicts", "layout_predicts"):
            found = finding.values.get(f"{assay}.{over}", float("nan"))
            if not np.isnan(found):
                values[finding.check] = max(found, before)
    return values


def _audit_table(findings: Sequence[Finding], allowed: Mapping[str, str]) -> pd.DataFrame:
    """One row for each check, and each arm that it looked at, of the fold where most fell foul."""
    order = ("ok", "note", "leak")
    worst: dict[tuple[str, str], Finding] = {}
    for each in findings:
        key = each.check, each.arm
        before = worst.get(key, each)
        rank = (order.index(each.status), each.count)
        worst[key] = each if rank >= (order.index(before.status), before.count) else before
    rows = [
        (
            each.check,
            "allowed" if each.status == "leak" and each.check in allowed else each.status,
            each.count,
            each.message,
        )
        for each in worst.values()
    ]
    return pd.DataFrame(rows, columns=["check", "status", "count", "message"])


def _costs(done: Sequence[Run]) -> pd.DataFrame:
    """Parameters, contacts that windows show, seconds of training and peak memory of each arm, means of its runs."""
    columns = ["arm", "parameters", "contacts", "contacts_trained", "seconds", "peak_mb"]
    table = pd.DataFrame([{"arm": run.arm, **run.cost()} for run in done], columns=columns)
    return table.groupby("arm", sort=False).mean().reset_index()


def _curves(done: Sequence[Run]) -> pd.DataFrame:
    columns = ["arm", "fold", "seed", "epoch", "train_loss", "valid_loss", "valid_pearsonr"]
    tables = [
        pd.read_csv(run.folder / "metrics.csv").assign(arm=run.arm, fold=run.fold, seed=run.seed)[columns]
        for run in done
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def _dose(arms: pd.DataFrame) -> pd.DataFrame:
    """r by the share of the map's reads, the whole map last."""
    rows = arms.assign(fraction=arms["arm"].str.extract(r"^downsampled_(\d+)$")[0].astype(float) / 100)
    rows.loc[rows["arm"] == REFERENCE, "fraction"] = 1.0
    rows = rows[rows["fraction"].notna()].sort_values("fraction")
    return rows[["fraction", "r", "low", "high"]] if len(rows) > 1 else rows[["fraction", "r", "low", "high"]][:0]


def _scatter(main: Outcome) -> pd.DataFrame:
    """Predictions of the reference and of its baseline for a sample of points of the first fold, first track.

    Counts are shown as log2(1 + x), fractions as they are.
    """
    target = main.comparison.points[0].target[:, 0]
    rng, places = np.random.default_rng(0), np.flatnonzero(np.isfinite(target))
    places = np.sort(rng.permutation(places)[:SCATTERED])
    is_ratio = ASSAYS[main.assay].kind == "ratio"
    tables = []
    for arm in _shown(main):
        runs = main.comparison.predictions[arm]
        first = next((run for run in sorted(runs) if run[0] == 0), None)
        if first is not None:
            values = {"prediction": runs[first][places, 0], "target": target[places]}
            shown = {key: each if is_ratio else np.log2(1 + np.maximum(each, 0)) for key, each in values.items()}
            tables.append(pd.DataFrame({"arm": arm, **shown}))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["arm", "prediction", "target"])


def _shown(main: Outcome) -> list[str]:
    """The reference, the arms without edges and the dilated one, as far as they ran."""
    return [arm for arm in (REFERENCE, *WITHOUT_EDGES, DILATED) if arm in main.comparison.predictions]


def _locus(main: Outcome, fold: Experiment, done: Sequence[Run]) -> Locus | None:
    """The surroundings of the highest measured value that the first fold holds out, first track."""
    store, bins = fold.store, Judged(fold, main.assay, "bins").bins
    target = np.where(store.mask[bins], store.signals(main.assay)[bins, 0].astype(np.float64), np.nan)
    first_runs = {run.arm: run for run in reversed(done) if run.fold == 0}
    if not np.isfinite(target).any() or REFERENCE not in first_runs:
        return None
    top, reach = int(np.nanargmax(target)), max(1, SHOWN // store.bins.bin_size)
    near = np.abs(bins - bins[top]) <= reach
    near &= store.bins.chrom_index(bins) == store.bins.chrom_index(bins[top : top + 1])[0]
    rows = np.flatnonzero(near)
    rows = rows[bins[rows] - rows == bins[top] - top]  # one stretch
    interval = store.bins.interval(int(bins[rows[0]]))
    chrom, start, end = interval.chrom, interval.start, store.bins.interval(int(bins[rows[-1]])).end
    predictions = {arm: first_runs[arm].predictions()[main.assay][0, rows] for arm in _shown(main) if arm in first_runs}
    track = fold.targets[main.assay][0].identifier
    return Locus(chrom, start, store.bins.bin_size, target[rows], predictions, _arcs(fold, chrom, start, end), track)


def _arcs(fold: Experiment, chrom: str, start: int, end: int) -> np.ndarray:
    """Contacts between nodes of a stretch: (contacts, 3) of bp, bp and weight."""
    graph, nodes = fold.graph, fold.store.nodes
    span = nodes.span(chrom)
    source, destination = graph.edge_index
    kept = (source < destination) & (source >= span.start) & (destination < span.stop)
    kept &= graph.is_contact(graph.edge_type)
    source, destination, weight = source[kept], destination[kept], graph.weight[kept]
    ends = [(nodes.starts(each) + nodes.ends(each)) / 2 for each in (source, destination)]
    inside = (ends[0] >= start) & (ends[1] < end)
    return np.stack([ends[0][inside], ends[1][inside], weight[inside]], axis=1)


def _versions() -> dict[str, str]:
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version(), **found, "machine": platform.machine()}


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all; one process at a time."""
    with replacing(path) as written:
        written.write_text(text)
