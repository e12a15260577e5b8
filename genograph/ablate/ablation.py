"""`genograph ablate`: does the contact graph help, by how much, and what else would explain it.

config.yaml                     the resolved config
audit.json                      what the leakage audit found, before anything was trained
runs/<arm>/fold<i>/seed<j>/     a run folder each, with what it predicts in held_out.npz
baselines/                      what simple predictors, fitted once a fold, predict there
arms.tsv differences.tsv strata.tsv tracks.tsv baselines.tsv verdict.json
answers.json                    what was said to earlier calls
report.html                     one page that says the verdict first
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from genograph.ablate.arms import ARMS, Arm, make_arms, with_seed
from genograph.ablate.claim import check_folder, claimed, sources_of
from genograph.ablate.folds import fold_configs
from genograph.ablate.graphs import of_fold, with_graphs
from genograph.ablate.grid import PREDICTIONS, Run, locked
from genograph.ablate.judged import Judged
from genograph.ablate.launchers import LAUNCHERS, check_launcher, cores
from genograph.ablate.summary import judged_assay, over_genes, write, write_summary
from genograph.audit import CHECKS, Finding, audit
from genograph.config import Config, parse_config
from genograph.errors import InputError, nearest
from genograph.experiment import Experiment
from genograph.statistics.scores import mean_pearsonr
from genograph.statistics.verdict import Verdict

log = logging.getLogger("genograph")

SHOWN_AFTER = 30.0  # seconds in which a file that another machine has written is there


class RunsFailed(Exception):
    """Some runs could not be finished. The answer is written all the same, from the others.

    Attributes:
        verdict: That answer.
    """

    def __init__(self, message: str, verdict: Verdict) -> None:
        super().__init__(message)
        self.verdict = verdict


def ablate(
    config: Config, out: str | Path | None = None, *, launcher: str = "local", workers: int | None = None
) -> Verdict:
    """Run all arms of a config, or what is missing of them, and write the answer; returns the verdict.

    Calling it again goes on: a finished run is not trained again, an interrupted one goes on from its last epoch.

    Args:
        config: The reference; its `ablation` section says the rest.
        out: The folder; None for `runs/<name>-ablation`.
        launcher: A name in `LAUNCHERS`.
        workers: Runs at a time; None for one a core.

    Raises:
        InputError: If the config is wrong, the audit finds a leak that `ablation.allow_leakage` does not name, the
            folder holds another ablation, or no run of an arm that is needed could be finished.
        RunsFailed: After the answer is written, if other runs could not be finished.
    """
    folder = Path(out) if out is not None else Path("runs") / f"{config.name}-ablation"
    check_launcher(launcher)
    _check(config)
    check_folder(folder, config)
    arms = make_arms(config)
    folds = [Experiment.open(each) for each in fold_configs(config, Experiment.open(config).store)]
    arms, kept = with_graphs(arms, folds)
    runs = make_runs(arms, folds, folder)
    judged = [_judged(fold) for fold in folds]
    folder.mkdir(parents=True, exist_ok=True)
    with claimed(folder, config, sources_of(arms), runs):
        findings = [[*_audited(arms, fold), *each] for fold, each in zip(folds, kept, strict=True)]
        write(folder / "audit.json", json.dumps([[asdict(each) for each in fold] for fold in findings], indent=2))
        _refuse_leaks(findings, config)
    failed = _work_off(runs, judged, folder, launcher=launcher, workers=workers or cores())
    if not any(run.is_done for run in runs if run.arm == arms[0].name):
        raise InputError(f"no run of '{arms[0].name}' was finished. {'; '.join(failed)}")
    with locked(folder / "lock"):
        said = write_summary(folder, arms, folds, runs, findings)
    if failed:
        raise RunsFailed(
            f"{len(failed)} of {len(runs)} runs failed, the same command tries them again. {failed[0]}", said
        )
    return said


def make_runs(arms: Sequence[Arm], folds: Sequence[Experiment], folder: Path) -> list[Run]:
    """All runs, seed after seed and fold after fold, so that every arm has a first run early."""
    first, count = arms[0].config.seed, arms[0].config.ablation.seeds
    runs = []
    for seed in range(first, first + count):
        for number, fold in enumerate(folds):
            for arm in arms:
                tree = of_fold(with_seed(arm.config, seed), fold).model_dump(mode="json") | {"ablation": {}}
                place = folder / "runs" / arm.name / f"fold{number}" / f"seed{seed}"
                runs.append(Run(arm.name, number, seed, place.resolve(), parse_config(tree)))
    return runs


def _check(config: Config) -> None:
    """Refuse what could only fail late."""
    settings = config.ablation
    if settings.assay is not None and settings.assay not in config.model.heads:
        heads = config.model.heads
        raise InputError(f"ablation.assay: no head '{settings.assay}'.{nearest(settings.assay, heads)}")
    if settings.elements is not None and not settings.elements.is_file():
        raise InputError(f"ablation.elements: no such file: {settings.elements}")
    for check, reason in settings.allow_leakage.items():
        if check not in CHECKS:
            raise InputError(f"ablation.allow_leakage: no check '{check}'.{nearest(check, CHECKS)}")
        if not reason.strip():
            raise InputError(f"ablation.allow_leakage: '{check}' has no reason. Say why; the report shows it.")


def _judged(fold: Experiment) -> Judged:
    """What a fold holds out, read before anything is trained.

    Raises:
        InputError: If genes are asked for and not known, or nothing was measured there.
    """
    if fold.config.ablation.over == "genes" and fold.store.genes is None:
        raise InputError("ablation.over: no genes are known. Name them in tracks.genes, or leave `over` out.")
    judged = Judged(fold, judged_assay(fold.config), "genes" if over_genes(fold) else "bins")
    if not np.isfinite(judged.points.target).any():
        raise InputError(
            f"no value of {judged.assay} over {judged.over} is measured in what a fold holds out. "
            "Choose other splits or folds."
        )
    return judged


def _audited(arms: Sequence[Arm], fold: Experiment) -> list[Finding]:
    """What the audit finds of the reference, and of arms that read other contacts or windows what is worse there.

    What controls do leaks nothing.
    """
    own = audit(fold)
    is_fine, findings = {each.check for each in own if each.status == "ok"}, [*own]
    for arm in arms:
        if (arm.name in ARMS and arm.name != "other_contacts") or not _reads_otherwise(arm.config, arms[0].config):
            continue
        found = audit(Experiment.open(of_fold(arm.config, fold)))
        findings += [
            replace(each, arm=arm.name, message=f"In arm '{arm.name}': {each.message}")
            for each in found
            if each.status == "leak" or (each.status == "note" and each.check in is_fine)
        ]
    return findings


def _reads_otherwise(config: Config, reference: Config) -> bool:
    if (config.model.encoder, config.training.start_from) != (reference.model.encoder, reference.training.start_from):
        return True
    return any(getattr(config, key) != getattr(reference, key) for key in ("contacts", "graph", "batch", "augment"))


def _refuse_leaks(findings: Sequence[Sequence[Finding]], config: Config) -> None:
    leaks = {each.check: each.message for fold in findings for each in fold if each.status == "leak"}
    told = [f"{check}: {message}" for check, message in leaks.items() if check not in config.ablation.allow_leakage]
    if told:
        raise InputError(
            f"the audit found {len(told)} leak{'s' if len(told) > 1 else ''}, nothing was trained. {' '.join(told)} "
            "To go on in spite of it, give a reason: ablation.allow_leakage={check: reason}; the report shows it."
        )


def _work_off(runs: Sequence[Run], judged: Sequence[Judged], folder: Path, *, launcher: str, workers: int) -> list[str]:
    """Finish what is not done; returns what went wrong, a line each."""
    missing = [run for run in runs if not run.is_done]
    if not missing:
        return []
    failed, assay = [], judged[0].assay
    options = judged[0].experiment.config.ablation.slurm
    outcomes = closing(LAUNCHERS[launcher](missing, workers, folder, options))
    with progress(len(runs), len(runs) - len(missing)) as tell, outcomes as each:
        for run, error in each:
            if error is None and not _appears(run):
                error = RuntimeError(f"it ended, but {run.folder / PREDICTIONS} is not there.")
            if error is not None:
                failed.append(f"{run.label} failed, see {run.folder / 'train.log'}: {error}")
                tell(failed[-1])
            else:
                fold = judged[run.fold]
                r = mean_pearsonr(fold.points, fold.of_predictions(run.predictions()[assay]))
                tell(f"{run.label}: r {r:.3f}")
    return failed


def _appears(run: Run) -> bool:
    """Whether a run that has ended is done, once a file system across machines shows what it wrote."""
    deadline = time.monotonic() + SHOWN_AFTER
    while not run.is_done and time.monotonic() < deadline:
        time.sleep(0.1)
    return run.is_done


@contextmanager
def progress(total: int, done: int) -> Iterator:
    """A bar on a terminal, else a line for every run: how many are done and how long the rest will take."""
    console = Console(stderr=True)
    started, first = time.monotonic(), done
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console) if console.is_terminal else None
    with bar or nullcontext():
        task = bar and bar.add_task("runs", total=total, completed=done)

        def tell(text: str) -> None:
            nonlocal done
            done += 1
            left = (time.monotonic() - started) / (done - first) * (total - done)
            if bar:
                bar.update(task, advance=1, description=text)
            else:
                log.info("[%d/%d] %s%s", done, total, text, f" (about {_duration(left)} left)" if left else "")

        yield tell


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min" if minutes else "a minute"
