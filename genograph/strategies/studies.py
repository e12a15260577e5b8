"""`genograph study`: how strategies of training classifiers of sites compare, a table each.

config.yaml                          the resolved config, but for its section study
runs/<group>/<variant>/.../seed<j>/  a run folder each, with what it predicts in held_out.npz
tasks/ stores/                       tables and stores that a study makes
<study>.tsv <study>.md               the table: means over seeds with intervals, of each task, their mean, all together
<study>_runs.tsv                     the same for each seed
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from genograph.ablate.ablation import progress
from genograph.ablate.arms import Arm, with_seed
from genograph.ablate.claim import check_folder, claimed, sources_of
from genograph.ablate.grid import Run
from genograph.ablate.launchers import Outcome, cores, local
from genograph.ablate.summary import write
from genograph.checkpoint import track_names
from genograph.config import Config, StudyConfig, parse_config
from genograph.errors import InputError, nearest
from genograph.experiment import Experiment, check_parts
from genograph.strategies.random_forest import fit_forest
from genograph.strategies.scores import Judge, summarise
from genograph.strategies.tables import markdown
from genograph.strategies.variants import STUDIES, Plan, Variant

ALONE = {"dense"}  # layers that take every site by itself

log = logging.getLogger("genograph")


@dataclass(frozen=True)
class Studied:
    """What a study found.

    Attributes:
        summary: See `genograph.strategies.scores.summarise`.
        text: The table as markdown.
        file: Where it stands.
        failed: What went wrong with runs that could not be finished, a line each; their scores are NaN.
    """

    summary: pd.DataFrame
    text: str
    file: Path
    failed: list[str]


def study(name: str, config: Config, out: str | Path | None = None, *, workers: int | None = None) -> Studied:
    """Train all variants of a study with all seeds, or what is missing of them, and write its table.

    Calling it again goes on: a finished run is not trained again, an interrupted one goes on from its last epoch.

    Args:
        name: A name in `STUDIES`.
        config: Of sites of peaks; its `study` section says the rest.
        out: The folder, which all studies of a config share; None for `runs/<name>-study`.
        workers: Runs at a time; None for one a core.

    Raises:
        InputError: If the config is wrong or lacks what the study needs, or the folder holds runs of another.
    """
    folder = Path(out) if out is not None else Path("runs") / f"{config.name}-study"
    if name not in STUDIES:
        raise InputError(f"study: no '{name}'.{nearest(name, STUDIES)}")
    _check(name, config.of(None))
    shared = config.model_copy(update={"study": StudyConfig()})  # by all tables, whatever their settings
    check_folder(folder, shared)
    plan = STUDIES[name](Experiment.open(config), folder)
    _check_models(plan)
    seeds = range(config.seed, config.seed + config.study.seeds)
    runs = {(variant.name, seed): runs_of(variant, seed, folder) for seed in seeds for variant in _in_order(plan)}
    folder.mkdir(parents=True, exist_ok=True)
    with claimed(folder, shared, _sources(config, plan), [run for each in runs.values() for run in each]):
        judges = {test: Judge.of(each) for test, each in plan.tests.items()}
    failed = _work_off(plan, runs, trees=config.study.trees, workers=workers or cores())
    scores = pd.concat([_scores(variant, runs, judges) for variant in plan.variants], ignore_index=True)
    return _written(scores, folder, name, failed)


def runs_of(variant: Variant, seed: int, folder: Path) -> list[Run]:
    """The runs of a variant with a seed, in the order of its models."""
    runs = []
    for model, config in variant.models.items():
        place = f"{variant.place}/{model}".rstrip("/")
        tree = with_seed(config, seed).model_dump(mode="json") | {"ablation": {}, "study": {}}
        if variant.start is not None:
            (start,) = runs_of(variant.start, seed, folder)
            tree["training"]["start_from"] |= dict.fromkeys(_shared_parts(config), str(start.folder))
        run_folder = folder.resolve() / "runs" / place / f"seed{seed}"
        runs.append(Run(place, 0, seed, run_folder, parse_config(tree)))
    return runs


def _shared_parts(config: Config) -> list[str]:
    """The parts of a model that have weights, but for the heads."""
    model, graph = config.model, config.graph
    has = {
        "encoder": True,
        "features": graph.features is not None,
        "processor": bool(model.processor),
        "trunk": bool(model.trunk),
        "placeholder": graph.candidates is not None,
    }
    return [part for part, is_there in has.items() if is_there]


def _check(name: str, config: Config) -> None:
    """Refuse, before a store is built, a config not of peaks at sites and one head, or without what a study needs."""
    if config.sites is None or config.sites.source != "peaks":
        raise InputError("sites.source: a study compares classifiers of peaks; set sites: {source: peaks}.")
    if len(config.model.heads) != 1:
        raise InputError(f"model.heads: a study is of one assay; got {', '.join(config.model.heads)}.")
    if config.model.encoder is None or config.model.embeddings:
        raise InputError("model.encoder: a study compares readers of sequence; give one.")
    kinds = config.sites.negatives.model_dump(include={"flanking", "accessible", "random"})
    if name == "negatives" and (missing := [kind for kind, wanted in kinds.items() if not wanted]):
        raise InputError(f"sites.negatives.{missing[0]}: the table compares all kinds of negatives; give it.")
    reference = config.study.reference
    if name == "pretraining" and reference is None:
        raise InputError("study.reference: name the targets table of the tracks to learn first.")
    if name == "pretraining" and reference is not None and not reference.is_file():
        raise InputError(f"study.reference: no such file: {reference}")


def _check_models(plan: Plan) -> None:
    """Refuse what cannot be built, and warn of models that may read labels off the list of sites."""
    talking = []
    for variant in _in_order(plan):
        for config in variant.models.values():
            check_parts(config)
        (config, *_) = variant.models.values()
        talk = any(layer.name not in ALONE for layer in config.model.processor)
        talking += [variant.name] if talk and config.sites and config.sites.negatives.flanking else []
    if talking:
        log.warning(
            "sites.negatives.flanking: flanks stand on both sides of a site with a peak, so that a model whose sites "
            "talk may tell it by its neighbours, whatever the sequence: %s.",
            ", ".join(talking),
        )


def _in_order(plan: Plan) -> list[Variant]:
    """All variants, those first whose weights others begin with."""
    starts = {each.start.place: each.start for each in plan.variants if each.start is not None}
    return [*starts.values(), *plan.variants]


def _sources(config: Config, plan: Plan) -> dict[str, str]:
    """SHA-256 of the files that the data are made of, those of reference tracks too."""
    starts = [each for each in _in_order(plan) if each not in plan.variants]
    read = {"config": config} | {each.name: of_model for each in starts for of_model in each.models.values()}
    return sources_of([Arm(name, "", each) for name, each in read.items()])


def _work_off(plan: Plan, runs: Mapping[tuple[str, int], list[Run]], *, trees: int, workers: int) -> list[str]:
    """Finish what is not done; returns what went wrong, a line each."""
    everything = [run for each in runs.values() for run in each]
    missing, failed = sum(not run.is_done for run in everything), []
    with progress(len(everything), len(everything) - missing) as tell:
        for run, error in _outcomes(plan, runs, trees=trees, workers=workers):
            if error is not None:
                failed.append(f"{run.arm}, seed {run.seed} failed, see {run.folder}: {error}")
            tell(f"{run.arm}, seed {run.seed}" if error is None else failed[-1])
    return failed


def _outcomes(plan: Plan, runs: Mapping[tuple[str, int], list[Run]], *, trees: int, workers: int) -> Iterator[Outcome]:
    """Every run that was missing, as it ends: forests here, one at a time, networks in processes of their own."""
    forest_of = {variant.name: variant.forest for variant in _in_order(plan)}
    starts = {variant.name for variant in _in_order(plan) if variant not in plan.variants}
    for names in starts, forest_of.keys() - starts:
        missing = [(name, run) for (name, _), each in runs.items() if name in names for run in each if not run.is_done]
        networks = [run for name, run in missing if forest_of[name] is None]
        with closing(local(networks, workers, Path(), {})) as outcomes:
            yield from outcomes
        for run, kind in ((run, forest_of[name]) for name, run in missing if forest_of[name] is not None):
            try:
                fit_forest(run, multi=kind == "multi", trees=trees, workers=workers)
                yield run, None
            except InputError as error:
                yield run, error


def _scores(variant: Variant, runs: Mapping[tuple[str, int], list[Run]], judges: Mapping[str, Judge]) -> pd.DataFrame:
    """The scores of the models of each seed on each test."""
    of_tracks = [track_names(Experiment.open(config)) for config in variant.models.values()]
    parts = []
    for seed, each in ((seed, each) for (name, seed), each in runs.items() if name == variant.name):
        rows = {}
        for run, tracks in zip(each, of_tracks, strict=True):
            for assay, names in tracks.items() if run.is_done else ():
                rows |= dict(zip(names, run.predictions()[assay], strict=True))
        for test, judge in judges.items():
            told = {"variant": variant.name, "test": test, "seed": seed, **_cost(variant, each, judge)}
            parts.append(judge.score(rows).assign(**told))
    return pd.concat(parts)


def _cost(variant: Variant, runs: list[Run], judge: Judge) -> dict[str, float]:
    """Mean epoch of the weights that are kept, number of models and parameters of each; NaN of forests."""
    done = [run for run in runs if run.is_done]
    if variant.forest is not None or not done:
        models = len(judge.names) if variant.forest == "single" else len(runs)
        return {"epoch": float("nan"), "models": models, "parameters": float("nan")}
    epochs = [stopping_epoch(run) for run in done]
    return {"epoch": sum(epochs) / len(epochs), "models": len(runs), "parameters": done[0].cost()["parameters"]}


def stopping_epoch(run: Run) -> int:
    """The epoch, counted from 1, with the best validation score, whose weights are kept."""
    table, monitor = pd.read_csv(run.folder / "metrics.csv"), run.config.training.monitor
    scores = table[f"valid_{monitor}"]
    best = scores.idxmin() if monitor == "loss" else scores.idxmax()
    return int(table.loc[best, "epoch"]) + 1


def _written(scores: pd.DataFrame, folder: Path, name: str, failed: list[str]) -> Studied:
    summary = summarise(scores)
    text, file = markdown(summary), folder / f"{name}.md"
    for path, table in (f"{name}_runs.tsv", scores), (f"{name}.tsv", summary):
        write(folder / path, table.to_csv(sep="\t", index=False, na_rep="nan"))
    write(file, text + "\n")
    return Studied(summary, text, file, failed)
