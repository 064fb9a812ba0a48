"""Queue: order, room, back-pressure and throughput at any depth."""

from __future__ import annotations

from collections import deque
from random import Random
from typing import Any

import pytest

from rtl.lib.queue import Queue
from tests.rtl.harness import get, put, simulate


@pytest.mark.parametrize("passes", [False, True])
@pytest.mark.parametrize("depth", [1, 2, 3, 4, 7])
def test_every_cycle_matches_a_deque(depth: int, passes: bool) -> None:
    dut = Queue(width=9, depth=depth, passes=passes)
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


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_nothing_is_lost_or_doubled(depth: int) -> None:
    dut = Queue(width=8, depth=depth)
    sent = [n * 37 % 256 for n in range(200)]

    async def source(ctx: Any) -> None:
        await put(ctx, dut.i, sent, chance=0.6, seed=1)

    async def sink(ctx: Any) -> None:
        assert await get(ctx, dut.o, len(sent), chance=0.6) == sent

    simulate(dut, source, sink)


@pytest.mark.parametrize("depth", [2, 3, 8])
def test_one_entry_a_cycle(depth: int) -> None:
    dut = Queue(width=8, depth=depth)

    async def source(ctx: Any) -> None:
        await put(ctx, dut.i, range(100))

    async def sink(ctx: Any) -> None:
        assert await get(ctx, dut.o, 100) == list(range(100))

    simulate(dut, source, sink, cycles=102)


def test_a_queue_without_entries_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^depth must be at least 1, not 0$"):
        Queue(width=8, depth=0)
