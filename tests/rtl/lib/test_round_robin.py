"""Round-robin."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from amaranth.hdl import Module, Signal

from rtl.lib.round_robin import next_in_turn
from tests.rtl.harness import simulate


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
def test_the_next_one_that_asks_is_served(size: int) -> None:
    asked, last, given = Signal(size), Signal(size, init=1), Signal(size)
    m = Module()
    m.d.comb += given.eq(next_in_turn(m, "turn", asked, last))
    coin = Random(size)

    async def bench(ctx: Any) -> None:
        for _ in range(200):
            who, before = coin.getrandbits(size), coin.randrange(size)
            ctx.set(asked, who)
            ctx.set(last, 1 << before)
            order = [(before + 1 + step) % size for step in range(size)]
            expected = next((1 << each for each in order if who >> each & 1), 0)
            await ctx.delay(1e-9)
            assert ctx.get(given) == expected

    m.d.sync += Signal().eq(0)  # a clock, for the time limit
    simulate(m, bench, cycles=1000)
