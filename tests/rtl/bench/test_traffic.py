# amaranth: UnusedElaboratable=no
"""Traffic node: how much it generates, where to, and what it says of its own flits."""

from __future__ import annotations

from typing import Any

import pytest

from chiplet.machine.specs import NopSpec
from rtl.bench.traffic import CHANCE_ONE, SOURCE_COUNTERS, TRAFFIC_COUNTERS, TrafficNode, traffic_layout
from rtl.interface.flit import flit_layout
from tests.rtl.harness import simulate

NOP = NopSpec(flit_bits=48, coordinate_bits=3)


async def count(ctx: Any, dut: TrafficNode, name: str) -> int:
    ctx.set(dut.select, TRAFFIC_COUNTERS.index(name))
    await ctx.tick()
    value: int = ctx.get(dut.value)
    return value


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 1])
@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (3, 5)])
def test_flits_wait_without_bound_and_are_spread_evenly(share: float, rows: int, cols: int) -> None:
    dut = TrafficNode(nop=NOP, rows=rows, cols=cols)
    cycles = 1500
    found = {(row, col): 0 for row in range(rows) for col in range(cols)}

    async def bench(ctx: Any) -> None:
        for name in ("seed_arrivals", "seed_targets"):
            ctx.set(dut.seed, 0xACE1)
            ctx.set(getattr(dut, name), 1)
            await ctx.tick()
            ctx.set(getattr(dut, name), 0)
        ctx.set(dut.chance, round(share * CHANCE_ONE))
        ctx.set(dut.length, 1)
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
        assert abs(generated - cycles * share) < 80
        ctx.set(dut.o.ready, 1)
        while ctx.get(dut.o.valid):
            flit = flit_layout(NOP).from_bits(ctx.get(dut.o.payload))
            assert traffic_layout(NOP).from_bits(flit.data).measured
            found[flit.row, flit.col] += 1
            await ctx.tick()
        assert sum(found.values()) == generated
        for count_of_target in found.values():
            assert abs(count_of_target - generated / len(found)) < 40

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


@pytest.mark.parametrize("flit_bits", [43, 64, 130])
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
        ctx.set(dut.chance, CHANCE_ONE)
        ctx.set(dut.length, 1)
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
        assert await count(ctx, dut, "wrong") >= len(told) - (4 if flit_bits == 43 else 0)

    simulate(dut, bench)


def test_a_flit_without_room_for_time_stamps_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"^nop.flit_bits = 32: must be at least 43 for traffic with time stamps$"
    ):
        TrafficNode(nop=NopSpec(flit_bits=32, coordinate_bits=3), rows=1, cols=1)


@pytest.mark.parametrize("fault", ["none", "swapped", "mixed", "doubled"])
def test_flits_of_a_packet_that_are_out_of_order_are_wrong(fault: str) -> None:
    """Two packets of three flits come as they were sent, or with two flits swapped, mixed, or one twice."""
    dut = TrafficNode(nop=NOP, rows=2, cols=2)

    async def bench(ctx: Any) -> None:
        for name, value in {"row": 1, "col": 0, "target_row": 1, "load_target": 1, "length": 3}.items():
            ctx.set(getattr(dut, name), value)
        await ctx.tick()
        for name, value in {"load_target": 0, "chance": CHANCE_ONE, "run": 1, "measure": 1}.items():
            ctx.set(getattr(dut, name), value)
        await ctx.tick().repeat(2)
        ctx.set(dut.run, 0)
        ctx.set(dut.o.ready, 1)
        flits = []
        for now in range(6):
            ctx.set(dut.now, now)
            flits.append(ctx.get(dut.o.payload))
            await ctx.tick()
        assert not ctx.get(dut.o.valid)
        assert [flit_layout(NOP).from_bits(flit).tail for flit in flits] == [0, 0, 1] * 2
        order = {"swapped": [1, 0, 2], "mixed": [0, 4, 2, 3, 1, 5], "doubled": [0, 0, 1, 2]}
        ctx.set(dut.i.valid, 1)
        for number in order.get(fault, range(6)):
            ctx.set(dut.i.payload, flits[number])
            await ctx.tick()
        ctx.set(dut.i.valid, 0)
        assert (await count(ctx, dut, "wrong") > 0) == (fault != "none")
        if fault == "none":
            ctx.set(dut.source, 2)
            counted = []
            for number in range(len(SOURCE_COUNTERS)):
                ctx.set(dut.source_select, number)
                await ctx.tick()
                counted.append(ctx.get(dut.source_value))
            assert counted == [6, 2, 10]

    simulate(dut, bench)
