# amaranth: UnusedElaboratable=no
"""Array unit: which vectors it reads and when, what it tells the accumulator buffer, and its semaphores."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from random import Random
from typing import Any

import pytest

from chiplet.machine.pipelining import MULTIPLIER_STAGES, SRAM_LATENCY
from chiplet.machine.specs import DieSpec
from rtl.compute.accumulator import accumulate_layout
from rtl.compute.array_unit import ArrayUnit
from rtl.compute.operand_buffer import vector_latency
from rtl.interface.isa import GEMM, SEMAPHORES
from tests.rtl.gemms import Gemm
from tests.rtl.harness import signal, simulate
from tests.rtl.scratchpads import mask

DEPTH = 512


def die(rows: int, cols: int, stages: int) -> DieSpec:
    return DieSpec(
        rows=rows,
        cols=cols,
        stages=stages,
        dtype="int8",
        activation_bytes=DEPTH * rows,
        weight_bytes=DEPTH * cols,
        accumulator_bytes=64 * cols * 4,
    )


@dataclass
class Seen:
    """What the unit did, with the cycle of each event."""

    weights: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    activations: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    loads: list[tuple[int, int]] = field(default_factory=list)
    swaps: list[int] = field(default_factory=list)
    controls: list[tuple[int, Any]] = field(default_factory=list)
    takes: list[tuple[int, int]] = field(default_factory=list)
    posts: list[tuple[int, int]] = field(default_factory=list)
    ends: list[tuple[int, int, int]] = field(default_factory=list)
    macs: int = 0
    stalls: Counter[str] = field(default_factory=Counter)
    idle_at: int = 0


def run(
    spec: DieSpec,
    commands: list[Gemm],
    *,
    values: list[int] | None = None,
    arrivals: float = 0.0,
    chance: float = 1.0,
    seed: int = 0,
    cycles: int = 20_000,
    latency: int = SRAM_LATENCY,
    multiplier: int = MULTIPLIER_STAGES,
) -> Seen:
    """Carry out ``commands``. Semaphores start at ``values``; each is posted in a cycle by chance ``arrivals``."""
    dut = ArrayUnit(die=spec, sram_latency=latency, multiplier_stages=multiplier)
    layout = accumulate_layout(spec.accumulator_depth, latency)
    seen = Seen()
    coin = Random(seed)
    semaphores = list(values) if values is not None else [1 << 15] * SEMAPHORES

    async def bench(ctx: Any) -> None:
        pending = [command.bits(spec) for command in commands]
        pipeline: list[Any] = [None] * (spec.cols + spec.stages + latency)
        ends = 0
        offered = False
        cycle = 0
        while ends < len(commands):
            assert cycle < cycles
            offered = bool(pending) and (offered or coin.random() < chance)
            ctx.set(dut.command.valid, offered)
            ctx.set(dut.command.payload, pending[0] if offered else coin.getrandbits(GEMM.size))
            leaving = pipeline.pop(0)
            panel_end = leaving is not None and leaving.panel_end
            command_end = leaving is not None and leaving.command_end
            ctx.set(dut.panel_end, panel_end)
            ctx.set(dut.command_end, command_end)
            if panel_end:
                seen.ends.append((cycle, panel_end, command_end))
            needs = ctx.get(dut.semaphores.wait)
            free = all(semaphores[s] for s in range(SEMAPHORES) if needs >> s & 1)
            ctx.set(dut.semaphores.ok, free)
            assert not ctx.get(dut.semaphores.take) or free
            if ctx.get(dut.semaphores.take):
                seen.takes.append((cycle, needs))
                for s in range(SEMAPHORES):
                    semaphores[s] -= needs >> s & 1
            if ctx.get(dut.semaphores.post):
                seen.posts.append((cycle, ctx.get(dut.semaphores.post)))
            for s in range(SEMAPHORES):
                semaphores[s] += coin.random() < arrivals
            for name, events in (("weight", seen.weights), ("activation", seen.activations)):
                if ctx.get(signal(dut, f"{name}_enable")):
                    port = [
                        ctx.get(signal(dut, f"{name}_{part}"))
                        for part in ("address", "rotate", "column", "count")
                    ]
                    events.append((cycle, *port))
            if ctx.get(dut.load):
                seen.loads.append((cycle, ctx.get(dut.count)))
            assert ctx.get(dut.weight_row) == ctx.get(dut.load)
            if ctx.get(dut.swap):
                seen.swaps.append(cycle)
            assert ctx.get(dut.busy) == ctx.get(dut.activation.enable)
            seen.macs += ctx.get(dut.macs) if ctx.get(dut.busy) else 0
            for name in ("stall_semaphore", "stall_weights"):
                seen.stalls[name] += ctx.get(getattr(dut, name))
            control = layout.from_bits(ctx.get(dut.control))
            pipeline.append(control if control.valid else None)
            if control.valid:
                seen.controls.append((cycle, control))
            if not offered and ends < len(commands) and cycle:
                assert pending or not ctx.get(dut.idle)
            taken = ctx.get(dut.command.ready) and offered
            await ctx.tick()
            cycle += 1
            ends += command_end
            if taken:
                pending.pop(0)
                offered = False
        ctx.set(dut.command.valid, 0)
        ctx.set(dut.panel_end, 0)
        ctx.set(dut.command_end, 0)
        assert ctx.get(dut.idle)
        seen.idle_at = cycle

    simulate(dut, bench, cycles=cycles + 10)
    return seen


def check(
    spec: DieSpec,
    commands: list[Gemm],
    seen: Seen,
    *,
    latency: int = SRAM_LATENCY,
    multiplier: int = MULTIPLIER_STAGES,
) -> list[int]:
    """Compare everything but absolute times. Returns the cycle in which each tile began."""
    tiles = [(command, n, k) for command in commands for n, k in command.tiles(spec)]
    weights = iter(seen.weights)
    activations = iter(seen.activations)
    controls = iter(seen.controls)
    begins: list[int] = []
    address = 0
    written: dict[int, int] = {}  # cycle: address
    takes, posts = [], []
    for command, n, k in tiles:
        block = command.b_block(spec)
        read = [next(weights) for _ in range(spec.rows)]
        assert [block.vector(*port) for _, *port in read] == command.weights(spec, n, k)
        assert [cycle - read[0][0] for cycle, *_ in read] == list(range(spec.rows))
        first_panel, last_panel = n == 0, n + spec.cols >= command.n
        last_tile = k + spec.rows >= command.k
        takes.append(
            (mask(command.wait_0, command.wait_1) * (first_panel and k == 0))
            | (mask(command.panel_wait) * (k == 0))
        )
        if last_tile:
            posts.append(mask(command.panel_post) | mask(command.post_0, command.post_1) * last_panel)
        if n == 0 and k == 0:
            address = command.base
        elif k == 0:
            address += command.step
            address = 0 if address == command.wrap else address

        block = command.a_block(spec)
        read_a = [next(activations) for _ in range(command.m)]
        assert [block.vector(*port) for _, *port in read_a] == command.activations(spec, k)
        assert [cycle - read_a[0][0] for cycle, *_ in read_a] == list(range(command.m))
        begins.append(read_a[0][0])
        # The weights stand when the first vector comes, and do not overrun those of the tile before.
        assert read[-1][0] < begins[-1]
        if len(begins) > 1:
            assert read[0][0] >= begins[-2]
            assert begins[-1] - begins[-2] >= spec.stages
        for m, (cycle, *_) in enumerate(read_a):
            at, control = next(controls)
            # Sums are stored words of that cycle and the product: their read comes before.
            arrives = cycle + vector_latency(latency) + multiplier + spec.rows * spec.stages
            assert at == arrives - latency
            assert control.address == address + m
            assert control.first == (k == 0 and not command.accumulate)
            assert control.panel_end == (m == command.m - 1 and last_tile)
            assert control.command_end == (control.panel_end and last_panel)
            if not control.first:
                # A sum that is added to must be readable, or be handed on by the adder.
                before = [
                    written.get(at - back) == control.address for back in range(1, spec.stages + latency + 1)
                ]
                assert not any(before[: spec.stages - 1])
                assert control.near == before[spec.stages - 1]
                far = sum(same << n for n, same in enumerate(before[spec.stages :]))
                assert control.near or control.far == far
            written[at] = control.address
    for rest in (weights, activations, controls):
        assert next(rest, None) is None
    assert seen.loads == [
        (cycle + vector_latency(latency), spec.rows - 1 - index % spec.rows)
        for index, (cycle, *_) in enumerate(seen.weights)
    ]
    assert seen.swaps == [begin + vector_latency(latency) for begin in begins]
    assert [needs for _, needs in seen.takes] == takes
    assert [cycle for cycle, *_ in seen.ends] == [cycle for cycle, _ in seen.posts] or 0 in posts
    assert [mask for _, mask in seen.posts] == [mask for mask in posts if mask]
    assert seen.macs == sum(command.macs(spec) for command in commands)
    return begins


SIZES = [(1, 1, 1), (1, 3, 4), (3, 1, 2), (5, 3, 3), (4, 4, 1), (2, 7, 2)]


def some_commands(spec: DieSpec, coin: Random, count: int) -> list[Gemm]:
    commands = []
    for _ in range(count):
        m, k, n = (coin.randint(1, most) for most in (9, 3 * spec.rows + 2, 3 * spec.cols + 2))
        commands.append(
            Gemm(
                m,
                k,
                n,
                coin.choice(("nn", "nt", "tn")),
                a_base=coin.randrange(100),
                b_base=coin.randrange(100),
                base=coin.randrange(2) * 10,
                step=10,
                wrap=coin.choice((20, 30, 50)),
                accumulate=coin.getrandbits(1),
                **{
                    name: coin.choice((0, coin.randrange(SEMAPHORES)))
                    for name in ("wait_0", "wait_1", "post_0", "post_1", "panel_wait", "panel_post")
                },
            )
        )
    return commands


@pytest.mark.parametrize(("rows", "cols", "stages"), SIZES)
def test_random_commands_without_a_bubble(rows: int, cols: int, stages: int) -> None:
    spec = die(rows, cols, stages)
    commands = some_commands(spec, Random(rows * 10 + cols), 12)
    begins = check(spec, commands, seen := run(spec, commands))
    lengths = [max(command.m, rows, stages) for command in commands for _ in command.tiles(spec)]
    # Only tiny commands in a row have to wait, until the posts of others are out.
    gaps = [
        later - earlier - length for (earlier, later), length in zip(pairwise(begins), lengths, strict=False)
    ]
    assert all(gap >= 0 for gap in gaps)
    first = {0, *accumulate(len(command.tiles(spec)) for command in commands)}
    assert all(gap == 0 for n, gap in enumerate(gaps, start=1) if n not in first)
    assert seen.stalls["stall_semaphore"] == 0


@pytest.mark.parametrize(
    ("rows", "cols", "stages", "latency", "multiplier"),
    [(1, 1, 1, 2, 1), (1, 3, 4, 3, 2), (3, 1, 1, 3, 1), (4, 4, 1, 2, 2), (2, 3, 2, 6, 1)],
)
def test_srams_and_multipliers_with_more_stages_take_no_more_cycles_a_tile(
    rows: int, cols: int, stages: int, latency: int, multiplier: int
) -> None:
    spec = die(rows, cols, stages)
    commands = some_commands(spec, Random(latency), 12)
    shallow = check(spec, commands, run(spec, commands))
    seen = run(spec, commands, latency=latency, multiplier=multiplier)
    begins = check(spec, commands, seen, latency=latency, multiplier=multiplier)
    assert begins == shallow


@pytest.mark.parametrize(("rows", "cols", "stages"), SIZES)
def test_random_commands_that_wait(rows: int, cols: int, stages: int) -> None:
    spec = die(rows, cols, stages)
    commands = some_commands(spec, Random(rows * 10 + cols + 1), 10)
    seen = run(spec, commands, values=[0] * SEMAPHORES, arrivals=0.03, chance=0.1, seed=rows)
    check(spec, commands, seen)
    assert seen.stalls["stall_semaphore"] > 0


@pytest.mark.parametrize(("m", "rows", "stages"), [(1, 1, 1), (8, 4, 1), (2, 4, 1), (1, 2, 4), (5, 5, 2)])
def test_tiles_follow_without_a_bubble_across_commands(m: int, rows: int, stages: int) -> None:
    spec = die(rows, 2, stages)
    tiles = 12  # enough for what the commands before post to get out
    commands = [
        Gemm(m, tiles * rows, 2, form, step=9, wrap=63) for form in ("nn", "nt", "tn", "nn", "tn", "nt")
    ]
    begins = check(spec, commands, run(spec, commands))
    length = max(m, rows, stages)
    # A tile of one cycle is over before the next command can be handed over.
    bubble = int(length == 1)
    expected = [n * length + n // tiles * bubble for n in range(tiles * len(commands))]
    assert [begin - begins[0] for begin in begins] == expected


@pytest.mark.parametrize(("rows", "cols", "stages"), SIZES)
def test_more_tiny_commands_than_places_for_their_posts(rows: int, cols: int, stages: int) -> None:
    spec = die(rows, cols, stages)
    commands = [Gemm(1, 1, 1, base=n % 64, post_0=1 + n % 8, panel_post=1 + (n + 1) % 8) for n in range(40)]
    seen = run(spec, commands)
    check(spec, commands, seen)
    assert len(seen.posts) == 40


def test_weights_of_the_next_command_wait_for_their_semaphore_only() -> None:
    """The array goes on with the command before while the weights of the next one are not there."""
    spec = die(2, 2, 1)
    commands = [Gemm(20, 4, 2), Gemm(3, 2, 2, wait_0=1)]
    seen = run(spec, commands, values=[0] * SEMAPHORES, arrivals=0.002, seed=4)
    begins = check(spec, commands, seen)
    assert begins[1] == begins[0] + 20
    assert seen.stalls["stall_semaphore"] > 20
