# amaranth: UnusedElaboratable=no
"""Die of a package: its memory port over links, when it is done, and dead links."""

from __future__ import annotations

from typing import Any

import pytest
from amaranth.hdl import Module

from chiplet.machine.specs import DieSpec, MemorySpec, NopSpec
from rtl.block import place
from rtl.interface.flit import RouterPort, flit_layout
from rtl.interface.isa import Opcode, encode
from rtl.interface.link_shape import LinkShape
from rtl.interface.register_map import COMMANDS, CONTROL, PROGRAM, STATUS
from rtl.network.side import connect_sides
from rtl.package.io_die import IoDie
from rtl.package.package_die import PackageDie
from tests.rtl.axi_memory import AxiMemory
from tests.rtl.harness import read_register, signal, simulate, write_register

DIE = DieSpec(rows=1, cols=1, weight_bytes=256, activation_bytes=256, accumulator_bytes=256)
MEMORY = MemorySpec(word_bytes=32, outstanding=4)
NOP = NopSpec(flit_bits=64, coordinate_bits=2)
LINK = LinkShape.fit(width=flit_layout(NOP).size, phit_bits=200, flight_cycles=0, timeout_cycles=100)
STORE_ADDRESS = 40


def package_die(link: LinkShape | None) -> PackageDie:
    return PackageDie(die=DIE, memory=MEMORY, nop=NOP, link=link)


async def write(ctx: Any, dut: PackageDie, address: int, value: int) -> None:
    ctx.set(dut.host_select, 1)
    await write_register(ctx, dut.host, address, value)


async def read(ctx: Any, dut: PackageDie, address: int) -> int:
    return await read_register(ctx, dut.host, address)


@pytest.mark.parametrize("link", [None, LINK])
def test_it_is_done_when_what_it_wrote_is_in_memory(link: LinkShape | None) -> None:
    dut, io_die = package_die(link), IoDie(nop=NOP, memory=MEMORY, link=link)
    east = dut.sides("mem")[RouterPort.EAST]
    m = Module()
    place(m, None, "die", dut)
    place(m, None, "io_die", io_die)
    m.d.comb += [
        dut.row.eq(1),
        dut.col.eq(1),
        dut.io_col.eq(2),
        io_die.row.eq(1),
        east.used.eq(1),
    ]
    connect_sides(m, east, io_die.mem)
    store = encode(Opcode.STORE, rows=1, panels=1, last_cols=1, address=STORE_ADDRESS, wrap=8, step=1)
    subordinate = AxiMemory({7: store}, memory=MEMORY, stall=0.95)

    async def bench(ctx: Any) -> None:
        await write(ctx, dut, PROGRAM, 7)
        await write(ctx, dut, COMMANDS, 1)
        await write(ctx, dut, CONTROL, 1)
        while not ctx.get(dut.done):
            assert not ctx.get(dut.error)
            await ctx.tick()
        assert STORE_ADDRESS in subordinate.words
        assert await read(ctx, dut, STATUS) == 2

    simulate(m, bench, background=[subordinate.serve(io_die)])


@pytest.mark.parametrize("side", ["mem_east", "mem_west", "nop_north", "nop_east", "nop_south", "nop_west"])
@pytest.mark.parametrize("used", [0, 1])
def test_a_dead_link_is_an_error_where_there_is_a_neighbour(side: str, used: int) -> None:
    dut = package_die(LINK)

    async def bench(ctx: Any) -> None:
        ctx.set(signal(dut, f"{side}_used"), used)
        for _ in range(LINK.timeout_cycles - 1):
            await ctx.tick()
            assert not ctx.get(dut.error)
        await ctx.tick().repeat(2)
        assert ctx.get(dut.error) == used

    simulate(dut, bench)


def test_an_io_die_with_a_dead_link_is_an_error() -> None:
    dut = IoDie(nop=NOP, memory=MEMORY, link=LINK)

    async def bench(ctx: Any) -> None:
        await ctx.tick().repeat(LINK.timeout_cycles + 1)
        assert ctx.get(dut.error)

    simulate(dut, bench)
