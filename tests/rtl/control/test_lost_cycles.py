"""Lost cycles: each cycle has one cause."""

from __future__ import annotations

from itertools import product
from typing import Any

from amaranth.hdl import ClockDomain, Module

from rtl.control.lost_cycles import LOSSES, LostCycles
from tests.rtl.harness import signal, simulate

INPUTS = (
    "array_busy",
    "array_idle",
    "array_stall_semaphore",
    "array_stall_panel",
    "array_over",
    "starved",
    "operands_busy",
)


def cause(busy: int, idle: int, stall: int, panel: int, over: int, starved: int, operands: int) -> str:
    if busy:
        return "busy"
    if idle and over:
        return "lost_store"
    if idle or (stall and not panel):
        return "lost_fetch" if starved and not operands else "lost_load"
    return "lost_drain" if stall else "lost_fill"


def test_each_cycle_has_one_cause() -> None:
    dut = LostCycles()
    top = Module()
    top.domains.sync = ClockDomain()
    top.submodules.dut = dut

    async def bench(ctx: Any) -> None:
        for values in product((0, 1), repeat=len(INPUTS)):
            for name, value in zip(INPUTS, values, strict=True):
                ctx.set(signal(dut, name), value)
            shown = [name for name in LOSSES if ctx.get(signal(dut, name))]
            assert shown == [cause(*values)] or (values[0] and not shown)
            await ctx.tick()

    simulate(top, bench)
