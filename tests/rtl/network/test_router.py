"""Router: routes of every port, and one module for all routers of a mesh."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from chiplet.machine.specs import NopSpec
from rtl.bench.router_mesh import RouterMesh
from rtl.emit.emitter import emit
from rtl.interface.flit import PORTS, SIDES, RouterPort, flit_layout, opposite
from rtl.network.router import Router
from rtl.network.router_input import TURNS
from tests.rtl.harness import Bench, put, receive, simulate

NOP = NopSpec(flit_bits=16, coordinate_bits=3)


def expected(port: RouterPort, row: int, col: int) -> RouterPort:
    """Output at (2, 3) for a target: along the row first."""
    if col != 3:
        return RouterPort.EAST if col > 3 else RouterPort.WEST
    if row != 2:
        return RouterPort.SOUTH if row > 2 else RouterPort.NORTH
    return RouterPort.LOCAL


@pytest.mark.parametrize("port", PORTS)
def test_each_target_leaves_where_it_should_a_cycle_later(port: RouterPort) -> None:
    dut = Router(nop=NOP)
    targets = [(row, col) for row in range(8) for col in range(8) if expected(port, row, col) in TURNS[port]]
    if port in (RouterPort.NORTH, RouterPort.SOUTH):
        targets = [(row, col) for row, col in targets if col == 3]

    async def bench(ctx: Any) -> None:
        ctx.set(dut.row, 2)
        ctx.set(dut.col, 3)
        entrance = dut.i[port]
        for output in PORTS:
            ctx.set(dut.o[output].ready, 1)
        for row, col in targets:
            flit = flit_layout(NOP).const({"data": row ^ col, "row": row, "col": col, "tail": 1}).as_bits()
            ctx.set(entrance.payload, flit)
            ctx.set(entrance.valid, 1)
            assert ctx.get(entrance.ready)
            await ctx.tick()
            ctx.set(entrance.valid, 0)
            valid = [output for output in PORTS if ctx.get(dut.o[output].valid)]
            assert valid == [expected(port, row, col)]
            assert ctx.get(dut.o[valid[0]].payload) == flit
            await ctx.tick()

    simulate(dut, bench)


@pytest.mark.parametrize("side", SIDES)
def test_the_engine_gets_what_is_for_it_and_copies_of_what_passes(side: RouterPort) -> None:
    dut = Router(nop=NOP)
    straight = opposite(side)
    # Along the row or column: the router itself, and one beyond it.
    beyond = {
        RouterPort.NORTH: (1, 3),
        RouterPort.SOUTH: (3, 3),
        RouterPort.WEST: (2, 2),
        RouterPort.EAST: (2, 4),
    }[straight]

    async def bench(ctx: Any) -> None:
        ctx.set(dut.row, 2)
        ctx.set(dut.col, 3)
        entrance, engine = dut.i[side], dut.engine_o[SIDES.index(side)]
        passing = dut.o[straight]
        for (row, col), copy in (((2, 3), 0), ((2, 3), 1), (beyond, 0), (beyond, 1)):
            fields = {"data": 5 + copy, "row": row, "col": col, "engine": 1, "copy": copy, "tail": 1}
            flit = flit_layout(NOP).const(fields).as_bits()
            ctx.set(entrance.payload, flit)
            ctx.set(entrance.valid, 1)
            await ctx.tick()
            ctx.set(entrance.valid, 0)
            goals = [engine] * ((row, col) == (2, 3) or copy) + [passing] * ((row, col) == beyond)
            for output in goals:  # one after the other: a flit passes when the engine has its copy
                for each in (engine, passing):
                    assert ctx.get(each.valid) == (each is output)
                assert ctx.get(output.payload) == flit
                ctx.set(output.ready, 1)
                await ctx.tick()
                ctx.set(output.ready, 0)
                assert not ctx.get(output.valid)
            assert not any(ctx.get(dut.o[port].valid) for port in PORTS)

    simulate(dut, bench)


@pytest.mark.parametrize("seed", range(4))
def test_copies_pass_in_order_and_not_before_the_engine_has_them(seed: int) -> None:
    dut = Router(nop=NOP)
    coin = Random(seed)
    layout = flit_layout(NOP)
    sent = []
    for packet in range(40):
        copy, col = coin.choice(((0, 3), (0, 4), (1, 4), (1, 4)))
        length = coin.randint(1, 4)
        for number in range(length):
            fields = {"row": 2, "col": col, "engine": 1, "copy": copy, "tail": number == length - 1}
            sent.append(layout.const({"data": 8 * packet + number, **fields}).as_bits())
    taken: list[int] = []
    passed: list[int] = []

    def is_for(bits: int) -> tuple[bool, bool]:
        flit = layout.from_bits(bits)
        return bool(flit.copy or flit.col == 3), flit.col == 4

    async def source(ctx: Any) -> None:
        ctx.set(dut.row, 2)
        ctx.set(dut.col, 3)
        await put(ctx, dut.i[RouterPort.WEST], sent, chance=0.8, seed=seed)

    def sink(port: Any, received: list[int], wanted: list[int], *, passes: bool) -> Bench:
        async def bench(ctx: Any) -> None:
            while len(received) < len(wanted):
                bits = await receive(ctx, port, chance=coin.uniform(0.1, 1), seed=coin.getrandbits(20))
                if passes and is_for(bits)[0]:
                    assert bits in taken, "passed before the engine had its copy"
                received.append(bits)

        return bench

    to_engine = [bits for bits in sent if is_for(bits)[0]]
    to_pass = [bits for bits in sent if is_for(bits)[1]]
    engine, east = dut.engine_o[SIDES.index(RouterPort.WEST)], dut.o[RouterPort.EAST]
    simulate(
        dut,
        source,
        sink(engine, taken, to_engine, passes=False),
        sink(east, passed, to_pass, passes=True),
    )
    assert (taken, passed) == (to_engine, to_pass)


@pytest.mark.parametrize("side", SIDES)
def test_packets_of_the_engine_take_turns_with_what_passes(side: RouterPort) -> None:
    dut = Router(nop=NOP)
    source = opposite(side)
    beyond = {
        RouterPort.NORTH: (1, 3),
        RouterPort.SOUTH: (3, 3),
        RouterPort.WEST: (2, 2),
        RouterPort.EAST: (2, 4),
    }[side]

    def flits(first: int) -> list[int]:
        """Three packets of two flits."""
        row, col = beyond
        return [
            flit_layout(NOP)
            .const({"data": first + number, "row": row, "col": col, "engine": 1, "tail": number % 2})
            .as_bits()
            for number in range(6)
        ]

    async def passing(ctx: Any) -> None:
        await put(ctx, dut.i[source], flits(0))

    async def own(ctx: Any) -> None:
        await put(ctx, dut.engine_i[SIDES.index(side)], flits(10))

    async def sink(ctx: Any) -> None:
        ctx.set(dut.row, 2)
        ctx.set(dut.col, 3)
        found = [flit_layout(NOP).from_bits(await receive(ctx, dut.o[side])).data for _ in range(12)]
        assert found == [10, 11, 0, 1, 12, 13, 2, 3, 14, 15, 4, 5]

    simulate(dut, passing, own, sink)


def test_no_turn_goes_back_and_columns_are_not_left() -> None:
    for port, turns in TURNS.items():
        assert port is RouterPort.LOCAL or port not in turns
        if port in (RouterPort.NORTH, RouterPort.SOUTH):
            assert set(turns) == {RouterPort.LOCAL, opposite(port)}


def test_all_routers_of_a_mesh_are_one_module() -> None:
    small = emit(RouterMesh(nop=NOP, rows=1, cols=1), None).modules
    large = emit(RouterMesh(nop=NOP, rows=2, cols=3), None).modules
    assert small[:-1] == large[:-1]
    assert [name for name in large if name.startswith("router_16")] == ["router_16x14_c3"]
