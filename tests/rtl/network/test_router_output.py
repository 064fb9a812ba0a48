"""Router output: packets stay whole, inputs take turns, nothing is lost under stalls."""

from __future__ import annotations

from typing import Any

import pytest

from rtl.network.router_output import RouterOutput
from tests.rtl.harness import get, put, simulate

TAIL = 1 << 8


def packets(source: int, count: int, flits: int) -> list[int]:
    return [
        (source << 4 | number % 16) | (TAIL if flit == flits - 1 else 0)
        for number in range(count)
        for flit in range(flits)
    ]


@pytest.mark.parametrize("sources", [1, 2, 5])
@pytest.mark.parametrize("chance", [1.0, 0.5])
@pytest.mark.parametrize("flits", [1, 3])
def test_packets_stay_whole_and_in_order(sources: int, chance: float, flits: int) -> None:
    dut = RouterOutput(width=9, sources=sources)
    sent = [packets(source, 10, flits) for source in range(sources)]

    def sender(source: int) -> Any:
        async def bench(ctx: Any) -> None:
            await put(ctx, dut.i[source], sent[source], chance=chance, seed=source)

        return bench

    async def sink(ctx: Any) -> None:
        found = await get(ctx, dut.o, 10 * flits * sources, chance=chance, seed=9)
        for start in range(0, len(found), flits):
            assert len({flit & 0xFF for flit in found[start : start + flits]}) == 1, "packets are mixed"
        assert [[flit for flit in found if flit >> 4 & 7 == source] for source in range(sources)] == sent

    simulate(dut, *(sender(source) for source in range(sources)), sink)


@pytest.mark.parametrize("sources", [2, 3, 5])
def test_inputs_take_turns_without_a_pause(sources: int) -> None:
    dut = RouterOutput(width=9, sources=sources)

    async def bench(ctx: Any) -> None:
        for source in range(sources):
            port = dut.i[source]
            ctx.set(port.valid, 1)
            ctx.set(port.payload, source | TAIL)
        ctx.set(dut.o.ready, 1)
        seen = []
        for _ in range(3 * sources):
            assert ctx.get(dut.o.valid)
            seen.append(ctx.get(dut.o.payload) & 0xFF)
            await ctx.tick()
        assert all(seen[n + 1] == (seen[n] + 1) % sources for n in range(len(seen) - 1))

    simulate(dut, bench)


@pytest.mark.parametrize("flits", [1, 3])
@pytest.mark.parametrize("weights", [(1, 3), (0, 0, 0), (7, 1, 4), (2, 0), (2, 0, 3)])
def test_inputs_have_as_many_packets_in_a_round_as_their_weights(
    weights: tuple[int, ...], flits: int
) -> None:
    dut = RouterOutput(width=9, sources=len(weights), weight_bits=3)
    rounds = 3
    shares = [weight or 1 for weight in weights]  # 0 counts as 1: nobody waits for ever
    length = sum(shares)

    async def bench(ctx: Any) -> None:
        sent = [0] * len(weights)
        for source, weight in enumerate(weights):
            ctx.set(dut.i[source].valid, 1)
            ctx.set(dut.weights[source], weight)
        ctx.set(dut.o.ready, 1)
        seen: list[int] = []
        while len(seen) < rounds * length:
            for source, port in enumerate(dut.i):
                tail = sent[source] % flits == flits - 1
                ctx.set(port.payload, source | TAIL * tail)
            ready = [ctx.get(port.ready) for port in dut.i]
            assert sum(ready) == 1
            source = ready.index(1)
            sent[source] += 1
            if sent[source] % flits == 0:
                seen.append(source)
            await ctx.tick()
        for start in range(0, len(seen), length):
            served = [seen[start : start + length].count(source) for source in range(len(weights))]
            assert served == shares

    simulate(dut, bench)


def test_the_engine_takes_turns_with_all_others_and_an_idle_input_costs_nothing() -> None:
    dut = RouterOutput(width=9, sources=3, weight_bits=3, engine=True)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.weights[0], 2)
        ctx.set(dut.weights[1], 1)
        for source, port in enumerate(dut.i):
            ctx.set(port.valid, 1)
            ctx.set(port.payload, source | TAIL)
        ctx.set(dut.o.ready, 1)

        async def served(count: int) -> list[int]:
            found = []
            for _ in range(count):
                assert ctx.get(dut.o.valid)
                found.append(ctx.get(dut.o.payload) & 0xFF)
                await ctx.tick()
            return found

        assert await served(6) == [2, 1, 2, 0, 2, 0]
        ctx.set(dut.i[0].valid, 0)
        assert await served(4) == [2, 1, 2, 1]
        ctx.set(dut.i[2].valid, 0)
        assert await served(3) == [1, 1, 1]

    simulate(dut, bench)
