"""Arbiter of the memory port: nothing is lost, every unit keeps its order, and nobody starves."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from rtl.interface.memory_port import EPOCH_BITS, request_layout, response_layout
from rtl.memory.arbiter import Arbiter
from tests.rtl.harness import get, put, simulate

UNITS = ("fetch", "load", "store")


def run(
    chances: dict[str, float], count: int, *, ready: float, cycles: int = 10_000
) -> list[tuple[int, int]]:
    """Send ``count`` requests from each unit. Returns unit and number of each request in the order of leaving."""
    dut = Arbiter(word_bytes=4)
    seen: list[tuple[int, int]] = []

    def source(unit: int, name: str) -> Any:
        async def bench(ctx: Any) -> None:
            payloads = [unit << 10 | n for n in range(count)]
            await put(ctx, getattr(dut, name), payloads, chance=chances[name], seed=unit)

        return bench

    async def sink(ctx: Any) -> None:
        payloads = await get(ctx, dut.memory.request, count * len(chances), chance=ready, seed=9)
        seen.extend((payload >> 10, payload & 1023) for payload in payloads)
        assert ctx.get(dut.idle)

    simulate(dut, *(source(n, name) for n, name in enumerate(UNITS) if name in chances), sink, cycles=cycles)
    return seen


@pytest.mark.parametrize("ready", [1.0, 0.4])
def test_nothing_is_lost_and_each_unit_keeps_its_order(ready: float) -> None:
    seen = run({"fetch": 0.2, "load": 0.5, "store": 0.7}, 60, ready=ready)
    for unit in range(3):
        assert [n for who, n in seen if who == unit] == list(range(60))


def test_load_and_store_take_turns() -> None:
    seen = run({"load": 1.0, "store": 1.0}, 50, ready=1.0, cycles=104)
    assert {who for who, _ in seen[::2]} != {who for who, _ in seen[1::2]}
    assert all(a[0] != b[0] for a, b in pairwise(seen))


@pytest.mark.parametrize("unit", UNITS)
def test_one_unit_alone_gets_every_cycle(unit: str) -> None:
    seen = run({unit: 1.0}, 100, ready=1.0, cycles=104)
    assert [n for _, n in seen] == list(range(100))


def test_fetch_goes_first() -> None:
    seen = run(dict.fromkeys(UNITS, 1.0), 30, ready=1.0)
    assert [who for who, _ in seen[:30]] == [0] * 30


def test_words_go_to_the_unit_that_asked_for_them() -> None:
    dut, layout = Arbiter(word_bytes=4), response_layout(4)
    words = [(n % 3 == 0, 1000 + n) for n in range(40)]
    seen: dict[bool, list[int]] = {}

    async def memory(ctx: Any) -> None:
        await put(
            ctx,
            dut.memory.response,
            [layout.const({"tag": tag, "data": word}).as_bits() for tag, word in words],
            chance=0.8,
        )

    def taker(tag: bool, port: Any) -> Any:
        async def bench(ctx: Any) -> None:
            count = sum(of_fetch == tag for of_fetch, _ in words)
            seen[tag] = await get(ctx, port, count, chance=0.6, seed=tag)

        return bench

    simulate(dut, memory, taker(True, dut.fetched), taker(False, dut.loaded))
    for tag, taken in seen.items():
        assert taken == [word for of_fetch, word in words if of_fetch == tag]


@pytest.mark.parametrize("word_bytes", [4, 8, 32, 256])
def test_layouts(word_bytes: int) -> None:
    request = request_layout(word_bytes)
    assert request.members["strobe"] == word_bytes // 4
    assert request.members["data"] == 8 * word_bytes
    assert response_layout(word_bytes).size == 1 + EPOCH_BITS + 8 * word_bytes
