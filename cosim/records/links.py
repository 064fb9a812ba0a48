"""Links of a mesh: their adapters, the faults of their wires, and the totals of their counters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import Field

from chiplet.machine.base import StrictModel
from chiplet.machine.specs import NopSpec, SystemSpec
from cosim.jobs.mesh import LinkJob
from cosim.records.base import checked
from rtl.bench.channel import BURST_BITS, CHANCE_BITS, STALL_BITS
from rtl.bench.router_mesh import MeshLinks, mesh_links
from rtl.interface.flit import flit_layout
from rtl.interface.link_shape import LinkShape

__all__ = ["Death", "FaultyLinks", "LinkTotals"]


class Death(StrictModel):
    """Death of the link from node ``source`` to node ``target``: the cycle in which it dies, or is found dead."""

    source: Annotated[int, Field(ge=0)]
    target: Annotated[int, Field(ge=0)]
    cycle: Annotated[int, Field(ge=0, lt=1 << 32)]


class FaultyLinks(StrictModel):
    """Links between the routers: adapters and faulty wires.

    Attributes
    ----------
    phit_bits, timeout_cycles
        As of :class:`rtl.interface.link_shape.LinkShape`.
    flight_cycles
        Cycles from adapter to adapter.
    flips
        Probability that bits of a frame flip: one, and each of the ``burst`` wires above it with probability 1/2.
    stalls
        Probability that the wires go blank in a cycle, for 1 to ``stall_cycles`` cycles, a power of two.
    death
        A link that dies, or None.
    """

    phit_bits: Annotated[int, Field(ge=1)]
    flight_cycles: Annotated[int, Field(ge=0)]
    timeout_cycles: Annotated[int, Field(ge=1)]
    flips: Annotated[float, Field(ge=0, le=1)] = 0.0
    burst: Annotated[int, Field(ge=0, le=BURST_BITS)] = 0
    stalls: Annotated[float, Field(ge=0, le=1)] = 0.0
    stall_cycles: Annotated[int, Field(ge=1, le=1 << STALL_BITS - 1)] = 16
    death: Death | None = None

    @classmethod
    def of(
        cls,
        system: SystemSpec,
        *,
        flips: float = 0.0,
        burst: int = 0,
        stalls: float = 0.0,
        stall_cycles: int = 16,
        death: Death | None = None,
    ) -> Self:
        """Links of ``system`` with faults. Raises ValueError with one line for a value that is out of range."""
        return checked(
            cls,
            {
                "phit_bits": system.link_phit_bits,
                "flight_cycles": LinkShape.flight_cycles(system),
                "timeout_cycles": system.link.timeout_cycles,
                "flips": flips,
                "burst": burst,
                "stalls": stalls,
                "stall_cycles": stall_cycles,
                "death": death,
            },
        )

    def mesh_links(self, nop: NopSpec) -> MeshLinks:
        """The adapters for flits of ``nop``. Raises ValueError if they cannot be made."""
        shape = LinkShape.fit(
            width=flit_layout(nop).size,
            phit_bits=self.phit_bits,
            flight_cycles=self.flight_cycles,
            timeout_cycles=self.timeout_cycles,
        )
        return MeshLinks(shape=shape, flight_cycles=self.flight_cycles)

    def hop_cycles(self, nop: NopSpec) -> int:
        """Cycles of a hop, without those of the router and without waiting for the start of a frame."""
        return self.mesh_links(nop).shape.latency_cycles(self.flight_cycles)

    def job(self, nop: NopSpec, rows: int, cols: int) -> LinkJob:
        """The bench's settings for these links.

        Raises
        ------
        ValueError
            If the link that dies is not a link of the mesh, or the time-out is too short for the links.
        """
        links = mesh_links(rows, cols)
        shape = self.mesh_links(nop).shape
        if self.death is not None and (self.death.source, self.death.target) not in links:
            raise ValueError(
                f"link {self.death.source}:{self.death.target} is not a link of the mesh: must join two neighbours "
                f"among nodes 0 to {rows * cols - 1}, numbered row by row"
            )
        registers = {
            "flip_rate": _register(self.flips / shape.frame_cycles),
            "burst": (1 << self.burst) - 1,
            "stall_rate": _register(self.stalls),
            "stall_mask": (1 << (self.stall_cycles - 1).bit_length()) - 1,
        }
        return LinkJob(
            links=len(links),
            registers=registers,
            cut_link=None if self.death is None else links.index((self.death.source, self.death.target)),
            cut_cycle=0 if self.death is None else self.death.cycle,
            dead_cycles=shape.dead_cycles(self.flight_cycles),
        )


def _register(probability: float) -> int:
    """A probability as a register of the bench holds it; 1 becomes the largest value."""
    return min(round(probability * (1 << CHANCE_BITS)), (1 << CHANCE_BITS) - 1)


class LinkTotals(StrictModel):
    """Totals of the counters of all links.

    Attributes
    ----------
    frame_bits, frame_cycles
        Size of a frame.
    latency_cycles
        Cycles from adapter to adapter.
    dead_cycles
        Maximum number of cycles from the death of a link until both ends know.
    sent, received
        Flits that crossed a link, counted at each link; replays do not count.
    replayed, crc_errors, flips, stalls
        Flits sent again, bad frames, cycles with flipped bits, stalls.
    deaths
        Links found dead by their targets, in the order of time.
    """

    frame_bits: int
    frame_cycles: int
    latency_cycles: int
    dead_cycles: int
    sent: int
    received: int
    replayed: int
    crc_errors: int
    flips: int
    stalls: int
    deaths: tuple[Death, ...]

    @classmethod
    def count(
        cls, links: FaultyLinks, nop: NopSpec, rows: int, cols: int, counters: Sequence[dict[str, int]]
    ) -> Self:
        """Totals of the counters of each link, numbered as in :func:`rtl.bench.router_mesh.mesh_links`."""
        shape = links.mesh_links(nop).shape
        deaths = [
            Death(source=source, target=target, cycle=link_counters["dead_cycle"])
            for (source, target), link_counters in zip(mesh_links(rows, cols), counters, strict=True)
            if link_counters["dead"]
        ]
        names = ("sent", "received", "replayed", "crc_errors", "flips", "stalls")
        return cls(
            frame_bits=shape.frame_bits,
            frame_cycles=shape.frame_cycles,
            latency_cycles=shape.latency_cycles(links.flight_cycles),
            dead_cycles=shape.dead_cycles(links.flight_cycles),
            **{name: sum(link_counters[name] for link_counters in counters) for name in names},
            deaths=tuple(sorted(deaths, key=lambda death: death.cycle)),
        )
