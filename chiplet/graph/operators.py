"""Operators on sharded tensors. Each becomes commands of one kind of unit on every die.

===========  ========================================================  =========================================
operator     what it does                                              commands
===========  ========================================================  =========================================
Gather       every die of a line gets the parts of all                 SEND, RECEIVE
Scatter      adds up what a line holds; each die gets its part         SEND, RECEIVE with ``add``
Reduce       adds up copies; every die that has one gets the sum       SEND, RECEIVE with ``add``
Product      a GEMM of what the die has                                FEED_ACTIVATION, FEED_WEIGHT, GEMM, DRAIN
VectorRun    a vector program on what the die has                      VECTOR
Move         memory to scratchpad, or back                             LOAD or STORE
===========  ========================================================  =========================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from chiplet.graph.sharding import Along, Features
from chiplet.graph.vector_program import VectorProgram

__all__ = [
    "Carried",
    "Each",
    "Gather",
    "Half",
    "Move",
    "Operator",
    "Product",
    "ProgramOperand",
    "Purpose",
    "Reduce",
    "Scatter",
    "VectorRun",
]

Purpose = Literal["linear", "norm sums", "loss", "gains", "embedding", "replicas"]
"""What elements cross the NoP for: the two of a linear's formula, or an extra."""

Each = Literal["", "head", "kv-head", "sequence-head"]
"""An operator on parts runs once for each query head, each key/value head, or each sequence and query head of a die."""

Half = Literal["", "low", "high"]
"""The lower or the upper half of the columns of each head; all of them."""


class Carried(NamedTuple):
    """What a collective carries: ``source`` to ``target``. Each tensor has a collective of its own."""

    source: str
    target: str
    purpose: Purpose = "linear"


@dataclass(frozen=True, kw_only=True)
class Operator:
    """What each die does at a time."""

    name: str

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the tensors that it reads."""
        raise NotImplementedError

    @property
    def writes(self) -> tuple[str, ...]:
        """Names of the tensors that it writes."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class _LineOperator(Operator):
    axis: Along
    carries: tuple[Carried, ...]

    @property
    def reads(self) -> tuple[str, ...]:
        """Sources."""
        return tuple(part.source for part in self.carries)

    @property
    def writes(self) -> tuple[str, ...]:
        """Targets."""
        return tuple(part.target for part in self.carries)


class Gather(_LineOperator):
    """All-gather along ``axis``: rows that are split along it become whole, bits unchanged."""


class Scatter(_LineOperator):
    """Reduce-scatter along ``axis``: partial sums of whole rows become complete sums of the die's own rows."""


@dataclass(frozen=True, kw_only=True)
class Reduce(Operator):
    """All-reduce of each key/value head of ``tensors`` over the dies of a row that hold it, in place.

    A head's columns of a tensor are cut by rows into as many chunks of one size as there are dies.
    """

    tensors: tuple[str, ...]
    purpose: Purpose = "replicas"

    @property
    def reads(self) -> tuple[str, ...]:
        """The tensors."""
        return self.tensors

    @property
    def writes(self) -> tuple[str, ...]:
        """The tensors."""
        return self.tensors


@dataclass(frozen=True, kw_only=True)
class Product(Operator):
    """``y = a b`` (nn), ``a b^T`` (nt) or ``a^T b`` (tn) of what the die holds, in fp32 sums, or bf16 as ``y`` says.

    Attributes
    ----------
    each
        On parts. Those that leave the same part of ``y``, as the queries of a group do, add up in ascending order.
    accumulate
        ``products``: adds to the sums that earlier products left in ``y`` in this tile; ``tiles``: to those of earlier
        tiles of the step. The sums stay in the accumulator buffer, so the order is that of one long GEMM if all but
        the last are whole tiles of the array.
    """

    form: Literal["nn", "nt", "tn"]
    a: str
    b: str
    y: str
    each: Each = ""
    accumulate: Literal["no", "products", "tiles"] = "no"

    @property
    def reads(self) -> tuple[str, ...]:
        """Operands, and the sums that it adds to within a tile."""
        return (self.a, self.b, *([self.y] if self.accumulate == "products" else []))

    @property
    def writes(self) -> tuple[str, ...]:
        """Its result."""
        return (self.y,)


class ProgramOperand(NamedTuple):
    """A tensor of a vector program: ``tensor``, or of its columns the ``low`` or ``high`` half of each head, or the row
    of one ``member`` of a line.
    """

    tensor: str
    half: Half = ""
    member: int | None = None


@dataclass(frozen=True, kw_only=True)
class VectorRun(Operator):
    """A vector program on what the die holds; each of its passes is a VECTOR command.

    Attributes
    ----------
    bind
        Inputs and outputs of the program; the other tensors are scratch of this operator. Constants, which are not
        named here, are values in memory that the host writes.
    each
        On parts, with the causal mask from the start of each sequence if ``causal``.
    offset
        Features whose first one on the die is column 0 of a ``pick``.
    """

    program: VectorProgram
    bind: Mapping[str, ProgramOperand]
    each: Each = ""
    causal: bool = False
    offset: Features | None = None

    @property
    def reads(self) -> tuple[str, ...]:
        """Inputs."""
        names = (self.bind[name].tensor for name in self.program.inputs if name in self.bind)
        return tuple(dict.fromkeys(names))

    @property
    def writes(self) -> tuple[str, ...]:
        """Outputs that are wanted."""
        names = (self.bind[name].tensor for name in self.program.outputs if name in self.bind)
        return tuple(dict.fromkeys(names))

    @property
    def uses_up(self) -> tuple[str, ...]:
        """Inputs that the program writes without leaving a result there: nothing may read them behind it."""
        program = self.program
        names = (name for step in program.passes for name in step.results if name not in program.outputs)
        return tuple(dict.fromkeys(self.bind[name].tensor for name in names if name in self.bind))


@dataclass(frozen=True, kw_only=True)
class Move(Operator):
    """``load`` brings tensors from memory to the scratchpad, ``store`` takes them back."""

    direction: Literal["load", "store"]
    tensors: tuple[str, ...]

    @property
    def reads(self) -> tuple[str, ...]:
        """The tensors."""
        return self.tensors

    @property
    def writes(self) -> tuple[str, ...]:
        """The tensors, if they are loaded."""
        return self.tensors if self.direction == "load" else ()
