"""What a bench of a collective is asked to do, and what it found: files in the folder of the run.

The bench is started for each run, so what it imports, such as this module, needs nothing that takes long to import.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

from cosim.jobs.die import image_words, save_image
from cosim.jobs.traffic import LinkJob

__all__ = [
    "CollectiveJob",
    "exchange_path",
    "load_counters",
    "load_result",
    "program_words",
    "save_counters",
    "save_program",
    "save_result",
]


@dataclass(frozen=True, kw_only=True)
class CollectiveJob:
    """A program for each die of a mesh.

    Attributes
    ----------
    word_bytes, banks
        Words and banks of the exchange buffers.
    commands
        Number of commands of each die; every program begins at word 0 of the die's memory.
    words
        Words of each exchange buffer that are filled before, and read after.
    latency, stall, seed
        Settings of the memories.
    most_cycles
        When to give up.
    link_job
        Links with adapters, or None if they are wires.
    link_counters
        Names of the counters of such a link, in the order of their numbers.
    observed
        Hierarchical names of signals whose changes are to be kept.
    """

    word_bytes: int
    banks: int
    commands: list[int]
    words: int
    latency: int
    stall: int
    seed: int
    most_cycles: int
    link_job: LinkJob | None = None
    link_counters: list[str] = field(default_factory=list)
    observed: list[str] = field(default_factory=list)

    def save(self, folder: Path) -> None:
        """Write the job into ``folder``."""
        (folder / "job.json").write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the job from ``folder``."""
        fields = json.loads((folder / "job.json").read_text())
        links = fields.pop("link_job")
        return cls(**fields, link_job=None if links is None else LinkJob(**links))


def save_program(folder: Path, node: int, image: bytes) -> None:
    """Write the memory image of the program of a die."""
    own = folder / f"node_{node}"
    own.mkdir()
    save_image(own, {0: image})


def program_words(folder: Path, node: int, *, word_bytes: int) -> Iterator[tuple[int, int]]:
    """The memory image of the program of a die, as pairs of address and word."""
    return image_words(folder / f"node_{node}", word_bytes=word_bytes)


def exchange_path(folder: Path, node: int) -> Path:
    """File with the words that the exchange buffer of a die holds at the start."""
    return folder / f"exchange_{node}.bin"


class Word(Protocol):
    """The value of a 32-bit signal, as cocotb gives it: it may have undefined bits."""

    @property
    def is_resolvable(self) -> bool:
        """Whether all bits are 0 or 1."""
        ...

    def to_unsigned(self) -> int:
        """The value, if they are."""
        ...


def save_result(folder: Path, node: int, words: Sequence[Word]) -> None:
    """Write the 32-bit words that the exchange buffer of a die holds in the end, and which of them are defined."""
    known = [word.is_resolvable for word in words]
    values = [word.to_unsigned() if defined else 0 for word, defined in zip(words, known, strict=True)]
    (folder / f"result_{node}.bin").write_bytes(b"".join(value.to_bytes(4, "little") for value in values))
    (folder / f"known_{node}.bin").write_bytes(bytes(known))


def load_result(folder: Path, node: int) -> tuple[bytes, bytes]:
    """Read these words, and a byte for each: 1 if it is defined. One with an undefined bit is equal to nothing."""
    return (folder / f"result_{node}.bin").read_bytes(), (folder / f"known_{node}.bin").read_bytes()


def save_counters(
    folder: Path, state: str, counters: Sequence[Mapping[str, int]], links: Sequence[Mapping[str, int]]
) -> None:
    """Write how the run ended (``done``, or what went wrong), and the counters of each die and each link by name."""
    found = {"state": state, "counters": list(counters), "links": list(links)}
    (folder / "counters.json").write_text(json.dumps(found))


def load_counters(folder: Path) -> tuple[str, list[dict[str, int]], list[dict[str, int]]]:
    """Read how the run ended, and the counters of each die and each link by name."""
    found: dict[str, Any] = json.loads((folder / "counters.json").read_text())
    return found["state"], found["counters"], found["links"]
