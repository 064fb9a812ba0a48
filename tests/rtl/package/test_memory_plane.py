# amaranth: UnusedElaboratable=no
"""Memory plane: all dies at work carry what its one description says, with and without link adapters."""

from __future__ import annotations

from typing import Any

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import connect

from chiplet.machine.memory_plane import (
    READ_REQUEST_BITS,
    io_place,
    io_places,
    memory_plane,
    write_request_bits,
)
from chiplet.machine.specs import LinkSpec, MemorySpec, NopSpec, PackageSpec, SystemSpec
from nop.topology import Mesh
from rtl.block import place
from rtl.interface.flit import NEIGHBOUR, SIDES, RouterPort, opposite
from rtl.interface.io_dies import io_die_names, router_place
from rtl.interface.link_shape import LinkShape
from rtl.interface.memory_port import request_layout
from rtl.network.link import LinkPort
from rtl.network.router import Router
from rtl.network.router_weights import memory_weights
from rtl.package.io_die import IoDie
from rtl.package.memory_plane import MemoryPlanePort, message_layout
from tests.rtl.axi_memory import AxiMemory
from tests.rtl.harness import simulate


class Plane:
    """Plane of a package: a port and a router for each die, links, IO dies. Each die makes ``words`` requests."""

    def __init__(self, system: SystemSpec, *, direct: bool) -> None:
        self.module = m = Module()
        self._nop = nop = system.nop
        self._memory = memory = system.memory
        self._link = None if direct else LinkShape.of(system)
        package = system.package
        self.words = Signal(16)
        self.write = Signal()
        self.finished = Signal()
        self._routers: dict[tuple[int, int], Any] = {}
        done = []
        self.asked: list[Signal] = []
        for row, col in package.places():
            router, port = Router(nop=nop), MemoryPlanePort(nop=nop, memory=memory)
            place(m, None, f"router_{row}_{col}", router)
            place(m, None, f"port_{row}_{col}", port)
            io_row, io_col = router_place(package, io_place(package, row, col))
            for block in (router, port):
                m.d.comb += [block.row.eq(row + 1), block.col.eq(col + 1)]
            m.d.comb += [port.io_row.eq(io_row), port.io_col.eq(io_col)]
            weights = memory_weights(package, row, col)
            m.d.comb += [router.weights[n].eq(weights[way]) for n, way in enumerate(SIDES)]
            connect(m, port.o, router.i[RouterPort.LOCAL])
            connect(m, router.o[RouterPort.LOCAL], port.i)
            self._routers[row + 1, col + 1] = router
            done.append(self._requests(port, row * package.cols + col))
        m.d.comb += self.finished.eq(sum(done, start=0) == package.dies)
        for (row, col), router in self._routers.items():
            for side in (RouterPort.EAST, RouterPort.SOUTH):
                neighbour = self._routers.get((row + NEIGHBOUR[side][0], col + NEIGHBOUR[side][1]))
                if neighbour is not None:
                    self._join(f"{row}_{col}_{side.text}", router, side, neighbour)
        self.io_dies = {}
        for at, name in io_die_names(system).items():
            io_die = IoDie(nop=nop, memory=memory, link=self._link)
            place(m, None, name, io_die)
            side = RouterPort[at.side.upper()]
            m.d.comb += [
                io_die.line.eq(at.line + 1),
                io_die.along_col.eq(side in (RouterPort.NORTH, RouterPort.SOUTH)),
            ]
            row, col = router_place(package, at)
            router = self._routers[row - NEIGHBOUR[side][0], col - NEIGHBOUR[side][1]]
            if self._link is None:
                connect(m, router.o[side], io_die.mem.rx)
                connect(m, io_die.mem.tx, router.i[side])
            else:
                adapter = self._adapter(f"{name}_link", router, side)
                connect(m, adapter.tx, io_die.mem.rx)
                connect(m, io_die.mem.tx, adapter.rx)
            self.io_dies[name] = io_die

    def _requests(self, port: Any, number: int) -> Any:
        """Requests of consecutive words at full rate; whether all are over."""
        m = self.module
        asked, answered = Signal(16, name=f"asked_{number}"), Signal(16, name=f"answered_{number}")
        self.asked.append(asked)
        request = Signal(request_layout(self._memory.word_bytes), name=f"request_{number}")
        m.d.comb += [
            request.write.eq(self.write),
            request.address.eq(asked + number * 1024),
            request.strobe.eq(~0),
            port.memory.request.payload.eq(request),
            port.memory.request.valid.eq(asked != self.words),
            port.memory.response.ready.eq(1),
        ]
        m.d.sync += [
            asked.eq(asked + (port.memory.request.valid & port.memory.request.ready)),
            answered.eq(answered + port.memory.response.valid),
        ]
        return (asked == self.words) & port.idle & (self.write | (answered == self.words))

    def _adapter(self, name: str, router: Any, side: RouterPort) -> LinkPort:
        assert self._link is not None
        adapter = LinkPort(shape=self._link)
        place(self.module, None, name, adapter)
        connect(self.module, router.o[side], adapter.i)
        connect(self.module, adapter.o, router.i[side])
        return adapter

    def _join(self, name: str, router: Any, side: RouterPort, neighbour: Any) -> None:
        m = self.module
        if self._link is None:
            connect(m, router.o[side], neighbour.i[opposite(side)])
            connect(m, neighbour.o[opposite(side)], router.i[side])
            return
        one, other = (
            self._adapter(f"{name}_one", router, side),
            self._adapter(f"{name}_other", neighbour, opposite(side)),
        )
        connect(m, one.tx, other.rx)
        connect(m, other.tx, one.rx)


