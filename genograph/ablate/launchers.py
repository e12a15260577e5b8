"""Engines that work off the runs of an ablation: local processes, SLURM through submitit, or Ray."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from importlib import import_module
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from threading import Thread
from typing import Any

from genograph.ablate.grid import Run, finish
from genograph.errors import InputError, nearest

ATTEMPTS = 3
POLL = 1.0  # seconds between looks at the jobs of a cluster

Outcome = tuple[Run, Exception | None]
Launcher = Callable[[Sequence[Run], int, Path, dict[str, Any]], Generator[Outcome]]


def local(runs: Sequence[Run], workers: int, folder: Path, options: dict[str, Any]) -> Generator[Outcome]:
    """Processes of this machine, a fresh one for each run, so that its memory is its own.

    Runs that another command is at come last. A run whose process is killed is begun again, `ATTEMPTS` times in all,
    and goes on from its last epoch; no other run is touched by that.
    """
    # What runs import is imported once, in a server without threads that each run is a fork of.
    context = get_context("forkserver" if sys.platform == "linux" else "spawn")
    context.set_forkserver_preload([__name__])
    waiting, attempts, working = deque(runs), Counter(), {}
    try:
        while waiting or working:
            while waiting and len(working) < workers:
                run = next((each for each in waiting if not each.is_busy), waiting[0])  # what another command is not at
                waiting.remove(run)
                attempts[run.folder] += 1
                process, told = _begun(context, run)
                working[process.sentinel] = process, told, run
            for sentinel in wait(list(working)):
                process, told, run = working.pop(sentinel)
                error = _told(process, told)
                if isinstance(error, Killed) and attempts[run.folder] < ATTEMPTS:
                    waiting.append(run)
                else:
                    yield run, error
    finally:  # interrupted
        for process, _, _ in working.values():
            process.terminate()


class Killed(Exception):
    """A process that ended without a word."""


def _begun(context: Any, run: Run) -> tuple[Any, Connection]:
    told, telling = context.Pipe(duplex=False)
    process = context.Process(target=_finish_and_tell, args=(run, telling))
    process.start()
    telling.close()  # so that the pipe ends with the process
    return process, told


def _finish_and_tell(run: Run, telling: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; who began this ends it
    Thread(target=_end_with_parent, daemon=True).start()
    said = None
    try:
        finish(run)
    except KeyboardInterrupt:  # what training makes of Ctrl-C all the same
        return
    except Exception as error:
        said = error if isinstance(error, InputError) else RuntimeError(f"{type(error).__name__}: {error}")
    with suppress(BrokenPipeError):  # who asked was killed
        telling.send(said)


def _end_with_parent() -> None:
    """End this process once the one that began it is gone, however that ended: nobody waits for the run any more."""
    wait([parent_process().sentinel])
    os._exit(1)


def _told(process: Any, told: Connection) -> Exception | None:
    """What a process that has ended said of its run."""
    process.join()
    with told:
        try:
            return told.recv()
        except EOFError:
            return Killed(f"its process ended with code {process.exitcode}, {ATTEMPTS} times. Is there enough memory?")


def slurm(runs: Sequence[Run], workers: int, folder: Path, options: dict[str, Any]) -> Generator[Outcome]:
    """Jobs of SLURM, as many at a time as `workers`; without SLURM, processes that submitit starts here.

    `options` are submitit's parameters, such as `slurm_partition`, `timeout_min` and `gpus_per_node`.
    """
    submitit = _engine("slurm")
    executor = submitit.AutoExecutor(folder=folder / "slurm")
    executor.update_parameters(**{"timeout_min": 24 * 60, "slurm_array_parallelism": workers, **options})
    waiting, jobs = deque(runs), {}
    try:
        while waiting or jobs:
            # SLURM holds back what is too much by itself, submitit's own processes would all start at once.
            room = len(waiting) if executor.cluster == "slurm" else workers - len(jobs)
            begun = [waiting.popleft() for _ in range(min(room, len(waiting)))]
            if begun:
                with executor.batch():
                    submitted = [executor.submit(finish, run) for run in begun]
                jobs |= dict(zip(submitted, begun, strict=True))
            done = [job for job in jobs if job.done()]
            for job in done:
                yield jobs.pop(job), job.exception()
            if not done:
                time.sleep(POLL)
    finally:  # interrupted: nobody waits for what is queued or runs
        for job in jobs:
            job.cancel(check=False)


def ray(runs: Sequence[Run], workers: int, folder: Path, options: dict[str, Any]) -> Generator[Outcome]:
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
ENGINES = {"slurm": "submitit", "ray": "ray"}  # launcher -> the package that it needs


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_launcher(name: str) -> None:
    """Refuse, before anything is prepared, a launcher that could not run anything.

    Raises:
        InputError: If there is none of this name, or its engine is not installed.
    """
    if name not in LAUNCHERS:
        raise InputError(f"--launcher: no '{name}'.{nearest(name, LAUNCHERS)}")
    if name in ENGINES:
        _engine(name)


def _engine(launcher: str) -> Any:
    try:
        return import_module(ENGINES[launcher])
    except ImportError:
        raise InputError(
            f"--launcher {launcher} needs {ENGINES[launcher]}, which is not installed. "
            f"Install it: pip install 'genograph[{launcher}]'"
        ) from None
