"""The job of a bench of one die, and its outcome."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from cosim.jobs.base import ProgramJob

__all__ = ["PROGRESS_CYCLES", "DieJob", "DieOutcome"]

PROGRESS_CYCLES = 500
"""Cycles between two reports of progress: rare enough to cost nothing."""


@dataclass(frozen=True, kw_only=True)
class DieJob(ProgramJob):
    """A program to run on a die.

    Attributes
    ----------
    program_address, commands
        Address of the first command, and number of commands.
    result_address, result_words
        Words to read back.
    most_cycles
        Cycles after which the bench gives up.
    """

    program_address: int
    commands: int
    result_address: int
    result_words: int
    most_cycles: int


@dataclass(frozen=True, kw_only=True)
class DieOutcome:
    """What the bench measured. The words read back are result 0, see :mod:`cosim.jobs.folder`.

    Attributes
    ----------
    counters
        Every counter of the die.
    seconds, cpu_seconds
        Wall-clock time from start to done, and the simulator's processor time: without its beginning and end.
    started
        When the program was started, in seconds since 1970.
    """

    counters: dict[str, int]
    seconds: float
    cpu_seconds: float
    started: float = 0.0

    def save(self, folder: Path) -> None:
        """Write the outcome into ``folder``."""
        (folder / "outcome.json").write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the outcome from ``folder``."""
        return cls(**json.loads((folder / "outcome.json").read_text()))
