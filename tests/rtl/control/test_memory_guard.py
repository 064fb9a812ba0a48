"""Memory guard: words of an earlier epoch are dropped, requests beyond the memory do not leave."""

from __future__ import annotations

from typing import Any

import pytest
from amaranth.hdl import ClockDomain, Module

from rtl.control.memory_guard import MemoryGuard
from rtl.interface.memory_port import EPOCH_BITS, request_layout, response_layout
from tests.rtl.harness import simulate

REQUEST, RESPONSE = request_layout(4), response_layout(4)


def test_words_of_another_epoch_are_dropped() -> None:
    dut = MemoryGuard(word_bytes=4)
    top = Module()
    top.domains.sync = domain = ClockDomain()
    top.submodules.dut = dut

    async def bench(ctx: Any) -> None:
        ctx.set(dut.last, 100)
        ctx.set(dut.memory.request.ready, 1)
        epochs = []
        for length in (1, 3, 1):
            ctx.set(dut.units.request.valid, 1)
            ctx.set(dut.units.request.payload, REQUEST.const({"address": 7, "tag": 1}).as_value().value)
            assert ctx.get(dut.memory.request.valid)
            epochs.append(REQUEST.from_bits(ctx.get(dut.memory.request.payload)).epoch)
            ctx.set(dut.units.request.valid, 0)
            ctx.set(domain.rst, 1)
            for _ in range(length):
                await ctx.tick()
            ctx.set(domain.rst, 0)
            ctx.set(dut.memory.response.valid, 1)
            ctx.set(dut.memory.response.payload, RESPONSE.const({"epoch": epochs[-1]}).as_value().value)
            assert not ctx.get(dut.units.response.valid)  # in the first cycle after the reset
            ctx.set(dut.memory.response.valid, 0)
            await ctx.tick()
        assert [(epoch - epochs[0]) % (1 << EPOCH_BITS) for epoch in epochs] == [0, 1, 2]
        now = (epochs[-1] + 1) % (1 << EPOCH_BITS)
        for epoch in (*epochs, now):
            ctx.set(dut.memory.response.valid, 1)
            ctx.set(
                dut.memory.response.payload,
                RESPONSE.const({"epoch": epoch, "data": 5, "tag": 1}).as_value().value,
            )
            assert ctx.get(dut.units.response.valid) == (epoch == now)
            assert ctx.get(dut.memory.response.ready) == (epoch != now)  # what is dropped waits for nobody
            await ctx.tick()

    simulate(top, bench)


@pytest.mark.parametrize(
    ("fields", "unit"), [({"tag": 1}, "fetch"), ({}, "load"), ({"write": 1, "strobe": 1}, "store")]
)
def test_a_request_beyond_the_memory_does_not_leave(fields: dict[str, int], unit: str) -> None:
    dut = MemoryGuard(word_bytes=4)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.last, 100)
        for address, beyond in ((0, False), (100, False), (101, True), (0xFFFF_FFFF, True)):
            ctx.set(dut.units.request.payload, REQUEST.const({"address": address, **fields}).as_value().value)
            for valid in (0, 1):
                ctx.set(dut.units.request.valid, valid)
                assert ctx.get(dut.memory.request.valid) == (valid and not beyond)
                assert ctx.get(dut.units.request.ready) == beyond
                shown = {
                    name for name in ("fetch", "load", "store") if ctx.get(getattr(dut, f"{name}_beyond"))
                }
                assert shown == ({unit} if valid and beyond else set())
            ctx.set(dut.units.request.valid, 0)
            await ctx.tick()

    simulate(dut, bench)
