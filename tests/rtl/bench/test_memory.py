"""Bench memory: contents against a dictionary, latency, interval, stalls, and reads in flight."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from chiplet.machine.queue_depths import COMMAND_READS
from rtl.bench.memory import BenchMemory
from rtl.interface.memory_port import request_layout, response_layout
from tests.rtl.harness import put, receive, simulate


def request(word_bytes: int, **fields: int) -> int:
    bits: int = request_layout(word_bytes).const(fields).as_bits()
    return bits


def settings(ctx: Any, dut: BenchMemory, *, latency: int, interval: int = 1, stall: int = 0) -> None:
    ctx.set(dut.settings.latency, latency)
    ctx.set(dut.settings.interval, interval)
    ctx.set(dut.settings.stall, stall)


@pytest.mark.parametrize(("word_bytes", "depth", "outstanding"), [(4, 16, 1), (8, 5, 3), (32, 64, 16)])
@pytest.mark.parametrize(("latency", "interval", "stall"), [(2, 1, 0), (9, 3, 20_000), (3, 1, 40_000)])
def test_reads_what_was_written_in_order(
    word_bytes: int, depth: int, outstanding: int, latency: int, interval: int, stall: int
) -> None:
    dut = BenchMemory(word_bytes=word_bytes, depth=depth, outstanding=outstanding)
    coin = Random(depth)
    words = [0] * depth
    requests, expected = [], []
    for _ in range(150):
        address, tag = coin.randrange(depth), coin.getrandbits(1)
        if coin.random() < 0.5:
            data, strobe = coin.getrandbits(8 * word_bytes), coin.getrandbits(word_bytes // 4)
            requests.append(request(word_bytes, write=1, address=address, strobe=strobe, data=data))
            mask = sum(0xFFFF_FFFF << 32 * n for n in range(word_bytes // 4) if strobe >> n & 1)
            words[address] = words[address] & ~mask | data & mask
        else:
            requests.append(request(word_bytes, address=address, tag=tag))
            expected.append((tag, words[address]))

    async def source(ctx: Any) -> None:
        settings(ctx, dut, latency=latency, interval=interval, stall=stall)
        await put(ctx, dut.port.request, requests, chance=0.8)

    async def sink(ctx: Any) -> None:
        for n, (tag, word) in enumerate(expected):
            word_seen = response_layout(word_bytes).from_bits(
                await receive(ctx, dut.port.response, chance=0.7, seed=n)
            )
            assert (word_seen.tag, word_seen.data) == (tag, word)

    simulate(dut, source, sink)


@pytest.mark.parametrize("latency", [2, 3, 10, 100])
def test_latency_is_counted_from_the_request(latency: int) -> None:
    dut = BenchMemory(word_bytes=4, depth=4, outstanding=8)

    async def bench(ctx: Any) -> None:
        settings(ctx, dut, latency=latency)
        ctx.set(dut.port.response.ready, 1)
        ctx.set(dut.port.request.valid, 1)
        assert ctx.get(dut.port.request.ready)
        await ctx.tick()
        ctx.set(dut.port.request.valid, 0)
        cycles = 1
        while not ctx.get(dut.port.response.valid):
            await ctx.tick()
            cycles += 1
        assert cycles == latency

    simulate(dut, bench)


@pytest.mark.parametrize("interval", [1, 2, 7])
def test_a_request_every_interval_and_a_word_with_it(interval: int) -> None:
    dut = BenchMemory(word_bytes=4, depth=4, outstanding=32)

    async def source(ctx: Any) -> None:
        settings(ctx, dut, latency=5, interval=interval)
        await put(ctx, dut.port.request, [request(4, address=n % 4) for n in range(40)])

    async def sink(ctx: Any) -> None:
        for _ in range(40):
            await receive(ctx, dut.port.response)

    simulate(dut, source, sink, cycles=40 * interval + 7)


@pytest.mark.parametrize("outstanding", [1, 5])
def test_it_takes_no_more_reads_than_it_can_keep(outstanding: int) -> None:
    dut = BenchMemory(word_bytes=4, depth=4, outstanding=outstanding)

    async def bench(ctx: Any) -> None:
        settings(ctx, dut, latency=2)
        ctx.set(dut.port.request.valid, 1)
        taken = 0
        for _ in range(100):
            taken += ctx.get(dut.port.request.ready)
            await ctx.tick()
        assert taken == outstanding + COMMAND_READS

    simulate(dut, bench)


def test_stalls_come_as_often_as_asked_and_repeat_with_the_seed() -> None:
    def ready(seed: int) -> list[int]:
        dut = BenchMemory(word_bytes=4, depth=4, outstanding=1)
        seen: list[int] = []

        async def bench(ctx: Any) -> None:
            settings(ctx, dut, latency=2, stall=1 << 14)
            ctx.set(dut.settings.seed, seed)
            ctx.set(dut.settings.reseed, 1)
            await ctx.tick()
            ctx.set(dut.settings.reseed, 0)
            for _ in range(2000):
                seen.append(ctx.get(dut.port.request.ready))
                await ctx.tick()

        simulate(dut, bench)
        return seen

    first = ready(1)
    assert first == ready(1) != ready(2)
    assert 0.72 < sum(first) / len(first) < 0.78
