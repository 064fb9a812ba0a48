"""What benches of a mesh share: links with adapters, and the counters of nodes and links."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from cosim.jobs.base import Job

__all__ = ["Cut", "LinkJob", "MeshCounters", "MeshJob"]


@dataclass(frozen=True)
class Cut:
    """A link that dies.

    Attributes
    ----------
    link, name
        Its number, and its nodes, as in ``0:1``.
    cycle
        When it dies, counted from the cycle in which the run may begin to use it.
    target, side
        The node that receives by it, and on which of its sides, from north on.
    """

    link: int
    name: str
    cycle: int
    target: int
    side: int


@dataclass(frozen=True, kw_only=True)
class LinkJob:
    """Links of a mesh that have adapters, and their faults.

    Attributes
    ----------
    links
        Number of links of the mesh.
    registers
        Faults of all links, by the names of :class:`rtl.bench.channel.Faults`.
    cuts
        The links that die, in the order of time.
    dead_cycles
        Maximum number of cycles until both ends of a dead link know.
    """

    links: int
    registers: dict[str, int]
    cuts: tuple[Cut, ...]
    dead_cycles: int

    @classmethod
    def decode(cls, fields: dict[str, Any] | None) -> Self | None:
        """Links from their JSON values, if there are any."""
        if fields is None:
            return None
        return cls(**{**fields, "cuts": tuple(Cut(**cut) for cut in fields["cuts"])})


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
        return {**fields, "link_job": LinkJob.decode(fields["link_job"])}


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
