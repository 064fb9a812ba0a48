"""A VECTOR command of the functional model: its pass on the words of a scratchpad."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from chiplet.graph.vector_pass import Element, PassOperand, VectorPass
from cosim.golden.vector import PATTERN_TYPE, vector_pass
from cosim.golden.written_store import WrittenStore
from rtl.interface import vector_operations as numbers
from rtl.interface.isa import VECTOR

__all__ = ["carry_out", "pass_of"]

_RESULTS: tuple[Literal["fp32", "bf16"] | None, ...] = (None, "fp32", "bf16")


def carry_out(fields: Mapping[str, int], scratchpad: WrittenStore, *, lanes: int) -> None:
    """Carry out a pass with the lanes of the vector unit on a scratchpad of bytes, (words, bytes of a word).

    Raises
    ------
    ValueError
        If it reaches beyond the scratchpad, or reads what was never written.
    """
    work = pass_of(fields)
    rows, cols = fields["rows"], fields["cols"]
    given = {
        name: _read(scratchpad, operand, fields[name], fields[f"{name}_pitch"], rows, cols)
        for name, operand in work.operands.items()
    }
    sign = 1 << VECTOR["offset"].width - 1
    offset = (fields["offset"] ^ sign) - sign
    result = vector_pass(work, **given, rows=rows, cols=cols, lanes=lanes, offset=offset)
    if result.y is not None:
        _write(scratchpad, fields["y"], fields["y_pitch"], result.y)
    if result.reduction is not None:
        _write(scratchpad, fields["row"], 0, result.reduction[None])


def pass_of(fields: Mapping[str, int]) -> VectorPass:
    """The pass that a command asks for. Raises ValueError if there is no such pass."""

    def name(family: Any, field: str) -> Any:
        return family(fields[field]).name.lower()

    op1, op2 = name(numbers.FirstOp, "op1"), name(numbers.SecondOp, "op2")
    operands = {
        operand: PassOperand(
            _element(fields, operand, pick=op1 == "pick"), name(numbers.Spread, f"{operand}_spread")
        )
        for operand, there in (("a", True), ("b", op1 != "none"), ("d", op2 != "none"))
        if there
    }
    return VectorPass(
        **operands,
        op1=op1,
        function=name(numbers.Function, "function"),
        negate=bool(fields["negate"]),
        op2=op2,
        reduction=name(numbers.Reduction, "reduction"),
        causal=bool(fields["causal"]),
        result=_RESULTS[fields["result"]],
    )


def _element(fields: Mapping[str, int], operand: str, *, pick: bool) -> Element:
    if operand == "b" and pick:
        return "int32"
    return "bf16" if fields[f"{operand}_bf16"] else "fp32"


def _place(
    scratchpad: WrittenStore, word: int, pitch: int, rows: int, length: int
) -> tuple[NDArray[np.int64], slice]:
    """The words of each of ``rows`` rows of ``length`` bytes, and their bytes in the words."""
    words = -(-length // scratchpad.values.shape[1])
    scratchpad.range(word, (rows - 1) * pitch + words)
    return word + np.arange(rows)[:, None] * pitch + np.arange(words), slice(length)


def _read(
    scratchpad: WrittenStore, operand: PassOperand, word: int, pitch: int, rows: int, cols: int
) -> NDArray[Any]:
    """Patterns of an operand, in the shape that the golden model wants."""
    height = rows if operand.spread == "matrix" else 1
    width = {"matrix": cols, "row": cols, "column": rows, "value": 1}[operand.spread]
    kind = np.dtype(PATTERN_TYPE[operand.element])
    words, some = _place(scratchpad, word, pitch, height, width * kind.itemsize)
    if not scratchpad.written[words].reshape(height, -1)[:, some].all():
        raise ValueError(f"reads a part of the {scratchpad.name} that was never written")
    values: NDArray[Any] = np.ascontiguousarray(scratchpad.values[words].reshape(height, -1)[:, some]).view(
        kind
    )
    shape = {"matrix": values.shape, "value": ()}.get(operand.spread, (width,))
    return values.reshape(shape)


def _write(scratchpad: WrittenStore, word: int, pitch: int, values: NDArray[Any]) -> None:
    """Write rows of patterns; what they leave of their last words stays as it was."""
    data = np.ascontiguousarray(values).view(np.uint8).reshape(len(values), -1)
    width = data.shape[1]
    word_bytes = scratchpad.values.shape[1]
    words, _ = _place(scratchpad, word, pitch, len(data), width)
    at = words.repeat(word_bytes, axis=1)[:, :width]
    byte = np.tile(np.arange(word_bytes), words.shape[1])[:width]
    scratchpad.write((at, byte[None]), data)
