"""Queue: order, room, back-pressure and throughput at any depth."""

from __future__ import annotations

from typing import Any

import pytest

from rtl.lib.queue import Queue
from tests.rtl.harness import get, put, simulate
from tests.rtl.lib.queues import check_against_deque, check_order


@pytest.mark.parametrize("passes", [False, True])
@pytest.mark.parametrize("depth", [1, 2, 3, 4, 7])
def test_every_cycle_matches_a_deque(depth: int, passes: bool) -> None:
    dut = Queue(width=9, depth=depth, passes=passes)
    check_against_deque(dut, depth, passes=passes)


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_nothing_is_lost_or_doubled(depth: int) -> None:
    check_order(Queue(width=8, depth=depth))


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
