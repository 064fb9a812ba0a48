"""Command processor: fetch, dispatch, back-pressure, SET, errors."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from chiplet.machine.pipelining import SRAM_LATENCY
from chiplet.machine.specs import MemorySpec
from rtl.control.command_processor import UNITS, CommandProcessor
from rtl.interface.isa import LAYOUTS, Opcode, decode, encode
from tests.rtl.harness import PythonMemory, receive, simulate


class Bench:
    """A command processor with a program in memory, and units that take commands now and then."""

    def __init__(
        self,
        program: list[int],
        *,
        word_bytes: int,
        queue_depth: int = 2,
        stall: float = 0.3,
        latency: int = 4,
        units: tuple[str, ...] = tuple(UNITS),
        sram_latency: int = SRAM_LATENCY,
    ) -> None:
        spec = MemorySpec(word_bytes=word_bytes)
        self.dut = CommandProcessor(
            memory=spec, queue_depth=queue_depth, units=units, sram_latency=sram_latency
        )
        self.commands = len(program)
        self.address = 100
        words = {}
        for n, command in enumerate(program):
            for part in range(spec.command_words):
                # What lies behind a command in a wide word means nothing.
                bits = (command | Random(n).getrandbits(2048) << 256) >> part * 8 * word_bytes
                words[self.address + n * spec.command_words + part] = bits & (1 << 8 * word_bytes) - 1
        self.memory = PythonMemory(words, word_bytes=word_bytes, stall=stall, latency=latency)
        self.taken: dict[str, list[int]] = {unit: [] for unit in units}

    def unit(self, name: str, chance: float) -> Callable[[Any], Any]:
        async def bench(ctx: Any) -> None:
            seed = 0
            while True:
                self.taken[name].append(await receive(ctx, getattr(self.dut, name), chance=chance, seed=seed))
                seed += 1

        return bench

    async def start(self, ctx: Any, commands: int | None = None) -> None:
        dut = self.dut
        ctx.set(dut.address, self.address)
        ctx.set(dut.commands, self.commands if commands is None else commands)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        assert ctx.get(dut.running)
        assert not ctx.get(dut.done)

    def run(self, bench: Callable[[Any], Any], *, chance: float = 0.3, cycles: int = 20_000) -> None:
        dut = self.dut
        units = [self.unit(name, chance) for name in self.taken]
        simulate(
            dut,
            bench,
            background=(*units, self.memory.serve(dut.request, dut.response, tagged=False)),
            cycles=cycles,
        )


def some_program(coin: Random, count: int) -> list[int]:
    program = []
    for _ in range(count):
        opcode = coin.choice((Opcode.SET, *UNITS.values()))
        widths = {name: field.width for name, field in LAYOUTS[opcode] if name != "opcode"}
        program.append(
            encode(opcode, **{name: coin.randint(1, (1 << width) - 1) for name, width in widths.items()})
        )
    return program


@pytest.mark.parametrize(
    ("word_bytes", "queue_depth", "chance", "stall", "latency"),
    [(4, 5, 0.9, 0.4, 1), (16, 2, 0.1, 0.0, 3), (32, 5, 0.9, 0.4, 2), (256, 2, 0.1, 0.0, 1)],
)
def test_every_unit_gets_its_commands_in_order(
    word_bytes: int, queue_depth: int, chance: float, stall: float, latency: int
) -> None:
    program = some_program(Random(word_bytes), 40)
    bench = Bench(program, word_bytes=word_bytes, queue_depth=queue_depth, stall=stall, sram_latency=latency)
    dut = bench.dut

    async def host(ctx: Any) -> None:
        await bench.start(ctx)
        ctx.set(dut.units_idle, 1)
        await ctx.tick().until(dut.done)
        assert not ctx.get(dut.running)

    bench.run(host, chance=chance)
    for unit, opcode in UNITS.items():
        size = LAYOUTS[opcode].size
        assert bench.taken[unit] == [c & (1 << size) - 1 for c in program if decode(c)[0] == opcode]
    words = MemorySpec(word_bytes=word_bytes).command_words
    assert [request.address for request in bench.memory.requests] == [100 + n for n in range(40 * words)]
    assert all(request.tag and not request.write for request in bench.memory.requests)


def test_set_comes_before_every_later_command() -> None:
    """A unit that gets a command behind a SET finds the semaphores set, one a cycle up to the first empty place."""
    names = [1, 63, 5, 0, 7]
    setting = encode(
        Opcode.SET,
        **{f"semaphore_{n}": s for n, s in enumerate(names)},
        **{f"value_{n}": n + 1 for n in range(5)},
    )
    bench = Bench([setting, encode(Opcode.GEMM, m=1, **ONES)], word_bytes=32, stall=0.0)
    dut = bench.dut

    async def host(ctx: Any) -> None:
        await bench.start(ctx)
        shown = []
        while not ctx.get(dut.array.valid):
            shown.append(ctx.get(dut.available))
            await ctx.tick()
        assert shown[-4:] == [0, 1 << 1, 1 << 1 | 1 << 63, 1 << 1 | 1 << 63 | 1 << 5]
        ctx.set(dut.array.ready, 1)
        ctx.set(dut.units_idle, 1)
        await ctx.tick().until(dut.done)
        assert ctx.get(dut.available)
        await bench.start(ctx)  # a program begins with semaphores that are 0
        assert not ctx.get(dut.available)

    simulate(dut, host, background=[bench.memory.serve(dut.request, dut.response, tagged=False)], cycles=1000)


ONES = {"k_tiles": 1, "last_k": 1, "panels": 1, "last_cols": 1}


def test_a_program_without_commands_ends_at_once() -> None:
    bench = Bench([], word_bytes=32)

    async def host(ctx: Any) -> None:
        ctx.set(bench.dut.units_idle, 1)
        await bench.start(ctx)
        await ctx.tick()
        assert ctx.get(bench.dut.done)

    bench.run(host)
    assert bench.memory.requests == []


def test_done_waits_for_the_units() -> None:
    bench = Bench(some_program(Random(1), 6), word_bytes=32)
    dut = bench.dut

    async def host(ctx: Any) -> None:
        await bench.start(ctx)
        for _ in range(400):
            await ctx.tick()
            assert not ctx.get(dut.done)
        ctx.set(dut.units_idle, 1)
        await ctx.tick()
        assert ctx.get(dut.done)

    bench.run(host)


@pytest.mark.parametrize("opcode", [0, Opcode.SEND, Opcode.VECTOR, 12, 31])
def test_what_is_no_command_of_the_die_stops_the_program(opcode: int) -> None:
    good = [encode(Opcode.GEMM, m=n + 1, **ONES) for n in range(3)]
    units = tuple(unit for unit in UNITS if unit != "vector")
    bench = Bench([*good, opcode, *good], word_bytes=16, units=units)
    dut = bench.dut

    async def host(ctx: Any) -> None:
        ctx.set(dut.units_idle, 1)
        await bench.start(ctx)
        await ctx.tick().until(dut.unknown)
        ctx.set(dut.stop, 1)
        await ctx.tick()
        for again in (0, 1):  # nothing runs while there is an error
            ctx.set(dut.start, again)
            for _ in range(50):
                await ctx.tick()
                assert not ctx.get(dut.running)
                assert not ctx.get(dut.done)

    bench.run(host)
    assert len(bench.taken["array"]) == 3


def test_a_command_of_one_word_takes_at_most_two_cycles_behind_a_memory_of_20() -> None:
    """Commands are asked for far enough ahead."""
    program = [encode(Opcode.GEMM, m=n + 1, **ONES) for n in range(64)]
    bench = Bench(program, word_bytes=32, queue_depth=4, stall=0.0, latency=22)
    dut = bench.dut

    async def host(ctx: Any) -> None:
        ctx.set(dut.units_idle, 1)
        ctx.set(dut.array.ready, 1)
        await bench.start(ctx)
        cycles = 0
        while not ctx.get(dut.done):
            await ctx.tick()
            cycles += 1
        assert cycles <= 26 + 2 * 64

    serve = bench.memory.serve(dut.request, dut.response, tagged=False)
    simulate(dut, host, background=[serve], cycles=1000)


def test_a_full_queue_holds_all_commands_behind_it() -> None:
    """Commands are handed out in order: loads behind a GEMM that nobody takes wait too, and nothing is lost."""
    load = encode(Opcode.LOAD, rows=1, words=1)
    program = [encode(Opcode.GEMM, m=n + 1, **ONES) for n in range(4)] + [load]
    bench = Bench(program, word_bytes=32, queue_depth=2, stall=0.0)
    dut = bench.dut

    async def host(ctx: Any) -> None:
        await bench.start(ctx)
        for _ in range(200):
            assert not ctx.get(dut.load.valid)
            await ctx.tick()
        ctx.set(dut.units_idle, 1)
        ctx.set(dut.load.ready, 1)
        for _ in range(4):
            ctx.set(dut.array.ready, 1)
            await ctx.tick().until(dut.array.valid)
        await ctx.tick().until(dut.done)

    serve = bench.memory.serve(dut.request, dut.response, tagged=False)
    simulate(dut, host, background=[serve], cycles=1000)


def test_programs_run_one_after_the_other() -> None:
    program = some_program(Random(5), 12)
    bench = Bench(program, word_bytes=8)
    dut = bench.dut

    async def host(ctx: Any) -> None:
        ctx.set(dut.units_idle, 1)
        for commands in (12, 5, 0, 12):
            await bench.start(ctx, commands)
            await ctx.tick().until(dut.done)

    bench.run(host)
    ran = [program[n] for commands in (12, 5, 12) for n in range(commands)]
    for unit, opcode in UNITS.items():
        size = LAYOUTS[opcode].size
        assert bench.taken[unit] == [c & (1 << size) - 1 for c in ran if decode(c)[0] == opcode]
