"""Seeded random operands of a GEMM."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chiplet.machine.specs import Dtype
from cosim.golden.numerics import float32_to_bf16
from cosim.program.shape import Operands, Shape

__all__ = ["random_operand", "random_operands"]


# Signed zeros, subnormals, the smallest and largest normal numbers, one, and numbers whose products are near the ends.
_SPECIAL = np.array(
    [
        0x0000,
        0x8000,
        0x0001,
        0x807F,
        0x0080,
        0x8080,
        0x7F7F,
        0xFF7F,
        0x3F80,
        0xBF80,
        0x1F80,
        0x9FFF,
        0x5F80,
        0xDF81,
    ],
    dtype=np.uint16,
)
_NOT_FINITE = np.array([0x7F80, 0xFF80, 0x7FC0, 0xFFC1, 0x7F81], dtype=np.uint16)


def random_operand(
    rng: np.random.Generator, rows: int, cols: int, *, dtype: Dtype, operands: Operands
) -> NDArray[Any]:
    """Return a (rows, cols) operand: bf16 bit patterns, or int8.

    With ``operands`` bits, 65,536 elements have every pattern of bf16 once, in random order.
    """
    if dtype == "int8":
        return rng.integers(-128, 128, (rows, cols), dtype=np.int8)
    if operands == "bits":
        return np.resize(rng.permutation(1 << 16), (rows, cols)).astype(np.uint16)
    values = float32_to_bf16(rng.standard_normal((rows, cols), dtype=np.float32))
    if operands == "special":
        chance = rng.random((rows, cols))
        values = np.where(chance < 0.2, rng.choice(_SPECIAL, (rows, cols)), values)
        values = np.where(chance > 0.999, rng.choice(_NOT_FINITE, (rows, cols)), values)
    return values.astype(np.uint16)


def random_operands(
    rng: np.random.Generator, shape: Shape, *, dtype: Dtype, operands: Operands
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return operands A and B of a GEMM as they are stored, see :func:`random_operand`."""
    a = random_operand(rng, *shape.stored_a, dtype=dtype, operands=operands)
    b = random_operand(rng, *shape.stored_b, dtype=dtype, operands=operands)
    return a, b
