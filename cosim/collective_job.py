"""What a bench of a collective is asked to do, and what it found: files in the folder of the run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from cosim.traffic_job import LinkJob

__all__ = ["CollectiveJob", "exchange_path", "load_counters", "result_path", "save_counters"]


@dataclass(frozen=True, kw_only=True)
class CollectiveJob:
    """A program for each die of a mesh.

    Attributes
    ----------
    word_bytes, banks
        Words and banks of the exchange buffers.
    programs
        Commands of each die, as numbers; every program begins at word 0 of the die's memory.
    command_words
        Memory words of a command.
    words
        Words of each exchange buffer that are filled before, and read after.
    latency, stall, seed
        Settings of the memories.
    most_cycles
        When to give up.
    link_job
        Links with adapters, or None if they are wires.
    observed
        Hierarchical names of signals whose changes are to be kept.
    """

    word_bytes: int
    banks: int
    programs: list[list[int]]
    command_words: int
    words: int
    latency: int
    stall: int
    seed: int
    most_cycles: int
    link_job: LinkJob | None = None
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


def exchange_path(folder: Path, node: int) -> Path:
    """File with the words that the exchange buffer of a die holds at the start."""
    return folder / f"exchange_{node}.bin"


def result_path(folder: Path, node: int) -> Path:
    """File with the words that it holds in the end."""
    return folder / f"result_{node}.bin"


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
