"""Router: routes of every port, and one module for all routers of a mesh."""

from __future__ import annotations

from typing import Any

import pytest

from chiplet.specs import NopSpec
from rtl.bench.mesh import RouterMesh
from rtl.emit import emit
from rtl.flit import PORTS, Port, flit_layout, head_layout, opposite
from rtl.router import Router
from rtl.router_input import TURNS
from tests.rtl.harness import simulate

NOP = NopSpec(flit_bits=16, coordinate_bits=3)


def expected(port: Port, row: int, col: int) -> Port:
    """Output at (2, 3) for a target: along the row first."""
    if col != 3:
        return Port.EAST if col > 3 else Port.WEST
    if row != 2:
        return Port.SOUTH if row > 2 else Port.NORTH
    return Port.LOCAL


@pytest.mark.parametrize("port", PORTS)
def test_each_target_leaves_where_it_should_a_cycle_later(port: Port) -> None:
    dut = Router(nop=NOP)
    targets = [(row, col) for row in range(8) for col in range(8) if expected(port, row, col) in TURNS[port]]
    if port in (Port.NORTH, Port.SOUTH):
        targets = [(row, col) for row, col in targets if col == 3]

    async def bench(ctx: Any) -> None:
        ctx.set(dut.row, 2)
        ctx.set(dut.col, 3)
        entrance = getattr(dut, f"{port.text}_in")
        for output in PORTS:
            ctx.set(getattr(dut, f"{output.text}_out").ready, 1)
        for row, col in targets:
            head = head_layout(NOP).const({"row": row, "col": col, "body": row ^ col}).as_bits()
            flit = flit_layout(NOP).const({"data": head, "tail": 1}).as_bits()
            ctx.set(entrance.payload, flit)
            ctx.set(entrance.valid, 1)
            assert ctx.get(entrance.ready)
            await ctx.tick()
            ctx.set(entrance.valid, 0)
            valid = [output for output in PORTS if ctx.get(getattr(dut, f"{output.text}_out").valid)]
            assert valid == [expected(port, row, col)]
            assert ctx.get(getattr(dut, f"{valid[0].text}_out").payload) == flit
            await ctx.tick()

    simulate(dut, bench)


def test_no_turn_goes_back_and_columns_are_not_left() -> None:
    for port, turns in TURNS.items():
        assert port is Port.LOCAL or port not in turns
        if port in (Port.NORTH, Port.SOUTH):
            assert set(turns) == {Port.LOCAL, opposite(port)}


def test_all_routers_of_a_mesh_are_one_module() -> None:
    small = emit(RouterMesh(nop=NOP, rows=1, cols=1), None).modules
    large = emit(RouterMesh(nop=NOP, rows=2, cols=3), None).modules
    assert small[:-1] == large[:-1]
    assert [name for name in large if name.startswith("router_16")] == ["router_16x4_c3"]
