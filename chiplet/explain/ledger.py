"""The ledger of a projection: terms, their operands, and how well each is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

from chiplet.machine.base import StrictModel
from chiplet.machine.sources import Status


class Ledger(Protocol):
    """Where terms are written: see :mod:`chiplet.explain.step`."""

    def given(self, name: str) -> Operand:
        """An input of the machine."""

    def count(self, name: str, value: float, unit: str = "", status: Any = "published") -> Operand:
        """A size of the workload, or what follows from sizes."""

    def add(
        self, name: str, value: float, unit: str, how: Any, formula: str, operands: Sequence[Operand]
    ) -> Operand:
        """Write a term, and return it as an operand of others."""


How = Literal["sum", "product", "formula"]


STATUS_ORDER: tuple[Status, ...] = ("measured", "published", "assumed")


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
    how: Literal["sum", "product", "formula"]
    formula: str
    operands: list[Operand]
    status: Status
