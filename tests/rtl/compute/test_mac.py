# amaranth: UnusedElaboratable=no
"""Multiplier and adder against numpy: corners in Amaranth's simulator, millions of pairs in Icarus."""

from __future__ import annotations

from itertools import product as pairs_of
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator, SimulatorContext
from numpy.typing import NDArray

from chiplet.machine.specs import Dtype
from cosim.golden.numerics import bf16_mul, float32_to_bf16, fp32_add
from rtl.block import Block
from rtl.compute.mac import MAX_STAGES, OPERAND_BITS, Adder, product, rounded_bf16, widen
from tests.rtl.arithmetic import Words, assert_same, in_icarus

STAGES = range(1, MAX_STAGES + 1)
PAIRS = 1_000_000

CORNERS = [
    *(0, 1, 0x0040_0000, 0x007F_FFFF),  # zero, subnormals
    *(0x0080_0000, 0x0080_0001, 0x00FF_FFFF, 0x0100_0000),  # smallest normals
    *(0x3380_0000, 0x33FF_FFFF, 0x3300_0000, 0x3300_0001),  # about half a unit in the last place of 1.0
    *(0x3F80_0000, 0x3F80_0001, 0x3F7F_FFFF, 0x3FFF_FFFF, 0x4000_0000, 0x4B80_0000, 0x4B80_0001),
    *(0x7300_0000, 0x72FF_FFFF, 0x7F00_0000, 0x7F7F_FFFE, 0x7F7F_FFFF),  # up to the largest
    *(0x7F80_0000, 0x7F80_0001, 0x7FBF_FFFF, 0x7FC0_0000, 0x7FFF_FFFF),  # infinity, NaNs
]
SIGNED_CORNERS = [*CORNERS, *(corner | 1 << 31 for corner in CORNERS)]


class Multiplier(Block):
    """The multiplier of a PE with one register behind it and a 32-bit result."""

    def __init__(self, *, dtype: Dtype) -> None:
        self.dtype: Dtype = dtype
        super().__init__({"a": In(OPERAND_BITS[dtype]), "b": In(OPERAND_BITS[dtype]), "o": Out(32)})

    @property
    def block_name(self) -> str:
        return f"multiplier_{self.dtype}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        result = Signal(32, reset_less=True)
        m.d.sync += result.eq(widen(product(m, self.a, self.b, dtype=self.dtype), dtype=self.dtype))
        m.d.comb += self.o.eq(result)
        return m


def add_int32(a: Words, b: Words) -> Words:
    return a + b


def multiply_bf16(a: Words, b: Words) -> Words:
    return bf16_mul(a.astype(np.uint16), b.astype(np.uint16))


def multiply_int8(a: Words, b: Words) -> Words:
    signed = [x.astype(np.uint8).view(np.int8).astype(np.int32) for x in (a, b)]
    return (signed[0] * signed[1]).view(np.uint32)


def in_amaranth(block: Adder | Multiplier, latency: int, a: Words, b: Words) -> Words:
    """Results of a new pair every cycle."""
    results: list[int] = []

    async def bench(ctx: SimulatorContext) -> None:
        for cycle in range(len(a) + latency):
            if cycle < len(a):
                ctx.set(block.a, int(a[cycle]))
                ctx.set(block.b, int(b[cycle]))
            if cycle >= latency:
                results.append(ctx.get(block.o))
            await ctx.tick()

    simulator = Simulator(block)
    simulator.add_clock(1e-9)
    simulator.add_testbench(bench)
    simulator.run()
    return np.array(results, np.uint32)


def corner_pairs(corners: list[int]) -> tuple[Words, Words]:
    pairs = np.array(list(pairs_of(corners, corners)), np.uint32)
    return pairs[:, 0], pairs[:, 1]


