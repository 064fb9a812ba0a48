"""A vector program in numpy, bit for bit, and random inputs of it."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chiplet.graph.vector_constants import ConstantSettings, constants
from chiplet.graph.vector_program import ProgramPass, Tensor, VectorProgram
from cosim.golden.numerics import float32_to_bf16
from cosim.golden.operands import random_operand
from cosim.golden.vector import PATTERN_TYPE, vector_pass
from cosim.program.shape import Operands

__all__ = ["Tensors", "random_inputs", "run_vector_program"]

Tensors = dict[str, NDArray[Any]]
"""Patterns by the names of tensors: (rows, cols) of a matrix, (rows,) or (cols,) of values, () of one value."""

POSITIVE = {"p", "e", "v", "scale", "all", "total"}
"""Inputs that are never negative: probabilities, exponentials and their sums, squares, scales."""


def random_inputs(
    program: VectorProgram,
    rng: np.random.Generator,
    *,
    rows: int,
    cols: int,
    operands: Operands = "normal",
    settings: ConstantSettings | None = None,
) -> Tensors:
    """Inputs of ``program`` on ``rows`` x ``cols``: random numbers and labels, and its constants.

    With ``operands`` special there are zeros, subnormals, Inf and NaN among them, and those that are never negative
    otherwise may be. With bits all patterns are equally likely, and 65,536 elements have each bf16, or each upper half
    of an fp32, once.

    Raises
    ------
    ValueError
        If the program works on halves of the columns, and their number is odd.
    """
    values = constants(program, rows=rows, cols=cols, settings=settings)
    inputs: Tensors = {}
    for name in program.inputs:
        tensor = program.tensors[name]
        if name in values:
            inputs[name] = np.array(np.float32(values[name])).view(np.uint32)
        elif tensor.element == "int32":
            inputs[name] = rng.integers(0, cols, array_shape(tensor, rows, cols)).astype(np.uint32)
        else:
            shape = array_shape(tensor, rows, cols)
            if operands == "normal":
                normal = rng.standard_normal(shape, dtype=np.float32)
                positive = name.partition("_")[0] in POSITIVE
                random = (np.abs(normal) + np.float32(0.01) if positive else normal).view(np.uint32)
            else:
                high = random_operand(rng, 1, prod(shape), dtype="bf16", operands=operands).astype(np.uint32)
                random = (high.reshape(shape) << 16 | rng.integers(0, 1 << 16, shape)).astype(np.uint32)
            if tensor.element == "fp32":
                inputs[name] = random
            elif operands == "bits":
                inputs[name] = (random >> 16).astype(np.uint16)
            else:
                inputs[name] = float32_to_bf16(random.view(np.float32))
    return inputs


def run_vector_program(
    program: VectorProgram,
    inputs: Mapping[str, NDArray[Any]],
    *,
    rows: int,
    cols: int,
    lanes: int,
    causal: bool = False,
    offset: int = 0,
) -> Tensors:
    """All tensors after the program, in patterns.

    ``lanes`` are those of the vector unit; ``offset`` is that of every command, see :mod:`chiplet.graph.vector_pass`.

    Raises
    ------
    ValueError
        If an input is missing, or of another type or shape.
    """
    missing = [name for name in program.inputs if name not in inputs]
    if missing:
        raise ValueError(f"vector program {program.name}: input {missing[0]} is missing")
    tensors = dict(inputs)
    for step in program.passes:
        _run_pass(program, step, tensors, (rows, cols), lanes=lanes, causal=causal, offset=offset)
    return tensors


def array_shape(tensor: Tensor, rows: int, cols: int) -> tuple[int, ...]:
    """Shape of the array that holds ``tensor``."""
    height, width = tensor.shape(rows, cols)
    shapes = {"matrix": (height, width), "column": (height,), "row": (width,), "value": ()}
    return shapes[tensor.spread]


def _run_pass(
    program: VectorProgram,
    step: ProgramPass,
    tensors: Tensors,
    size: tuple[int, int],
    *,
    lanes: int,
    causal: bool,
    offset: int,
) -> None:
    work = program.operation(step, causal=causal)
    given = {
        operand: tensors[name][None, :]
        if step.statistics and work.operands[operand].spread == "matrix"
        else tensors[name]
        for operand, name in step.operands.items()
    }
    rows, cols = (Tensor(*program.extents(step))).shape(*size)
    result = vector_pass(work, **given, rows=rows, cols=cols, lanes=lanes, offset=offset)
    if step.y is not None:
        assert result.y is not None
        tensors[step.y] = result.y[0] if step.statistics else result.y
    if step.row is not None:
        assert result.reduction is not None
        tensors[step.row] = result.reduction[0] if step.statistics else result.reduction
    for name in step.results:
        assert tensors[name].dtype == PATTERN_TYPE[program.tensors[name].element]
