"""What a bench of a mesh under traffic is asked to do, and what it found: files in the folder of the run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

__all__ = ["STUCK_CYCLES", "TrafficJob", "load_counters", "save_counters"]

STUCK_CYCLES = 1000
"""Cycles without a flit received after which those that are still under way are given up."""


@dataclass(frozen=True, kw_only=True)
class TrafficJob:
    """Traffic to run on a mesh.

    Attributes
    ----------
    nodes
        Nodes of the mesh.
    rate
        Flits of a node in 65536 cycles.
    first, last
        Flits generated from cycle ``first`` to before cycle ``last`` are measured; none are generated after them.
    seed
        Of the nodes' random numbers.
    """

    nodes: int
    rate: int
    first: int
    last: int
    seed: int

    def save(self, folder: Path) -> None:
        """Write the job into ``folder``."""
        (folder / "job.json").write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the job from ``folder``."""
        return cls(**json.loads((folder / "job.json").read_text()))


def save_counters(folder: Path, counters: Sequence[Mapping[str, int]]) -> None:
    """Write the counters of each node, by name."""
    (folder / "counters.json").write_text(json.dumps(list(counters)))


def load_counters(folder: Path) -> list[dict[str, int]]:
    """Read the counters of each node, by name."""
    counters: list[dict[str, int]] = json.loads((folder / "counters.json").read_text())
    return counters
