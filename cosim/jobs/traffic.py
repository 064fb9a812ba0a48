"""What a bench of a mesh under traffic is asked to do, and what it found: files in the folder of the run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

__all__ = ["STUCK_CYCLES", "LinkJob", "TrafficJob", "load_counters", "save_counters"]

STUCK_CYCLES = 1000
"""Cycles without a flit received after which those that are still under way are given up."""


@dataclass(frozen=True, kw_only=True)
class LinkJob:
    """Links of a mesh that have adapters, and their faults.

    Attributes
    ----------
    links
        Links of the mesh.
    registers
        Faults of all links, by the names of ``rtl.bench.faulty_link.FAULT_REGISTERS``.
    cut_link, cut_cycle
        Number of the link that dies, or None, and the cycle in which it does.
    dead_cycles
        Most cycles until both ends of a dead link know.
    """

    links: int
    registers: dict[str, int]
    cut_link: int | None
    cut_cycle: int
    dead_cycles: int


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
    link_job
        Links with adapters, or None if they are wires.
    """

    nodes: int
    rate: int
    first: int
    last: int
    seed: int
    link_job: LinkJob | None = None

    def save(self, folder: Path) -> None:
        """Write the job into ``folder``."""
        (folder / "job.json").write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the job from ``folder``."""
        fields = json.loads((folder / "job.json").read_text())
        links = fields.pop("link_job")
        return cls(**fields, link_job=None if links is None else LinkJob(**links))


def save_counters(
    folder: Path, nodes: Sequence[Mapping[str, int]], links: Sequence[Mapping[str, int]]
) -> None:
    """Write the counters of each node and of each link, by name."""
    (folder / "counters.json").write_text(json.dumps([list(nodes), list(links)]))


def load_counters(folder: Path) -> tuple[list[dict[str, int]], list[dict[str, int]]]:
    """Read the counters of each node and of each link, by name."""
    nodes, links = json.loads((folder / "counters.json").read_text())
    return nodes, links
