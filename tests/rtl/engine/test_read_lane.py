"""Lane of a chunk reader: every word that it is asked for, in order, at once if its bank is free."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from rtl.engine.read_lane import ReadLane
from tests.rtl.harness import get, simulate
from tests.rtl.scratchpads import PythonScratchpad

DEPTH, AHEAD = 64, 4


@pytest.mark.parametrize(("latency", "stall"), [(1, 0.0), (1, 0.5), (3, 0.3)])
def test_words_come_in_the_order_of_the_questions(latency: int, stall: float) -> None:
    dut = ReadLane(depth=DEPTH, word_bytes=4, ahead=AHEAD, sram_latency=latency)
    coin = Random(latency)
    words = {address: coin.getrandbits(32) for address in range(DEPTH)}
    scratchpad = PythonScratchpad(words, word_bytes=4, stall=stall, latency=latency)
    addresses = [coin.randrange(DEPTH) for _ in range(40)]
    held = 0

    async def count(ctx: Any) -> None:
        nonlocal held
        while True:
            _, _, valid, ready = await ctx.tick().sample(dut.o.valid, dut.o.ready)
            held -= valid and ready

    async def ask(ctx: Any) -> None:
        nonlocal held
        for address in addresses:
            while held == AHEAD or coin.random() < 0.3:
                await ctx.tick()
            ctx.set(dut.ask, 1)
            ctx.set(dut.address, address)
            held += 1
            await ctx.tick()
            ctx.set(dut.ask, 0)

    async def take(ctx: Any) -> None:
        expected = [words[address] for address in addresses]
        assert await get(ctx, dut.o, len(expected), chance=0.7) == expected

    simulate(dut, ask, take, background=[scratchpad.serve_reads(dut.read), count])
    assert scratchpad.reads == addresses


def test_a_word_is_read_in_the_cycle_in_which_it_is_asked_for() -> None:
    dut = ReadLane(depth=DEPTH, word_bytes=4, ahead=AHEAD, sram_latency=1)

    async def bench(ctx: Any) -> None:
        assert not ctx.get(dut.read.valid)
        ctx.set(dut.ask, 1)
        ctx.set(dut.address, 7)
        ctx.set(dut.read.ready, 1)
        assert (ctx.get(dut.read.valid), ctx.get(dut.read.address)) == (1, 7)
        await ctx.tick()
        ctx.set(dut.ask, 0)
        assert not ctx.get(dut.read.valid)

    simulate(dut, bench)


@pytest.mark.parametrize("name", ["depth", "word_bytes", "ahead", "sram_latency"])
def test_a_parameter_below_1_is_refused(name: str) -> None:
    sizes = {"depth": DEPTH, "word_bytes": 4, "ahead": AHEAD, "sram_latency": 1, name: 0}
    with pytest.raises(ValueError, match=f"^read lane: {name} = 0: must be"):
        ReadLane(**sizes)
