"""Seeded random operands, and their way into and out of a die's memory."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from chiplet.machine.specs import Dtype
from cosim.golden.gemm import OPERAND_TYPE, RESULT_TYPE
from cosim.golden.numerics import float32_to_bf16
from cosim.program.gemm import Matrix

__all__ = ["OPERANDS", "Operands", "pack", "random_operand", "unpack"]

Operands = Literal["normal", "special"]
"""``normal``: standard normal numbers (int8: all values). ``special``: these, with signed zeros, subnormals, huge
and tiny numbers among them, and an Inf or NaN now and then."""

OPERANDS: tuple[Operands, ...] = get_args(Operands)

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


def pack(values: NDArray[Any], matrix: Matrix, *, word_bytes: int) -> bytes:
    """Return the memory contents of an operand: rows one after the other, each filled up to whole words."""
    width = matrix.pitch * word_bytes // values.dtype.itemsize
    padded = np.zeros((matrix.rows, width), dtype=values.dtype.newbyteorder("<"))
    padded[:, : matrix.cols] = values
    return padded.tobytes()


def unpack(image: bytes, matrix: Matrix, *, dtype: Dtype) -> NDArray[Any]:
    """Return the (rows, cols) 32-bit sums of a result that was read back."""
    element = np.dtype(RESULT_TYPE[dtype]).newbyteorder("<")
    return np.frombuffer(image, dtype=element).reshape(matrix.rows, -1)[:, : matrix.cols]


assert set(OPERAND_TYPE) == set(RESULT_TYPE)
