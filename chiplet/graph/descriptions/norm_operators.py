"""The norm in front of linears of type A, which it is folded into, and the residual stream around both.

A die's sums of squares travel beside x, and are added up beside y, which is scaled there. Backward, sums of products of
outputs and their gradients travel beside dy and dx in the same way. The operators of linears and norm of one name are
one collective operator.
"""

from __future__ import annotations

from chiplet.graph.descriptions.description import TOKENS, Description, NamedDim, NamedTensor, vector_run
from chiplet.graph.descriptions.shared_programs import (
    NORM_INPUT,
    NORM_INPUT_FIRST,
    NORM_OPERAND,
    NORM_SCALE,
)
from chiplet.graph.operators import Carried, Gather, Scatter
from chiplet.graph.vector_program import VectorProgram
from chiplet.graph.vector_programs import vector_program

__all__ = ["BACKWARD", "BACKWARD_FIRST", "FORWARD", "RESIDUAL"]

_ALL = NamedDim(TOKENS)
_OF_ROW, _OF_COLUMN = NamedDim(TOKENS, "row"), NamedDim(TOKENS, "column")
_SUMS = NamedDim("norm sums")
_FEATURES = NamedDim("inputs", "column")

_STREAM, _OPERAND = NamedTensor(_OF_ROW, _FEATURES, "fp32"), NamedTensor(_OF_ROW, _FEATURES)

_TENSORS = {
    "residual": _STREAM,
    "branch": _STREAM,
    "x": _OPERAND,
    "squares": NamedTensor(_OF_ROW, _SUMS, "fp32", "column"),
    "squares_all": NamedTensor(_ALL, _SUMS, "fp32", "column"),
    "squares_total": NamedTensor(_OF_COLUMN, _SUMS, "fp32"),
    "scale": NamedTensor(_OF_COLUMN, _SUMS, "fp32"),
    "t": NamedTensor(_OF_COLUMN, _SUMS, "fp32", "row"),
    "t_all": NamedTensor(_ALL, _SUMS, "fp32", "row"),
    "t_total": NamedTensor(_OF_ROW, _SUMS, "fp32"),
    "dx": _STREAM,
    "gradient": _STREAM,
    "gradient_operand": _OPERAND,
}

FORWARD = Description(
    name="norm forward",
    tensors=_TENSORS,
    operators=(
        vector_run("norm", NORM_OPERAND, x="residual", y="x", squares="squares"),
        Gather(name="gather_x", axis="row", carries=(Carried("squares", "squares_all", "norm sums"),)),
        Scatter(
            name="scatter_y", axis="column", carries=(Carried("squares_all", "squares_total", "norm sums"),)
        ),
        vector_run("scale_of_tokens", NORM_SCALE, squares="squares_total", scale="scale"),
    ),
    given=("residual",),
    results=("x", "scale"),
)
"""Of the residual stream: the operand x of the linears, and the scale of each token's outputs."""


def _backward(name: str, program: VectorProgram, given: tuple[str, ...]) -> Description:
    return Description(
        name=name,
        tensors=_TENSORS,
        operators=(
            Gather(name="gather_dy", axis="column", carries=(Carried("t", "t_all", "norm sums"),)),
            Scatter(name="scatter_dx", axis="row", carries=(Carried("t_all", "t_total", "norm sums"),)),
            vector_run(
                "norm_backward",
                program,
                x="x",
                t="t_total",
                z="dx",
                gradient="gradient",
                y="gradient_operand",
            ),
        ),
        given=("x", "t", "dx", *given),
        results=("gradient", "gradient_operand"),
    )


BACKWARD = _backward("norm backward", NORM_INPUT, ("gradient",))
"""The gradient of the residual stream in front of the norm: what came past the linears is added."""
BACKWARD_FIRST = _backward("norm backward of the head", NORM_INPUT_FIRST, ())
"""The same where nothing came past them."""

RESIDUAL = Description(
    name="residual",
    tensors=_TENSORS,
    operators=(vector_run("add", vector_program("residual"), x="residual", branch="branch"),),
    given=("residual", "branch"),
    results=("residual",),
)
"""What a linear of type B leaves is added to the residual stream, in layout A."""