def measured_cycles(system: SystemSpec, *, direct: bool, write: bool, words: int) -> int:
    """Cycles until each die has read or written ``words`` words."""
    plane = Plane(system, direct=direct)
    cycles = 0

    async def bench(ctx: Any) -> None:
        nonlocal cycles
        ctx.set(plane.write, write)
        ctx.set(plane.words, words)
        while not ctx.get(plane.finished):
            await ctx.tick()
            cycles += 1

    memories = [
        AxiMemory({}, memory=system.memory, latency=6).serve(io_die) for io_die in plane.io_dies.values()
    ]
    simulate(plane.module, bench, background=memories)
    return cycles


PLANES = [
    (1, 2, "west", None),
    (1, 2, "west", 64),
    (2, 2, "all", None),
    (1, 1, "east", 5),
    (1, 3, "all", None),
    (2, 3, "all", None),
    (3, 3, "all", None),
    (4, 4, "all", None),
    (3, 3, "all", 64),
    (1, 4, "both", 64),
]
QUICK = {
    (*PLANES[0], True),
    (*PLANES[1], False),
    (*PLANES[3], False),
    (*PLANES[3], True),
    (*PLANES[4], False),
}
"""Planes with and without adapters, dies that share an IO die or have more than one, reads and writes."""


@pytest.mark.parametrize(
    ("rows", "cols", "io", "lanes", "write"),
    [
        pytest.param(*case, marks=() if case in QUICK else pytest.mark.slow)
        for case in ((*plane, write) for plane in PLANES for write in (False, True))
    ],
)
def test_all_dies_at_work_have_the_rate_of_the_description(
    rows: int, cols: int, io: str, lanes: int | None, write: bool
) -> None:
    """Cycles for each further word of all dies, and the bytes a second that projections take.

    With ``lanes`` links have adapters.
    """
    direct = lanes is None
    package = PackageSpec.model_validate({"rows": rows, "cols": cols, "io": io})
    system = SystemSpec(
        package=package,
        link=LinkSpec(lanes=lanes or 64),
        nop=NopSpec(flit_bits=64, coordinate_bits=3),
        memory=MemorySpec(word_bytes=32, latency_cycles=6),
    )
    few, many = 20, 60 if lanes else 40
    cycles = [measured_cycles(system, direct=direct, write=write, words=words) for words in (few, many)]
    measured = package.dies * 32 * (many - few) / (cycles[1] - cycles[0]) * system.die.clock_hz
    described = memory_plane(system, Mesh(rows, cols), direct=direct)
    assert measured == pytest.approx(described.bytes_per_second(written=float(write)), rel=0.01)


@pytest.mark.parametrize(
    ("cols", "io"),
    [(3, "west"), *(pytest.param(*case, marks=pytest.mark.slow) for case in ((4, "west"), (5, "both")))],
)
def test_dies_behind_one_io_die_write_alike(cols: int, io: str) -> None:
    """All dies write at full rate. Without weights the near one of a row has half of the IO die's link."""
    package = PackageSpec.model_validate({"rows": 1, "cols": cols, "io": io})
    system = SystemSpec(
        package=package,
        nop=NopSpec(flit_bits=64, coordinate_bits=3),
        memory=MemorySpec(word_bytes=32, latency_cycles=6),
    )
    plane = Plane(system, direct=True)
    written: list[int] = []

    async def bench(ctx: Any) -> None:
        ctx.set(plane.write, 1)
        ctx.set(plane.words, 1000)
        await ctx.tick().repeat(150)
        before = [ctx.get(asked) for asked in plane.asked]
        await ctx.tick().repeat(300)
        written.extend(ctx.get(asked) - early for asked, early in zip(plane.asked, before, strict=True))

    memories = [
        AxiMemory({}, memory=system.memory, latency=6).serve(io_die) for io_die in plane.io_dies.values()
    ]
    simulate(plane.module, bench, background=memories)
    for end in io_places(package):
        shares = [
            words
            for die, words in zip(package.places(), written, strict=True)
            if io_place(package, *die) == end
        ]
        assert max(shares) - min(shares) <= 1, written
        assert sum(shares) >= 300 // 5 - 1  # of five flits each


def test_the_packets_of_the_description_are_those_of_the_hardware() -> None:
    for word_bytes in (4, 32, 128):
        layout = message_layout(word_bytes)
        assert layout.size == write_request_bits(word_bytes)
        assert layout["strobe"].offset == READ_REQUEST_BITS


def test_io_dies_are_beside_their_dies() -> None:
    package = PackageSpec(rows=3, cols=4, io="all")
    assert [router_place(package, at) for at in io_places(package)[:2]] == [(1, 0), (2, 0)]
