"""Compute die of a package: the die, its routers, and the link adapters to its neighbours."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from chiplet.machine.specs import DieSpec, MemorySpec, NopSpec
from rtl.block import Block, place
from rtl.die.die import Die
from rtl.interface.flit import SIDES, RouterPort
from rtl.interface.link_shape import LinkShape
from rtl.interface.register_map import ADDRESS_BITS
from rtl.lib.streams import joined
from rtl.network.router import Router
from rtl.network.side import DieSide, attach, side_members
from rtl.package.memory_plane import MemoryPlanePort

__all__ = ["PLANES", "PackageDie", "side_name"]

PLANES: dict[str, tuple[RouterPort, ...]] = {"nop": SIDES, "mem": (RouterPort.EAST, RouterPort.WEST)}
"""Planes of routers, and the sides on which each has links: the collective plane, and the memory plane, whose requests
and answers stay in their row."""


def side_name(plane: str, side: RouterPort) -> str:
    """Name of a side in the names of ports, e.g. ``mem_east``."""
    return f"{plane}_{side.text}"


class PackageDie(Block):
    """A compute die with its part of the network. Its place comes in as signals: all dies of a package are one module.

    Parameters
    ----------
    die, memory, nop : DieSpec, MemorySpec, NopSpec
        The die, its memory port, and the routers.
    link : LinkShape or None
        Adapters at its links; without one, flits go from stream to stream.

    Members
    -------
    row, col, io_col : In(nop.coordinate_bits)
        Place of the die, and column of the IO die that serves it. Constant.
    nop_north_*, nop_east_*, nop_south_*, nop_west_*, mem_east_*, mem_west_*
        Its sides, see :func:`rtl.network.side.side_members`.
    nop_north_used, ... : In(1)
        Whether there is a neighbour on that side. Constant.
    host_select, host_address, host_write, host_write_data, host_read, host_read_data
        Registers, see :mod:`rtl.control.counters`. They are accessed only with ``host_select``; ``host_read_data`` is 0
        from the cycle after a read of another die on.
    done, error : Out(1)
        The program has ended and all that it wrote is in memory; it met something that is no command, or a link is
        dead.
    """

    def __init__(self, *, die: DieSpec, memory: MemorySpec, nop: NopSpec, link: LinkShape | None) -> None:
        self._die, self._memory, self._nop, self._link = die, memory, nop, link
        sides: dict[str, Any] = {}
        for plane, ports in PLANES.items():
            for side in ports:
                name = side_name(plane, side)
                sides |= {**side_members(name, nop=nop, link=link), f"{name}_used": In(1)}
        super().__init__(
            {
                "row": In(nop.coordinate_bits),
                "col": In(nop.coordinate_bits),
                "io_col": In(nop.coordinate_bits),
                **sides,
                "host_select": In(1),
                "host_address": In(ADDRESS_BITS),
                "host_write": In(1),
                "host_write_data": In(32),
                "host_read": In(1),
                "host_read_data": Out(32),
                "done": Out(1),
                "error": Out(1),
            }
        )

    @property
    def block_name(self) -> str:
        return f"package_die_{self._die.rows}x{self._die.cols}_{self._die.dtype}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        die = Die(die=self._die, memory=self._memory, nop=self._nop)
        place(m, platform, "die", die)
        self._collective_plane(m, platform, die)
        dead = self._memory_plane(m, platform, die)
        self._host(m, die)
        m.d.comb += [
            self.done.eq(die.done),
            self.error.eq(die.error | dead),
        ]
        return m

    def _router(self, m: Module, platform: object, plane: str) -> tuple[Router, dict[RouterPort, DieSide]]:
        """The router of a plane, and its sides with their links."""
        router = Router(nop=self._nop)
        place(m, platform, f"{plane}_router", router)
        m.d.comb += [router.row.eq(self.row), router.col.eq(self.col)]
        sides = {}
        for port in PLANES[plane]:
            side = attach(m, platform, self, side_name(plane, port), nop=self._nop, link=self._link)
            m.d.comb += [
                *joined(side.inward, getattr(router, f"{port.text}_in")),
                *joined(getattr(router, f"{port.text}_out"), side.outward),
            ]
            sides[port] = side
        return router, sides

    def _dead(self, plane: str, port: RouterPort, side: DieSide) -> Value:
        """Whether the link to a neighbour is dead; a side without one has no link that could be."""
        return side.dead & getattr(self, f"{side_name(plane, port)}_used")

    def _collective_plane(self, m: Module, platform: object, die: Die) -> None:
        """Way between the engine of the die and the collective plane. Nothing uses the local port of its router."""
        router, sides = self._router(m, platform, "nop")
        m.d.comb += [die.row.eq(self.row), die.col.eq(self.col)]
        for port, side in sides.items():
            name = port.text
            m.d.comb += [
                *joined(getattr(die, f"engine_{name}_out"), getattr(router, f"engine_{name}_in")),
                *joined(getattr(router, f"engine_{name}_out"), getattr(die, f"engine_{name}_in")),
                getattr(die, f"link_replayed_{name}").eq(side.replayed),
                getattr(die, f"link_error_{name}").eq(side.error),
                getattr(die, f"link_dead_{name}").eq(self._dead("nop", port, side)),
            ]

    def _memory_plane(self, m: Module, platform: object, die: Die) -> Value:
        """Way between the memory port of the die and the memory plane: whether a link is dead."""
        router, sides = self._router(m, platform, "mem")
        port = MemoryPlanePort(nop=self._nop, memory=self._memory)
        place(m, platform, "mem_port", port)
        m.d.comb += [
            port.row.eq(self.row),
            port.col.eq(self.col),
            port.io_col.eq(self.io_col),
            die.memory_idle.eq(port.idle),
            *joined(die.request, port.request),
            *joined(port.response, die.response),
            *joined(port.o, router.local_in),
            *joined(router.local_out, port.i),
        ]
        return reduce(or_, (self._dead("mem", way, side) for way, side in sides.items()))

    def _host(self, m: Module, die: Die) -> None:
        shown = Signal()  # the last read was one of this die
        with m.If(self.host_read):
            m.d.sync += shown.eq(self.host_select)
        m.d.comb += [
            die.host_address.eq(self.host_address),
            die.host_write_data.eq(self.host_write_data),
            die.host_write.eq(self.host_write & self.host_select),
            die.host_read.eq(self.host_read & self.host_select),
            self.host_read_data.eq(Mux(shown, die.host_read_data, 0)),
        ]
