# amaranth: UnusedElaboratable=no
"""Weight loader alone: when it may run ahead, and what it hands on. Its reads are tested with the array unit."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from chiplet.machine.specs import DieSpec
from rtl.compute.weight_loader import WeightLoader
from rtl.interface.isa import Opcode, encode
from tests.rtl.harness import put, receive, simulate


def gemm(m: int, *, k_tiles: int = 1, panels: int = 1) -> int:
    return encode(Opcode.GEMM, m=m, k_tiles=k_tiles, last_k=1, panels=panels, last_cols=1)


@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (1, 4), (3, 2), (5, 5)])
def test_commands_pass_whole_and_in_order(rows: int, cols: int) -> None:
    dut = WeightLoader(die=DieSpec(rows=rows, cols=cols))
    coin = Random(rows)
    commands = [gemm(n + 1, k_tiles=coin.randint(1, 3), panels=coin.randint(1, 3)) for n in range(20)]

    async def source(ctx: Any) -> None:
        ctx.set(dut.needs_ok, 1)
        await put(ctx, dut.command, commands, chance=0.5)

    async def sink(ctx: Any) -> None:
        for n, command in enumerate(commands):
            assert await receive(ctx, dut.following, chance=0.2, seed=n) == command
        while not ctx.get(dut.idle):
            await ctx.tick()

    async def array(ctx: Any) -> None:
        while True:
            ctx.set(dut.free, ctx.get(dut.loaded) and coin.random() < 0.3)
            await ctx.tick()

    simulate(dut, source, sink, background=[array])


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_one_tile_ahead_and_no_more(rows: int) -> None:
    """Without anybody who begins a tile, a single one is loaded; each one that begins lets in another."""
    dut = WeightLoader(die=DieSpec(rows=rows, cols=2))

    async def bench(ctx: Any) -> None:
        ctx.set(dut.needs_ok, 1)
        ctx.set(dut.following.ready, 1)
        await put(ctx, dut.command, [gemm(1, k_tiles=4, panels=2)])
        for tile in range(1, 9):
            sent = 0
            for _ in range(3 * rows + 5):
                sent += ctx.get(dut.read.enable)
                await ctx.tick()
                ctx.set(dut.free, 0)
            assert sent == rows
            assert ctx.get(dut.loaded)
            ctx.set(dut.free, tile < 8)
        assert ctx.get(dut.idle)

    simulate(dut, bench)


def test_a_command_whose_place_is_taken_waits() -> None:
    """The weights of a command are not loaded before the command in front of it has been handed on."""
    dut = WeightLoader(die=DieSpec(rows=2, cols=2))

    async def bench(ctx: Any) -> None:
        ctx.set(dut.needs_ok, 1)
        await put(ctx, dut.command, [gemm(1), gemm(2)])
        ctx.set(dut.free, 1)
        sent = 0
        for _ in range(20):
            sent += ctx.get(dut.read.enable)
            await ctx.tick()
        assert sent <= 2
        assert ctx.get(dut.following.valid)
        ctx.set(dut.following.ready, 1)
        assert ctx.get(dut.read.enable)

    simulate(dut, bench)
