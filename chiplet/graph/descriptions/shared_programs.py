"""Vector programs of a training step whose rows or columns are shared by several dies.

They take the place of programs of :mod:`chiplet.graph.vector_programs` that need a whole row. A norm is folded into the
linear behind it: with gain g, weight W and W' = bf16(g W), the products are x W'. The sum of squares of x travels with
them, and y = scale (x W') with scale = 1 / sqrt(mean of squares + epsilon) where it is complete. Backward, with
u = scale dy as an operand, dx = u W'^T - x t, where t = scale / hidden times the sum of u y over all outputs.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

from chiplet.graph.vector_pass import Element
from chiplet.graph.vector_program import (
    LABELS,
    MATRIX,
    OF_COLS,
    OF_ROWS,
    OPERAND,
    VALUE,
    ProgramPass,
    Tensor,
    VectorProgram,
    program_of,
)
from chiplet.graph.vector_programs import ADAM, SGD

__all__ = [
    "CAST",
    "CROSS_ENTROPY_INPUT",
    "GAIN_TERMS",
    "NORM_INPUT",
    "NORM_INPUT_FIRST",
    "NORM_OPERAND",
    "NORM_SCALE",
    "ONE_HOT",
    "SCALE",
    "SCALE_COLUMNS",
    "SCALE_COLUMNS_OPERAND",
    "SCALE_OPERAND",
    "SILU_SCALED",
    "ZEROS",
    "Optimizer",
    "norm_share",
    "product_sums",
    "product_sums_add",
    "sums_of",
    "update",
]

Optimizer = Literal["sgd", "adam"]

ONE_HOT = program_of(
    "one-hot",
    {"one": VALUE, "label": LABELS},
    (ProgramPass("one", "pick", "label", y="y"),),
    {"y": OPERAND},
)

CAST = program_of("cast", {"x": MATRIX}, (ProgramPass("x", y="y"),), {"y": OPERAND})

NORM_OPERAND = program_of(
    "norm-operand",
    {"x": MATRIX},
    (ProgramPass("x", "mul", "x", reduction="sum", row="squares"), ProgramPass("x", y="y")),
    {"y": OPERAND, "squares": OF_ROWS},
)

NORM_SCALE = program_of(
    "norm-scale",
    {"squares": OF_ROWS, "epsilon_of_row": VALUE, "root_of_row": VALUE},
    (
        ProgramPass(
            "squares", "add", "epsilon_of_row", "rsqrt", "mul", "root_of_row", y="scale", statistics=True
        ),
    ),
    {"scale": OF_ROWS},
)


def _scaled(name: str, scale: Tensor, result: Tensor) -> VectorProgram:
    return program_of(
        name, {"x": MATRIX, "scale": scale}, (ProgramPass("x", "mul", "scale", y="y"),), {"y": result}
    )


SCALE = _scaled("scale", OF_ROWS, MATRIX)
SCALE_COLUMNS = _scaled("scale-columns", OF_COLS, MATRIX)
SCALE_OPERAND = _scaled("scale-operand", OF_ROWS, OPERAND)
SCALE_COLUMNS_OPERAND = _scaled("scale-columns-operand", OF_COLS, OPERAND)

# As silu, with gate and up scaled; what is saved of them for the backward pass is what the forward pass uses.
SILU_SCALED = program_of(
    "silu-scaled",
    {"gate": MATRIX, "up": MATRIX, "scale": OF_ROWS, "one": VALUE},
    (
        ProgramPass("gate", "mul", "scale", y="gate_saved"),
        ProgramPass("up", "mul", "scale", y="up_saved"),
        ProgramPass("gate_saved", function="exp", negate=True, y="e"),
        ProgramPass("e", "add", "one", function="recip", op2="mul", d="gate_saved", y="e"),
        ProgramPass("e", "mul", "up_saved", y="y"),
    ),
    {"y": OPERAND, "gate_saved": OPERAND, "up_saved": OPERAND},
    {"e": MATRIX},
)

# u = scale (softmax - 1 at the label) / tokens, from what cross-entropy and cross-entropy-merge leave.
CROSS_ENTROPY_INPUT = program_of(
    "cross-entropy-input",
    {
        "e": MATRIX,
        "label": LABELS,
        "largest": OF_ROWS,
        "most": OF_ROWS,
        "all": OF_ROWS,
        "scale": OF_ROWS,
        "part_of_tokens": VALUE,
    },
    (
        ProgramPass("all", function="recip", op2="mul", d="part_of_tokens", y="share", statistics=True),
        ProgramPass(
            "largest", "sub", "most", function="exp", op2="mul", d="share", y="share", statistics=True
        ),
        ProgramPass("share", "mul", "scale", y="share", statistics=True),
        ProgramPass("scale", "mul", "part_of_tokens", y="part", statistics=True),
        ProgramPass("e", "mul", "share", y="p"),
        ProgramPass("part", "pick", "label", op2="rsub", d="p", y="u"),
    ),
    {"u": OPERAND},
    {"share": OF_ROWS, "part": OF_ROWS, "p": MATRIX},
)


@cache
def product_sums(u: Element, y: Element) -> VectorProgram:
    """Sums of u y over columns in one piece, whose elements are of these types."""
    return program_of(
        f"product-sums-{u}-{y}",
        {"u": Tensor("rows", "cols", u), "y": Tensor("rows", "cols", y)},
        (ProgramPass("u", "mul", "y", reduction="sum", row="sums"),),
        {"sums": OF_ROWS},
    )


# What sums over pieces begin with.
ZEROS = program_of(
    "zeros", {"zero": VALUE}, (ProgramPass("zero", y="total", statistics=True),), {"total": OF_ROWS}
)


@cache
def product_sums_add(u: Element, y: Element) -> VectorProgram:
    """The same over one of several pieces, added to the ``total`` of those before it."""
    return program_of(
        f"product-sums-add-{u}-{y}",
        {"u": Tensor("rows", "cols", u), "y": Tensor("rows", "cols", y), "total": OF_ROWS},
        (
            ProgramPass("u", "mul", "y", reduction="sum", row="sums"),
            ProgramPass("total", "add", "sums", y="total", statistics=True),
        ),
        {"total": OF_ROWS},
        {"sums": OF_ROWS},
    )


@cache
def norm_share(count: int) -> VectorProgram:
    """t of a norm in front of ``count`` linears: their sums of u y, added up in their order, times scale / hidden."""
    names = [f"x_{number}" for number in range(count)]
    add = [ProgramPass("t", "add", name, y="t", statistics=True) for name in names[1:]]
    return program_of(
        f"norm-share-{count}",
        {**dict.fromkeys(names, OF_ROWS), "scale": OF_ROWS, "part_of_row": VALUE},
        (
            ProgramPass("x_0", y="t", statistics=True),
            *add,
            ProgramPass("t", "mul", "scale", op2="mul", d="part_of_row", y="t", statistics=True),
        ),
        {"t": OF_ROWS},
    )


def _norm_input(name: str, *, first: bool) -> VectorProgram:
    """dx = z - x t, added to the gradient that came past the branch unless it is the ``first``; and as an operand."""
    last = (
        ProgramPass("x", "mul", "t", op2="rsub", d="z", y="gradient" if first else "z"),
        *(() if first else (ProgramPass("gradient", "add", "z", y="gradient"),)),
        ProgramPass("gradient", y="y"),
    )
    given = {} if first else {"gradient": MATRIX}
    return program_of(
        name, {"x": OPERAND, "t": OF_ROWS, "z": MATRIX, **given}, last, {"gradient": MATRIX, "y": OPERAND}
    )


NORM_INPUT_FIRST = _norm_input("norm-input-first", first=True)
NORM_INPUT = _norm_input("norm-input", first=False)

# The gradient of a gain is the sum of w g over outputs, of the weight behind it and the gradient of the folded weight.
# Where outputs are rows, as in the embedding, the array adds up the terms.
GAIN_TERMS = program_of(
    "gain-terms", {"w": MATRIX, "g": MATRIX}, (ProgramPass("w", "mul", "g", y="y"),), {"y": OPERAND}
)


@cache
def sums_of(count: int) -> VectorProgram:
    """Sum of ``count`` rows of values, in their order."""
    names = [f"x_{number}" for number in range(count)]
    first = ProgramPass("x_0", y="y", statistics=True)
    more = [ProgramPass("y", "add", name, y="y", statistics=True) for name in names[1:]]
    return program_of(f"sums-{count}", dict.fromkeys(names, OF_ROWS), (first, *more), {"y": OF_ROWS})


@cache
def update(optimizer: Optimizer) -> VectorProgram:
    """``sgd`` or ``adam`` without the operand of the next step, which is made when that begins."""
    base = SGD if optimizer == "sgd" else ADAM
    tensors = {name: base.tensors[name] for name in base.inputs}
    results = {name: base.tensors[name] for name in base.outputs if name != "operand"}
    assert base.passes[-1].y == "operand"
    return program_of(f"{optimizer}-update", tensors, base.passes[:-1], results)
