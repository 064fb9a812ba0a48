"""Die: a program written by hand that uses each unit, against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chiplet.machine.specs import DieSpec, Dtype, MemorySpec, NopSpec
from cosim.golden.gemm import bf16_sums
from cosim.golden.numerics import float32_to_bf16, fp32_patterns
from rtl.die.die import Die
from rtl.interface.isa import Opcode, encode
from rtl.interface.register_map import COMMANDS, CONTROL, PROGRAM, STATUS
from tests.rtl.harness import PythonMemory, read_register, simulate, write_register

PROGRAM_WORD = 5000
BLOCKS = {"a": 0, "b": 1000, "s": 2000, "y": 3000, "z": 4000}
"""Memory word of each block: operands, sums to begin with, results as they are and as bf16."""


class Place:
    """A matrix in whole words a row: in memory, and in the scratchpad."""

    def __init__(
        self, name: str, shape: tuple[int, int], *, element: int, word_bytes: int, base: int
    ) -> None:
        self.rows, self.cols = shape
        self.element, self.word_bytes = element, word_bytes
        self.words = -(-self.cols * element // word_bytes)
        self.address, self.base = BLOCKS[name], base
        self.end = base + self.rows * self.words

    @property
    def copy(self) -> dict[str, int]:
        """Fields of a LOAD or STORE of all of it."""
        return {
            "rows": self.rows,
            "words": self.words,
            "address": self.address,
            "memory_pitch": self.words,
            "base": self.base,
            "pitch": self.words,
        }

    def fill(self, memory: dict[int, int], values: NDArray[Any]) -> None:
        for i, row in enumerate(values):
            data = row.tobytes().ljust(self.words * self.word_bytes, b"\xa5")
            for n in range(self.words):
                part = data[n * self.word_bytes : (n + 1) * self.word_bytes]
                memory[self.address + i * self.words + n] = int.from_bytes(part, "little")

    def rows_of(self, memory: dict[int, int]) -> list[bytes]:
        """Whole rows as they are in memory, with what fills their last words."""
        return [
            b"".join(
                memory[self.address + i * self.words + n].to_bytes(self.word_bytes, "little")
                for n in range(self.words)
            )
            for i in range(self.rows)
        ]


def operands(
    dtype: Dtype, m: int, k: int, n: int, rows: int
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """A, B, sums to begin with, and their result."""
    rng = np.random.default_rng(m * k * n)
    a: NDArray[Any]
    b: NDArray[Any]
    s: NDArray[Any]
    if dtype == "int8":
        a, b = (rng.integers(-128, 128, size, dtype=np.int8) for size in ((m, k), (k, n)))
        s = rng.integers(-(1 << 31), 1 << 31, (m, n), dtype=np.int32)
        return a, b, s, s + a.astype(np.int32) @ b.astype(np.int32)
    a, b = (float32_to_bf16(rng.standard_normal(size, np.float32)) for size in ((m, k), (k, n)))
    s = rng.standard_normal((m, n), np.float32)
    return a, b, s, fp32_patterns(bf16_sums(a, b, rows, s))


@pytest.mark.parametrize(
    ("rows", "cols", "dtype", "shape", "word_bytes", "engine", "stall"),
    [
        (1, 1, "int8", (1, 1, 1), 4, False, 0.0),
        (3, 2, "bf16", (5, 7, 5), 8, True, 0.3),
        (2, 3, "int8", (7, 5, 11), 32, True, 0.0),
        (4, 4, "bf16", (6, 9, 13), 16, False, 0.3),
    ],
)
def test_operands_and_sums_through_all_units(
    rows: int,
    cols: int,
    dtype: Dtype,
    shape: tuple[int, int, int],
    word_bytes: int,
    engine: bool,
    stall: float,
) -> None:
    m, k, n = shape
    die = DieSpec(rows=rows, cols=cols, dtype=dtype, stages=2, scratchpad_bytes=1 << 14)
    a, b, s, expected = operands(dtype, m, k, n, rows)
    places: dict[str, Place] = {}
    end = 3
    for name, size, element in (
        ("a", (m, k), die.element_bytes),
        ("b", (k, n), die.element_bytes),
        ("s", (m, n), 4),
        ("y", (m, n), 4),
        ("z", (m, n), 2),
    ):
        places[name] = Place(name, size, element=element, word_bytes=word_bytes, base=end)
        end = places[name].end
    words: dict[int, int] = {}
    for name, values in (("a", a), ("b", b), ("s", s)):
        places[name].fill(words, values)
    panels = {"panels": -(-n // cols), "last_cols": n - (-(-n // cols) - 1) * cols}
    sums = {**panels, "base": 1, "step": m, "wrap": 0, "rows": m}

    def feed(name: str, **semaphores: int) -> dict[str, int]:
        block = places[name]
        return {
            "rows": block.rows,
            "cols": block.cols,
            "words": block.words,
            "base": 2,
            "pitch": block.rows,
            "source": block.base,
            "source_pitch": block.words,
            **semaphores,
        }

    def drained(name: str) -> dict[str, int]:
        return {"target": places[name].base, "target_pitch": places[name].words}

    program = [
        encode(Opcode.SET, semaphore_0=60, value_0=1),
        encode(Opcode.LOAD, **places["a"].copy, row_post=1),
        encode(Opcode.LOAD, **places["b"].copy, post_0=2),
        encode(Opcode.LOAD, **places["s"].copy, post_1=3),
        encode(Opcode.FEED_ACTIVATION, **feed("a", row_wait=1, post_0=4)),
        encode(Opcode.FEED_WEIGHT, **feed("b", wait_0=2, wait_1=60, post_1=5)),
        encode(
            Opcode.FEED_SUMS,
            **sums,
            source=places["s"].base,
            source_pitch=places["s"].words,
            wait_1=3,
            panel_post=6,
        ),
        encode(
            Opcode.GEMM,
            wait_0=4,
            wait_1=5,
            panel_wait=6,
            panel_post=7,
            accumulate=1,
            activation_base=2,
            activation_pitch=m,
            weight_base=2,
            weight_pitch=k,
            accumulator_base=1,
            accumulator_step=m,
            m=m,
            k_tiles=-(-k // rows),
            last_k=k - (-(-k // rows) - 1) * rows,
            **panels,
        ),
        encode(Opcode.DRAIN, **sums, **drained("y"), panel_wait=7, row_post=8),
        encode(Opcode.STORE, **places["y"].copy, row_wait=8),
    ]
    if dtype == "bf16":
        program += [
            encode(Opcode.DRAIN, **sums, **drained("z"), cast=1, post_0=9),
            encode(Opcode.STORE, **places["z"].copy, wait_0=9),
        ]
    memory = MemorySpec(word_bytes=word_bytes, outstanding=8)
    command_words = memory.command_words
    for number, command in enumerate(program):
        for part in range(command_words):
            word = command >> part * 8 * word_bytes & (1 << 8 * word_bytes) - 1
            words[PROGRAM_WORD + number * command_words + part] = word
    nop = NopSpec(flit_bits=32) if engine else None
    dut = Die(die=die, memory=memory, nop=nop)
    port = PythonMemory(words, word_bytes=word_bytes, stall=stall, latency=3, seed=7)

    async def bench(ctx: Any) -> None:
        await write_register(ctx, dut.host, PROGRAM, PROGRAM_WORD)
        await write_register(ctx, dut.host, COMMANDS, len(program))
        await write_register(ctx, dut.host, CONTROL, 1)
        await ctx.tick().until(dut.done)
        assert await read_register(ctx, dut.host, STATUS) == 2

    simulate(dut, bench, background=[port.serve(dut.memory.request, dut.memory.response)], cycles=6000)
    results = {"y": expected}
    if dtype == "bf16":
        results["z"] = float32_to_bf16(expected.view(np.float32))
    for name, values in results.items():
        whole = places[name].words * word_bytes
        assert places[name].rows_of(words) == [row.tobytes().ljust(whole, b"\0") for row in values]
