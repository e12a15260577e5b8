"""What a stage of a benchmark takes: its seconds and the peaks of its memory, sampled in its own process."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

INTERVAL = 0.02  # seconds between samples of memory


class Usage(NamedTuple):
    """What a stage took.

    Attributes:
        seconds: On the clock.
        own: Peak in MB of the memory that is its own (anonymous).
        resident: Peak in MB of all that is resident, which counts pages of memory-mapped files that it has read and
            that the system may take back.
    """

    seconds: float
    own: float
    resident: float


def measured(stage: Callable[[], object]) -> Usage:
    """What a stage takes that is run in this process."""
    peak, is_over, start = {"RssAnon": 0, "VmHWM": 0}, threading.Event(), time.perf_counter()

    def sample() -> None:
        while True:
            lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
            found = {words[0].rstrip(":"): words[1] for words in lines if len(words) > 1}
            for key in peak:
                peak[key] = max(peak[key], int(found[key]))
            if is_over.wait(INTERVAL):
                return

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        stage()
    finally:
        is_over.set()
        thread.join()
    own, resident = (peak[key] * 1024 / 1e6 for key in ("RssAnon", "VmHWM"))
    return Usage(time.perf_counter() - start, own, resident)


def printed_by(script: str, arguments: Sequence[str]) -> str:
    """The last line that a benchmark prints in a process of its own."""
    command = [sys.executable, script, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.splitlines()[-1]
