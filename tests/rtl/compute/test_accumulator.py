# amaranth: UnusedElaboratable=no
"""Accumulator buffer: random sums at any distance, rows read and written by other units at the same time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
import pytest

from chiplet.machine.pipelining import SRAM_LATENCY
from chiplet.machine.specs import Dtype
from cosim.golden.numerics import fp32_add
from rtl.compute.accumulator import AccumulatorBuffer, AccumulatorColumn, accumulate_layout
from tests.rtl.harness import lanes, simulate, unpack


def plus(dtype: Dtype, a: int, b: int) -> int:
    if dtype == "int8":
        return a + b & 0xFFFF_FFFF
    return int(fp32_add(np.array([a], np.uint32), np.array([b], np.uint32))[0])


def random_sum(coin: Random, dtype: Dtype) -> int:
    if dtype == "int8":
        return coin.getrandbits(32)
    return coin.getrandbits(1) << 31 | coin.randint(100, 150) << 23 | coin.getrandbits(23)


@dataclass
class Row:
    """A row of sums that the array sends; None in its place is a cycle without one."""

    address: int
    first: bool
    sums: list[int]
    panel_end: bool = False
    command_end: bool = False


class Bench:
    """Drives an accumulator buffer row by row, as the array does, and keeps the sums that must be in it."""

    def __init__(
        self, *, cols: int, dtype: Dtype, stages: int, depth: int, latency: int = SRAM_LATENCY
    ) -> None:
        self.dut = AccumulatorBuffer(cols=cols, dtype=dtype, stages=stages, depth=depth, sram_latency=latency)
        self.cols, self.dtype, self.stages, self.latency = cols, dtype, stages, latency
        self.layout = accumulate_layout(depth, latency)
        self.sent: list[Row | None] = []
        self.sums: dict[int, list[int]] = {}
        self.last_use: dict[int, int] = {}  # cycle of the last row for an address
        self.cycle = 0

    def earlier(self, cycles: int) -> Row | None:
        return self.sent[-cycles] if 0 < cycles <= len(self.sent) else None

    def step(self, ctx: Any, row: Row | None) -> None:
        """Apply the inputs of one cycle, and check the flags that come out of it."""
        control = 0
        if row is not None:
            at = [
                earlier is not None and earlier.address == row.address
                for earlier in (self.earlier(self.stages + n) for n in range(1 + self.latency))
            ]
            control = self.layout.const(
                {
                    "valid": 1,
                    "first": int(row.first),
                    "near": int(at[0]),
                    "far": sum(same << n for n, same in enumerate(at[1:])),
                    "panel_end": int(row.panel_end),
                    "command_end": int(row.command_end),
                    "address": row.address,
                }
            ).as_bits()
            old = [0] * self.cols if row.first else self.sums[row.address]
            self.sums[row.address] = [plus(self.dtype, a, b) for a, b in zip(old, row.sums, strict=True)]
            self.last_use[row.address] = self.cycle
        ctx.set(self.dut.control, control)
        self.sent.append(row)
        # Sums come as late after their control as a read takes, those of column c another c cycles later.
        arriving = [self.earlier(1 + self.latency + c) for c in range(self.cols)]
        ctx.set(self.dut.psum, lanes([row.sums[c] if row else 0 for c, row in enumerate(arriving)], 32))
        complete = self.earlier(self.behind)
        assert ctx.get(self.dut.result) == (complete is not None)
        assert ctx.get(self.dut.panel_end) == (complete is not None and complete.panel_end)
        assert ctx.get(self.dut.command_end) == (complete is not None and complete.command_end)
        self.cycle += 1

    @property
    def behind(self) -> int:
        """Cycles from the control of a row to its sums in all columns."""
        return self.cols + self.stages + self.latency

    def readable(self, address: int) -> bool:
        """Whether all of the last row for ``address`` can be read: from the cycle after its ends on."""
        return self.cycle - self.last_use[address] >= self.behind

    def sendable(self, address: int) -> bool:
        """Whether a row for ``address`` keeps the distance that the adder needs."""
        return all(
            row is None or row.address != address
            for row in self.sent[-(self.stages - 1) :]
            if self.stages > 1
        )


CONFIGURATIONS = [
    (1, "int8", 1, 1),
    (3, "int8", 2, 1),
    (2, "int8", 3, 1),
    (1, "int8", 4, 1),
    (2, "bf16", 1, 1),
    (3, "bf16", 4, 1),
    (2, "int8", 1, 2),
    (3, "int8", 2, 3),
    (1, "int8", 1, 5),
]
"""Columns, type, stages of the adder, latency of the SRAMs."""


@pytest.mark.parametrize(("cols", "dtype", "stages", "latency"), CONFIGURATIONS)
@pytest.mark.parametrize("depth", [2, 6])
def test_random_rows_while_others_are_read_and_written(
    cols: int, dtype: Dtype, stages: int, latency: int, depth: int
) -> None:
    bench = Bench(cols=cols, dtype=dtype, stages=stages, depth=depth, latency=latency)
    dut = bench.dut
    coin = Random(depth * 100 + cols * 10 + stages)
    come, filled = 0, 0

    async def run(ctx: Any) -> None:
        nonlocal come, filled
        reading: deque[tuple[int, list[int]]] = deque()  # rows that were asked for
        wanted: int | None = None
        filling: tuple[int, list[int]] | None = None
        for cycle in range(800):
            # Phases without rows let the other ports at every address.
            row = None
            if coin.random() < (0.95 if cycle // 40 % 3 else 0.2):
                address = coin.randrange(depth)
                busy = {wanted, *(place for place, _ in reading), filling[0] if filling else None}
                if address not in busy and bench.sendable(address):
                    first = address not in bench.sums or coin.random() < 0.2
                    sums = [random_sum(coin, dtype) for _ in range(cols)]
                    row = Row(address, first, sums, coin.random() < 0.3, coin.random() < 0.3)
            ready = [a for a in bench.sums if bench.readable(a) and (row is None or row.address != a)]
            if filling is None:
                free = [a for a in ready if a != wanted and a not in {place for place, _ in reading}]
                if free and coin.random() < 0.3:
                    filling = coin.choice(free), [random_sum(coin, dtype) for _ in range(cols)]
                    ctx.set(dut.write.address, filling[0])
                    ctx.set(dut.write.sums, lanes(filling[1], 32))
            ctx.set(dut.write.valid, filling is not None)
            if wanted is None:
                free = [a for a in ready if filling is None or a != filling[0]]
                if free and coin.random() < 0.7:
                    wanted = coin.choice(free)
                    ctx.set(dut.read.address, wanted)
            ctx.set(dut.read.valid, wanted is not None)
            if ctx.get(dut.read.come):
                assert unpack(ctx.get(dut.read.sums), cols, 32) == reading.popleft()[1]
                come += 1
            if wanted is not None and ctx.get(dut.read.ready):
                reading.append((wanted, bench.sums[wanted]))
                wanted = None
            if filling is not None and ctx.get(dut.write.ready):
                bench.sums[filling[0]] = filling[1]
                filled += 1
                filling = None
            bench.step(ctx, row)
            await ctx.tick()

    simulate(dut, run)
    assert come > 60
    assert filled > 10


@pytest.mark.parametrize("stages", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("latency", "beyond"), [(latency, beyond) for latency in (1, 2, 3) for beyond in range(latency + 2)]
)
@pytest.mark.parametrize("dtype", ["int8", pytest.param("bf16", marks=pytest.mark.slow)])
def test_tiles_that_come_back_as_early_as_they_may(
    dtype: Dtype, latency: int, beyond: int, stages: int
) -> None:
    """A tile of P rows takes P cycles: its sums are added to those that leave the adder now or just left it."""
    cols, tile, tiles = 2, stages + beyond, 7
    bench = Bench(cols=cols, dtype=dtype, stages=stages, depth=8, latency=latency)
    dut = bench.dut
    coin = Random(stages)

    async def run(ctx: Any) -> None:
        for n in range(tiles * tile):
            sums = [random_sum(coin, dtype) for _ in range(cols)]
            bench.step(ctx, Row(n % tile, n < tile, sums))
            await ctx.tick()
        for _ in range(bench.behind + 2):
            bench.step(ctx, None)
            await ctx.tick()
        # Nothing else uses the SRAMs: a row comes in each cycle.
        ctx.set(dut.read.valid, 1)
        late = latency + 1
        for cycle in range(tile + late):
            ctx.set(dut.read.address, cycle % tile)
            assert ctx.get(dut.read.ready)
            if cycle >= late:
                assert ctx.get(dut.read.come)
                assert unpack(ctx.get(dut.read.sums), cols, 32) == bench.sums[cycle - late]
            await ctx.tick()

    simulate(dut, run)


@pytest.mark.parametrize(("cols", "latency"), [(1, 1), (3, 1), (2, 3)])
def test_rows_are_read_and_written_at_once_while_the_array_walks_on(cols: int, latency: int) -> None:
    """The array uses ascending addresses: other ports wait at most one cycle for their SRAM."""
    bench = Bench(cols=cols, dtype="int8", stages=1, depth=24, latency=latency)
    dut = bench.dut

    async def run(ctx: Any) -> None:
        for n in range(16):
            bench.step(ctx, Row(n, True, [n * cols + c for c in range(cols)]))
            await ctx.tick()
        for _ in range(bench.behind + 2):
            bench.step(ctx, None)
            await ctx.tick()
        read, come, filled = 0, 0, 0
        ctx.set(dut.read.valid, 1)
        ctx.set(dut.write.valid, 1)
        for cycle in range(60):
            ctx.set(dut.read.address, 8 + read % 8)
            ctx.set(dut.write.address, 16 + filled % 8)
            if ctx.get(dut.read.come):
                assert unpack(ctx.get(dut.read.sums), cols, 32) == bench.sums[8 + come % 8]
                come += 1
            read += ctx.get(dut.read.ready)
            filled += ctx.get(dut.write.ready)
            bench.step(ctx, Row(cycle % 8, False, [1] * cols))
            await ctx.tick()
        assert come >= 28
        assert filled >= 19

    simulate(dut, run)


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_depths_that_make_no_two_srams_are_refused(depth: int) -> None:
    with pytest.raises(ValueError, match=rf"^depth must be an even number of at least 2, not {depth}$"):
        AccumulatorColumn(dtype="int8", stages=1, depth=depth)
