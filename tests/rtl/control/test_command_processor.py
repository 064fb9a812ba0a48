"""Command processor: fetch, dispatch, back-pressure, errors; semaphores against integers."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from chiplet.machine.specs import MemorySpec
from rtl.control.command_processor import UNITS, CommandProcessor, Semaphores
from rtl.interface.isa import LAYOUTS, SEMAPHORE_BITS, SEMAPHORES, Opcode, decode, encode
from tests.rtl.harness import PythonMemory, receive, signal, simulate

OF_OPCODE = {opcode: unit for unit, opcode in UNITS.items()}


@pytest.mark.parametrize("seed", range(4))
def test_semaphores_match_integers(seed: int) -> None:
    dut = Semaphores(tuple(UNITS))
    coin = Random(seed)
    values = [0] * SEMAPHORES
    owners = [coin.choice(tuple(UNITS)) for _ in range(SEMAPHORES)]  # the unit that waits on each

    async def bench(ctx: Any) -> None:
        for _ in range(600):
            setting = coin.getrandbits(SEMAPHORES) if coin.random() < 0.05 else 0
            ctx.set(dut.set, setting)
            news = [coin.choice((0, 1, coin.getrandbits(SEMAPHORE_BITS - 1))) for _ in range(SEMAPHORES)]
            for s, value in enumerate(news):
                ctx.set(signal(dut, f"set_{s}"), value)
            changes = [0] * SEMAPHORES
            for unit in UNITS:
                mine = sum(1 << s for s, owner in enumerate(owners) if owner == unit)
                wait, post = coin.getrandbits(SEMAPHORES) & mine, coin.getrandbits(SEMAPHORES)
                post &= coin.getrandbits(SEMAPHORES)
                ctx.set(signal(dut, f"{unit}_wait"), wait)
                ctx.set(signal(dut, f"{unit}_post"), post)
                ok = all(values[s] for s in range(SEMAPHORES) if wait >> s & 1)
                assert ctx.get(signal(dut, f"{unit}_ok")) == ok
                take = ok and coin.random() < 0.7
                ctx.set(signal(dut, f"{unit}_take"), take)
                for s in range(SEMAPHORES):
                    changes[s] += (post >> s & 1) - (wait >> s & 1 & take)
            for s in range(SEMAPHORES):
                values[s] = news[s] if setting >> s & 1 else values[s] + changes[s]
            await ctx.tick()

    simulate(dut, bench)


def test_who_only_posts() -> None:
    dut = Semaphores(("load",), ("host",))

    async def bench(ctx: Any) -> None:
        ctx.set(signal(dut, "load_wait"), 6)
        ctx.set(signal(dut, "load_post"), 2)
        ctx.set(dut.posts[0], 6)
        assert not ctx.get(signal(dut, "load_ok"))
        await ctx.tick()
        assert ctx.get(signal(dut, "load_ok"))
        ctx.set(dut.posts[0], 0)
        ctx.set(signal(dut, "load_post"), 0)
        ctx.set(signal(dut, "load_take"), 1)
        await ctx.tick()
        ctx.set(signal(dut, "load_take"), 0)
        assert not ctx.get(signal(dut, "load_ok"))  # semaphore 2 is taken, 1 has one left
        ctx.set(signal(dut, "load_wait"), 2)
        assert ctx.get(signal(dut, "load_ok"))

    simulate(dut, bench)


def test_all_units_post_one_semaphore_in_one_cycle() -> None:
    dut = Semaphores(tuple(UNITS))

    async def bench(ctx: Any) -> None:
        for unit in UNITS:
            ctx.set(signal(dut, f"{unit}_post"), 4)
        await ctx.tick()
        for unit in UNITS:
            ctx.set(signal(dut, f"{unit}_post"), 0)
        ctx.set(signal(dut, "array_wait"), 4)
        ctx.set(signal(dut, "array_take"), 1)
        for _ in UNITS:
            assert ctx.get(signal(dut, "array_ok"))
            await ctx.tick()
        assert not ctx.get(signal(dut, "array_ok"))

    simulate(dut, bench)


class Bench:
    """A command processor with a program in memory, and units that take commands now and then."""

    def __init__(
        self, program: list[int], *, word_bytes: int, queue_depth: int = 2, stall: float = 0.3, seed: int = 0
    ) -> None:
        spec = MemorySpec(word_bytes=word_bytes)
        self.dut = CommandProcessor(memory=spec, queue_depth=queue_depth)
        self.commands = len(program)
        self.address = 100
        words = {}
        for n, command in enumerate(program):
            for part in range(spec.command_words):
                # What lies behind a command in a wide word means nothing.
                bits = (command | Random(n).getrandbits(2048) << 256) >> part * 8 * word_bytes
                words[self.address + n * spec.command_words + part] = bits & (1 << 8 * word_bytes) - 1
        self.memory = PythonMemory(words, word_bytes=word_bytes, stall=stall, latency=4, seed=seed)
        self.taken: dict[str, list[int]] = {unit: [] for unit in UNITS}

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
        units = [self.unit(name, chance) for name in UNITS]
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


@pytest.mark.parametrize("word_bytes", [4, 8, 16, 32, 64, 256])
@pytest.mark.parametrize(("queue_depth", "chance", "stall"), [(2, 0.1, 0.0), (5, 0.9, 0.4)])
def test_every_unit_gets_its_commands_in_order(
    word_bytes: int, queue_depth: int, chance: float, stall: float
) -> None:
    program = some_program(Random(word_bytes), 40)
    bench = Bench(program, word_bytes=word_bytes, queue_depth=queue_depth, stall=stall)
    dut = bench.dut

    async def host(ctx: Any) -> None:
        await bench.start(ctx)
        ctx.set(dut.units_idle, 1)
        await ctx.tick().until(dut.done)
        assert not ctx.get(dut.running)
        assert not ctx.get(dut.error)

    bench.run(host, chance=chance)
    for unit, opcode in UNITS.items():
        size = LAYOUTS[opcode].size
        assert bench.taken[unit] == [c & (1 << size) - 1 for c in program if decode(c)[0] == opcode]
    words = MemorySpec(word_bytes=word_bytes).command_words
    assert [request.address for request in bench.memory.requests] == [100 + n for n in range(40 * words)]
    assert all(request.tag and not request.write for request in bench.memory.requests)


def test_set_comes_before_every_later_command() -> None:
    """A unit that gets a command behind a SET finds the semaphores set."""
    sets = [encode(Opcode.SET, mask=1 << n % 8, **{f"value_{n % 8}": n + 1}) for n in range(8)]
    program = [c for n, setting in enumerate(sets) for c in (setting, encode(Opcode.GEMM, m=n + 1, **ONES))]
    bench = Bench(program, word_bytes=32, stall=0.0)
    dut = bench.dut
    seen: list[int] = []

    async def host(ctx: Any) -> None:
        await bench.start(ctx)
        ctx.set(signal(dut, "array_wait"), 1)
        ctx.set(dut.array.ready, 1)
        while len(seen) < 8:
            if ctx.get(dut.array.valid):
                n = len(seen)
                ctx.set(signal(dut, "array_wait"), 1 << n)
                seen.append(ctx.get(signal(dut, "array_ok")))
            await ctx.tick()

    simulate(dut, host, background=[bench.memory.serve(dut.request, dut.response, tagged=False)], cycles=1000)
    assert seen == [1] * 8


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


@pytest.mark.parametrize("opcode", [0, *range(5, 16)])
def test_what_is_no_command_stops_the_program(opcode: int) -> None:
    good = [encode(Opcode.GEMM, m=n + 1, **ONES) for n in range(3)]
    bench = Bench([*good, opcode, *good], word_bytes=16)
    dut = bench.dut

    async def host(ctx: Any) -> None:
        ctx.set(dut.units_idle, 1)
        await bench.start(ctx)
        await ctx.tick().until(dut.error)
        for again in (0, 1):  # an error stays, whatever is started
            ctx.set(dut.start, again)
            for _ in range(100):
                await ctx.tick()
                assert ctx.get(dut.error)
                assert not ctx.get(dut.running)
                assert not ctx.get(dut.done)

    bench.run(host)
    assert len(bench.taken["array"]) == 3


def test_a_full_queue_holds_all_commands_behind_it() -> None:
    """Commands are handed out in order: loads behind a GEMM that nobody takes wait too, and nothing is lost."""
    load = encode(Opcode.LOAD, rows=1, cols=1, words=1)
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
