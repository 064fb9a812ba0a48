"""Array cycles of GEMMs out of the operand buffers, on whole dies of random sizes: how far above their floor."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from chiplet.machine.specs import DieSpec, MemorySpec
from chiplet.machine.terms import floor_cycles
from rtl.die.die import Die
from rtl.interface.register_map import COMMANDS, CONTROL, PROGRAM, counter_address
from tests.rtl.gemms import Gemm
from tests.rtl.harness import PythonMemory, read_register, simulate, write_register

COIN = Random(0)
SIZES = [(1, 1), (1, 5), (4, 1), *((COIN.randint(2, 7), COIN.randint(2, 7)) for _ in range(2))]


@pytest.mark.parametrize(
    ("rows", "cols"),
    [
        pytest.param(*size, marks=() if number in (1, 2, 4) else pytest.mark.slow)
        for number, size in enumerate(SIZES)
    ],
)
def test_a_gemm_takes_its_floor_and_the_way_through_the_accumulator(rows: int, cols: int) -> None:
    """At most P + 1 cycles more than the floor, with one row P + 2, and one more with multipliers of two stages.

    SRAMs of more cycles cost the array none: everything comes as much later.
    """
    coin = Random(100 * rows + cols)
    stages, latency, multiplier = coin.randint(1, 4), coin.randint(1, 3), coin.randint(1, 2)
    die = DieSpec(
        rows=rows,
        cols=cols,
        dtype="int8",
        stages=stages,
        sram_latency=latency,
        multiplier_stages=multiplier,
    )
    gemms = []
    over: list[int] = []
    for _ in range(10):
        m = coin.randint(1, 12)
        gemms.append(Gemm(m=m, k=coin.randint(1, 3 * rows + 1), n=coin.randint(1, 3 * cols + 1), step=m))
    words = {n: gemm.bits(die) for n, gemm in enumerate(gemms)}
    dut = Die(die=die, memory=MemorySpec(word_bytes=32))
    port = PythonMemory(words, word_bytes=32)

    async def bench(ctx: Any) -> None:
        await write_register(ctx, dut.host, COMMANDS, 1)
        for number, gemm in enumerate(gemms):
            await write_register(ctx, dut.host, PROGRAM, number)
            await write_register(ctx, dut.host, CONTROL, 1)
            await ctx.tick().until(dut.done)
            first, last = [
                await read_register(ctx, dut.host, counter_address(name))
                for name in ("array_first", "array_last")
            ]
            floor = floor_cycles(rows=rows, cols=cols, stages=die.stages, m=gemm.m, k=gemm.k, n=gemm.n)
            over.append(last - first - floor)

    simulate(dut, bench, background=[port.serve(dut.memory.request, dut.memory.response)], cycles=20_000)
    assert max(over) == stages + multiplier + (rows == 1)
