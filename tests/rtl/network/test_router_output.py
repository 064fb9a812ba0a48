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
