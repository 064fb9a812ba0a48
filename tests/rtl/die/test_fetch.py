"""Fetch on a whole die behind a memory of 20 cycles: cycles that a short command takes."""

from __future__ import annotations

from typing import Any

from chiplet.machine.specs import DieSpec, MemorySpec
from rtl.die.die import Die
from rtl.interface.isa import Opcode, encode
from rtl.interface.register_map import COMMANDS, CONTROL, PROGRAM, counter_address
from tests.rtl.harness import PythonMemory, read_register, simulate, write_register

COUNT = 128
FEEDS = (Opcode.FEED_ACTIVATION, Opcode.FEED_WEIGHT)
WORD = {"rows": 1, "words": 1}


def test_a_short_command_takes_few_cycles() -> None:
    """On a 16x16 die: SETs without a semaphore and feeds of a word 2.3 cycles, loads of a word 5."""
    programs = [
        (2.3, [encode(Opcode.SET)] * COUNT),
        (2.3, [encode(FEEDS[n % 2], **WORD, cols=16, pitch=1, base=n) for n in range(COUNT)]),
        (5.0, [encode(Opcode.LOAD, **WORD, base=n) for n in range(COUNT)]),
    ]
    dut = Die(die=DieSpec(rows=16, cols=16, dtype="int8"), memory=MemorySpec(word_bytes=32))
    words = {1 + n: command for n, command in enumerate(command for _, part in programs for command in part)}
    port = PythonMemory(words, word_bytes=32, latency=20)

    async def bench(ctx: Any) -> None:
        await write_register(ctx, dut.host, COMMANDS, COUNT)
        for number, (most, _) in enumerate(programs):
            await write_register(ctx, dut.host, PROGRAM, 1 + number * COUNT)
            await write_register(ctx, dut.host, CONTROL, 1)
            await ctx.tick().until(dut.done)
            cycles = await read_register(ctx, dut.host, counter_address("cycles"))
            assert cycles <= most * COUNT

    simulate(dut, bench, background=[port.serve(dut.memory.request, dut.memory.response)], cycles=4000)
