"""Several processes that work on one thing: those that torchrun or srun started, or workers started here."""

from __future__ import annotations

import atexit
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import NamedTuple

from genograph.errors import InputError

# Rank, number of processes, rank on this machine, number on this machine. What srun gives of a step is not there in a
# batch script, of which one process runs whatever number of tasks was asked for.
TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
SRUN = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", "SLURM_NTASKS_PER_NODE")
PATIENCE = timedelta(days=7)  # for the slowest process


class Launched(NamedTuple):
    """The place of a process among those that torchrun or srun started."""

    rank: int
    count: int
    local_rank: int
    local_count: int


def launched() -> Launched | None:
    """Where this process stands among those that torchrun or srun started; None if it was started by itself.

    Raises:
        InputError: If srun started several and was not told how many a machine.
    """
    for names in (TORCHRUN, SRUN):
        if all(name in os.environ for name in names):
            return Launched(*(int(os.environ[name]) for name in names))
    if int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1:
        raise InputError("srun started several processes and does not say how many a machine: give --ntasks-per-node.")
    return None


def is_first() -> bool:
    """Whether this is the process that speaks for all: the only one, or that of rank 0."""
    here = launched()
    return (here.rank if here else int(os.environ.get("LOCAL_RANK", 0))) == 0  # Lightning gives its processes no more


def _no_wait() -> None:
    """What one process waits for."""


@dataclass(frozen=True)
class Crew:
    """Processes that share out a piece of work, and one of them.

    Attributes:
        scratch: A folder that all of them see while they are at it.
        rank: 0 for the first, which gathers what all have done.
        count: How many they are.
        local_rank: Among those of this machine.
        wait: Returns once all have done their share.
    """

    scratch: Path
    rank: int = 0
    count: int = 1
    local_rank: int = 0
    wait: Callable[[], None] = _no_wait

    @property
    def is_first(self) -> bool:
        return self.rank == 0


@contextmanager
def crew(folder: Path, workers: int, help_with: Callable[[Crew], None]) -> Iterator[Crew]:
    """The crew that this process belongs to: of torchrun or srun, of `workers` processes here, or of it alone.

    Args:
        folder: Where the scratch folder lies until all have left the block; for several machines, one that all see.
        workers: Processes on this machine, this one among them.
        help_with: What the other workers do; it can be pickled.

    Raises:
        InputError: If workers are asked of one of several processes, or one of them fails.
    """
    here = launched()
    if here is None or here.count == 1:
        with (
            TemporaryDirectory(dir=folder, prefix=".scratch-") as scratch,
            _workers(workers, Path(scratch), help_with) as all_done,
        ):
            yield Crew(Path(scratch), count=workers, wait=all_done)
        return
    if workers > 1:
        raise InputError(f"--workers {workers}: torchrun or srun already started {here.count} processes; leave it out.")
    distributed = _connected(here)
    own = TemporaryDirectory(dir=folder, prefix=".scratch-") if here.rank == 0 else nullcontext()
    with own as scratch:
        told = [scratch]
        distributed.broadcast_object_list(told)
        yield Crew(Path(told[0]), here.rank, here.count, here.local_rank, distributed.barrier)
        distributed.barrier()


def _connected(here: Launched):
    """torch.distributed, once it has joined all processes; they part when they end, as they cannot join twice."""
    from pytorch_lightning.plugins.environments import SLURMEnvironment
    from torch import distributed

    if distributed.is_initialized():
        return distributed
    if "MASTER_ADDR" not in os.environ:  # of srun, which leaves the choice to who uses it
        slurm = SLURMEnvironment()
        os.environ |= {"MASTER_ADDR": slurm.main_address, "MASTER_PORT": str(slurm.main_port)}
    distributed.init_process_group("gloo", rank=here.rank, world_size=here.count, timeout=PATIENCE)
    atexit.register(distributed.destroy_process_group)
    return distributed


@contextmanager
def _workers(count: int, scratch: Path, help_with: Callable[[Crew], None]) -> Iterator[Callable[[], None]]:
    """Begin all workers but the first, which is this process; gives what waits for them. They share torch's threads."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads // count))
    context = get_context("spawn")
    others = [
        context.Process(target=_help, args=(help_with, Crew(scratch, rank, count, rank), torch.get_num_threads()))
        for rank in range(1, count)
    ]

    def all_done() -> None:
        for rank, process in enumerate(others, start=1):
            process.join()
            if process.exitcode:
                raise InputError(
                    f"worker {rank} of {count} ended with code {process.exitcode}. Is there enough memory? "
                    "A script that starts workers needs `if __name__ == '__main__':`."
                )

    try:
        for process in others:
            process.start()
        yield all_done
    finally:  # interrupted, or done
        torch.set_num_threads(threads)
        for process in others:
            if process.pid is not None:
                process.terminate()
                process.join()


def _help(help_with: Callable[[Crew], None], member: Crew, threads: int) -> None:
    """What a worker runs."""
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; who began this ends it
    Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    help_with(member)


def _end_with_parent() -> None:
    """End this process once the one that began it is gone, however that ended."""
    wait([parent_process().sentinel])
    os._exit(1)
