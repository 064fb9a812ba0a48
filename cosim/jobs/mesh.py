"""What benches of a mesh share: links with adapters, and the counters of nodes and links."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from cosim.jobs.base import Job

__all__ = ["LinkJob", "MeshCounters", "MeshJob"]


@dataclass(frozen=True, kw_only=True)
class LinkJob:
    """Links of a mesh that have adapters, and their faults.

    Attributes
    ----------
    links
        Number of links of the mesh.
    registers
        Faults of all links, by the names of :class:`rtl.bench.channel.Faults`.
    cut_link, cut_cycle
        Number of the link that dies, or None, and the cycle in which it dies.
    dead_cycles
        Maximum number of cycles until both ends of a dead link know.
    """

    links: int
    registers: dict[str, int]
    cut_link: int | None
    cut_cycle: int
    dead_cycles: int


@dataclass(frozen=True, kw_only=True)
class MeshJob(Job):
    """A job of a mesh of nodes.

    Attributes
    ----------
    link_job
        Links with adapters, or None if they are wires.
    """

    link_job: LinkJob | None = None

    @classmethod
    def decode(cls, fields: dict[str, Any]) -> dict[str, Any]:
        """The fields of a job from their JSON values."""
        links = fields["link_job"]
        return {**fields, "link_job": None if links is None else LinkJob(**links)}


@dataclass(frozen=True, kw_only=True)
class MeshCounters:
    """Counters by name at the end of a run.

    Attributes
    ----------
    nodes, links
        Of each node and each link, in the order of their numbers.
    state
        How the run ended: ``done``, ``error`` or ``stuck``.
    sources
        Counters of what each node received from each source, in the order of their numbers; of traffic only.
    finished
        Cycle of the last flit that was received; of traffic only.
    """

    nodes: tuple[dict[str, int], ...]
    links: tuple[dict[str, int], ...]
    state: str = "done"
    sources: tuple[tuple[dict[str, int], ...], ...] = ()
    finished: int = 0

    def save(self, folder: Path) -> None:
        """Write the counters into ``folder``."""
        (folder / "counters.json").write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the counters from ``folder``."""
        fields = json.loads((folder / "counters.json").read_text())
        return cls(
            nodes=tuple(fields["nodes"]),
            links=tuple(fields["links"]),
            state=fields["state"],
            sources=tuple(tuple(row) for row in fields["sources"]),
            finished=fields["finished"],
        )
