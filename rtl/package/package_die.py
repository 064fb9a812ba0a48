"""Compute die of a package: the die, its routers, and the link adapters to its neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out, connect

from chiplet.machine.specs import DieSpec, MemorySpec, NopSpec, PackageSpec
from chiplet.machine.vector_specs import VectorSpec
from rtl.block import Block, place
from rtl.compute.mac import with_multiplier
from rtl.die.die import Die
from rtl.interface.flit import SIDES, RouterPort
from rtl.interface.host_port import HostPort
from rtl.interface.link_shape import LinkShape
from rtl.lib.sram import with_latency
from rtl.network.link import inversion
from rtl.network.router import Router
from rtl.network.router_weights import WEIGHT_BITS
from rtl.network.side import DieSide, LinkSide, attach
from rtl.package.memory_plane import MemoryPlanePort

__all__ = ["PackageDie", "planes", "side_name"]


def planes(package: PackageSpec) -> dict[str, tuple[RouterPort, ...]]:
    """Planes of routers, and the sides on which each has links: the collective plane, and the memory plane.

    Requests to memory and their answers stay in the row of their die, or in its column.
    """
    return {"nop": SIDES, "mem": SIDES if package.io == "all" else (RouterPort.EAST, RouterPort.WEST)}


def side_name(plane: str, side: RouterPort) -> str:
    """Name of a side in the names of ports, e.g. ``mem_east``."""
    return f"{plane}_{side.text}"


class PackageDie(Block):
    """A compute die with its part of the network. Its place is an input, so all dies of a package are one module.

    Parameters
    ----------
    die, memory, nop : DieSpec, MemorySpec, NopSpec
        The die, its memory port, and the routers.
    link : LinkShape or None
        Adapters at its links; without one, flits go from stream to stream.
    planes : dict of str to tuple of RouterPort
        Of :func:`planes`.
    vector : VectorSpec, optional
        As for :class:`rtl.die.die.Die`.

    Members
    -------
    row, col, io_row, io_col : In(nop.coordinate_bits)
        Place of the die, and of the IO die that serves it, among the routers. Constant.
    mem_weights : In(WEIGHT_BITS).array(4)
        Weights of the router in the memory plane, see :func:`rtl.network.router_weights.memory_weights`. Constant.
        Those in the collective plane are 0: packets of engines stay on their line, so no two inputs meet but the engine
        and one side, and the engine has no weight.
    nop, mem : Out(LinkSide).array
        Its sides in both planes, in the order of ``planes``.
    host_select : In(1), host : In(HostPort)
        Registers, see :mod:`rtl.control.counters`. They are accessed only with ``host_select``; ``host.read_data`` is 0
        from the cycle after a read of another die on.
    done, error : Out(1)
        The program has ended and all that it wrote is in memory; it has met an error, or a link has failed.
    """

    def __init__(
        self,
        *,
        die: DieSpec,
        memory: MemorySpec,
        nop: NopSpec,
        link: LinkShape | None,
        planes: Mapping[str, tuple[RouterPort, ...]],
        vector: VectorSpec | None = None,
    ) -> None:
        self._die, self._memory, self._nop, self._link = die, memory, nop, link
        self._planes, self._vector = planes, vector
        side = LinkSide(nop=nop, link=link, has_used=True)
        super().__init__(
            {
                "row": In(nop.coordinate_bits),
                "col": In(nop.coordinate_bits),
                "io_row": In(nop.coordinate_bits),
                "io_col": In(nop.coordinate_bits),
                "mem_weights": In(WEIGHT_BITS).array(len(SIDES)),
                **{plane: Out(side).array(len(sides)) for plane, sides in planes.items()},
                "host_select": In(1),
                "host": In(HostPort()),
                "done": Out(1),
                "error": Out(1),
            },
            names={
                "mem_weights": lambda n: f"{side_name('mem', SIDES[n])}_weight",
            }
            | {
                plane: [side_name(plane, side) for side in sides].__getitem__
                for plane, sides in planes.items()
            },
        )

    def sides(self, plane: str) -> dict[RouterPort, Any]:
        """Sides in one of the planes."""
        members = {"nop": self.nop, "mem": self.mem}[plane]
        return dict(zip(self._planes[plane], members, strict=True))

    @property
    def block_name(self) -> str:
        name = f"package_die_{self._die.rows}x{self._die.cols}_{self._die.dtype}"
        name = with_multiplier(name, self._die.multiplier_stages)
        return with_latency(name, self._die.sram_latency)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        die = Die(
            die=self._die,
            memory=self._memory,
            nop=self._nop,
            vector=self._vector,
        )
        place(m, platform, "die", die)
        invert = inversion(m, self._link)
        self._collective_plane(m, platform, die, invert)
        self._memory_plane(m, platform, die, invert)
        self._host(m, die)
        m.d.comb += [
            self.done.eq(die.done),
            self.error.eq(die.error),
        ]
        return m

    def _router(
        self, m: Module, platform: object, plane: str, invert: Value
    ) -> tuple[Router, dict[RouterPort, DieSide]]:
        """Place the router of a plane and connect its sides; return both."""
        router = Router(nop=self._nop)
        place(m, platform, f"{plane}_router", router)
        m.d.comb += [router.row.eq(self.row), router.col.eq(self.col)]
        sides = {}
        for port, member in self.sides(plane).items():
            name = side_name(plane, port)
            side = attach(m, platform, name, member, nop=self._nop, link=self._link, invert=invert)
            connect(m, side.inward, router.i[port])
            connect(m, router.o[port], side.outward)
            sides[port] = side
        return router, sides

    def _status(self, plane: str, port: RouterPort, side: DieSide) -> Value:
        """What the link to a neighbour says of itself; a side without a neighbour says nothing."""
        return Mux(self.sides(plane)[port].used, side.status.as_value(), 0)

    def _collective_plane(self, m: Module, platform: object, die: Die, invert: Value) -> None:
        """Connect the engine of the die to the collective plane. The local port of its router is not used."""
        router, sides = self._router(m, platform, "nop", invert)
        m.d.comb += [die.row.eq(self.row), die.col.eq(self.col)]
        for n, (port, side) in enumerate(sides.items()):
            engine = die.sides[n]
            connect(m, engine.o, router.engine_i[n])
            connect(m, router.engine_o[n], engine.i)
            m.d.comb += [
                engine.replayed.eq(side.replayed),
                engine.error.eq(side.error),
                engine.status.eq(self._status("nop", port, side)),
            ]

    def _memory_plane(self, m: Module, platform: object, die: Die, invert: Value) -> None:
        """Connect the memory port of the die to the memory plane."""
        router, sides = self._router(m, platform, "mem", invert)
        m.d.comb += [
            inside.eq(weight) for inside, weight in zip(router.weights, self.mem_weights, strict=True)
        ]
        port = MemoryPlanePort(nop=self._nop, memory=self._memory)
        place(m, platform, "mem_port", port)
        connect(m, die.memory, port.memory)
        connect(m, port.refused, die.memory_refused)
        connect(m, port.o, router.i[RouterPort.LOCAL])
        connect(m, router.o[RouterPort.LOCAL], port.i)
        m.d.comb += [
            port.row.eq(self.row),
            port.col.eq(self.col),
            port.io_row.eq(self.io_row),
            port.io_col.eq(self.io_col),
            die.memory_idle.eq(port.idle),
        ]
        for way, side in sides.items():
            m.d.comb += die.memory_links[SIDES.index(way)].eq(self._status("mem", way, side))

    def _host(self, m: Module, die: Die) -> None:
        shown = Signal()  # the last read was one of this die
        with m.If(self.host.read):
            m.d.sync += shown.eq(self.host_select)
        m.d.comb += [
            die.host.address.eq(self.host.address),
            die.host.write_data.eq(self.host.write_data),
            die.host.write.eq(self.host.write & self.host_select),
            die.host.read.eq(self.host.read & self.host_select),
            self.host.read_data.eq(Mux(shown, die.host.read_data, 0)),
        ]
