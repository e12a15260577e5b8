"""Engines that work off the runs of an ablation: local processes, SLURM through submitit, or Ray."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from genograph.ablate.grid import Run, finish
from genograph.errors import InputError

ATTEMPTS = 3

Outcome = tuple[Run, Exception | None]
Launcher = Callable[[Sequence[Run], int, Path, dict[str, Any]], Iterator[Outcome]]


def local(runs: Sequence[Run], workers: int, folder: Path, options: dict[str, Any]) -> Iterator[Outcome]:
    """Processes of this machine, a fresh one for each run, so that its memory is its own.

    A process that is killed takes the pool with it: what it leaves undone is begun again, `ATTEMPTS` times.
    """
    left, attempt = list(runs), 0
    while left:
        attempt += 1
        undone = []
        for run, error in _pooled(left, workers):
            if isinstance(error, BrokenProcessPool) and attempt < ATTEMPTS:
                undone.append(run)
            else:
                yield run, error
        left = undone


def _pooled(runs: Sequence[Run], workers: int) -> Iterator[Outcome]:
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), max_tasks_per_child=1)
    try:
        futures = {pool.submit(finish, run): run for run in runs}
        for future in as_completed(futures):
            yield futures[future], _error(future)
    finally:
        processes = list((pool._processes or {}).values())  # what runs when one is interrupted
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()


def slurm(runs: Sequence[Run], workers: int, folder: Path, options: dict[str, Any]) -> Iterator[Outcome]:
    """Jobs of SLURM, as many at a time as `workers`; without SLURM, processes that submitit starts here.

    `options` are submitit's parameters, such as `slurm_partition`, `timeout_min` and `gpus_per_node`.
    """
    submitit = _engine("submitit")
    executor = submitit.AutoExecutor(folder=folder / "slurm")
    parameters = {"timeout_min": 24 * 60, "slurm_array_parallelism": workers, **options}
    executor.update_parameters(**parameters)
    with executor.batch():
        jobs = [executor.submit(finish, run) for run in runs]
    of_job = dict(zip((job.job_id for job in jobs), runs, strict=True))
    for job in submitit.helpers.as_completed(jobs):
        yield of_job[job.job_id], job.exception()


def ray(runs: Sequence[Run], workers: int, folder: Path, options: dict[str, Any]) -> Iterator[Outcome]:
    """Tasks of the Ray cluster that one is connected to, or of one started here; a worker process for each run."""
    engine = _engine("ray")
    if not engine.is_initialized():
        engine.init(num_cpus=workers, logging_level="error")
    task = engine.remote(max_calls=1)(finish)
    of_task = {task.remote(run): run for run in runs}
    while of_task:
        (done,), _ = engine.wait(list(of_task), num_returns=1)
        run = of_task.pop(done)
        try:
            engine.get(done)
            yield run, None
        except Exception as error:
            yield run, error


LAUNCHERS: dict[str, Launcher] = {"local": local, "slurm": slurm, "ray": ray}


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _error(future: Future) -> Exception | None:
    error = future.exception()
    return error if error is None or isinstance(error, Exception) else RuntimeError(str(error))


def _engine(name: str) -> Any:
    try:
        return __import__(name)
    except ImportError:
        raise InputError(f"--launcher needs {name}, which is not installed. Install it: pip install {name}") from None
