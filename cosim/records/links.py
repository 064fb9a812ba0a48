"""Links of a mesh: their adapters, the faults of their wires, and the totals of their counters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import Field

from chiplet.machine.base import StrictModel
from chiplet.machine.link_frame import flit_width, link_flight_cycles
from chiplet.machine.specs import NopSpec, SystemSpec
from cosim.jobs.mesh import Cut, LinkJob
from cosim.records.base import checked
from rtl.bench.channel import BURST_BITS, CHANCE_BITS, STALL_BITS
from rtl.bench.router_mesh import MeshLinks, mesh_links
from rtl.interface.flit import NEIGHBOUR, SIDES
from rtl.interface.link_shape import LinkShape

__all__ = ["Death", "FaultyLinks", "LinkFaults", "LinkTotals", "death_in_words", "deaths_in_words"]


class Death(StrictModel):
    """Death of the link from node ``source`` to node ``target``: the cycle in which it dies, or is found dead.

    Of a link that dies, cycles count from the cycle in which the run may begin to use it. One that is found dead has in
    ``late`` the cycles from its death until then, if it died.
    """

    source: Annotated[int, Field(ge=0)]
    target: Annotated[int, Field(ge=0)]
    cycle: Annotated[int, Field(ge=0, lt=1 << 32)]
    late: Annotated[int, Field(ge=0)] | None = None

    def __str__(self) -> str:
        return f"{self.source}:{self.target}"


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
    deaths
        Links that die.
    """

    phit_bits: Annotated[int, Field(ge=1)]
    flight_cycles: Annotated[int, Field(ge=0)]
    timeout_cycles: Annotated[int, Field(ge=1)]
    flips: Annotated[float, Field(ge=0, le=1)] = 0.0
    burst: Annotated[int, Field(ge=0, le=BURST_BITS)] = 0
    stalls: Annotated[float, Field(ge=0, le=1)] = 0.0
    stall_cycles: Annotated[int, Field(ge=1, le=1 << STALL_BITS - 1)] = 16
    deaths: tuple[Death, ...] = ()

    @classmethod
    def of(
        cls,
        system: SystemSpec,
        *,
        flips: float = 0.0,
        burst: int = 0,
        stalls: float = 0.0,
        stall_cycles: int = 16,
        deaths: Sequence[Death] = (),
    ) -> Self:
        """Links of ``system`` with faults. Raises ValueError with one line for a value that is out of range."""
        return checked(
            cls,
            {
                "phit_bits": system.link_phit_bits,
                "flight_cycles": link_flight_cycles(system),
                "timeout_cycles": system.link.timeout_cycles,
                "flips": flips,
                "burst": burst,
                "stalls": stalls,
                "stall_cycles": stall_cycles,
                "deaths": tuple(deaths),
            },
        )

    @property
    def faulty(self) -> bool:
        """Whether the wires have faults at all."""
        return bool(self.flips or self.stalls or self.deaths)

    def mesh_links(self, nop: NopSpec) -> MeshLinks:
        """The adapters for flits of ``nop``. Raises ValueError if they cannot be made."""
        shape = LinkShape.fit(
            data_bits=nop.flit_bits,
            width=flit_width(nop),
            phit_bits=self.phit_bits,
            flight_cycles=self.flight_cycles,
            timeout_cycles=self.timeout_cycles,
        )
        return MeshLinks(shape=shape, flight_cycles=self.flight_cycles)

    def hop_cycles(self, nop: NopSpec, flits: int = 1) -> int:
        """Cycles of a hop of the first of ``flits`` flits in a row, without those of the router and without waiting for
        the start of a frame.
        """
        return self.mesh_links(nop).shape.frame.burst_latency_cycles(flits)

    def job(self, nop: NopSpec, rows: int, cols: int) -> LinkJob:
        """The bench's settings for these links.

        Raises
        ------
        ValueError
            If a link that dies is not a link of the mesh, or dies twice, or the time-out is too short for the links.
        """
        links = mesh_links(rows, cols)
        shape = self.mesh_links(nop).shape
        cuts: list[Cut] = []
        for death in sorted(self.deaths, key=lambda death: death.cycle):
            ends = (death.source, death.target)
            if ends not in links:
                raise ValueError(
                    f"link {death} is not a link of the mesh: must join two neighbours among nodes 0 to "
                    f"{rows * cols - 1}, numbered row by row"
                )
            if links.index(ends) in {cut.link for cut in cuts}:
                raise ValueError(f"link {death} dies twice: must die once")
            here, there = (divmod(node, cols) for node in ends)
            side = next(
                number
                for number, side in enumerate(SIDES)
                if (there[0] + NEIGHBOUR[side][0], there[1] + NEIGHBOUR[side][1]) == here
            )
            cuts.append(Cut(links.index(ends), str(death), death.cycle, death.target, side))
        registers = {
            "flip_rate": _register(self.flips / shape.frame.longest_cycles),
            "burst": (1 << self.burst) - 1,
            "stall_rate": _register(self.stalls),
            "stall_mask": (1 << (self.stall_cycles - 1).bit_length()) - 1,
        }
        return LinkJob(
            links=len(links),
            registers=registers,
            cuts=tuple(cuts),
            dead_cycles=shape.dead_cycles,
        )


