"""What a bench of a package is asked to do, and what it found: files in the folder of the run."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

__all__ = ["PackageJob", "PackageOutcome", "Program", "Region"]


@dataclass(frozen=True, kw_only=True)
class Program:
    """The program of a die: number of the die, word of the first command in its memory, number of commands."""

    die: int
    address: int
    commands: int


@dataclass(frozen=True, kw_only=True)
class Region:
    """Words to read back: name of the IO die that the memory is behind, first word, number of words."""

    io_die: str
    address: int
    words: int


@dataclass(frozen=True, kw_only=True)
class PackageJob:
    """Programs to run, one on each die of a package, all started in the same cycle.

    The contents of the memory behind an IO die are an image in a folder with its name, see
    :func:`cosim.job.save_image`.

    Attributes
    ----------
    word_bytes
        Width of the memories.
    contents
        Hierarchical name of the contents of the memory behind each IO die.
    programs
        One for each die.
    results
        Words to read back.
    latency, interval, stall, seed
        Settings of the memories, see :class:`rtl.bench.package.PackageBench`.
    most_cycles
        When to give up.
    """

    word_bytes: int
    contents: dict[str, str]
    programs: list[Program]
    results: list[Region]
    latency: int
    interval: int
    stall: int
    seed: int
    most_cycles: int

    def save(self, folder: Path) -> None:
        """Write the job into ``folder``."""
        (folder / "job.json").write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the job from ``folder``."""
        fields = json.loads((folder / "job.json").read_text())
        fields["programs"] = [Program(**program) for program in fields["programs"]]
        fields["results"] = [Region(**region) for region in fields["results"]]
        return cls(**fields)


@dataclass(frozen=True, kw_only=True)
class PackageOutcome:
    """What the bench found.

    Attributes
    ----------
    counters
        Every counter of each die, by its number.
    results
        Bytes of each of the job's results, and which of their bits are undefined.
    """

    counters: list[dict[str, int]]
    results: list[tuple[bytes, bytes]]

    def save(self, folder: Path) -> None:
        """Write the outcome into ``folder``."""
        (folder / "outcome.json").write_text(json.dumps(self.counters))
        for number, (found, undefined) in enumerate(self.results):
            (folder / f"result_{number}.bin").write_bytes(found)
            (folder / f"undefined_{number}.bin").write_bytes(undefined)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the outcome from ``folder``."""
        return cls(
            counters=json.loads((folder / "outcome.json").read_text()),
            results=[
                (path.read_bytes(), (folder / f"undefined_{number}.bin").read_bytes())
                for number in range(len(list(folder.glob("result_*.bin"))))
                for path in [folder / f"result_{number}.bin"]
            ],
        )
