"""A pass of the vector unit in numpy, bit for bit: :class:`chiplet.graph.vector_pass.VectorPass` on patterns.

A row is summed in beats of ``lanes`` elements: those of a beat pairwise, from a distance of lanes / 2 down to 1, with
+0 beyond the end of the row; beat k is added to partial sum k mod 4, in ascending k; the partial sums start at +0, and
the row's sum is (0 + 2) + (1 + 3). ``docs/numerics.md`` gives the reasons.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chiplet.graph.vector_pass import PassOperand, VectorPass
from cosim.golden.numerics import (
    Float32s,
    add,
    bf16_to_float32,
    float32_to_bf16,
    flush,
    fp32_patterns,
    fp32_values,
    multiply,
)
from cosim.golden.vector_functions import FUNCTIONS, Patterns

__all__ = ["PARTIAL_SUMS", "PATTERN_TYPE", "PassResult", "row_max", "row_sum", "vector_pass"]

PARTIAL_SUMS = 4
"""Partial sums of a row: as many as an adder may have stages, so that it can take a beat in every cycle."""

PATTERN_TYPE: dict[str, Any] = {"fp32": np.uint32, "bf16": np.uint16, "int32": np.uint32}
"""Type of the patterns of each :data:`chiplet.graph.vector_pass.Element`."""


@dataclass(frozen=True)
class PassResult:
    """What a pass leaves.

    Attributes
    ----------
    y : ndarray or None
        (rows, cols) patterns of fp32 (``uint32``) or bf16 (``uint16``), if the pass leaves y.
    reduction : ndarray or None
        (rows,) patterns of fp32, if the pass reduces rows.
    """

    y: NDArray[Any] | None
    reduction: Patterns | None


def vector_pass(
    work: VectorPass,
    a: ArrayLike,
    b: ArrayLike | None = None,
    d: ArrayLike | None = None,
    *,
    rows: int,
    cols: int,
    lanes: int,
    offset: int = 0,
) -> PassResult:
    """Result of a pass.

    Parameters
    ----------
    a, b, d
        Patterns of :data:`PATTERN_TYPE`: (rows, cols) for a matrix, (rows,) for a column, (cols,) for a row, () for a
        value; None where the pass has no such operand.
    rows, cols
        Of the matrix, at least 1.
    lanes
        Of the vector unit; row sums depend on them.
    offset
        See :mod:`chiplet.graph.vector_pass`; -32768 to 32767.

    Raises
    ------
    ValueError
        If a size is out of range, or an operand is missing, superfluous, or of another type or shape.
    """
    for name, size in (("rows", rows), ("cols", cols), ("lanes", lanes)):
        if size < 1:
            raise ValueError(f"vector pass: {name} = {size}: must be at least 1")
    if lanes & (lanes - 1):
        raise ValueError(f"vector pass: lanes = {lanes}: must be a power of two")
    if not -(1 << 15) <= offset < 1 << 15:
        raise ValueError(f"vector pass: offset = {offset}: must be from -32768 to 32767")
    given = {name: value for name, value in (("a", a), ("b", b), ("d", d)) if value is not None}
    if given.keys() != work.operands.keys():
        raise ValueError(f"vector pass: operands {', '.join(given)}: must be {', '.join(work.operands)}")
    arrays = {
        name: _matrix(name, operand, given[name], rows, cols) for name, operand in work.operands.items()
    }
    row, col = np.arange(rows)[:, None], np.arange(cols)
    first = _values(work.a, arrays["a"])
    if work.causal:
        first = np.where(col > row + offset, np.float32(-np.inf), first)
    if work.op1 == "pick":
        labels = arrays["b"].view(np.int32)
        s = np.where(labels == col + offset, first, np.float32(0))
    else:
        s = _combine(work.op1, first, None if work.b is None else _values(work.b, arrays["b"]))
    s = fp32_values(fp32_patterns(s))
    if work.negate:
        s = -s
    f = s if work.function == "none" else flush(fp32_values(FUNCTIONS[work.function](s.view(np.uint32))))
    y = fp32_patterns(_combine(work.op2, f, None if work.d is None else _values(work.d, arrays["d"])))
    if y.shape != (rows, cols):
        y = np.broadcast_to(y, (rows, cols)).copy()
    reduction = None
    if work.reduction != "none":
        reduction = row_sum(y, lanes=lanes) if work.reduction == "sum" else row_max(y)
    if work.result == "bf16":
        return PassResult(float32_to_bf16(fp32_values(y)), reduction)
    return PassResult(y if work.result == "fp32" else None, reduction)


def row_sum(y: ArrayLike, *, lanes: int) -> Patterns:
    """Sums of the rows of (rows, cols) fp32 patterns, in the order of the vector unit."""
    values = flush(fp32_values(y))
    rows, cols = values.shape
    padded = np.zeros((rows, -(-cols // lanes) * lanes), np.float32)
    padded[:, :cols] = values
    beats = padded.reshape(rows, -1, lanes)
    while beats.shape[2] > 1:
        half = beats.shape[2] // 2
        beats = add(beats[:, :, :half], beats[:, :, half:])
    partial = np.zeros((rows, PARTIAL_SUMS), np.float32)
    for k in range(beats.shape[1]):
        place = k % PARTIAL_SUMS
        partial[:, place] = add(partial[:, place], beats[:, k, 0])
    pairs = add(partial[:, :2], partial[:, 2:])
    return fp32_patterns(add(pairs[:, 0], pairs[:, 1]))


def row_max(y: ArrayLike) -> Patterns:
    """Largest elements of the rows of (rows, cols) fp32 patterns, in any order."""
    values = flush(fp32_values(y))
    largest = _from_order(_order(values).max(axis=1))
    return fp32_patterns(np.where(np.isnan(values).any(axis=1), np.float32(np.nan), largest))


def _matrix(name: str, operand: PassOperand, patterns: ArrayLike, rows: int, cols: int) -> NDArray[Any]:
    """Patterns of an operand, in a shape that numpy spreads over (rows, cols)."""
    array = np.asarray(patterns)
    shape = {"value": (), "column": (rows,), "row": (cols,), "matrix": (rows, cols)}[operand.spread]
    if array.shape != shape or array.dtype != PATTERN_TYPE[operand.element]:
        raise ValueError(
            f"vector pass: {name} is {array.dtype} of shape {array.shape}: "
            f"must be {np.dtype(PATTERN_TYPE[operand.element])} of shape {shape}"
        )
    return array if operand.spread == "matrix" else array.reshape(-1, 1 if operand.spread != "row" else cols)


def _values(operand: PassOperand, patterns: NDArray[Any]) -> Float32s:
    return flush(bf16_to_float32(patterns) if operand.element == "bf16" else fp32_values(patterns))


def _combine(op: str, x: Float32s, y: Float32s | None) -> Float32s:
    """x op y of flushed values, without an operation x; a NaN is not canonical yet."""
    if y is None:
        return x
    match op:
        case "add":
            return add(x, y)
        case "sub":
            return add(x, -y)
        case "rsub":
            return add(-x, y)
        case "mul":
            return multiply(x, y)
        case _:
            return _larger(x, y)


def _larger(x: Float32s, y: Float32s) -> Float32s:
    """The larger one of flushed values: -0 is less than +0, and a NaN wins."""
    larger = np.where(_order(x) > _order(y), x, y)
    return np.where(np.isnan(x) | np.isnan(y), np.float32(np.nan), larger)


def _order(values: Float32s) -> NDArray[np.int32]:
    """Integers in the order of flushed values that are no NaN, with -0 below +0."""
    bits = values.view(np.int32)
    return np.where(bits < 0, bits ^ np.int32(0x7FFF_FFFF), bits)


def _from_order(order: NDArray[np.int32]) -> Float32s:
    """Values of the integers of :func:`_order`."""
    return np.where(order < 0, order ^ np.int32(0x7FFF_FFFF), order).view(np.float32)
