"""Operands: seeded, with the corners of bf16 among them."""

from __future__ import annotations

import numpy as np
import pytest

from chiplet.machine.specs import Dtype
from cosim.golden.numerics import bf16_to_float32
from cosim.golden.operands import random_operand


@pytest.mark.parametrize("dtype", ["bf16", "int8"])
def test_the_seed_decides(dtype: Dtype) -> None:
    first, again, other = (
        random_operand(np.random.default_rng(seed), 9, 7, dtype=dtype, operands="special")
        for seed in (4, 4, 5)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_int8_takes_all_values() -> None:
    values = random_operand(np.random.default_rng(0), 100, 100, dtype="int8", operands="normal")
    assert values.dtype == np.int8
    assert set(values.ravel().tolist()) == set(range(-128, 128))


def test_normal_operands_are_finite_and_not_subnormal() -> None:
    values = bf16_to_float32(
        random_operand(np.random.default_rng(0), 100, 100, dtype="bf16", operands="normal")
    )
    assert np.isfinite(values).all()
    assert abs(float(values.mean())) < 0.05
    assert abs(float(values.std()) - 1) < 0.05


def test_special_operands_have_every_corner() -> None:
    values = random_operand(np.random.default_rng(0), 200, 200, dtype="bf16", operands="special")
    exponent, fraction = values >> 7 & 0xFF, values & 0x7F
    assert {0x0000, 0x8000} <= set(values.ravel().tolist())
    assert ((exponent == 0) & (fraction != 0)).any()
    assert {0x7F80, 0xFF80} <= set(values.ravel().tolist())
    assert ((exponent == 255) & (fraction != 0)).any()
    assert {0x7F7F, 0xFF7F} <= set(values.ravel().tolist())


def test_bits_are_every_pattern_once_in_65536_elements() -> None:
    values = random_operand(np.random.default_rng(0), 512, 257, dtype="bf16", operands="bits")
    assert values.shape == (512, 257)
    assert values.dtype == np.uint16
    for start in (0, 1 << 16):
        patterns = values.reshape(-1)[start : start + (1 << 16)]
        assert sorted(set(patterns.tolist())) == list(range(1 << 16))
    assert values.reshape(-1)[:10].tolist() != list(range(10))
