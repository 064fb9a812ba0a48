"""Queue in an SRAM: order, room, back-pressure and throughput at any depth."""

from __future__ import annotations

from collections import deque
from random import Random
from typing import Any

import pytest

from rtl.lib.sram_queue import SramQueue
from tests.rtl.harness import get, put, simulate


@pytest.mark.parametrize("depth", [2, 3, 4, 9])
def test_every_cycle_matches_a_deque(depth: int) -> None:
    dut = SramQueue(width=9, depth=depth)
    coin = Random(depth)
    model: deque[int] = deque()
    levels = set()

    async def bench(ctx: Any) -> None:
        for cycle in range(600):
            # Phases in which one side is faster, so that the queue runs full and empty.
            fill = 0.9 if cycle // 50 % 2 else 0.3
            offer, take = coin.random() < fill, coin.random() > fill
            payload = coin.getrandbits(9)
            ctx.set(dut.i.valid, offer)
            ctx.set(dut.i.payload, payload)
            ctx.set(dut.o.ready, take)
            room = len(model) < depth
            assert ctx.get(dut.i.ready) == room
            assert ctx.get(dut.o.valid) == bool(model)
            if model:
                assert ctx.get(dut.o.payload) == model[0]
            if model and take:
                model.popleft()
            if offer and room:
                model.append(payload)
            levels.add(len(model))
            await ctx.tick()

    simulate(dut, bench)
    assert levels == set(range(depth + 1))


@pytest.mark.parametrize("depth", [2, 5])
def test_nothing_is_lost_or_doubled(depth: int) -> None:
    dut = SramQueue(width=8, depth=depth)
    sent = [n * 37 % 256 for n in range(200)]

    async def source(ctx: Any) -> None:
        await put(ctx, dut.i, sent, chance=0.6, seed=1)

    async def sink(ctx: Any) -> None:
        assert await get(ctx, dut.o, len(sent), chance=0.6) == sent

    simulate(dut, source, sink)


@pytest.mark.parametrize(("name", "value", "least"), [("width", 0, 1), ("depth", 1, 2), ("depth", 2.5, 2)])
def test_sizes_are_checked(name: str, value: Any, least: int) -> None:
    message = rf"^SRAM queue: {name} = {value}: must be an integer of at least {least}$"
    with pytest.raises(ValueError, match=message):
        SramQueue(**{"width": 4, "depth": 4, name: value})
