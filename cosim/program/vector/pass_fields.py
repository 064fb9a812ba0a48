"""Fields of a VECTOR command, from the pass of a vector program and the places of its tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from chiplet.graph.vector_pass import VectorPass
from chiplet.graph.vector_program import ProgramPass
from rtl.interface import vector_operations as numbers
from rtl.interface.isa import VECTOR

__all__ = ["WordPlace", "pass_fields"]


class WordPlace(NamedTuple):
    """Where a tensor begins in the scratchpad, words from one of its rows to the next, and whether it is bf16."""

    word: int
    pitch: int
    bf16: bool


def pass_fields(
    step: ProgramPass,
    work: VectorPass,
    place: Callable[[str], WordPlace],
    *,
    rows: int,
    cols: int,
    offset: int = 0,
) -> dict[str, int]:
    """The command for ``step`` over ``rows`` x ``cols``, which is ``work`` for the vector unit.

    ``place`` tells where a tensor of the program lies; ``offset`` counts if the pass uses one.
    """
    used = work.causal or work.op1 == "pick"
    fields: dict[str, int] = {
        "op1": numbers.FirstOp[work.op1.upper()],
        "function": numbers.Function[work.function.upper()],
        "negate": int(work.negate),
        "op2": numbers.SecondOp[work.op2.upper()],
        "reduction": numbers.Reduction[work.reduction.upper()],
        "causal": int(work.causal),
        "offset": (offset if used else 0) % (1 << VECTOR["offset"].width),
        "result": {None: 0, "fp32": 1, "bf16": 2}[work.result],
        "rows": rows,
        "cols": cols,
    }
    for operand, name in step.operands.items():
        where, spread = place(name), work.operands[operand].spread
        fields |= {
            operand: where.word,
            f"{operand}_pitch": where.pitch if spread == "matrix" and rows > 1 else 0,
            f"{operand}_spread": numbers.Spread[spread.upper()],
            f"{operand}_bf16": int(where.bf16),
        }
    if step.y is not None:
        where = place(step.y)
        fields |= {"y": where.word, "y_pitch": where.pitch if rows > 1 else 0}
    if step.row is not None:
        fields["row"] = place(step.row).word
    return {name: int(value) for name, value in fields.items()}
