"""Engine: commands go to their sides, sums pass from side to side, and those from both sides meet."""

from __future__ import annotations

from typing import Any

import pytest

from chiplet.machine.queue_depths import QUEUED_FLITS
from chiplet.machine.specs import DieSpec, MemorySpec, NopSpec
from rtl.engine.engine import ENGINE_UNITS, Engine
from rtl.interface.flit import SIDES, RouterPort, flit_layout, opposite
from rtl.interface.isa import Opcode, encode
from tests.rtl.harness import get, put, signal, simulate

NOP, MEMORY = NopSpec(flit_bits=32, coordinate_bits=3), MemorySpec(word_bytes=4)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("flits", [1, QUEUED_FLITS])
def test_a_die_in_the_middle_of_a_reduce_scatter(side: RouterPort, flits: int) -> None:
    """From ``side`` come a chunk that goes on and one that stays; from the other side another part of that one."""
    dut = Engine(die=DieSpec(dtype="int8", scratchpad_bytes=1024), nop=NOP, memory=MEMORY)
    layout = flit_layout(NOP)
    here, across = SIDES.index(side), SIDES.index(opposite(side))
    row, col = 2, 3
    written: dict[int, int] = {}
    posts: list[str] = []
    command = {"add": 1, "flits": flits, "pitch": flits}
    receives = [
        encode(Opcode.RECEIVE, side=here, hand=1, forwarded=1, chunks=2, base=0, **command),
        encode(Opcode.RECEIVE, side=across, join=1, chunks=1, base=flits, post_0=1, **command),
    ]
    sends = [encode(Opcode.SEND, side=across, forward=1, target=5, chunks=1, flits=flits, base=0)]

    def chunk(first: int) -> list[int]:
        return [layout.const({"data": first + n, "tail": n == flits - 1}).as_bits() for n in range(flits)]

    async def buffer(ctx: Any) -> None:
        ctx.set(dut.row, row)
        ctx.set(dut.col, col)
        for unit in ENGINE_UNITS:
            ctx.set(signal(dut, f"{unit}_ok"), 1)
        for n in range(len(ENGINE_UNITS)):
            ctx.set(signal(dut, f"read_{n}_ready"), 1)
        for n in range(len(SIDES)):
            ctx.set(signal(dut, f"write_{n}_ready"), 1)
        while True:
            sampled = await ctx.tick().sample(
                *(signal(dut, f"read_{n}_address") for n in range(len(ENGINE_UNITS))),
                *(signal(dut, f"{unit}_post") for unit in ENGINE_UNITS),
                *(
                    signal(dut, f"write_{n}_{name}")
                    for n in range(4)
                    for name in ("valid", "address", "data")
                ),
            )
            addresses, posted, writes = sampled[2:10], sampled[10:18], sampled[18:]
            for n, address in enumerate(addresses):
                ctx.set(signal(dut, f"read_{n}_data"), 1000 * address)  # what the die has
            posts.extend(unit for unit, post in zip(ENGINE_UNITS, posted, strict=True) if post)
            for n in range(4):
                if writes[3 * n]:
                    written[writes[3 * n + 1]] = writes[3 * n + 2]

    def sender(port: Any, payloads: list[int], chance: float = 1.0) -> Any:
        async def bench(ctx: Any) -> None:
            await put(ctx, port, payloads, chance=chance)

        return bench

    async def out(ctx: Any) -> None:
        found = await get(ctx, dut.sides[SIDES.index(opposite(side))].o, flits, chance=0.7)
        for n, bits in enumerate(found):
            flit = layout.from_bits(bits)
            assert (flit.data, flit.tail) == (100 + n + 1000 * n, n == flits - 1)
            along_row = side in (RouterPort.EAST, RouterPort.WEST)
            assert (flit.row, flit.col, flit.source) == ((row, 5, col) if along_row else (5, col, row))
            assert (flit.engine, flit.copy) == (1, 0)
        for _ in range(100):
            await ctx.tick()
        assert ctx.get(dut.idle)

    simulate(
        dut,
        *(sender(dut.send, sends), sender(dut.receive, receives), out),
        sender(dut.sides[here].i, chunk(100) + chunk(200)),
        sender(dut.sides[across].i, chunk(300), 0.5),
        background=[buffer],
    )
    assert written == {flits + n: 1000 * (flits + n) + 200 + n + 300 + n for n in range(flits)}
    assert posts == [f"receive_{opposite(side).text}"]


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("turn", [0, 1])
def test_a_chunk_that_is_kept_and_goes_on_behind_the_own_one(side: RouterPort, turn: int) -> None:
    """A die of a ring in an all-gather: a flit that comes leaves in the same cycle once the own chunk has left."""
    dut = Engine(die=DieSpec(), nop=NOP, memory=MEMORY)
    layout = flit_layout(NOP)
    leaves = side if turn else opposite(side)
    here, there = SIDES.index(side), SIDES.index(leaves)
    flits = 3
    send = encode(
        Opcode.SEND, side=there, own=1, forward=1, turn=turn, base=9, chunks=2, flits=flits, target=1
    )
    receive = encode(
        Opcode.RECEIVE, side=here, forwarded=1, keep=1, turn=turn, chunks=2, flits=flits, base=20, pitch=flits
    )
    coming = [layout.const({"data": 50 + n, "tail": n % flits == flits - 1}).as_bits() for n in range(6)]
    written: dict[int, int] = {}
    left: list[tuple[int, int]] = []
    came: list[int] = []

    async def bench(ctx: Any) -> None:
        for unit in ENGINE_UNITS:
            ctx.set(signal(dut, f"{unit}_ok"), 1)
        for n in range(len(ENGINE_UNITS)):
            ctx.set(signal(dut, f"read_{n}_ready"), 1)
        for n in range(len(SIDES)):
            ctx.set(signal(dut, f"write_{n}_ready"), 1)
        await put(ctx, dut.send, [send])
        await put(ctx, dut.receive, [receive])
        inside, outside = dut.sides[here].i, dut.sides[SIDES.index(leaves)].o
        ctx.set(outside.ready, 1)
        number = 0
        for cycle in range(40):
            ctx.set(inside.valid, cycle >= 8 and number < len(coming))
            ctx.set(inside.payload, coming[min(number, len(coming) - 1)])
            taken = bool(ctx.get(inside.valid) and ctx.get(inside.ready))
            if taken:
                number += 1
                came.append(cycle)
            if ctx.get(outside.valid):
                left.append((cycle, layout.from_bits(ctx.get(outside.payload)).data))
            if ctx.get(signal(dut, f"write_{here}_valid")):
                where = ctx.get(signal(dut, f"write_{here}_address"))
                written[where] = ctx.get(signal(dut, f"write_{here}_data"))
            read = ctx.get(signal(dut, f"read_{ENGINE_UNITS.index(f'send_{leaves.text}')}_address"))
            await ctx.tick()
            ctx.set(signal(dut, f"read_{ENGINE_UNITS.index(f'send_{leaves.text}')}_data"), 1000 + read)
        assert ctx.get(dut.idle)

    simulate(dut, bench)
    assert [data for _, data in left] == [1009, 1010, 1011, 50, 51, 52]
    assert [cycle for cycle, _ in left[3:]] == came[:3]
    assert written == {20 + n: 50 + n for n in range(6)}


def test_each_side_has_a_queue_of_its_own() -> None:
    """Commands for a side that is busy hold up those of other sides only when its queue is full."""
    dut = Engine(die=DieSpec(), nop=NOP, memory=MEMORY)

    async def bench(ctx: Any) -> None:
        north = encode(Opcode.SEND, side=0, chunks=1, flits=1)
        await put(ctx, dut.send, [north] * 3)
        await ctx.tick()
        ctx.set(dut.send.valid, 1)
        for number, side in enumerate(SIDES):
            ctx.set(dut.send.payload, encode(Opcode.SEND, side=number, chunks=1, flits=1))
            assert ctx.get(dut.send.ready) == (side is not RouterPort.NORTH)
        assert not ctx.get(dut.idle)

    simulate(dut, bench)
