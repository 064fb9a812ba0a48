"""What a vector program is: tensors of named extents, and passes between them in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from chiplet.graph.vector_pass import (
    Element,
    FirstOp,
    Function,
    PassOperand,
    Reduction,
    SecondOp,
    Spread,
    VectorPass,
)
from chiplet.machine.specs import SUM_BYTES

__all__ = [
    "ELEMENT_BYTES",
    "HALF",
    "HALF_OPERAND",
    "LABELS",
    "MATRIX",
    "OF_COLS",
    "OF_ROWS",
    "OPERAND",
    "VALUE",
    "Extent",
    "ProgramPass",
    "Tensor",
    "VectorProgram",
    "program_of",
]

Extent = Literal["one", "rows", "cols", "half"]
"""Length of a dimension: 1, the rows or the columns that a program works on, or half of its columns."""

ELEMENT_BYTES: dict[Element, int] = {"fp32": SUM_BYTES, "bf16": 2, "int32": 4}
"""Bytes of an element in the scratchpad and in memory."""


@dataclass(frozen=True)
class Tensor:
    """Elements of a vector program: rows x cols of them, one value for each row, one row for all rows, or one value.

    Values of rows lie one after the other, as a row; a pass over statistics takes them as one.
    """

    rows: Extent
    cols: Extent
    element: Element = "fp32"

    @property
    def spread(self) -> Spread:
        """How the tensor covers the matrix of a pass that is not over statistics."""
        if self.rows == "one":
            return "value" if self.cols == "one" else "row"
        return "column" if self.cols == "one" else "matrix"

    def shape(self, rows: int, cols: int) -> tuple[int, int]:
        """Rows and columns of the tensor, of a program on ``rows`` x ``cols``.

        Raises
        ------
        ValueError
            If half of the columns is no whole number.
        """
        if "half" in (self.rows, self.cols) and cols % 2:
            raise ValueError(f"cols = {cols}: must be even, as the program works on halves of them")
        lengths = {"one": 1, "rows": rows, "cols": cols, "half": cols // 2}
        return lengths[self.rows], lengths[self.cols]


@dataclass(frozen=True)
class ProgramPass:
    """One pass of a program, with the names of its tensors; None where the pass has none.

    Attributes
    ----------
    a, b, d : str, optional
        Operands. A tensor that is an operand may be the result, too.
    y : str, optional
        Where the elements go, as that tensor's type.
    row : str, optional
        Where ``reduction`` goes, one value for each row.
    causal : bool
        The causal mask holds if the program is run with one.
    statistics : bool
        The pass is over values of rows: it takes R x 1 of them as a matrix of 1 x R.
    """

    a: str
    op1: FirstOp = "none"
    b: str | None = None
    function: Function = "none"
    op2: SecondOp = "none"
    d: str | None = None
    y: str | None = None
    reduction: Reduction = "none"
    row: str | None = None
    negate: bool = False
    causal: bool = False
    statistics: bool = False

    @property
    def operands(self) -> dict[str, str]:
        """Names of the tensors that are read, by a, b, d."""
        named = {"a": self.a, "b": self.b, "d": self.d}
        return {operand: tensor for operand, tensor in named.items() if tensor is not None}

    @property
    def results(self) -> tuple[str, ...]:
        """Names of the tensors that are written."""
        return tuple(name for name in (self.y, self.row) if name is not None)

    @property
    def over_rows(self) -> bool:
        """Whether it leaves a sum or a maximum over all rows."""
        return self.statistics and self.reduction != "none"

    @property
    def operations(self) -> int:
        """Arithmetic operations for each element; a function counts as one."""
        return sum(choice != "none" for choice in (self.op1, self.function, self.op2, self.reduction))


@dataclass(frozen=True)
class VectorProgram:
    """Tensors by name, and passes in order.

    ``inputs`` are given, ``outputs`` wanted, and the other tensors are intermediate. Inputs of one value are constants
    (:func:`chiplet.graph.vector_constants.constants`).

    Raises
    ------
    ValueError
        If a pass reads what nothing has written, a tensor is not used, or the extents of a pass do not agree.
    """

    name: str
    tensors: Mapping[str, Tensor]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    passes: tuple[ProgramPass, ...]

    def __post_init__(self) -> None:
        there = set(self.inputs)
        used = set(self.inputs)
        for number, step in enumerate(self.passes):
            for name in step.operands.values():
                if name not in there:
                    raise ValueError(
                        f"vector program {self.name}: pass {number} reads {name}: not written before"
                    )
            there |= {*step.results}
            used |= {*step.results, *step.operands.values()}
            self.operation(step, causal=False)
        for name in {*self.outputs, *self.tensors} - (there & used & set(self.tensors)):
            raise ValueError(
                f"vector program {self.name}: tensor {name} is not written, not used or not declared"
            )

    @property
    def constants(self) -> tuple[str, ...]:
        """Names of the inputs of one value."""
        return tuple(name for name in self.inputs if self.tensors[name].spread == "value")

    @cached_property
    def total_passes(self) -> tuple[ProgramPass, ...]:
        """The last passes, which leave sums or maxima over all rows."""
        first = len(self.passes)
        while first > 1 and self.passes[first - 1].over_rows:
            first -= 1
        return self.passes[first:]

    @property
    def block_passes(self) -> tuple[ProgramPass, ...]:
        """The passes before them; rows do not depend on each other there if :attr:`rows_apart`."""
        return self.passes[: len(self.passes) - len(self.total_passes)]

    @property
    def rows_apart(self) -> bool:
        """Whether a block of rows after the other may be computed, up to ``total_passes``."""
        return not any(step.over_rows for step in self.block_passes)

    @property
    def kept_whole(self) -> tuple[str, ...]:
        """Names of the values of rows that are needed of all rows at a time, in the order of their use."""
        names = [name for step in self.total_passes for name in (*step.operands.values(), *step.results)]
        return tuple(name for name in dict.fromkeys(names) if self.tensors[name].rows == "rows")

    def last_written(self, number: int) -> list[str]:
        """Names of the outputs that pass ``number`` writes, and none behind it."""
        later = {name for step in self.passes[number + 1 :] for name in step.results}
        return [name for name in self.passes[number].results if name in self.outputs and name not in later]

    @property
    def input_uses(self) -> dict[str, tuple[int, int]]:
        """Numbers of the first and of the last of ``block_passes`` that use an input, in the order of their first use.

        What ``total_passes`` use counts as used by the last one.
        """
        uses: dict[str, tuple[int, int]] = {}
        for number, step in enumerate(self.passes):
            place = min(number, len(self.block_passes) - 1)
            for name in (*step.operands.values(), *step.results):
                if name in self.inputs:
                    uses[name] = uses.get(name, (place, place))[0], place
        return uses

    def operation(self, step: ProgramPass, *, causal: bool) -> VectorPass:
        """The pass ``step`` as the vector unit knows it.

        Raises
        ------
        ValueError
            If its extents do not agree.
        """
        key = (step, causal)
        if key not in self._operations:
            self._operations[key] = self._operation(step, causal=causal)
        return self._operations[key]

    @cached_property
    def _operations(self) -> dict[tuple[ProgramPass, bool], VectorPass]:
        return {}

    def _operation(self, step: ProgramPass, *, causal: bool) -> VectorPass:
        rows, cols = self.extents(step)

        def operand(name: str | None) -> PassOperand | None:
            if name is None:
                return None
            tensor = self.tensors[name]
            if not step.statistics:
                if tensor.rows not in (rows, "one") or tensor.cols not in (cols, "one"):
                    raise ValueError(f"vector program {self.name}: {name} does not cover {rows} x {cols}")
                return PassOperand(tensor.element, tensor.spread)
            spread: Spread = "matrix" if tensor.rows == "rows" else "value"
            return PassOperand(tensor.element, spread)

        a = operand(step.a)
        assert a is not None
        operand(step.y)
        result = None if step.y is None else self.tensors[step.y].element
        assert result != "int32"
        return VectorPass(
            a=a,
            b=operand(step.b),
            d=operand(step.d),
            op1=step.op1,
            function=step.function,
            op2=step.op2,
            negate=step.negate,
            causal=causal and step.causal,
            reduction=step.reduction,
            result=result,
        )

    def extents(self, step: ProgramPass) -> tuple[Extent, Extent]:
        """Rows and columns of the matrix that a pass goes over."""
        if step.statistics:
            return "one", "rows"
        names = [*step.operands.values(), *([step.y] if step.y else [])]
        wide = [self.tensors[name].cols for name in names if self.tensors[name].cols != "one"]
        return "rows", wide[0] if wide else "one"


MATRIX, OPERAND = Tensor("rows", "cols"), Tensor("rows", "cols", "bf16")
HALF, HALF_OPERAND = Tensor("rows", "half"), Tensor("rows", "half", "bf16")
OF_ROWS, OF_COLS, VALUE = Tensor("rows", "one"), Tensor("one", "cols"), Tensor("one", "one")
LABELS = Tensor("rows", "one", "int32")


def program_of(
    name: str,
    inputs: Mapping[str, Tensor],
    passes: Iterable[ProgramPass],
    outputs: Mapping[str, Tensor],
    between: Mapping[str, Tensor] | None = None,
) -> VectorProgram:
    """A program; a tensor that is both given and wanted is updated in place.

    Raises
    ------
    ValueError
        As :class:`VectorProgram` does.
    """
    tensors = {**inputs, **(between or {}), **outputs}
    return VectorProgram(name, tensors, tuple(inputs), tuple(outputs), tuple(passes))
