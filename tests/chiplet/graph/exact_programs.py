"""Vector programs run pass by pass in float64, with exact functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chiplet.graph.vector_program import ProgramPass, VectorProgram

Arrays = dict[str, NDArray[Any]]

FUNCTIONS: dict[str, Any] = {
    "none": lambda s: s,
    "exp": np.exp,
    "exp2": np.exp2,
    "recip": lambda s: 1 / s,
    "rsqrt": lambda s: 1 / np.sqrt(s),
    "log": np.log,
}
FIRST: dict[str, Any] = {
    "none": lambda a, _: a,
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "max": np.maximum,
}
SECOND: dict[str, Any] = {**FIRST, "rsub": lambda f, d: d - f}


def run_exact(program: VectorProgram, inputs: Mapping[str, Any], *, causal: bool = False) -> Arrays:
    """All tensors after the program: matrices of R x C, values of rows as R x 1."""
    arrays = {name: np.asarray(value, np.float64) for name, value in inputs.items()}
    for step in program.passes:
        _run_pass(step, arrays, causal=causal)
    return arrays


def _run_pass(step: ProgramPass, arrays: Arrays, *, causal: bool) -> None:
    def operand(name: str | None) -> Any:
        if name is None:
            return None
        value = arrays[name]
        return value.T if step.statistics else value

    a, b, d = operand(step.a), operand(step.b), operand(step.d)
    rows, cols = np.broadcast_shapes(*(value.shape for value in (a, b, d) if value is not None))
    column = np.arange(cols)
    if step.op1 == "pick":  # one value is spread over the matrix of another operand
        cols = d.shape[1] if d is not None else cols
        column = np.arange(cols)
    if causal and step.causal:
        a = np.where(column > np.arange(rows)[:, None], -np.inf, a)
    s = np.where(b == column, a, 0) if step.op1 == "pick" else FIRST[step.op1](a, b)
    f = FUNCTIONS[step.function](-s if step.negate else s)
    y = np.broadcast_to(SECOND[step.op2](f, d), (rows, cols))
    if step.y is not None:
        arrays[step.y] = y.T if step.statistics else y
    if step.row is not None:
        arrays[step.row] = (y.sum if step.reduction == "sum" else y.max)(axis=1, keepdims=True)
