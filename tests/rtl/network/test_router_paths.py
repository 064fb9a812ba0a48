# amaranth: UnusedElaboratable=no
"""Where flits can go in the emitted router and engine, and that no mesh of them has a cycle of waits."""

from __future__ import annotations

from itertools import product

import pytest
from amaranth.hdl import Module, Mux
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from nop.proof.channels import dependency_cycle, hardware_dependencies
from rtl.block import Block
from rtl.emit.emitter import emit
from rtl.interface.flit import NEIGHBOUR, PORTS, SIDES, opposite
from rtl.network.router_input import TURNS
from tests.rtl.data_paths import data_paths, engine_passes, router_turns


class _Chooser(Block):
    """A flit goes to ``o`` from ``a`` or ``b``; ``c`` decides alone."""

    def __init__(self) -> None:
        flit = stream.Signature(2)
        super().__init__({"a": In(flit), "b": In(flit), "c": In(flit), "o": Out(flit)})

    @property
    def block_name(self) -> str:
        return "chooser"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.sync += self.o.payload.eq(Mux(self.c.payload[0], self.a.payload, self.b.payload))
        return m


def test_what_decides_is_no_way() -> None:
    assert data_paths(emit(_Chooser(), None), "chooser") == {"o": {"a", "b"}}


def test_the_netlist_of_the_router_has_its_turns_and_no_others() -> None:
    expected = {f"{port.text}_in": {f"{turn.text}_out" for turn in turns} for port, turns in TURNS.items()}
    for side in SIDES:
        expected[f"{side.text}_in"].add(f"engine_{side.text}_out")
        expected[f"engine_{side.text}_in"] = {f"{side.text}_out"}
    assert router_turns() == expected
    assert len(expected) == len(PORTS) + len(SIDES)


def test_the_netlist_of_the_engine_passes_on_along_the_line_only() -> None:
    """To the next die in the same direction; or back, as at the end of a line and where sums are handed over."""
    expected = {(side.text, other.text) for side in SIDES for other in (side, opposite(side))}
    assert engine_passes() == expected


@pytest.mark.parametrize(("rows", "cols"), [*product(range(1, 6), repeat=2), (8, 8), (1, 16)])
def test_no_mesh_has_a_cycle_of_waits(rows: int, cols: int) -> None:
    places = list(product(range(rows), range(cols)))
    links = {
        ((row, col), side.text): ((row + down, col + right), opposite(side).text)
        for row, col in places
        for side, (down, right) in NEIGHBOUR.items()
        if (row + down, col + right) in places
    }
    onward = {(entered, left) for entered, left in engine_passes() if entered != left}
    assert dependency_cycle(hardware_dependencies(links, places, router_turns(), onward)) == []
    if max(rows, cols) > 1:  # what turns back is a matter of packets, see nop.proof.packets
        assert dependency_cycle(hardware_dependencies(links, places, router_turns(), engine_passes()))
