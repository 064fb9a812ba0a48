"""Operand buffer: rows and columns of stored blocks against slices of numpy arrays."""

from __future__ import annotations

from collections import deque
from random import Random
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rtl.compute import operand_buffer
from rtl.compute.operand_buffer import OperandBuffer
from rtl.lib.sram import Sram
from tests.rtl.harness import lanes as pack
from tests.rtl.harness import parts, signal, simulate, unpack

WIDTH = 8
LANES = [1, 2, 3, 5, 8]
LANES_AND_LATENCIES = [*((lanes, 1) for lanes in LANES), (3, 2), (5, 3), (2, 7)]
"""Lanes of a buffer, and latency of its SRAMs."""


class Block:
    """A block of elements as it lies in a buffer of B lanes from address ``base`` on."""

    def __init__(self, values: NDArray[Any], *, lanes: int, base: int) -> None:
        self.values, self.lanes, self.base = values, lanes, base
        self.rows, self.cols = values.shape
        self.end = base + -(-self.cols // lanes) * self.rows

    def writes(self, coin: Random) -> list[dict[str, int]]:
        """All elements, in rows of random pieces: settings of the write port, cycle after cycle."""
        settings = []
        for i in range(self.rows):
            j = 0
            for count in parts(self.cols, coin, self.lanes):
                address = self.base + j // self.lanes * self.rows + i
                piece = [int(value) for value in self.values[i, j : j + count]]
                rubbish = [coin.getrandbits(WIDTH) for _ in range(self.lanes - count)]
                settings.append(
                    {
                        "write_address": address,
                        "write_next": address + self.rows,
                        "write_rotate": (i + j) % self.lanes,
                        "write_split": self.lanes - j % self.lanes,
                        "write_count": count,
                        "write_data": pack(piece + rubbish, WIDTH),
                    }
                )
                j += count
        return settings

    def row(self, i: int, j: int, count: int) -> tuple[dict[str, int], list[int]]:
        """Elements of row ``i`` from column ``j``, a multiple of B: settings of the read port, the vector."""
        return self._read(i, j, count, column=0), [*map(int, self.values[i, j : j + count])]

    def column(self, i: int, j: int, count: int) -> tuple[dict[str, int], list[int]]:
        """Elements from row ``i`` of column ``j``."""
        return self._read(i, j, count, column=1), [*map(int, self.values[i : i + count, j])]

    def _read(self, i: int, j: int, count: int, *, column: int) -> dict[str, int]:
        return {
            "read_address": self.base + j // self.lanes * self.rows + i,
            "read_rotate": (i + j) % self.lanes,
            "read_column": column,
            "read_count": count,
        }

    def any_read(self, coin: Random) -> tuple[dict[str, int], list[int]]:
        """A random vector: any number of lanes of a row or a column that exists, or none."""
        i, j = coin.randrange(self.rows), coin.randrange(self.cols)
        if coin.random() < 0.5:
            j -= j % self.lanes
            return self.row(i, j, coin.randint(0, min(self.lanes, self.cols - j)))
        return self.column(i, j, coin.randint(0, min(self.lanes, self.rows - i)))


def apply(ctx: Any, dut: OperandBuffer, settings: dict[str, int]) -> None:
    for name, value in settings.items():
        ctx.set(signal(dut, name), value)


@pytest.mark.parametrize(("lanes", "latency"), LANES_AND_LATENCIES)
def test_rows_and_columns_while_others_are_written(lanes: int, latency: int) -> None:
    rng, coin = np.random.default_rng(lanes), Random(lanes)
    blocks = []
    base = 0
    for rows, cols in ((3, 7), (1, 11), (2 * lanes + 1, 2 * lanes + 1), (lanes, lanes), (13, 1)):
        blocks.append(Block(rng.integers(0, 256, (rows, cols)), lanes=lanes, base=base))
        base = blocks[-1].end
    dut = OperandBuffer(lanes=lanes, width=WIDTH, depth=base, sram_latency=latency)

    async def bench(ctx: Any) -> None:
        readable: list[Block] = []
        expected: list[int] | None = None
        underway: deque[list[int] | None] = deque([None] * latency)
        pending = [(block, write) for block in blocks for write in block.writes(coin)]
        for cycle in range(len(pending) + 300):
            write = cycle < len(pending)
            ctx.set(dut.write.enable, write)
            if write:
                apply(ctx, dut, pending[cycle][1])
            read = bool(readable) and coin.random() < 0.8
            ctx.set(dut.read.enable, read)
            wanted: list[int] | None = None
            if read:
                settings, wanted = coin.choice(readable).any_read(coin)
                apply(ctx, dut, settings)
                wanted += [0] * (lanes - len(wanted))
            await ctx.tick()
            if write and (cycle + 1 == len(pending) or pending[cycle + 1][0] is not pending[cycle][0]):
                readable.append(pending[cycle][0])
            # A vector is there a cycle later than the words of the SRAMs, and holds.
            underway.append(wanted)
            expected = underway.popleft() or expected
            if expected is not None:
                assert unpack(ctx.get(dut.read_data), lanes, WIDTH) == expected, f"cycle {cycle}"

    simulate(dut, bench)


@pytest.mark.parametrize(("lanes", "latency"), LANES_AND_LATENCIES)
def test_every_row_and_column_vector_in_consecutive_cycles(lanes: int, latency: int) -> None:
    rng, coin = np.random.default_rng(lanes), Random(lanes)
    block = Block(rng.integers(0, 256, (2 * lanes + 3, lanes + 2)), lanes=lanes, base=3)
    dut = OperandBuffer(lanes=lanes, width=WIDTH, depth=block.end, sram_latency=latency)
    reads = [
        block.row(i, j, min(lanes, block.cols - j))
        for i in range(block.rows)
        for j in range(0, block.cols, lanes)
    ] + [block.column(i, j, min(lanes, block.rows - i)) for j in range(block.cols) for i in range(block.rows)]

    async def bench(ctx: Any) -> None:
        ctx.set(dut.write.enable, 1)
        for settings in block.writes(coin):
            apply(ctx, dut, settings)
            await ctx.tick()
        ctx.set(dut.write.enable, 0)
        ctx.set(dut.read.enable, 1)
        seen = []
        for settings, _ in reads:
            apply(ctx, dut, settings)
            await ctx.tick()
            seen.append(unpack(ctx.get(dut.read_data), lanes, WIDTH))
        ctx.set(dut.read.enable, 0)
        for _ in range(latency):
            await ctx.tick()
            seen.append(unpack(ctx.get(dut.read_data), lanes, WIDTH))
        assert seen[latency:] == [vector + [0] * (lanes - len(vector)) for _, vector in reads]

    simulate(dut, bench)


@pytest.mark.parametrize(("lanes", "depth"), [(1, 3), (3, 5), (4, 6), (5, 5)])
def test_no_bank_is_read_beyond_its_depth(lanes: int, depth: int) -> None:
    """A column that ends with the last address, and rows behind the end that are asked for as zeros."""
    dut = OperandBuffer(lanes=lanes, width=WIDTH, depth=depth)
    reads = [(depth - count, 1, count) for count in range(min(lanes, depth) + 1)] + [(depth, 0, 0)]

    async def bench(ctx: Any) -> None:
        ctx.set(dut.read.enable, 1)
        for address, column, count in reads:
            for rotate in range(lanes):
                ctx.set(dut.read.address, address)
                ctx.set(dut.read.column, column)
                ctx.set(dut.read.rotate, rotate)
                ctx.set(dut.read.count, count)
                for sram in banks:
                    assert not ctx.get(sram.read_enable) or ctx.get(sram.read_address) < depth
                await ctx.tick()

    banks: list[Sram] = []

    def bank(**sizes: Any) -> Sram:
        banks.append(Sram(**sizes))
        return banks[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(operand_buffer, "Sram", bank)
        simulate(dut, bench)
    assert len(banks) == lanes
