"""What the vector programs demand for each element: elements in passes, operations, bytes of the scratchpad.

Passes over values of rows are left out: they have one element where the others have a row. So are the beginnings and
ends of passes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from chiplet.graph.vector_program import ELEMENT_BYTES, VectorProgram
from chiplet.graph.vector_programs import vector_program
from chiplet.vectorized.additive import Additive
from chiplet.vectorized.elementwise import Number

__all__ = ["VectorWork", "program_work", "work_of"]


@dataclass(frozen=True)
class VectorWork(Additive):
    """Elements in passes without a function and with one, arithmetic operations, bytes in and out of the scratchpad."""

    plain: Number = 0.0
    functions: Number = 0.0
    operations: Number = 0.0
    scratchpad_bytes: Number = 0.0

    def cycles(self, lanes: Number, function_lanes: Number) -> Number:
        """Cycles of a vector unit: each lane takes an element in each, of passes with a function each function lane."""
        return self.plain / lanes + self.functions / function_lanes


@cache
def program_work(name: str) -> VectorWork:
    """What the vector program called ``name`` demands for each element of its rows x columns.

    Raises
    ------
    ValueError
        If there is no such program.
    """
    return work_of(vector_program(name))


def work_of(program: VectorProgram) -> VectorWork:
    """What ``program`` demands for each element of its rows x columns."""
    total = VectorWork()
    for step in program.passes:
        if step.statistics:
            continue
        share = 0.5 if "half" in program.extents(step) else 1.0
        matrices = {name for name in step.operands.values() if program.tensors[name].spread == "matrix"}
        moved = sum(ELEMENT_BYTES[program.tensors[name].element] for name in matrices)
        moved += 0 if step.y is None else ELEMENT_BYTES[program.tensors[step.y].element]
        plain = step.function == "none"
        total += VectorWork(float(plain), float(not plain), step.operations, moved) * share
    return total
