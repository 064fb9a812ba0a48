"""One pass of the vector unit: what it reads, computes and leaves. Hardware, golden model and cost share this meaning.

A pass goes over a matrix of rows x cols elements, row after row::

    a'  = -inf where causal and col > row + offset, else a
    s   = a' op1 b
    f   = function(-s if negate else s)
    y   = f op2 d

and leaves y, as fp32 or bf16, the sum or the maximum of each row of y, or both. All of it is fp32 inside, with the
rules of ``docs/numerics.md``. Row sums and maxima take y before it becomes bf16.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

__all__ = [
    "Element",
    "FirstOp",
    "Function",
    "PassOperand",
    "Reduction",
    "SecondOp",
    "Spread",
    "VectorPass",
]

Element = Literal["fp32", "bf16", "int32"]
"""Type of an operand's elements; ``int32`` is for labels alone."""

Spread = Literal["value", "column", "row", "matrix"]
"""How an operand covers the matrix: one value for all, a value for each row, one row for all rows, or all elements."""

FirstOp = Literal["none", "add", "sub", "mul", "max", "pick"]
"""op1: a, a + b, a - b, a * b, the larger one; ``pick`` is a where the label b = col + offset, else +0."""

Function = Literal["none", "exp", "exp2", "recip", "rsqrt", "log"]
"""e ** s, 2 ** s, 1 / s, 1 / sqrt(s), natural logarithm."""

SecondOp = Literal["none", "add", "sub", "mul", "rsub"]
"""op2: f, f + d, f - d, f * d, d - f."""

Reduction = Literal["none", "sum", "max"]
"""What is left of each row of y besides y itself."""


@dataclass(frozen=True)
class PassOperand:
    """An operand of a pass: type of its elements, and how it covers the matrix.

    Raises
    ------
    ValueError
        If a value is not one of those that exist.
    """

    element: Element = "fp32"
    spread: Spread = "matrix"

    def __post_init__(self) -> None:
        _check("operand", "element", self.element, Element)
        _check("operand", "spread", self.spread, Spread)


@dataclass(frozen=True)
class VectorPass:
    """A pass: operations and operands. Sizes, ``offset`` and addresses belong to the command that carries it out.

    Attributes
    ----------
    a, b, d : PassOperand
        Operands; ``b`` is there if ``op1`` is not ``none``, ``d`` if ``op2`` is not.
    op1, function, op2, negate, causal
        See above.
    reduction
        Sum or maximum of each row, as fp32, one after the other without gaps.
    result
        Type in which y is left; None if only the reduction is wanted.

    Raises
    ------
    ValueError
        If a value is not one of those that exist, an operand is missing or superfluous, labels are not int32 or
        another operand is, or nothing is left.
    """

    a: PassOperand
    b: PassOperand | None = None
    d: PassOperand | None = None
    op1: FirstOp = "none"
    function: Function = "none"
    op2: SecondOp = "none"
    negate: bool = False
    causal: bool = False
    reduction: Reduction = "none"
    result: Literal["fp32", "bf16"] | None = "fp32"

    def __post_init__(self) -> None:
        _check("pass", "op1", self.op1, FirstOp)
        _check("pass", "function", self.function, Function)
        _check("pass", "op2", self.op2, SecondOp)
        _check("pass", "reduction", self.reduction, Reduction)
        if self.result not in ("fp32", "bf16", None):
            raise ValueError(f"vector pass: result = {self.result!r}: must be one of fp32, bf16, None")
        for name, operand, op in (("b", self.b, self.op1), ("d", self.d, self.op2)):
            if (operand is None) != (op == "none"):
                which = "is missing" if operand is None else "is not used"
                raise ValueError(f"vector pass: operand {name} {which} with operation {op}")
        for name, operand in self.operands.items():
            label = name == "b" and self.op1 == "pick"
            if label != (operand.element == "int32"):
                raise ValueError(
                    f"vector pass: operand {name} has elements {operand.element}: "
                    f"must be {'int32, as it holds labels' if label else 'fp32 or bf16'}"
                )
        if self.result is None and self.reduction == "none":
            raise ValueError("vector pass: leaves nothing: must have a result or a reduction")

    @property
    def operands(self) -> dict[str, PassOperand]:
        """Operands that are there, by name: a, b, d."""
        named = {"a": self.a, "b": self.b, "d": self.d}
        return {name: operand for name, operand in named.items() if operand is not None}


def _check(what: str, name: str, value: str, allowed: object) -> None:
    names: tuple[str, ...] = get_args(allowed)
    if value not in names:
        raise ValueError(f"vector {what}: {name} = {value!r}: must be one of {', '.join(names)}")
