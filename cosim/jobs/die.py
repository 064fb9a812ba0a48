"""What a bench of one die is asked to do, and what it found: files in the folder of the run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

__all__ = [
    "CLOCK_NS",
    "FOLDER_VARIABLE",
    "PROGRESS_CYCLES",
    "DieJob",
    "Outcome",
    "image_words",
    "load_changes",
    "load_progress",
    "save_changes",
    "save_image",
    "save_progress",
]

FOLDER_VARIABLE = "HECATON_RUN_FOLDER"
CLOCK_NS = 10
PROGRESS_CYCLES = 500
"""Cycles from one word of progress to the next: rare enough to cost nothing."""


@dataclass(frozen=True, kw_only=True)
class DieJob:
    """A program to run on a die.

    Attributes
    ----------
    word_bytes
        Width of the memory.
    program_address, commands
        Word of the first command, and how many there are.
    result_address, result_words
        Words to read back.
    latency, interval, stall, seed
        Settings of the memory, see :class:`rtl.bench.memory.BenchMemory`.
    most_cycles
        When to give up.
    observed
        Hierarchical names of signals whose changes are to be kept.
    """

    word_bytes: int
    program_address: int
    commands: int
    result_address: int
    result_words: int
    latency: int
    interval: int
    stall: int
    seed: int
    most_cycles: int
    observed: list[str] = field(default_factory=list)

    def save(self, folder: Path) -> None:
        """Write the job into ``folder``."""
        (folder / "job.json").write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the job from ``folder``."""
        return cls(**json.loads((folder / "job.json").read_text()))


def save_progress(folder: Path, cycles: int) -> None:
    """Tell how many cycles have passed."""
    written = folder / "progress.new"
    written.write_text(str(cycles))
    written.replace(folder / "progress")  # never seen empty


def load_progress(folder: Path) -> int:
    """Return how many cycles have passed; 0 while nothing is told."""
    try:
        return int((folder / "progress").read_text())
    except (OSError, ValueError):
        return 0


def save_image(folder: Path, segments: Mapping[int, bytes]) -> None:
    """Write memory contents, given by their first word, into ``folder``. Other words stay undefined."""
    for address, content in segments.items():
        (folder / f"image_{address}.bin").write_bytes(content)


def image_words(folder: Path, *, word_bytes: int) -> Iterator[tuple[int, int]]:
    """Memory contents as pairs of address and word."""
    for path in sorted(folder.glob("image_*.bin")):
        content = path.read_bytes()
        first = int(path.stem.removeprefix("image_"))
        for start in range(0, len(content), word_bytes):
            yield first + start // word_bytes, int.from_bytes(content[start : start + word_bytes], "little")


def save_changes(folder: Path, changes: Iterable[tuple[int, str, int]]) -> None:
    """Write changes of observed signals: cycle, name, value."""
    (folder / "changes.json").write_text(json.dumps(list(changes)))


def load_changes(folder: Path) -> list[tuple[int, str, int]]:
    """Return the changes of observed signals, in the order of time."""
    return [(cycle, name, value) for cycle, name, value in json.loads((folder / "changes.json").read_text())]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the bench found. The words read back are in a file beside it.

    Attributes
    ----------
    counters
        Every counter of the die.
    seconds
        Wall-clock time from start to done: the simulation without its beginning and end.
    started
        When the program was started, in seconds since 1970.
    """

    counters: dict[str, int]
    seconds: float
    started: float = 0.0

    def save(self, folder: Path, words: Iterable[int], undefined: Iterable[int], *, word_bytes: int) -> None:
        """Write the outcome, the words read back, and which of their bits are undefined."""
        for name, values in (("result.bin", words), ("undefined.bin", undefined)):
            (folder / name).write_bytes(b"".join(value.to_bytes(word_bytes, "little") for value in values))
        (folder / "outcome.json").write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, folder: Path) -> tuple[Self, bytes, bytes]:
        """Read the outcome, the bytes read back, and which of their bits are undefined."""
        outcome = cls(**json.loads((folder / "outcome.json").read_text()))
        return outcome, (folder / "result.bin").read_bytes(), (folder / "undefined.bin").read_bytes()
