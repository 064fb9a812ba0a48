"""Blocks and their placing, in simulation and on an emitter."""

from __future__ import annotations

from typing import Any

import pytest
from amaranth.hdl import Fragment, Instance, Module
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from rtl.block import MOST_PORT_BITS, Block, BlockPlatform, Port, check_integers, place, port_values
from rtl.emit.emitter import emit


class Add(Block):
    """``o`` is ``i`` plus a constant."""

    def __init__(self, *, addend: int) -> None:
        self.addend = addend
        super().__init__({"i": In(8), "o": Out(8)})

    @property
    def block_name(self) -> str:
        return f"add_{self.addend}"

    def elaborate(self, _platform: Any) -> Module:
        m = Module()
        m.d.comb += self.o.eq(self.i + self.addend)
        return m


class Ported(Block):
    """A block of nothing but the ports and the name it is given."""

    def __init__(self, members: dict[str, Any], name: str = "ported") -> None:
        self.name = name
        super().__init__(members)

    @property
    def block_name(self) -> str:
        return self.name

    def elaborate(self, _platform: Any) -> Module:
        return Module()


def test_placed_blocks_work_in_simulation() -> None:
    first, second = Add(addend=1), Add(addend=5)
    m = Module()
    place(m, None, "first", first)
    place(m, None, "second", second)
    m.d.comb += second.i.eq(first.o)

    async def bench(ctx: Any) -> None:
        for value in range(20):
            ctx.set(first.i, value)
            assert ctx.get(second.o) == value + 6

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()


def test_a_block_platform_is_asked_for_an_instance() -> None:
    asked: list[tuple[str, Block]] = []

    class Platform(BlockPlatform):
        def instance(self, name: str, block: Block) -> Instance:
            asked.append((name, block))
            return Instance(block.block_name)

    block = Add(addend=1)
    m = Module()
    place(m, Platform(), "first", block)
    assert asked == [("first", block)]
    assert isinstance(m.submodules.first, Instance)
    Fragment.get(m, Platform())


def test_ports_are_flat_vectors_in_declaration_order() -> None:
    payload = data.StructLayout({"body": 7, "tail": data.ArrayLayout(2, 3)})
    block = Ported(
        {"z": In(1), "req": In(stream.Signature(payload)), "rsp": Out(stream.Signature(signed_byte()))}
    )
    assert [port for port, _ in port_values(block).values()] == [
        Port("z", 1, "input"),
        Port("req__payload", 13, "input"),
        Port("req__valid", 1, "input"),
        Port("req__ready", 1, "output"),
        Port("rsp__payload", 8, "output"),
        Port("rsp__valid", 1, "output"),
        Port("rsp__ready", 1, "input"),
    ]


def signed_byte() -> Any:
    """A signed shape, whose port is a vector like any other."""
    return range(-128, 128)


def test_ports_without_bits_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^ported: port a has no bits: must be at least 1 bit wide$"):
        port_values(Ported({"a": In(range(1))}))


@pytest.mark.parametrize("name", ["", "1x", "a-b", "a.b", "a b", "pe\n"])
def test_names_are_verilog_identifiers(name: str) -> None:
    with pytest.raises(ValueError, match="is not a Verilog identifier"):
        port_values(Ported({"a": In(1)}, name))


def test_integers_are_checked() -> None:
    check_integers("Thing", minimum=1, a=1, b=7)
    for value in (0, -1, 1.0, "1", True, None):
        with pytest.raises(ValueError, match=r"^Thing: b = .*: must be an integer of at least 1$"):
            check_integers("Thing", minimum=1, a=1, b=value)


@pytest.mark.parametrize("flow", [In, Out])
def test_a_block_has_no_more_bits_of_ports_than_can_be_emitted(flow: Any) -> None:
    emitted = emit(Ported({"a": flow(MOST_PORT_BITS - 1), "b": flow(1)}), None)
    assert f"[{MOST_PORT_BITS - 2}:0] a" in emitted.text
    message = f"^wide: {MOST_PORT_BITS + 1} bits of ports in one direction: must be at most {MOST_PORT_BITS}$"
    with pytest.raises(ValueError, match=message):
        Ported({"a": flow(MOST_PORT_BITS), "b": flow(1)}, "wide")
