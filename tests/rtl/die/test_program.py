"""Die: a program written by hand that uses each unit, against numpy, at any latency of the SRAMs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chiplet.machine.specs import DieSpec, Dtype, MemorySpec, NopSpec
from chiplet.machine.vector_specs import VectorSpec
from cosim.golden.gemm import bf16_sums
from cosim.golden.numerics import float32_to_bf16, fp32_patterns
from rtl.die.die import Die
from rtl.interface.isa import Opcode, encode
from rtl.interface.register_map import COMMANDS, CONTROL, PROGRAM, STATUS, counter_address
from rtl.interface.vector_operations import FirstOp, Spread
from tests.rtl.harness import PythonMemory, read_register, simulate, write_register

PROGRAM_WORD = 5000
BLOCKS = {"a": 0, "b": 1000, "s": 2000, "y": 3000, "z": 4000, "v": 4500}
"""Memory word of each block: operands, sums to begin with, results as they are, as bf16, and times those sums."""


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


def run_program(
    rows: int,
    cols: int,
    dtype: Dtype,
    shape: tuple[int, int, int],
    word_bytes: int,
    stall: float,
    *,
    engine: bool = False,
    sums_first: bool = False,
    vector: VectorSpec | None = None,
    depths: Mapping[str, int] = MappingProxyType({}),
) -> dict[str, int]:
    """Run the program on a die, check all of its results, and return counters.

    With ``sums_first`` all sums are in their buffer before weights are fed.
    """
    m, k, n = shape
    die = DieSpec(rows=rows, cols=cols, dtype=dtype, stages=2, scratchpad_bytes=1 << 14).model_copy(
        update=depths
    )
    a, b, s, expected = operands(dtype, m, k, n, rows)
    places: dict[str, Place] = {}
    end = 3
    for name, size, element in (
        ("a", (m, k), die.element_bytes),
        ("b", (k, n), die.element_bytes),
        ("s", (m, n), 4),
        ("y", (m, n), 4),
        ("z", (m, n), 2),
        ("v", (m, n), 4),
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
        encode(Opcode.SET, semaphore_0=60, value_0=int(not sums_first)),
        encode(Opcode.LOAD, **places["a"].copy, row_post=1),
        encode(Opcode.LOAD, **places["b"].copy, post_0=2),
        encode(Opcode.LOAD, **places["s"].copy, post_1=3),
        encode(Opcode.FEED_ACTIVATION, **feed("a", row_wait=1, post_0=4)),
        encode(
            Opcode.FEED_SUMS,
            **sums,
            source=places["s"].base,
            source_pitch=places["s"].words,
            wait_1=3,
            panel_post=6,
            post_0=60 * sums_first,
        ),
        encode(Opcode.FEED_WEIGHT, **feed("b", wait_0=2, wait_1=60, post_1=5)),
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
        encode(Opcode.DRAIN, **sums, **drained("y"), panel_wait=7, row_post=8, post_0=10),
        encode(Opcode.STORE, **places["y"].copy, row_wait=8),
    ]
    if dtype == "bf16":
        program += [
            encode(Opcode.DRAIN, **sums, **drained("z"), cast=1, post_0=9),
            encode(Opcode.STORE, **places["z"].copy, wait_0=9),
        ]
    if vector:
        program += [
            encode(
                Opcode.VECTOR,
                rows=m,
                cols=n,
                op1=FirstOp.MUL,
                result=1,
                **{
                    f"{operand}{field}": value
                    for operand, name in (("a", "y"), ("b", "s"))
                    for field, value in (
                        ("", places[name].base),
                        ("_pitch", places[name].words),
                        ("_spread", Spread.MATRIX),
                    )
                },
                y=places["v"].base,
                y_pitch=places["v"].words,
                wait_0=10,
                post_0=11,
            ),
            encode(Opcode.STORE, **places["v"].copy, wait_0=11),
        ]
    memory = MemorySpec(word_bytes=word_bytes, outstanding=8)
    command_words = memory.command_words
    for number, command in enumerate(program):
        for part in range(command_words):
            word = command >> part * 8 * word_bytes & (1 << 8 * word_bytes) - 1
            words[PROGRAM_WORD + number * command_words + part] = word
    nop = NopSpec(flit_bits=32) if engine else None
    dut = Die(die=die, memory=memory, nop=nop, vector=vector)
    port = PythonMemory(words, word_bytes=word_bytes, stall=stall, latency=3, seed=7)

    async def bench(ctx: Any) -> None:
        await write_register(ctx, dut.host, PROGRAM, PROGRAM_WORD)
        await write_register(ctx, dut.host, COMMANDS, len(program))
        await write_register(ctx, dut.host, CONTROL, 1)
        await ctx.tick().until(dut.done)
        assert await read_register(ctx, dut.host, STATUS) == 2
        for name in ("cycles", "array_first", "array_last"):
            counters[name] = await read_register(ctx, dut.host, counter_address(name))

    counters: dict[str, int] = {}
    simulate(dut, bench, background=[port.serve(dut.memory.request, dut.memory.response)], cycles=6000)
    results = {"y": expected}
    if dtype == "bf16":
        results["z"] = float32_to_bf16(expected.view(np.float32))
    if vector:
        results["v"] = (expected.view(np.float32) * s).view(np.uint32)
    for name, values in results.items():
        whole = places[name].words * word_bytes
        assert places[name].rows_of(words) == [row.tobytes().ljust(whole, b"\0") for row in values]
    return counters


@pytest.mark.parametrize(
    ("rows", "cols", "dtype", "shape", "word_bytes", "engine", "stall"),
    [
        (1, 1, "int8", (1, 1, 1), 4, False, 0.0),
        (3, 2, "bf16", (5, 7, 5), 8, True, 0.3),
        pytest.param(2, 3, "int8", (7, 5, 11), 32, True, 0.0, marks=pytest.mark.slow),
        pytest.param(4, 4, "bf16", (6, 9, 13), 16, False, 0.3, marks=pytest.mark.slow),
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
    run_program(rows, cols, dtype, shape, word_bytes, stall, engine=engine)


DEEP = {
    latency: {"sram_latency": latency, "multiplier_stages": stages}
    for latency, stages in ((1, 1), (2, 1), (3, 2))
}
"""Latency of the SRAMs: how deep the die is pipelined."""


def run_deep(latency: int, stall: float) -> dict[str, int]:
    """Run the program, all sums first, on a die with a small vector unit."""
    return run_program(
        *(2, 3, "bf16", (9, 7, 8), 16, stall),
        sums_first=True,
        vector=VectorSpec(lanes=1, function_stages=6),
        depths=DEEP[latency],
    )


def test_a_deeply_pipelined_die_with_stalls() -> None:
    run_deep(3, 0.3)


def test_deeper_pipelines_only_fill_later() -> None:
    """SRAMs of more cycles and multipliers of more stages give right results, and cost no row of a tile a cycle."""
    deep = {latency: run_deep(latency, 0.0) for latency in DEEP}
    array = {latency: found["array_last"] - found["array_first"] for latency, found in deep.items()}
    # The reads of the sums begin as much earlier as those of the operands take longer.
    assert array == {1: array[1], 2: array[1], 3: array[1] + 1}
    # Each of feed, GEMM, drain, vector pass and store fills once, and the panels of the drain one after the other.
    assert all(found["cycles"] - deep[1]["cycles"] <= 12 * (n - 1) for n, found in deep.items())
