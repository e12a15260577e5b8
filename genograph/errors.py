"""The one exception that means: the input is wrong, and here is what to change."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """A mistake in a config, a file or an argument, told in one line.

    The message says what is wrong, the value that was found and the way out. The command line
    prints it without a traceback and exits with code 2.

    >>> from genograph import Bins
    >>> Bins({"chr1": 5000}, 0)
    Traceback (most recent call last):
    genograph.errors.InputError: A bin holds at least 1 bp; got bin_size 0.
    """


def nearest(word: str, known: Iterable[str]) -> str:
    """` Did you mean 'reach'?` for the closest of `known`, or the list of them when nothing is close."""
    known = [str(name) for name in known]
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f" Did you mean '{close[0]}'?"
    return f" Known: {', '.join(known)}." if known else ""
