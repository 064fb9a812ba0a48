"""Sram against a list of words."""

from __future__ import annotations

import random
from collections import deque
from typing import Any

import pytest
from amaranth.sim import Simulator

from rtl.emit.emitter import emit
from rtl.lib.sram import Sram


@pytest.mark.parametrize(("width", "latency"), [(1, 1), (8, 1), (33, 1), (8, 2), (33, 3)])
@pytest.mark.parametrize("depth", [1, 2, 3, 5, 8, 16])
def test_reads_what_was_written_and_holds_it(depth: int, width: int, latency: int) -> None:
    dut = Sram(width=width, depth=depth, sram_latency=latency)
    rng = random.Random(depth)
    words: list[int | None] = [None] * depth
    expected: int | None = None
    coming: deque[int | None] = deque([None] * latency, latency)

    async def bench(ctx: Any) -> None:
        nonlocal expected
        for _ in range(200):
            write, read = rng.random() < 0.6, rng.random() < 0.6
            write_address, read_address = rng.randrange(depth), rng.randrange(depth)
            data = rng.getrandbits(width)
            ctx.set(dut.write_enable, write)
            ctx.set(dut.write_address, write_address)
            ctx.set(dut.write_data, data)
            ctx.set(dut.read_enable, read)
            ctx.set(dut.read_address, read_address)
            await ctx.tick()
            if read:
                # A word that is written while it is read is undefined.
                expected = None if write and write_address == read_address else words[read_address]
            if write:
                words[write_address] = data
            if expected is not None:
                coming.append(expected)
            else:
                coming.append(None)
            if coming[0] is not None:
                assert ctx.get(dut.read_data) == coming[0]

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert None not in words


@pytest.mark.parametrize("depth", [1, 2, 7, 65_536])
def test_verilog_is_one_memory_without_contents(depth: int) -> None:
    text = emit(Sram(width=16, depth=depth), None).text
    assert f"reg [15:0] mem [{depth - 1}:0];" in text
    assert "initial" not in text
    assert "[-1:0]" not in text
    assert len(text) < 1500


def test_macro_is_ports_only() -> None:
    emitted = emit(Sram(width=16, depth=100, macro=True), None)
    assert emitted.modules == ("sram_100x16",)
    assert (
        "(* blackbox *)\nmodule sram_100x16 (\n  input wire clk,\n  input wire write_enable,\n"
        in emitted.text
    )
    assert "mem" not in emitted.text
    assert "always" not in emitted.text


def test_a_macro_has_its_latency_in_its_name() -> None:
    assert Sram(width=16, depth=100, part=8, macro=True, sram_latency=2).block_name == "sram_100x16_w8_l2"


def test_impossible_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^Sram: depth = 0: must be an integer of at least 1$"):
        Sram(width=1, depth=0)
