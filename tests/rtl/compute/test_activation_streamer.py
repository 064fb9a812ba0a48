# amaranth: UnusedElaboratable=no
"""Activation streamer alone: its cycles, and the order of posts. Its reads are tested with the array unit."""

from __future__ import annotations

from itertools import count
from random import Random
from typing import Any

import pytest

from chiplet.machine.specs import DieSpec
from rtl.compute.activation_streamer import ActivationStreamer
from rtl.interface.isa import SEMAPHORES, Opcode, encode
from tests.rtl.harness import simulate
from tests.rtl.scratchpads import mask


def gemm(m: int, *, k_tiles: int = 1, **fields: int) -> int:
    return encode(Opcode.GEMM, m=m, k_tiles=k_tiles, last_k=1, panels=1, last_cols=1, **fields)


@pytest.mark.parametrize(("rows", "stages"), [(1, 1), (1, 4), (2, 3), (4, 1), (4, 4), (5, 2)])
@pytest.mark.parametrize("m", [1, 2, 4, 7])
def test_a_tile_takes_the_largest_of_m_rows_and_stages(rows: int, stages: int, m: int) -> None:
    dut = ActivationStreamer(die=DieSpec(rows=rows, cols=2, stages=stages))
    starts, reads = [], []

    async def bench(ctx: Any) -> None:
        ctx.set(dut.loaded, 1)
        ctx.set(dut.command.payload, gemm(m, k_tiles=6))
        ctx.set(dut.command.valid, 1)
        for cycle in range(6 * max(m, rows, stages) + 5):
            if ctx.get(dut.starts):
                starts.append(cycle)
            if ctx.get(dut.read.enable):
                reads.append(cycle)
            await ctx.tick()
            ctx.set(dut.command.valid, 0)

    simulate(dut, bench)
    length = max(m, rows, stages)
    assert starts == [starts[0] + tile * length for tile in range(6)]
    assert reads == [start + n for start in starts for n in range(m)]


def test_a_tile_waits_for_its_weights() -> None:
    dut = ActivationStreamer(die=DieSpec(rows=2, cols=2))

    async def bench(ctx: Any) -> None:
        ctx.set(dut.command.payload, gemm(3))
        ctx.set(dut.command.valid, 1)
        await ctx.tick()
        ctx.set(dut.command.valid, 0)
        for _ in range(10):
            assert ctx.get(dut.waits)
            assert not ctx.get(dut.read.enable)
            assert not ctx.get(dut.idle)
            await ctx.tick()
        ctx.set(dut.loaded, 1)
        assert ctx.get(dut.starts)
        assert ctx.get(dut.read.enable)
        assert not ctx.get(dut.waits)

    simulate(dut, bench)


def test_posts_go_out_with_the_ends_of_their_commands() -> None:
    """However late the ends come: at most four commands are under way, the others wait."""
    dut = ActivationStreamer(die=DieSpec(rows=1, cols=2))
    coin = Random(2)
    numbers = [tuple(coin.randrange(SEMAPHORES) for _ in range(3)) for _ in range(12)]

    async def bench(ctx: Any) -> None:
        ctx.set(dut.loaded, 1)
        pending = list(numbers)
        under_way: list[tuple[int, int]] = []
        for cycle in count():
            if not pending and not under_way:
                break
            ctx.set(dut.command.valid, bool(pending))
            if pending:
                posts = dict(zip(("panel_post", "post_0", "post_1"), pending[0], strict=True))
                ctx.set(dut.command.payload, gemm(1, **posts))
            # A command ends some cycles after it was taken.
            ends = bool(under_way) and cycle > 2 + under_way[0][0] and coin.random() < 0.1
            ctx.set(dut.panel_end, ends)
            ctx.set(dut.command_end, ends)
            assert ctx.get(dut.post) == (under_way[0][1] if ends else 0)
            assert ctx.get(dut.idle) == (not under_way)
            if pending and ctx.get(dut.command.ready):
                assert len(under_way) < 4
                under_way.append((cycle, mask(*pending.pop(0))))
            if ends:
                under_way.pop(0)
            await ctx.tick()
        ctx.set(dut.panel_end, 0)
        ctx.set(dut.command_end, 0)
        assert ctx.get(dut.idle)

    simulate(dut, bench, cycles=5000)
