"""The version that an installed program reports of itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from rtl.processes.child_process import ChildTimeout, run_child

__all__ = ["reported_version"]

ANSWER_SECONDS = 20
"""How long a program may take to report its version."""


def reported_version(command: Sequence[str | Path], pattern: str) -> str | None:
    """The first group of ``pattern`` in what ``command`` prints, at the beginning of a line where the pattern says so.

    None if the program does not start, takes too long, or prints nothing of the kind.
    """
    try:
        answer = run_child(command, seconds=ANSWER_SECONDS)
    except (OSError, ChildTimeout):
        return None
    reported = re.search(pattern, answer.output + answer.errors, re.MULTILINE)
    return reported[1] if reported else None
