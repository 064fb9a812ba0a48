"""Registers: what software writes and reads, and counters against Python integers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest
from amaranth.sim import SimulatorContext

from rtl.control.counters import FIRSTS, LASTS, Registers
from rtl.interface.register_map import (
    COMMANDS,
    CONTROL,
    COUNTER_BITS,
    COUNTERS,
    ENGINE_COUNTERS,
    ERROR,
    LINKS,
    MEMORY_LAST,
    POST,
    POST_HIGH,
    PROGRAM,
    REGISTERS,
    STATUS,
    WAITING,
    WATCHDOG,
    counter_address,
)
from tests.rtl.harness import read_register, signal, simulate, write_register

MACS_BITS = 9
EVENTS = [name for name in COUNTERS if name != "cycles"]


async def write(ctx: Any, dut: Registers, address: int, value: int) -> None:
    await write_register(ctx, dut.host, address, value)


async def read(ctx: Any, dut: Registers, address: int) -> int:
    return await read_register(ctx, dut.host, address)


async def read_counter(ctx: Any, dut: Registers, name: str) -> int:
    return await read(ctx, dut, counter_address(name)) | await read(ctx, dut, counter_address(name) + 1) << 32


def run(bench: Callable[[Any, Registers], Awaitable[None]]) -> None:
    dut = Registers(macs_bits=MACS_BITS)

    async def start(ctx: SimulatorContext) -> None:
        await bench(ctx, dut)

    simulate(dut, start)


def test_addresses_do_not_overlap() -> None:
    addresses = [address for address, _ in REGISTERS.values()]
    for name in (*COUNTERS, *ENGINE_COUNTERS):
        addresses += [counter_address(name), counter_address(name) + 1]
    assert len(set(addresses)) == len(addresses)
    assert max(addresses) < 1 << 8


def test_program_and_commands_read_back() -> None:
    async def bench(ctx: Any, dut: Registers) -> None:
        await write(ctx, dut, PROGRAM, 0xDEAD_BEEF)
        await write(ctx, dut, COMMANDS, 0x1234)
        assert ctx.get(dut.program_address) == await read(ctx, dut, PROGRAM) == 0xDEAD_BEEF
        assert ctx.get(dut.commands) == await read(ctx, dut, COMMANDS) == 0x1234
        assert await read(ctx, dut, 0xFF) == 0
        await ctx.tick()
        assert ctx.get(dut.host.read_data) == 0  # holds

    run(bench)


@pytest.mark.parametrize(("running", "done", "error"), [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_status(running: int, done: int, error: int) -> None:
    async def bench(ctx: Any, dut: Registers) -> None:
        ctx.set(dut.running, running)
        ctx.set(dut.done, done)
        ctx.set(dut.error, error)
        assert await read(ctx, dut, STATUS) == running | done << 1 | error << 2

    run(bench)


def test_counters_are_complete_one_cycle_after_the_end() -> None:
    async def bench(ctx: Any, dut: Registers) -> None:
        ctx.set(dut.running, 1)
        await ctx.tick().repeat(5)
        ctx.set(dut.running, 0)
        ctx.set(dut.done, 1)
        await ctx.tick()
        assert await read_counter(ctx, dut, "cycles") == 5

    run(bench)


def test_events_of_links_stay_until_their_register_is_written() -> None:
    dut = Registers(macs_bits=MACS_BITS, engine=True)

    async def bench(ctx: Any) -> None:
        for number, link in enumerate((*dut.links, *dut.memory_links)):
            ctx.set(link, {"up": 1, "lanes": 2, "pending": 7, "lost": 5, "restarted": 1})
            await ctx.tick()
            ctx.set(link, {"up": 1, "lanes": 2, "pending": 0, "lost": 6})
            assert ctx.get(dut.link_failed)
            assert await read(ctx, dut, STATUS) == 1 << 4 + min(number, 4)
            assert await read(ctx, dut, LINKS + number) == 6 << 16 | 1 << 5 | 2 << 2 | 1
            ctx.set(link, {"timed_out": 1})
            await write(ctx, dut, LINKS + number, 0)  # the event comes in the cycle of the write
            ctx.set(link, {"dead": 1})
            assert await read(ctx, dut, LINKS + number) == 1 << 4 | 2
            await write(ctx, dut, LINKS + number, 0)
            assert ctx.get(dut.link_failed)
            assert await read(ctx, dut, LINKS + number) == 2
            ctx.set(link, {})
            await ctx.tick()
            assert not ctx.get(dut.link_failed)

    simulate(dut, bench)


def test_counters_count_while_a_program_runs_and_clear_at_its_start() -> None:
    coin = Random(3)

    async def bench(ctx: Any, dut: Registers) -> None:
        for _ in range(2):
            expected = dict.fromkeys(COUNTERS, 0)
            seen_first = False
            ctx.set(dut.host.address, CONTROL)
            ctx.set(dut.host.write_data, 1)
            ctx.set(dut.host.write, 1)
            assert ctx.get(dut.start)
            await ctx.tick()
            ctx.set(dut.host.write, 0)
            assert not ctx.get(dut.start)
            for cycle in range(60):
                ctx.set(dut.running, running := int(cycle < 45))
                for name in EVENTS:
                    most = (1 << MACS_BITS) - 1 if name == "macs" else 1
                    amount = coin.randint(0, most) if cycle > 5 else 0
                    ctx.set(signal(dut, name), amount)
                    if not running:
                        continue
                    if name not in FIRSTS | LASTS:
                        expected[name] += amount
                    elif amount and (name == "array_last" or not seen_first):
                        expected[name] = cycle
                        seen_first |= name == "array_first"
                expected["cycles"] += running
                await ctx.tick()
            for name in EVENTS:
                ctx.set(signal(dut, name), 0)
            assert {name: await read_counter(ctx, dut, name) for name in COUNTERS} == expected

    run(bench)


def test_a_first_event_in_cycle_0_is_kept() -> None:
    async def bench(ctx: Any, dut: Registers) -> None:
        await write(ctx, dut, CONTROL, 1)
        ctx.set(dut.running, 1)
        ctx.set(dut.array_first, 1)
        for _ in range(5):
            await ctx.tick()
        assert await read_counter(ctx, dut, "array_first") == 0

    run(bench)


def test_both_halves_of_a_counter() -> None:
    """The high half counts: no simulation runs for 2 ** 32 cycles, so large amounts do it."""
    dut = Registers(macs_bits=40)

    async def bench(ctx: Any) -> None:
        await write(ctx, dut, CONTROL, 1)
        ctx.set(dut.running, 1)
        ctx.set(dut.macs, (1 << 40) - 1)
        for _ in range(255):
            await ctx.tick()
        ctx.set(dut.running, 0)
        await ctx.tick()
        total = 255 * ((1 << 40) - 1)
        assert total < 1 << COUNTER_BITS
        assert await read_counter(ctx, dut, "macs") == total

    simulate(dut, bench)


def test_a_start_while_a_program_runs_does_nothing() -> None:
    async def bench(ctx: Any, dut: Registers) -> None:
        await write(ctx, dut, CONTROL, 1)
        ctx.set(dut.running, 1)
        for _ in range(7):
            await ctx.tick()
        ctx.set(dut.host.address, CONTROL)
        ctx.set(dut.host.write_data, 1)
        ctx.set(dut.host.write, 1)
        assert not ctx.get(dut.start)
        await ctx.tick()
        ctx.set(dut.host.write, 0)
        ctx.set(dut.running, 0)
        await ctx.tick()
        assert await read_counter(ctx, dut, "cycles") == 8

    run(bench)


def test_what_the_error_monitor_shows_can_be_read() -> None:
    async def bench(ctx: Any, dut: Registers) -> None:
        ctx.set(dut.error_code, 5)
        ctx.set(dut.error_unit, 17)
        ctx.set(dut.error_count, 3)
        ctx.set(dut.waiting, 1 << 16 | 2)
        assert await read(ctx, dut, ERROR) == 3 << 16 | 17 << 8 | 5
        assert await read(ctx, dut, WAITING) == 1 << 16 | 2

    run(bench)


def test_the_last_memory_word_is_the_last_of_all_after_a_reset() -> None:
    async def bench(ctx: Any, dut: Registers) -> None:
        assert ctx.get(dut.memory_last) == await read(ctx, dut, MEMORY_LAST) == 0xFFFF_FFFF
        await write(ctx, dut, MEMORY_LAST, 99)
        assert ctx.get(dut.memory_last) == await read(ctx, dut, MEMORY_LAST) == 99

    run(bench)


def test_software_posts_all_semaphores_but_number_0() -> None:
    dut = Registers(macs_bits=MACS_BITS, engine=True)

    async def bench(ctx: Any) -> None:
        for address, expected in ((POST, 0xFFFF_FFFE), (POST_HIGH, 0xFFFF_FFFF << 32)):
            ctx.set(dut.host.address, address)
            ctx.set(dut.host.write_data, 0xFFFF_FFFF)
            ctx.set(dut.host.write, 1)
            assert ctx.get(dut.post) == expected
            await ctx.tick()
        ctx.set(dut.host.write, 0)
        assert ctx.get(dut.post) == 0

    simulate(dut, bench)


@pytest.mark.parametrize("event", ["load_words", "array_busy", "commands_out", "vector_busy"])
def test_the_watchdog_expires_only_without_progress(event: str) -> None:
    async def bench(ctx: Any, dut: Registers) -> None:
        ctx.set(dut.running, 1)
        for _ in range(30):  # off after a reset
            await ctx.tick()
            assert not ctx.get(dut.expired)
        ctx.set(dut.running, 0)
        await write(ctx, dut, WATCHDOG, 6)
        assert await read(ctx, dut, WATCHDOG) == 6
        ctx.set(dut.running, 1)
        for cycle in range(42):
            ctx.set(signal(dut, event), cycle % 6 == 5)
            await ctx.tick()
            assert not ctx.get(dut.expired)
        ctx.set(signal(dut, event), 0)
        ctx.set(dut.load_busy, 1)  # no progress
        for _ in range(7):
            assert not ctx.get(dut.expired)
            await ctx.tick()
        assert ctx.get(dut.expired)

    run(bench)
