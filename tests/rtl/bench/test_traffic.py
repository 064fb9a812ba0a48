# amaranth: UnusedElaboratable=no
"""Traffic node: how much it generates, where to, and what it says of its own flits."""

from __future__ import annotations

from typing import Any

import pytest

from chiplet.machine.specs import NopSpec
from rtl.bench.traffic import TRAFFIC_COUNTERS, TrafficNode, traffic_layout
from rtl.interface.flit import flit_layout
from tests.rtl.harness import simulate

NOP = NopSpec(flit_bits=48, coordinate_bits=3)


async def count(ctx: Any, dut: TrafficNode, name: str) -> int:
    ctx.set(dut.select, TRAFFIC_COUNTERS.index(name))
    await ctx.tick()
    value: int = ctx.get(dut.value)
    return value


@pytest.mark.parametrize("rate", [0, 6554, 32768, 65536])
@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (3, 5)])
def test_flits_wait_without_bound_and_are_spread_evenly(rate: int, rows: int, cols: int) -> None:
    dut = TrafficNode(nop=NOP, rows=rows, cols=cols)
    cycles = 1500
    found = {(row, col): 0 for row in range(rows) for col in range(cols)}

    async def bench(ctx: Any) -> None:
        for name in ("seed_arrivals", "seed_targets"):
            ctx.set(dut.seed, 0xACE1)
            ctx.set(getattr(dut, name), 1)
            await ctx.tick()
            ctx.set(getattr(dut, name), 0)
        ctx.set(dut.rate, rate)
        ctx.set(dut.run, 1)
        ctx.set(dut.measure, 1)
        for cycle in range(cycles):
            ctx.set(dut.now, cycle)
            assert not ctx.get(dut.o.valid) or ctx.get(dut.o.ready) == 0
            await ctx.tick()
        ctx.set(dut.run, 0)
        ctx.set(dut.measure, 0)
        generated = await count(ctx, dut, "generated")
        assert generated == await count(ctx, dut, "offered")
        assert abs(generated - cycles * rate / 65536) < 80
        ctx.set(dut.o.ready, 1)
        while ctx.get(dut.o.valid):
            flit = flit_layout(NOP).from_bits(ctx.get(dut.o.payload))
            assert traffic_layout(NOP).from_bits(flit.data).measured
            found[flit.row, flit.col] += 1
            await ctx.tick()
        assert sum(found.values()) == generated
        for share in found.values():
            assert abs(share - generated / len(found)) < 40

    simulate(dut, bench)


def test_the_sink_counts_latency_and_what_is_misrouted() -> None:
    dut = TrafficNode(nop=NOP, rows=4, cols=4)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.row, 2)
        ctx.set(dut.col, 1)
        ctx.set(dut.i.valid, 1)
        for now, row, measured, entry in ((50, 2, 1, 40), (51, 2, 0, 1), (52, 3, 1, 49)):
            body = traffic_layout(NOP).const({"measured": measured, "entry": entry}).as_bits()
            flit = flit_layout(NOP).const({"data": body, "row": row, "col": 1, "tail": 1}).as_bits()
            ctx.set(dut.i.payload, flit)
            ctx.set(dut.now, now)
            await ctx.tick()
        ctx.set(dut.i.valid, 0)
        expected = {"received": 3, "measured": 2, "misrouted": 1, "received_time": 102, "network_time": 13}
        for name, value in expected.items():
            assert await count(ctx, dut, name) == value

    simulate(dut, bench)


@pytest.mark.parametrize("flit_bits", [40, 64, 130])
def test_every_wrong_bit_that_tells_of_a_flit_is_seen(flit_bits: int) -> None:
    nop = NopSpec(flit_bits=flit_bits, coordinate_bits=3)
    dut = TrafficNode(nop=nop, rows=4, cols=4)
    layout = flit_layout(nop)
    told = [n for n in range(layout.size) if n not in (layout["tail"].offset, layout["engine"].offset)]
    told.remove(layout["copy"].offset)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.row, 3)
        ctx.set(dut.col, 2)
        ctx.set(dut.seed, 0x1234567)
        ctx.set(dut.seed_arrivals, 1)
        await ctx.tick()
        ctx.set(dut.seed_arrivals, 0)
        ctx.set(dut.rate, 65536)
        ctx.set(dut.run, 1)
        await ctx.tick()
        ctx.set(dut.run, 0)
        good = ctx.get(dut.o.payload)
        ctx.set(dut.o.ready, 1)
        await ctx.tick()
        ctx.set(dut.i.valid, 1)
        ctx.set(dut.i.payload, good)
        await ctx.tick()
        ctx.set(dut.i.valid, 0)
        assert await count(ctx, dut, "wrong") == 0
        assert await count(ctx, dut, "sent_sum") == await count(ctx, dut, "received_sum") > 0
        ctx.set(dut.i.valid, 1)
        for place in told:
            ctx.set(dut.i.payload, good ^ 1 << place)
            await ctx.tick()
        ctx.set(dut.i.valid, 0)
        # A check of 7 bits can be right by chance for some.
        assert await count(ctx, dut, "wrong") >= len(told) - (4 if flit_bits == 40 else 0)

    simulate(dut, bench)


def test_a_flit_without_room_for_time_stamps_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"^nop.flit_bits = 32: must be at least 40 for traffic with time stamps$"
    ):
        TrafficNode(nop=NopSpec(flit_bits=32, coordinate_bits=3), rows=1, cols=1)
