"""What a bench of a package is asked to do, and what it found: files in the folder of the run."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

__all__ = ["PackageJob", "PackageOutcome", "Phase", "PhaseOutcome", "Program", "Region"]


@dataclass(frozen=True, kw_only=True)
class Program:
    """The program of a die: word of the first command in its memory, number of commands."""

    address: int
    commands: int


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Programs that start in the same cycle, one on each die in the order of their numbers.

    The phase ends when all dies are done.

    Attributes
    ----------
    name
        What the phase does.
    programs
        One for each die.
    most_cycles
        When to give up.
    posts, post_after
        Semaphores that the host posts on all dies in the same cycle, and cycles after the start in which it does.
    """

    name: str
    programs: list[Program]
    most_cycles: int
    posts: int = 0
    post_after: int = 0


@dataclass(frozen=True, kw_only=True)
class Region:
    """Words to read back: name of the IO die that the memory is behind, first word, number of words."""

    io_die: str
    address: int
    words: int


@dataclass(frozen=True, kw_only=True)
class PackageJob:
    """Phases to run on a package, one after the other.

    The contents of the memory behind an IO die are an image in a folder with its name, see
    :func:`cosim.jobs.die.save_image`.

    Attributes
    ----------
    word_bytes
        Width of the memories.
    contents
        Hierarchical name of the contents of the memory behind each IO die.
    counts
        Outputs of the bench that count words read and written at the AXI port of each IO die, by what they count.
    phases
        What the dies do.
    results
        Words to read back.
    latency, interval, stall, seed
        Settings of the memories, see :class:`rtl.bench.package.PackageBench`.
    observed
        Hierarchical names of signals whose changes are to be kept.
    """

    word_bytes: int
    contents: dict[str, str]
    counts: dict[str, dict[str, str]]
    phases: list[Phase]
    results: list[Region]
    latency: int
    interval: int
    stall: int
    seed: int
    observed: list[str] = field(default_factory=list)

    def save(self, folder: Path) -> None:
        """Write the job into ``folder``."""
        (folder / "job.json").write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the job from ``folder``."""
        fields = json.loads((folder / "job.json").read_text())
        for phase in fields["phases"]:
            phase["programs"] = [Program(**program) for program in phase["programs"]]
        fields["phases"] = [Phase(**phase) for phase in fields["phases"]]
        fields["results"] = [Region(**region) for region in fields["results"]]
        return cls(**fields)


@dataclass(frozen=True, kw_only=True)
class PhaseOutcome:
    """What happened in a phase.

    Attributes
    ----------
    counters
        Every counter of each die, by its number.
    axi
        Words read and written at the AXI port of each IO die, as the job's ``counts`` name them.
    """

    counters: list[dict[str, int]]
    axi: dict[str, dict[str, int]]

    @property
    def cycles(self) -> int:
        """From the common start to the end of the last program."""
        return max(counters["cycles"] for counters in self.counters)


@dataclass(frozen=True, kw_only=True)
class PackageOutcome:
    """What the bench found.

    Attributes
    ----------
    phases
        In the order of the job's.
    results
        Bytes of each of the job's results, and which of their bits are undefined.
    """

    phases: list[PhaseOutcome]
    results: list[tuple[bytes, bytes]]

    def save(self, folder: Path) -> None:
        """Write the outcome into ``folder``."""
        (folder / "outcome.json").write_text(json.dumps([asdict(phase) for phase in self.phases]))
        for number, (found, undefined) in enumerate(self.results):
            (folder / f"result_{number}.bin").write_bytes(found)
            (folder / f"undefined_{number}.bin").write_bytes(undefined)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the outcome from ``folder``."""
        phases: list[dict[str, Any]] = json.loads((folder / "outcome.json").read_text())
        return cls(
            phases=[PhaseOutcome(**phase) for phase in phases],
            results=[
                (path.read_bytes(), (folder / f"undefined_{number}.bin").read_bytes())
                for number in range(len(list(folder.glob("result_*.bin"))))
                for path in [folder / f"result_{number}.bin"]
            ],
        )
