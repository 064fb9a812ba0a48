"""Operators of a part of the distribution method, on tensors whose dimensions have names in the place of sizes.

A description is stated once. The graph of a training step binds it to tensors of its own, and the projection folds it
into what a die sends, multiplies and passes through its vector unit. Either refuses one that does not hold together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from chiplet.graph.layout_rules import check_layouts
from chiplet.graph.operators import Each, Operator, ProgramOperand, VectorRun
from chiplet.graph.sharding import Along, Dim, Features, KvHeads, ShardedTensor, Tokens
from chiplet.graph.vector_pass import Element
from chiplet.graph.vector_program import VectorProgram

__all__ = [
    "KV_HEADS",
    "ONE_VALUE",
    "TOKENS",
    "Description",
    "NamedDim",
    "NamedTensor",
    "operands_of",
    "turned",
    "vector_run",
]

TOKENS = "tokens"
"""The dimension whose parts are those of a list of tokens; all others are features."""
KV_HEADS = "features of key/value heads"
"""Features of heads that several dies of a line may hold."""


class NamedDim(NamedTuple):
    """A dimension by name, and the axis along which each die of a line has a part; None: it is whole.

    ``halves``: features of heads, whose halves a vector program may take.
    """

    name: str
    axis: Along | None = None
    halves: bool = False


ONE_VALUE = NamedDim("one value")
"""The columns of a tensor that has one value for each row."""


class NamedTensor(NamedTuple):
    """A tensor of two dimensions; ``partial``: the dies of a line along this axis hold summands."""

    rows: NamedDim
    cols: NamedDim
    element: Element = "bf16"
    partial: Along | None = None


def operands_of(
    bind: Mapping[str, str | tuple[str, Literal["low", "high"]] | ProgramOperand],
) -> dict[str, ProgramOperand]:
    """Operands of a vector program: tensors by name, one half of their heads, or operands as they are."""
    return {
        key: ProgramOperand(value) if isinstance(value, str) else ProgramOperand(*value)
        for key, value in bind.items()
    }


def vector_run(
    name: str, program: VectorProgram, *, each: Each = "", **bind: str | tuple[str, Literal["low", "high"]]
) -> VectorRun:
    """A vector program on tensors by name, or on one half of the heads of each."""
    return VectorRun(name=name, program=program, bind=operands_of(bind), each=each)


def turned(axis: Along) -> Along:
    """The other axis."""
    return "column" if axis == "row" else "row"


@dataclass(frozen=True, kw_only=True, eq=False)
class Description:
    """Operators in order, on ``tensors`` by name.

    Attributes
    ----------
    name
        What they are, for messages.
    given, results
        Tensors that are there before, and those that have to be written.
    """

    name: str
    tensors: Mapping[str, NamedTensor]
    operators: tuple[Operator, ...]
    given: tuple[str, ...]
    results: tuple[str, ...]

    @cached_property
    def checked(self) -> tuple[Operator, ...]:
        """The operators.

        Raises
        ------
        ValueError
            If one reads what is not there, tensors do not lie as it needs them, or a result is missing.
        """
        there, written, tensors = {*self.given}, set[str](), self._sharded
        for operator in self.operators:
            for name in operator.reads:
                if name not in there:
                    raise ValueError(
                        f"{self.name}: {operator.name} reads {name}: not given or written before"
                    )
            check_layouts(operator, tensors)
            written |= {*operator.writes}
            there |= written
        for name in self.results:
            if name not in written:
                raise ValueError(f"{self.name}: no operator writes {name}")
        return self.operators

    @property
    def _sharded(self) -> dict[str, ShardedTensor]:
        """The tensors with sizes that differ, so that layouts can be compared."""
        named = (dim for tensor in self.tensors.values() for dim in (tensor.rows, tensor.cols))
        sizes = {name: 1 + number for number, name in enumerate(dict.fromkeys(dim.name for dim in named), 1)}

        def dim(of: NamedDim) -> Dim:
            if of.name == TOKENS:
                return Tokens(of.axis)
            if of.halves:
                return Features(of.axis, 2 * sizes[of.name], 2, piece=1)
            kind = KvHeads if of.name == KV_HEADS else Features
            return kind(of.axis, sizes[of.name])

        return {
            name: ShardedTensor(name, dim(of.rows), dim(of.cols), of.element, of.partial)
            for name, of in self.tensors.items()
        }
