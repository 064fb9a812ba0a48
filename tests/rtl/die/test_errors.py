"""Die: what a program must not do ends it with an error, and a reset at any moment leaves nothing behind."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from amaranth.hdl import ClockDomain, Module

from chiplet.machine.specs import DieSpec, MemorySpec, NopSpec
from rtl.die.die import Die
from rtl.interface.error_codes import ERROR_UNITS, ErrorCode
from rtl.interface.isa import Opcode, encode
from rtl.interface.register_map import (
    COMMANDS,
    CONTROL,
    ERROR,
    MEMORY_LAST,
    PROGRAM,
    STATUS,
    WAITING,
    WATCHDOG,
)
from tests.rtl.harness import PythonMemory, read_register, simulate, write_register

DIE = DieSpec(
    rows=1,
    cols=1,
    dtype="int8",
    scratchpad_bytes=512,
    activation_bytes=8,
    weight_bytes=8,
    accumulator_bytes=32,
)
MEMORY = MemorySpec(word_bytes=32, outstanding=4)
PROGRAM_WORD = 40
LAST = 63
BLOCK = {"rows": 1, "words": 1}
FEED = {"rows": 1, "cols": 1, "words": 1, "pitch": 1}
PANEL = {"rows": 1, "panels": 1, "last_cols": 1, "step": 1}
GEMM = {"m": 1, "k_tiles": 1, "last_k": 1, "panels": 1, "last_cols": 1, "accumulator_step": 1}

C = ErrorCode
CASES: list[tuple[str, ErrorCode, list[tuple[Opcode, dict[str, int]]]]] = [
    ("load", C.MEMORY, [(Opcode.LOAD, {**BLOCK, "address": LAST + 1})]),
    ("load", C.MEMORY, [(Opcode.LOAD, {"words": 1, "rows": 3, "memory_pitch": 2, "address": LAST - 3})]),
    ("store", C.MEMORY, [(Opcode.STORE, {**BLOCK, "address": 1 << 31})]),
    ("load", C.SCRATCHPAD, [(Opcode.LOAD, {**BLOCK, "base": 16})]),
    ("store", C.SCRATCHPAD, [(Opcode.STORE, {"rows": 1, "words": 2, "base": 15})]),
    ("feed_weight", C.SCRATCHPAD, [(Opcode.FEED_WEIGHT, {**FEED, "source": 16})]),
    ("feed_activation", C.BUFFER, [(Opcode.FEED_ACTIVATION, {**FEED, "base": 8})]),
    ("feed_sums", C.BUFFER, [(Opcode.FEED_SUMS, {**PANEL, "base": 8})]),
    ("drain", C.BUFFER, [(Opcode.DRAIN, {**PANEL, "base": 8})]),
    ("drain", C.SCRATCHPAD, [(Opcode.DRAIN, {**PANEL, "target": 16})]),
    ("array", C.BUFFER, [(Opcode.GEMM, {**GEMM, "weight_base": 8})]),
    ("array", C.BUFFER, [(Opcode.GEMM, {**GEMM, "accumulator_base": 1 << 19})]),
    ("array", C.BUFFER, [(Opcode.GEMM, {**GEMM, "activation_base": 7, "m": 2})]),
    (
        "array",
        C.BUFFER,
        [(Opcode.GEMM, {**GEMM, "weight_base": 1, "weight_pitch": (1 << 20) - 1, "panels": 2})],
    ),
    ("array", C.BUFFER, [(Opcode.GEMM, {**GEMM, "accumulator_base": 7, "m": 2})]),
    (
        "array",
        C.BUFFER,
        [(Opcode.GEMM, {**GEMM, "accumulator_base": 1, "accumulator_step": (1 << 20) - 1, "panels": 2})],
    ),
    (
        "command_processor",
        C.SEMAPHORE,
        [(Opcode.SET, {"semaphore_0": 9, "value_0": 65_535}), (Opcode.LOAD, {**BLOCK, "post_0": 9})],
    ),
    ("command_processor", C.WATCHDOG, [(Opcode.STORE, {**BLOCK, "wait_1": 33})]),
    ("command_processor", C.COMMAND, [(Opcode.SEND, {"chunks": 1, "flits": 1})]),
    ("command_processor", C.MEMORY, [(Opcode.LOAD, BLOCK)] * (LAST - PROGRAM_WORD + 2)),
]


ENGINE_CASES: list[tuple[str, ErrorCode, list[tuple[Opcode, dict[str, int]]]]] = [
    ("send_south", C.SCRATCHPAD, [(Opcode.SEND, {"side": 2, "chunks": 1, "flits": 1, "base": 16})]),
    ("send_west", C.SCRATCHPAD, [(Opcode.SEND, {"side": 3, "chunks": 1, "flits": 5, "base": 15})]),
    (
        "receive_north",
        C.SCRATCHPAD,
        [(Opcode.RECEIVE, {"side": 0, "chunks": 1, "flits": 1, "base": 16, "add": 1})],
    ),
    ("command_processor", C.COMMAND, [(Opcode.VECTOR, {"rows": 1, "cols": 1})]),
]


async def start(ctx: Any, dut: Die, commands: int) -> None:
    await write_register(ctx, dut.host, PROGRAM, PROGRAM_WORD)
    await write_register(ctx, dut.host, COMMANDS, commands)
    await write_register(ctx, dut.host, CONTROL, 1)


@pytest.mark.parametrize(
    ("nop", "cases"),
    [(None, CASES), (NopSpec(), ENGINE_CASES)],
    ids=["die", "die with engine"],
)
def test_an_error_ends_the_program_and_names_cause_and_unit(nop: NopSpec | None, cases: Any) -> None:
    """All in one simulation, with a reset before each: to make a die takes longer than all of them."""
    words: dict[int, int] = {}
    dut = Die(die=DIE, memory=MEMORY, nop=nop)
    top = Module()
    top.domains.sync = domain = ClockDomain()
    top.submodules.dut = dut
    port = PythonMemory(words, word_bytes=32, stall=0.0, latency=3, seed=1)

    async def bench(ctx: Any) -> None:
        for number, (unit, code, program) in enumerate(cases):
            case = f"{number}: {code.name} of {unit}"
            ctx.set(domain.rst, 1)
            await ctx.tick()
            ctx.set(domain.rst, 0)
            words.clear()
            words.update(
                {PROGRAM_WORD + n: encode(opcode, **fields) for n, (opcode, fields) in enumerate(program)}
            )
            assert await read_register(ctx, dut.host, ERROR) == 0, case
            await write_register(ctx, dut.host, MEMORY_LAST, LAST)
            await write_register(ctx, dut.host, WATCHDOG, 30)
            await start(ctx, dut, len(program))
            cycles = 0
            while not ctx.get(dut.error):
                await ctx.tick()
                cycles += 1
                assert cycles < 400, case
            await ctx.tick()
            assert await read_register(ctx, dut.host, STATUS) == 4, case
            error = 1 << 16 | ERROR_UNITS.index(unit) << 8 | code
            assert await read_register(ctx, dut.host, ERROR) == error, case
            waits = code == C.WATCHDOG
            assert await read_register(ctx, dut.host, WAITING) == waits << ERROR_UNITS.index("store"), case
            assert all(request.address <= LAST for request in port.requests), case

    memory = port.serve(dut.memory.request, dut.memory.response)
    simulate(top, bench, background=[memory], watched=dut, reset=domain.rst)


@pytest.mark.parametrize("step", [17, pytest.param(1, marks=pytest.mark.slow)])
def test_a_reset_in_any_cycle_leaves_nothing_behind(step: int) -> None:
    """The memory is not reset: words that were asked for before the reset come after it."""
    coin = Random(5)
    a, b = coin.randrange(1, 128), coin.randrange(1, 128)
    program = [
        encode(Opcode.LOAD, rows=2, words=1, pitch=1, memory_pitch=1, post_0=1, post_1=2),
        encode(Opcode.FEED_ACTIVATION, **FEED, wait_0=1, post_0=3),
        encode(Opcode.FEED_WEIGHT, **FEED, source=1, wait_0=2, post_0=4),
        encode(Opcode.GEMM, **GEMM, wait_0=3, wait_1=4, post_0=5),
        encode(Opcode.DRAIN, **PANEL, target=2, wait_0=5, post_0=6),
        encode(Opcode.STORE, **BLOCK, base=2, address=2, wait_0=6),
    ]
    words = {0: a, 1: b, **{PROGRAM_WORD + n: command for n, command in enumerate(program)}}
    dut = Die(die=DIE, memory=MEMORY)
    top = Module()
    top.domains.sync = domain = ClockDomain()
    top.submodules.dut = dut
    port = PythonMemory(words, word_bytes=32, stall=0.0, latency=7, seed=3)
    lengths: list[int] = []

    async def bench(ctx: Any) -> None:
        cycles = 0
        while not lengths:
            await start(ctx, dut, len(program))
            for _ in range(cycles):
                await ctx.tick()
            if ctx.get(dut.done):
                lengths.append(cycles)
            ctx.set(domain.rst, 1)
            await ctx.tick()
            ctx.set(domain.rst, 0)
            words[2] = 0
            await start(ctx, dut, len(program))
            await ctx.tick().until(dut.done)
            assert words[2] & 0xFFFF_FFFF == a * b
            cycles += step

    simulate(top, bench, background=[port.serve(dut.memory.request, dut.memory.response)], cycles=60_000)
    assert lengths[0] > 30
