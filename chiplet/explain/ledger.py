"""The ledger of a projection: terms, their operands, and how well each is known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, get_args

from chiplet.machine.base import StrictModel
from chiplet.machine.sources import Input, Status

Derivation = Literal["sum", "product", "formula"]
"""How a term follows from its operands."""

STATUS_ORDER: tuple[Status, ...] = get_args(Status)
"""Best known first."""


class Operand(StrictModel):
    """What goes into a term: an input of the machine, a size of the workload, or another term, by name."""

    name: str
    value: float
    unit: str
    status: Status


class Term(StrictModel):
    """One number of a result: the sum or product of its operands, or what follows from them by ``formula``."""

    name: str
    value: float
    unit: str
    how: Derivation
    formula: str
    operands: list[Operand]
    status: Status


class Ledger:
    """Collects terms, each after its operands.

    ``inputs`` are what the terms may refer to by :meth:`given`.
    """

    def __init__(self, inputs: Iterable[Input]) -> None:
        self.inputs = {entry.name: entry for entry in inputs}
        self.terms: list[Term] = []

    def given(self, name: str) -> Operand:
        """An input, by its name."""
        entry = self.inputs[name]
        return Operand(name=name, value=entry.value, unit=entry.unit, status=entry.status)

    def count(self, name: str, value: float, unit: str = "", status: Status = "published") -> Operand:
        """A size of the workload, or what follows from sizes."""
        return Operand(name=name, value=value, unit=unit, status=status)

    def add(
        self, name: str, value: float, unit: str, how: Derivation, formula: str, operands: Sequence[Operand]
    ) -> Operand:
        """Write a term, known as well as its least known operand, and return it as an operand of others."""
        status = max(
            (operand.status for operand in operands), key=STATUS_ORDER.index, default=STATUS_ORDER[0]
        )
        self.terms.append(
            Term(
                name=name,
                value=value,
                unit=unit,
                how=how,
                formula=formula,
                operands=list(operands),
                status=status,
            )
        )
        return Operand(name=name, value=value, unit=unit, status=status)
