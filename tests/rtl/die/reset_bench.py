"""Bench in the simulator: two dies side by side are reset in the middle of their programs, which then run again."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, First, RisingEdge

from cosim.benches.host import clear, release_reset, set_limits, set_memory, write_register
from cosim.jobs.base import ProgramJob
from rtl.interface.isa import Opcode, Side, encode
from rtl.interface.register_map import COMMANDS, CONTROL, PROGRAM
from rtl.interface.vector_operations import FirstOp, Spread

WORD_BYTES, FLIT_BITS, MEMORY_WORDS = 32, 64, 64
STEP, RESETS = "HECATON_RESET_STEP", "resets"
"""Variable with the cycles from one reset to the next; file with the number of resets."""

A, B, RESULT, PROGRAM_WORD = 0, 1, 2, 16
ONE = {"rows": 1, "words": 1}
FEED = {"rows": 1, "cols": 1, "words": 1, "pitch": 1}
PANEL = {"rows": 1, "panels": 1, "last_cols": 1, "step": 1}
CHUNK = {"chunks": 1, "flits": 8 * WORD_BYTES // FLIT_BITS, "base": 3}
PROGRAM_OF_BOTH = [
    encode(Opcode.LOAD, rows=2, words=1, pitch=1, memory_pitch=1, post_0=1, post_1=2),
    encode(Opcode.FEED_ACTIVATION, **FEED, wait_0=1, post_0=3),
    encode(Opcode.FEED_WEIGHT, **FEED, source=1, wait_0=2, post_0=4),
    encode(
        Opcode.GEMM,
        m=1,
        k_tiles=1,
        last_k=1,
        panels=1,
        last_cols=1,
        accumulator_step=1,
        wait_0=3,
        wait_1=4,
        post_0=5,
    ),
    encode(Opcode.DRAIN, **PANEL, target=2, wait_0=5, post_0=6),
    encode(
        Opcode.VECTOR,
        rows=1,
        cols=1,
        a=2,
        a_spread=Spread.MATRIX,
        b=2,
        b_spread=Spread.MATRIX,
        op1=FirstOp.MUL,
        result=1,
        y=3,
        y_pitch=1,
        wait_0=6,
        post_0=7,
    ),
]
STORE = encode(Opcode.STORE, **ONE, base=3, address=RESULT, wait_0=8)
PROGRAMS = [
    [*PROGRAM_OF_BOTH, encode(Opcode.SEND, **CHUNK, side=Side.EAST, target=1, wait_0=7, post_0=8), STORE],
    [*PROGRAM_OF_BOTH, encode(Opcode.RECEIVE, **CHUNK, side=Side.WEST, add=1, wait_0=7, post_0=8), STORE],
]
"""Each die squares a product. The first one stores and sends its square, the second one stores the sum of both."""


@cocotb.test()
async def reset_and_run_again(dut: Any) -> None:
    """Reset after each number of cycles up to the end of the program, or every few of them."""
    step, coin = int(os.environ[STEP]), Random(5)
    clear(dut, (f"host_{name}" for name in ("address", "write", "write_data", "read", "node", "all")))
    set_memory(
        dut,
        ProgramJob(word_bytes=WORD_BYTES, memory_words=MEMORY_WORDS, latency=7, interval=1, stall=0, seed=1),
    )
    dut.rst.value = 1
    memories = [getattr(dut, f"node_{node}").memory.contents for node in range(2)]
    for contents, program in zip(memories, PROGRAMS, strict=True):
        for number, command in enumerate(program):
            contents[PROGRAM_WORD + number].value = command
    await release_reset(dut)
    dut.memory_reseed.value = 0
    dut.host_all.value = 1

    async def start() -> list[int]:
        """Start with new operands; return the squares that they make."""
        squares = []
        for contents in memories:
            a, b = coin.randrange(1, 60), coin.randrange(1, 60)
            contents[A].value, contents[B].value, contents[RESULT].value = _bf16(a), _bf16(b), 0
            squares.append((a * b) ** 2)
        await set_limits(dut, memory_words=MEMORY_WORDS, most_cycles=1000)
        await write_register(dut, PROGRAM, PROGRAM_WORD)
        await write_register(dut, COMMANDS, len(PROGRAMS[0]))
        await write_register(dut, CONTROL, 1)
        return squares

    resets = 0
    done = False
    while not done:
        await start()
        for _ in range(resets * step):
            await RisingEdge(dut.clk)
        done = bool(dut.done.value)
        dut.rst.value = 1
        await RisingEdge(dut.clk)
        dut.rst.value = 0
        first, second = await start()
        await First(RisingEdge(dut.done), RisingEdge(dut.error), ClockCycles(dut.clk, 1000))
        got = [contents[RESULT].value[31:0].to_unsigned() for contents in memories]
        assert got == [_fp32(first), _fp32(first + second)], f"after {resets * step} cycles"
        assert dut.done.value
        assert not dut.error.value
        resets += 1
    Path(RESETS).write_text(str(resets))


def _fp32(value: int) -> int:
    return int(np.float32(value).view(np.uint32))


def _bf16(value: int) -> int:
    return _fp32(value) >> 16