def _register(probability: float) -> int:
    """A probability as a register of the bench holds it; 1 becomes the largest value."""
    return min(round(probability * (1 << CHANCE_BITS)), (1 << CHANCE_BITS) - 1)


class LinkTotals(StrictModel):
    """Totals of the counters of all links.

    Attributes
    ----------
    frame_bits, frame_cycles
        Size of a frame with all of its flits.
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
    missed
        Links that have died and were not found dead.
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
    missed: tuple[Death, ...] = ()

    @classmethod
    def count(
        cls, links: FaultyLinks, nop: NopSpec, rows: int, cols: int, counters: Sequence[dict[str, int]]
    ) -> Self:
        """Totals of the counters of each link, numbered as in :func:`rtl.bench.router_mesh.mesh_links`."""
        shape = links.mesh_links(nop).shape
        deaths = [
            Death(
                source=source,
                target=target,
                cycle=link_counters["dead_cycle"],
                late=link_counters["dead_cycle"] - link_counters["cut_cycle"]
                if link_counters["cut_cycle"]
                else None,
            )
            for (source, target), link_counters in zip(mesh_links(rows, cols), counters, strict=True)
            if link_counters["dead_cycle"]
        ]
        missed = [
            Death(source=source, target=target, cycle=link_counters["cut_cycle"])
            for (source, target), link_counters in zip(mesh_links(rows, cols), counters, strict=True)
            if link_counters["cut_cycle"] and not link_counters["dead_cycle"]
        ]
        names = ("sent", "received", "replayed", "crc_errors", "flips", "stalls")
        return cls(
            frame_bits=shape.frame.frame_bits,
            frame_cycles=shape.frame.longest_cycles,
            latency_cycles=shape.frame.latency_cycles,
            dead_cycles=shape.dead_cycles,
            **{name: sum(link_counters[name] for link_counters in counters) for name in names},
            deaths=tuple(sorted(deaths, key=lambda death: death.cycle)),
            missed=tuple(missed),
        )


class LinkFaults(StrictModel):
    """Faults of the links of a package, and what they led to.

    Attributes
    ----------
    flips, stalls
        Cycles with flipped bits, and stalls, of all links.
    replayed, crc_errors
        Flits sent again, and bad frames, of the links of the collective plane while programs ran.
    """

    flips: int
    stalls: int
    replayed: int
    crc_errors: int


def deaths_in_words(asked: Sequence[Death], totals: LinkTotals) -> str:
    """What has become of the links that were to die, or of another one that is dead; empty if there are none."""
    found = {str(death): death.late for death in totals.deaths}
    missed = {str(death) for death in totals.missed}
    words = [
        death_in_words(
            str(death), death.cycle, found.get(str(death)), str(death) in missed, totals.dead_cycles
        )
        for death in sorted(asked, key=lambda death: death.cycle)
    ]
    if not asked and totals.deaths:
        words.append(f"link {totals.deaths[0]} is dead")
    return "; ".join(words)


def death_in_words(name: str, cycle: int, late: int | None, died: bool, bound: int) -> str:
    """What has become of a link that was to die in ``cycle``, and was found dead ``late`` cycles after it died."""
    if late is not None:
        return f"link {name} is dead, found {late} cycles after it died (bound {bound})"
    if died:
        return f"link {name} died, and was not found dead in {bound} cycles"
    return f"link {name} was to die in cycle {cycle}, but the run had ended before"
