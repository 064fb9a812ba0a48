"""Jobs: what a host asks of a bench, as a file in the folder of the run.

A bench is started for each run. So the modules of this package import nothing that takes long to load.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

__all__ = ["CLOCK_NS", "FOLDER_VARIABLE", "Job", "ProgramJob"]

FOLDER_VARIABLE = "HECATON_RUN_FOLDER"
"""Environment variable with the folder of the run."""

CLOCK_NS = 10
"""Clock period of every bench."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a bench has to do."""

    def save(self, folder: Path) -> None:
        """Write the job into ``folder``."""
        (folder / "job.json").write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the job from ``folder``."""
        return cls(**cls.decode(json.loads((folder / "job.json").read_text())))

    @classmethod
    def decode(cls, fields: dict[str, Any]) -> dict[str, Any]:
        """The fields of a job from their JSON values. Jobs that hold other dataclasses override this."""
        return fields


@dataclass(frozen=True, kw_only=True)
class ProgramJob(Job):
    """A job of dies that run programs out of memories.

    Attributes
    ----------
    word_bytes
        Width of the memories.
    memory_words
        Words of each memory: a die that wants one beyond them stops with an error.
    latency, interval, stall, seed
        Settings of the memories, see :class:`rtl.bench.memory.BenchMemory`.
    observed
        Hierarchical names of the signals whose changes are recorded.
    """

    word_bytes: int
    memory_words: int
    latency: int
    interval: int
    stall: int
    seed: int
    observed: list[str] = field(default_factory=list)
