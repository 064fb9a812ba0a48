"""Any queue against a deque."""

from __future__ import annotations

from collections import deque
from random import Random
from typing import Any

from tests.rtl.harness import get, put, simulate


def check_against_deque(dut: Any, depth: int, *, passes: bool = False) -> None:
    """Compare a queue of 9 bits with a deque in every cycle; with ``passes`` a word passes through an empty one."""
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
            shown = [*model, *([payload] if passes and offer else [])][:1]
            assert ctx.get(dut.i.ready) == room
            assert ctx.get(dut.o.valid) == bool(shown)
            if shown:
                assert ctx.get(dut.o.payload) == shown[0]
            if offer and room:
                model.append(payload)
            if shown and take:
                model.popleft()
            levels.add(len(model))
            await ctx.tick()

    simulate(dut, bench)
    assert levels == set(range(depth + 1))


def check_order(dut: Any) -> None:
    """Send 200 words through a queue of 8 bits, with pauses at both ends."""
    sent = [n * 37 % 256 for n in range(200)]

    async def source(ctx: Any) -> None:
        await put(ctx, dut.i, sent, chance=0.6, seed=1)

    async def sink(ctx: Any) -> None:
        assert await get(ctx, dut.o, len(sent), chance=0.6) == sent

    simulate(dut, source, sink)
