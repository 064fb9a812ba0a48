"""Seeded random operands, and their way into and out of a die's memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chiplet.machine.specs import Dtype
from cosim.golden.numerics import float32_to_bf16
from cosim.program.layout import OPERAND_TYPE, RESULT_TYPE
from cosim.program.shape import Operands

__all__ = [
    "random_operand",
]


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
    """Return a (rows, cols) operand: bf16 bit patterns, or int8."""
    if dtype == "int8":
        return rng.integers(-128, 128, (rows, cols), dtype=np.int8)
    values = float32_to_bf16(rng.standard_normal((rows, cols), dtype=np.float32))
    if operands == "special":
        some = rng.random((rows, cols))
        values = np.where(some < 0.2, rng.choice(_SPECIAL, (rows, cols)), values)
        values = np.where(some > 0.999, rng.choice(_NOT_FINITE, (rows, cols)), values)
    return values.astype(np.uint16)


assert set(OPERAND_TYPE) == set(RESULT_TYPE)
