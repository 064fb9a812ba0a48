# amaranth: UnusedElaboratable=no
"""Channel: flight, and faults as often and as wide as the registers say."""

from __future__ import annotations

from typing import Any

import pytest

from rtl.bench.channel import CHANCE_BITS, Channel
from tests.rtl.harness import simulate


async def seed(ctx: Any, dut: Channel, number: int) -> None:
    ctx.set(dut.seed, number)
    ctx.set(dut.reseed, 1)
    await ctx.tick()
    ctx.set(dut.reseed, 0)


@pytest.mark.parametrize("cycles", [0, 1, 5])
@pytest.mark.parametrize("wires", [1, 17])
def test_without_faults_it_is_a_delay(wires: int, cycles: int) -> None:
    dut = Channel(wires=wires, cycles=cycles)
    sent = [n * 2654435761 >> 3 & (1 << wires) - 1 for n in range(40)]

    async def bench(ctx: Any) -> None:
        for cycle, word in enumerate(sent):
            ctx.set(dut.i, word)
            assert ctx.get(dut.o) == (sent[cycle - cycles] if cycle >= cycles else 0)
            await ctx.tick()

    simulate(dut, bench)


@pytest.mark.parametrize(("wires", "burst"), [(1, 0), (1, 255), (21, 0), (21, 0b11), (21, 255)])
def test_flips_are_as_frequent_and_as_wide_as_asked(wires: int, burst: int) -> None:
    dut = Channel(wires=wires, cycles=0)
    flipped = [0] * wires
    counts = {"flip": 0, "bits": 0}
    cycles, chance = 4000, 0.25

    async def bench(ctx: Any) -> None:
        await seed(ctx, dut, 99)
        ctx.set(dut.faults.flip_rate, int(chance * 2**CHANCE_BITS))
        ctx.set(dut.faults.burst, burst)
        for _ in range(cycles):
            pattern = ctx.get(dut.o)
            assert bool(pattern) == ctx.get(dut.flip)
            if pattern:
                lowest = (pattern & -pattern).bit_length() - 1
                flipped[lowest] += 1
                assert pattern >> lowest & ~(burst << 1 | 1) == 0
                counts["bits"] += pattern.bit_count()
            counts["flip"] += ctx.get(dut.flip)
            await ctx.tick()

    simulate(dut, bench)
    assert abs(counts["flip"] / cycles - chance) < 0.03
    assert max(flipped) - min(flipped) < 70
    if burst == 0 or wires == 1:
        assert counts["bits"] == counts["flip"]
    else:
        assert counts["bits"] > 1.2 * counts["flip"]


@pytest.mark.parametrize("mask", [0, 3, 15])
def test_stalls_are_blank_and_end(mask: int) -> None:
    dut = Channel(wires=4, cycles=2)
    lengths: list[int] = []

    async def bench(ctx: Any) -> None:
        await seed(ctx, dut, 7)
        ctx.set(dut.i, 0b1011)
        await ctx.tick().repeat(3)
        ctx.set(dut.faults.stall_rate, 2**CHANCE_BITS // 50)
        ctx.set(dut.faults.stall_mask, mask)
        stalls = length = 0
        for _ in range(6000):
            stalls += ctx.get(dut.stall)
            if ctx.get(dut.o) == 0:
                length += 1
            else:
                assert ctx.get(dut.o) == 0b1011
                if length:
                    lengths.append(length)
                length = 0
            await ctx.tick()
        assert stalls in (len(lengths), len(lengths) + 1)

    simulate(dut, bench)
    assert len(lengths) > 50
    assert min(lengths) == 1
    assert max(lengths) == mask + 1


def test_a_cut_channel_is_blank() -> None:
    dut = Channel(wires=4, cycles=0)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.i, 15)
        ctx.set(dut.faults.flip_rate, 2**CHANCE_BITS - 1)
        ctx.set(dut.cut, 1)
        for _ in range(20):
            assert (ctx.get(dut.o), ctx.get(dut.flip)) == (0, 0)
            await ctx.tick()

    simulate(dut, bench)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"wires": 0, "cycles": 0}, "Channel: wires = 0: must be an integer of at least 1"),
        ({"wires": 1, "cycles": -1}, "Channel: cycles = -1: must be an integer of at least 0"),
    ],
)
def test_sizes_out_of_range_are_refused(fields: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        Channel(**fields)