def random_pairs(count: int, seed: int, *, width: int) -> tuple[Words, Words]:
    """Pairs of bf16 or fp32 patterns: equal shares of every kind that an adder or multiplier treats apart."""
    rng = np.random.default_rng(seed)
    fraction_bits = width - 9
    kinds = 8
    size = -(-count // kinds)

    def build(
        exponent: NDArray[np.integer], fraction: NDArray[np.integer] | None = None
    ) -> NDArray[np.int64]:
        if fraction is None:
            fraction = rng.integers(0, 1 << fraction_bits, size)
        sign = rng.integers(0, 2, size)
        return sign << width - 1 | np.clip(exponent, 0, 255) << fraction_bits | fraction

    def sparse() -> NDArray[np.int64]:
        """Fractions of few ones or few zeros: ties, carries through the whole significand."""
        ones = np.int64(1) << rng.integers(0, fraction_bits, size)
        other = np.int64(1) << rng.integers(0, fraction_bits, size)
        flip = -rng.integers(0, 2, size) & (1 << fraction_bits) - 1
        return ones * rng.integers(0, 2, size) ^ other * rng.integers(0, 2, size) ^ flip

    middle = rng.integers(30, 226, size)
    close = build(middle)
    uniform = rng.integers(0, 1 << width, (2, size))
    parts = [
        (uniform[0], uniform[1]),
        (build(middle), build(middle + rng.integers(-2, 3, size))),
        (build(middle), build(middle + rng.integers(-30, 31, size))),
        (build(middle, sparse()), build(middle + rng.integers(-28, 29, size), sparse())),
        # Opposite signs, a few units in the last place apart: cancellation.
        (close, (close ^ 1 << width - 1) + rng.integers(-4, 5, size)),
        (build(rng.integers(250, 256, size)), build(rng.integers(225, 256, size), sparse())),
        (build(rng.integers(0, 6, size)), build(rng.integers(0, 28, size), sparse())),
        # Products about the smallest and the largest normal numbers.
        (
            build(middle, sparse()),
            build(rng.choice([127, 127 + 254], size) - middle + rng.integers(-3, 4, size)),
        ),
    ]
    a, b = (np.concatenate(side)[:count].astype(np.uint32) for side in zip(*parts, strict=True))
    swap = rng.integers(0, 2, count).astype(bool)
    return np.where(swap, b, a), np.where(swap, a, b)


def uniform_pairs(count: int, seed: int, *, width: int) -> tuple[Words, Words]:
    words = np.random.default_rng(seed).integers(0, 1 << width, (2, count)).astype(np.uint32)
    return words[0], words[1]


@pytest.mark.parametrize("stages", STAGES)
def test_fp32_adder_corners(stages: int) -> None:
    a, b = corner_pairs(SIGNED_CORNERS)
    assert_same(in_amaranth(Adder(dtype="bf16", stages=stages), stages, a, b), fp32_add(a, b), a, b)


def test_bf16_multiplier_corners() -> None:
    a, b = corner_pairs(
        sorted({corner >> 16 for corner in SIGNED_CORNERS} | {0x0081, 0x1F80, 0x2000, 0x5F80})
    )
    assert_same(in_amaranth(Multiplier(dtype="bf16"), 1, a, b), multiply_bf16(a, b), a, b)


@pytest.mark.parametrize("stages", STAGES)
def test_int32_adder(stages: int) -> None:
    a, b = corner_pairs([0, 1, 2, 0x7FFF_FFFF, 0x8000_0000, 0x8000_0001, 0xFFFF_FFFF, 0x1234_5678])
    assert_same(in_amaranth(Adder(dtype="int8", stages=stages), stages, a, b), add_int32(a, b), a, b)


def test_every_int8_product(tmp_path: Path) -> None:
    a, b = corner_pairs(list(range(256)))
    assert_same(in_icarus(Multiplier(dtype="int8"), 1, tmp_path, a=a, b=b), multiply_int8(a, b), a, b)


@pytest.mark.parametrize(
    ("stages", "pairs"),
    [
        *((stages, PAIRS // 5 if stages == 2 else PAIRS // 20) for stages in STAGES),
        pytest.param(2, PAIRS, marks=pytest.mark.slow),
    ],
)
def test_fp32_adder_in_icarus(stages: int, pairs: int, tmp_path: Path) -> None:
    # The stages share their logic: one depth gets the most, the others enough to find a wrong cut.
    a, b = random_pairs(pairs, stages, width=32)
    assert_same(
        in_icarus(Adder(dtype="bf16", stages=stages), stages, tmp_path, a=a, b=b), fp32_add(a, b), a, b
    )


@pytest.mark.parametrize("pairs", [PAIRS // 5, pytest.param(PAIRS, marks=pytest.mark.slow)])
def test_bf16_multiplier_in_icarus(pairs: int, tmp_path: Path) -> None:
    a, b = random_pairs(pairs, 7, width=16)
    assert_same(in_icarus(Multiplier(dtype="bf16"), 1, tmp_path, a=a, b=b), multiply_bf16(a, b), a, b)


def test_int32_adder_in_icarus(tmp_path: Path) -> None:
    a, b = uniform_pairs(PAIRS // 20, 8, width=32)
    assert_same(in_icarus(Adder(dtype="int8", stages=3), 3, tmp_path, a=a, b=b), add_int32(a, b), a, b)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"dtype": "fp8", "stages": 1}, r"^Adder: dtype = 'fp8': must be one of bf16, int8$"),
        ({"dtype": "bf16", "stages": 0}, r"^Adder: stages = 0: must be an integer from 1 to 4$"),
        ({"dtype": "bf16", "stages": 5}, r"^Adder: stages = 5: must be an integer from 1 to 4$"),
        ({"dtype": "int8", "stages": True}, r"^Adder: stages = True: must be an integer from 1 to 4$"),
    ],
)
def test_bad_parameters_are_named(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Adder(**parameters)


def test_rounding_to_bf16() -> None:
    """Corners, all ways to round at two exponents, and random patterns."""
    rng = np.random.default_rng(1)
    ties = [
        high | low
        for high in (0x3F80_0000, 0x3F81_0000, 0x7F7F_0000)
        for low in (0, 1, 0x7FFF, 0x8000, 0x8001)
    ]
    words = np.array([*SIGNED_CORNERS, *ties, *rng.integers(0, 1 << 32, 2000)], np.uint32)
    value, result = Signal(32), Signal(16)
    m = Module()
    m.d.comb += result.eq(rounded_bf16(value))
    results: list[int] = []

    async def bench(ctx: SimulatorContext) -> None:
        for word in words:
            ctx.set(value, int(word))
            results.append(ctx.get(result))

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
    assert results == float32_to_bf16(words.view(np.float32)).tolist()
