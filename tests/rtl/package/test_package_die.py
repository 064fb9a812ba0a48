# amaranth: UnusedElaboratable=no
"""Die of a package: its memory port over links, when it is done, and dead links."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from amaranth.hdl import ClockDomain, Module, Mux, Signal

from chiplet.cost.area import PLANES, link_sides
from chiplet.machine.memory_plane import packet_flits
from chiplet.machine.specs import DieSpec, MemorySpec, NopSpec, PackageSpec
from rtl.block import place
from rtl.interface.error_codes import ERROR_UNITS, ErrorCode
from rtl.interface.flit import SIDES, RouterPort, flit_layout
from rtl.interface.isa import Opcode, encode
from rtl.interface.link_shape import LinkShape
from rtl.interface.register_map import COMMANDS, CONTROL, ERROR, LINKS, PROGRAM, STATUS, counter_address
from rtl.network.side import connect_sides
from rtl.package.io_die import IoDie
from rtl.package.package_die import PackageDie, planes, side_name
from tests.rtl.axi_memory import AxiMemory
from tests.rtl.harness import read_register, simulate, write_register

DIE = DieSpec(rows=1, cols=1, dtype="int8", weight_bytes=256, activation_bytes=256, accumulator_bytes=256)
MEMORY = MemorySpec(word_bytes=32, outstanding=4)
NOP = NopSpec(flit_bits=64, coordinate_bits=2)
LINK = LinkShape.fit(width=flit_layout(NOP).size, phit_bits=200, flight_cycles=0, timeout_cycles=100)
STORE_ADDRESS = 40


def package_die(link: LinkShape | None) -> PackageDie:
    return PackageDie(die=DIE, memory=MEMORY, nop=NOP, link=link, planes=planes(PackageSpec()))


async def write(ctx: Any, dut: PackageDie, address: int, value: int) -> None:
    ctx.set(dut.host_select, 1)
    await write_register(ctx, dut.host, address, value)


async def read(ctx: Any, dut: PackageDie, address: int) -> int:
    return await read_register(ctx, dut.host, address)


def die_and_io_die(link: LinkShape | None) -> tuple[Module, PackageDie, IoDie]:
    """A die at (1, 1) with an IO die in the east of it."""
    dut, io_die = package_die(link), IoDie(nop=NOP, memory=MEMORY, link=link)
    east = dut.sides("mem")[RouterPort.EAST]
    m = Module()
    place(m, None, "die", dut)
    place(m, None, "io_die", io_die)
    m.d.comb += [
        dut.row.eq(1),
        dut.col.eq(1),
        dut.io_row.eq(1),
        dut.io_col.eq(2),
        io_die.line.eq(1),
        east.used.eq(1),
    ]
    connect_sides(m, east, io_die.mem)
    return m, dut, io_die


async def start(ctx: Any, dut: PackageDie, commands: int) -> None:
    await write(ctx, dut, PROGRAM, 7)
    await write(ctx, dut, COMMANDS, commands)
    await write(ctx, dut, CONTROL, 1)


@pytest.mark.parametrize("link", [None, LINK])
def test_it_is_done_when_what_it_wrote_is_in_memory(link: LinkShape | None) -> None:
    m, dut, io_die = die_and_io_die(link)
    store = encode(Opcode.STORE, rows=1, words=1, address=STORE_ADDRESS)
    subordinate = AxiMemory({7: store}, memory=MEMORY, stall=0.95)

    async def bench(ctx: Any) -> None:
        await start(ctx, dut, 1)
        while not ctx.get(dut.done):
            assert not ctx.get(dut.error)
            await ctx.tick()
        assert STORE_ADDRESS in subordinate.words
        assert await read(ctx, dut, STATUS) == 2

    simulate(m, bench, background=[subordinate.serve(io_die)])


def test_a_command_takes_as_many_cycles_as_its_flits() -> None:
    """Commands are asked for far enough ahead for a memory of 20 cycles behind an IO die and its link."""
    m, dut, io_die = die_and_io_die(LINK)
    commands = 100
    program = {7 + n: encode(Opcode.SET) for n in range(commands)}
    subordinate = AxiMemory(program, memory=MEMORY, latency=20)

    async def bench(ctx: Any) -> None:
        await start(ctx, dut, commands)
        await ctx.tick().until(dut.done)
        cycles = await read(ctx, dut, counter_address("cycles"))
        assert cycles <= 60 + packet_flits(8 * MEMORY.word_bytes, NOP) * commands

    simulate(m, bench, background=[subordinate.serve(io_die)])


@pytest.mark.parametrize(("response", "code"), [(2, ErrorCode.FAULTY), (3, ErrorCode.MISSING)])
def test_a_word_that_memory_refuses_ends_the_program(response: int, code: ErrorCode) -> None:
    """The error register names cause and unit, and nothing behind the refused word of a program is carried out."""
    m, dut, io_die = die_and_io_die(None)
    m.domains.sync = domain = ClockDomain()
    block = {"rows": 1, "words": 1}
    beyond = 90
    words: dict[int, int] = {}
    subordinate = AxiMemory(words, memory=MEMORY, latency=3)
    cases = [
        ("load", 50, encode(Opcode.LOAD, **block, address=50)),
        ("store", 60, encode(Opcode.STORE, **block, address=60)),
        ("command_processor", 7, encode(Opcode.STORE, **block, address=beyond)),
    ]

    async def bench(ctx: Any) -> None:
        for unit, address, command in cases:
            ctx.set(domain.rst, 1)
            await ctx.tick()
            ctx.set(domain.rst, 0)
            words.clear()
            words[7] = command
            subordinate.refuse({32 * address: response})
            await start(ctx, dut, 1)
            while not ctx.get(dut.error):
                assert not ctx.get(dut.done)
                await ctx.tick()
            error = 1 << 16 | ERROR_UNITS.index(unit) << 8 | code
            assert await read(ctx, dut, ERROR) == error, unit
            await ctx.tick().repeat(50)
            assert beyond not in words
            assert await read(ctx, dut, STATUS) == 4

    simulate(m, bench, background=[subordinate.serve(io_die)])


def looped(m: Module, sides: dict[str, Any]) -> dict[str, Signal]:
    """Connect sides to themselves, as if the neighbour said the same; a link dies with its signal."""
    cuts = {name: Signal(name=f"cut_{name}") for name in sides}
    for name, side in sides.items():
        m.d.comb += side.rx.wires.eq(Mux(cuts[name], 0, side.tx.wires))
    return cuts


def test_a_dead_link_is_an_error_where_there_is_a_neighbour_until_software_has_seen_it() -> None:
    dut = package_die(LINK)
    sides = {
        side_name(plane, side): member
        for plane in ("nop", "mem")
        for side, member in dut.sides(plane).items()
    }
    m = Module()
    m.submodules.dut = dut
    cuts = looped(m, sides)
    places = [side_name(plane, side) for plane in ("nop", "mem") for side in SIDES]

    async def bench(ctx: Any) -> None:
        ctx.set(dut.host_select, 1)
        for side in sides.values():
            ctx.set(side.used, 1)
        await ctx.tick().repeat(LINK.timeout_cycles)
        assert not ctx.get(dut.error)
        for name, side in sides.items():
            register = LINKS + places.index(name)
            bit = 4 + min(places.index(name), 4)
            assert await read(ctx, dut, register) == 1  # up
            ctx.set(cuts[name], 1)
            ctx.set(side.used, 0)
            await ctx.tick().repeat(LINK.timeout_cycles + 3)
            assert not ctx.get(dut.error)
            assert await read(ctx, dut, register) == 0
            ctx.set(cuts[name], 0)
            await ctx.tick().repeat(LINK.timeout_cycles)
            ctx.set(side.used, 1)
            ctx.set(cuts[name], 1)
            await ctx.tick().repeat(LINK.timeout_cycles + 3)
            assert ctx.get(dut.error)
            assert await read(ctx, dut, STATUS) == 1 << bit
            assert await read(ctx, dut, register) == 0b11_00_1_0  # restarted, timed out, dead
            ctx.set(cuts[name], 0)
            await ctx.tick().repeat(LINK.timeout_cycles)
            # The link runs again. That it was dead stays until the register is written.
            assert await read(ctx, dut, register) == 0b11_00_0_1
            assert await read(ctx, dut, STATUS) == 1 << bit
            await write(ctx, dut, register, 0)
            assert await read(ctx, dut, register) == 1
            assert await read(ctx, dut, STATUS) == 0
            assert not ctx.get(dut.error)

    simulate(m, bench, cycles=20_000)


def test_an_io_die_with_a_dead_link_is_an_error() -> None:
    dut = IoDie(nop=NOP, memory=MEMORY, link=LINK)
    m = Module()
    m.submodules.dut = dut
    cuts = looped(m, {"mem": dut.mem})

    async def bench(ctx: Any) -> None:
        await ctx.tick().repeat(LINK.timeout_cycles)
        assert not ctx.get(dut.error)
        ctx.set(cuts["mem"], 1)
        await ctx.tick().repeat(LINK.timeout_cycles + 3)
        assert ctx.get(dut.error)
        ctx.set(cuts["mem"], 0)
        await ctx.tick().repeat(LINK.timeout_cycles)
        assert not ctx.get(dut.error)

    simulate(m, bench)


@pytest.mark.parametrize("io", ["west", "east", "both", "all"])
def test_the_area_has_the_routers_and_links_of_the_die(io: Literal["west", "east", "both", "all"]) -> None:
    package = PackageSpec(io=io)
    sides = planes(package)
    assert len(sides) == PLANES
    assert sum(map(len, sides.values())) == link_sides(package)
