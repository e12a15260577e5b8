"""What a check of the audit finds, and how it says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

MASK = "Set contacts.mask=true."


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        check: Its name in `CHECKS`.
        status: `ok`, `note` (to be known when results are read) or `leak` (results would mean nothing).
        count: How many edges, nodes, bases, bins or tracks fall foul; 0 if ok.
        message: One line: what, with numbers and the way out.
        values: Figures, such as the Pearson r `expression.genes`.
        arm: Of an ablation in which it was found; empty for the config itself.
    """

    check: str
    status: str
    count: int
    message: str
    values: dict[str, float] = field(default_factory=dict)
    arm: str = ""


def not_applicable(check: str, reason: str) -> Finding:
    """That a check has nothing to look at."""
    return Finding(check, "ok", 0, f"Not applicable: {reason}.")


def greatest(values: Mapping[str, float], key: Callable[[float], float] = float) -> str:
    """The greatest value, or that whose `key` is, with its name."""
    ranked = sorted((each for each in values.items() if np.isfinite(each[1])), key=lambda each: key(each[1]))
    return f"{ranked[-1][1]:.2f} ({ranked[-1][0]})" if ranked else "none, for nothing varies"
