"""Multiplier, adder and function lane against numpy: corners in Amaranth's simulator, all and millions in Icarus."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chiplet.machine.vector_specs import MOST_FUNCTION_STAGES, MOST_MULTIPLIER_STAGES
from cosim.golden.numerics import flush, fp32_add, fp32_patterns, fp32_values, multiply
from cosim.golden.vector import row_max
from cosim.golden.vector_functions import FUNCTIONS
from rtl.interface.vector_operations import Function
from rtl.vector.adder import MaxAdder
from rtl.vector.function_lane import FunctionLane
from rtl.vector.multiplier import Multiplier
from tests.rtl.arithmetic import Words, assert_same, in_icarus
from tests.rtl.harness import simulate
from tests.rtl.vector.passes import SPECIAL

SIGNED_SPECIAL = np.concatenate([SPECIAL, SPECIAL | np.uint32(1 << 31)])


def in_amaranth(dut: Any, latency: int, held: Mapping[str, int], **inputs: Words) -> Words:
    """Results of new inputs in every cycle, with pauses in which nothing may change."""
    count = len(next(iter(inputs.values())))
    results: list[int] = []

    async def bench(ctx: Any) -> None:
        for name, value in held.items():
            ctx.set(getattr(dut, name), value)
        for cycle in range(count + latency):
            for name, values in inputs.items():
                ctx.set(getattr(dut, name), int(values[min(cycle, count - 1)]))
            if cycle >= latency:
                results.append(ctx.get(dut.o))
            if cycle % 7 == 3:
                ctx.set(dut.enable, 0)
                await ctx.tick()
            ctx.set(dut.enable, 1)
            await ctx.tick()

    simulate(dut, bench)
    return np.array(results, np.uint32)


def product(a: Words, b: Words) -> Words:
    return fp32_patterns(multiply(flush(fp32_values(a)), flush(fp32_values(b))))


def larger(a: Words, b: Words) -> Words:
    return row_max(np.stack([a, b], axis=1))


def pairs(count: int, seed: int) -> tuple[Words, Words]:
    """Equal parts: any patterns, close numbers, products about 2^-126 and about Inf, special numbers."""
    rng = np.random.default_rng(seed)
    size = -(-count // 5)
    a, b = rng.integers(0, 1 << 32, (2, size), dtype=np.uint32)
    near = a ^ rng.integers(0, 8, size, dtype=np.uint32) ^ (rng.integers(0, 2, size, dtype=np.uint32) << 31)
    # b about 2 / a, and the exponent that makes the product 2^-126 or 2^128.
    fraction = rng.integers(0, 1 << 23, size)
    exponent = rng.integers(2, 126, size)
    inverse = (2 / (1 + fraction / 2.0**23) - 1) * 2.0**23
    other = np.clip(np.round(inverse).astype(np.int64) + rng.integers(-1, 2, size), 0, (1 << 23) - 1)
    ends = [
        ((place - exponent << 23 | other) & 0xFFFF_FFFF, exponent + up << 23 | fraction)
        for place, up in ((127, 0), (254 + 127 - 100, 100))
    ]
    parts = [
        (a, b),
        (a, near),
        *ends,
        (rng.choice(SIGNED_SPECIAL, size), np.where(rng.random(size) < 0.5, rng.choice(SIGNED_SPECIAL, size), b)),
    ]  # fmt: skip
    left, right = (np.concatenate(side)[:count].astype(np.uint32) for side in zip(*parts, strict=True))
    return left, right


@pytest.mark.parametrize("stages", range(1, MOST_MULTIPLIER_STAGES + 1))
def test_products(stages: int) -> None:
    a, b = pairs(500, stages)
    assert_same(in_amaranth(Multiplier(stages=stages), stages, {}, a=a, b=b), product(a, b), a, b)


@pytest.mark.parametrize(("stages", "maximum"), [(1, 0), (2, 1), (3, 1), (4, 0), (4, 1)])
def test_sums_and_maxima(stages: int, maximum: int) -> None:
    a, b = pairs(500, stages)
    want = larger(a, b) if maximum else fp32_add(a, b)
    assert_same(in_amaranth(MaxAdder(stages=stages), stages, {"maximum": maximum}, a=a, b=b), want, a, b)


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        *(
            ("exp", 1),
            ("exp2", 2),
            ("recip", 3),
            ("log", 5),
            ("exp", 7),
            ("log", 8),
            ("exp", 9),
            ("recip", 10),
        ),
        *(("log", 11), ("rsqrt", 12), *((name, MOST_FUNCTION_STAGES) for name in FUNCTIONS)),
    ],
)
def test_functions(name: str, stages: int) -> None:
    rng = np.random.default_rng(stages)
    near = rng.standard_normal(100, np.float32) * 10.0 ** rng.integers(-3, 3, 100)
    x = np.concatenate([SIGNED_SPECIAL, near.astype(np.float32).view(np.uint32)])
    which = {"which": Function[name.upper()].value}
    assert_same(in_amaranth(FunctionLane(stages=stages), stages, which, x=x), FUNCTIONS[name](x), x)


@pytest.mark.slow
@pytest.mark.parametrize("operation", ["multiply", "add", "maximum"])
def test_a_million_pairs_in_icarus(operation: str, tmp_path: Path) -> None:
    a, b = pairs(1_000_000, 7)
    if operation == "multiply":
        got = in_icarus(Multiplier(stages=2), 2, tmp_path, held={"enable": 1}, a=a, b=b)
        want = product(a, b)
    else:
        maximum = int(operation == "maximum")
        got = in_icarus(MaxAdder(stages=2), 2, tmp_path, held={"enable": 1, "maximum": maximum}, a=a, b=b)
        want = larger(a, b) if maximum else fp32_add(a, b)
    assert_same(got, want, a, b)


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
def test_all_bf16_numbers_and_many_fp32_numbers_in_icarus(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    bf16 = np.arange(0, 1 << 32, 1 << 16, dtype=np.uint32)
    near = rng.standard_normal(100_000, np.float32) * 10.0 ** rng.integers(-3, 3, 100_000)
    x = np.concatenate(
        [bf16, near.astype(np.float32).view(np.uint32), rng.integers(0, 1 << 32, 100_000, np.uint32)]
    )
    which = {"which": Function[name.upper()].value}
    assert_same(
        in_icarus(FunctionLane(stages=5), 5, tmp_path, held={"enable": 1, **which}, x=x),
        FUNCTIONS[name](x),
        x,
    )


@pytest.mark.parametrize(
    ("block", "stages", "message"),
    [
        (Multiplier, 5, "multiplier: stages = 5: must be at most 4"),
        (Multiplier, 0, "multiplier: stages = 0: must be an integer of at least 1"),
        (MaxAdder, 5, "MaxAdder: stages = 5: must be an integer from 1 to 4"),
        (FunctionLane, 14, "function lane: stages = 14: must be at most 13"),
    ],
)
def test_stages_that_are_refused(block: Any, stages: int, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        block(stages=stages)
