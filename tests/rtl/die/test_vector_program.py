"""Die: vector programs from memory to memory, against their golden results."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chiplet.graph.vector_programs import vector_program
from chiplet.machine.specs import DieSpec, MemorySpec, NopSpec, vector_lanes
from chiplet.machine.vector_specs import VectorSpec
from cosim.golden.vector_program import random_inputs, run_vector_program
from cosim.program.command import program_image
from cosim.program.vector.row_blocks import schedule_vector
from rtl.die.die import Die
from rtl.interface.error_codes import ERROR_UNITS, ErrorCode
from rtl.interface.isa import Opcode, encode
from rtl.interface.register_map import COMMANDS, CONTROL, ERROR, PROGRAM, STATUS
from tests.rtl.harness import PythonMemory, read_register, simulate, write_register


def words_of(image: bytes, first: int, word_bytes: int) -> dict[int, int]:
    parts = [image[n : n + word_bytes] for n in range(0, len(image), word_bytes)]
    return {first + n: int.from_bytes(part, "little") for n, part in enumerate(parts)}


async def run(ctx: Any, dut: Die, address: int, commands: int) -> None:
    await write_register(ctx, dut.host, PROGRAM, address)
    await write_register(ctx, dut.host, COMMANDS, commands)
    await write_register(ctx, dut.host, CONTROL, 1)
    await ctx.tick().until(dut.done | dut.error)


@pytest.mark.parametrize(
    ("name", "rows", "cols", "word_bytes", "vector", "engine", "stall"),
    [
        ("softmax", 3, 5, 8, VectorSpec(), True, 0.3),
        ("silu", 2, 7, 16, VectorSpec(lanes=2, function_lanes=1), False, 0.0),
    ],
)
def test_programs_from_memory_to_memory(
    name: str, rows: int, cols: int, word_bytes: int, vector: VectorSpec, engine: bool, stall: float
) -> None:
    die, memory = DieSpec(rows=1, cols=1, stages=2), MemorySpec(word_bytes=word_bytes, outstanding=8)
    program = vector_program(name)
    work = schedule_vector(die, memory, program, rows=rows, cols=cols, causal=name == "softmax")
    inputs = random_inputs(program, np.random.default_rng(0), rows=rows, cols=cols)
    tensors = run_vector_program(
        program, inputs, rows=rows, cols=cols, lanes=vector_lanes(vector, memory), causal=work.causal
    )
    words = words_of(program_image(work.commands, memory), work.program_address, word_bytes)
    for address, image in work.images(inputs).items():
        words |= words_of(image, address, word_bytes)
    dut = Die(die=die, memory=memory, nop=NopSpec(flit_bits=32) if engine else None, vector=vector)
    port = PythonMemory(words, word_bytes=word_bytes, stall=stall, latency=3, seed=7)

    async def bench(ctx: Any) -> None:
        await run(ctx, dut, work.program_address, len(work.commands))
        assert await read_register(ctx, dut.host, STATUS) == 2

    simulate(dut, bench, background=[port.serve(dut.memory.request, dut.memory.response)], cycles=4000)
    result = b"".join(
        words[work.result_address + n].to_bytes(word_bytes, "little") for n in range(work.result_words)
    )
    expected = {output: tensors[output] for output in program.outputs}
    got = work.outputs(result, expected)
    for output, values in expected.items():
        assert np.array_equal(got[output], values), output


@pytest.mark.parametrize(
    ("dtype", "fields", "code", "unit"),
    [
        ("int8", {}, ErrorCode.COMMAND, "command_processor"),
        ("bf16", {"a": (1 << 20) - 1}, ErrorCode.SCRATCHPAD, "vector"),
        ("bf16", {"y": (1 << 20) - 1}, ErrorCode.SCRATCHPAD, "vector"),
    ],
)
def test_what_the_hardware_refuses(dtype: Any, fields: dict[str, int], code: ErrorCode, unit: str) -> None:
    """An int8 die has no vector unit, and no pass goes beyond the scratchpad."""
    memory = MemorySpec(word_bytes=32)
    command = encode(Opcode.VECTOR, rows=1, cols=1, result=1, a_spread=3, **fields)
    dut = Die(die=DieSpec(rows=1, cols=1, dtype=dtype), memory=memory, vector=VectorSpec(lanes=1))
    port = PythonMemory({0: command}, word_bytes=32)

    async def bench(ctx: Any) -> None:
        await run(ctx, dut, 0, 1)
        assert ctx.get(dut.error)
        error = await read_register(ctx, dut.host, ERROR)
        assert (error & 15, error >> 8 & 31) == (code, ERROR_UNITS.index(unit))

    simulate(dut, bench, background=[port.serve(dut.memory.request, dut.memory.response)], cycles=500)
