"""A VECTOR command on the words of a scratchpad, bit for bit, by the golden pass of the vector unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

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
from cosim.golden.vector import PATTERN_TYPE, vector_pass
from rtl.interface import vector_operations as numbers
from rtl.interface.isa import VECTOR
from rtl.interface.scratchpad_port import STROBE_BYTES

__all__ = ["run_vector_command"]


def _name(names: Any, number: type, value: int) -> Any:
    """The name of a choice by its number in a command."""
    return next(name for name in get_args(names) if number[name.upper()] == value)  # type: ignore[index]


def run_vector_command(fields: Mapping[str, int], scratchpad: Any, *, lanes: int) -> None:
    """Carry out a pass on ``scratchpad``, the bytes of its words, masked where they were never written.

    Parts of a word beyond the end of a row stay as they are, but for the rest of 32 bits, which becomes 0.

    Raises
    ------
    ValueError
        If the pass reads what was never written, or reaches beyond the scratchpad.
    """
    rows, cols = fields["rows"], fields["cols"]
    op1, op2 = (
        _name(FirstOp, numbers.FirstOp, fields["op1"]),
        _name(SecondOp, numbers.SecondOp, fields["op2"]),
    )
    operands: dict[str, PassOperand] = {}
    values: dict[str, NDArray[Any]] = {}
    for name in ("a", *(["b"] if op1 != "none" else []), *(["d"] if op2 != "none" else [])):
        spread = _name(Spread, numbers.Spread, fields[f"{name}_spread"])
        element: Element = "bf16" if fields[f"{name}_bf16"] else "fp32"
        if name == "b" and op1 == "pick":
            element = "int32"
        operands[name] = PassOperand(element, spread)
        shape = {"value": (1, 1), "column": (1, rows), "row": (1, cols), "matrix": (rows, cols)}[spread]
        stored = _read(scratchpad, fields[name], fields[f"{name}_pitch"], shape, PATTERN_TYPE[element])
        values[name] = stored if spread == "matrix" else stored.reshape(() if spread == "value" else -1)
    work = VectorPass(
        a=operands["a"],
        b=operands.get("b"),
        d=operands.get("d"),
        op1=op1,
        function=_name(Function, numbers.Function, fields["function"]),
        op2=op2,
        negate=bool(fields["negate"]),
        causal=bool(fields["causal"]),
        reduction=_name(Reduction, numbers.Reduction, fields["reduction"]),
        result=(None, "fp32", "bf16")[fields["result"]],
    )
    width = VECTOR["offset"].width
    offset = (fields["offset"] + (1 << width - 1)) % (1 << width) - (1 << width - 1)
    result = vector_pass(
        work,
        values["a"],
        values.get("b"),
        values.get("d"),
        rows=rows,
        cols=cols,
        lanes=lanes,
        offset=offset,
    )
    if result.y is not None:
        _write(scratchpad, fields["y"], fields["y_pitch"], result.y)
    if result.reduction is not None:
        _write(scratchpad, fields["row"], 0, result.reduction[None])


def _read(scratchpad: Any, first: int, pitch: int, shape: tuple[int, int], kind: Any) -> NDArray[Any]:
    """Rows of elements from word ``first`` on."""
    rows, cols = shape
    size = cols * np.dtype(kind).itemsize
    words = -(-size // scratchpad.shape[1])
    places = _words(scratchpad, first, pitch, rows, words)
    stored = scratchpad[places].reshape(rows, -1)[:, :size]
    if np.ma.getmaskarray(stored).any():
        raise ValueError(f"reads words from {first} on that were never written")
    values = np.ascontiguousarray(np.ma.getdata(stored)).view(np.dtype(kind).newbyteorder("<"))
    return np.asarray(values, kind)


def _write(scratchpad: Any, first: int, pitch: int, values: NDArray[Any]) -> None:
    rows = len(values)
    stored = (
        np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"))).view(np.uint8).reshape(rows, -1)
    )
    rest = -stored.shape[1] % STROBE_BYTES
    stored = np.pad(stored, ((0, 0), (0, rest)))
    size = scratchpad.shape[1]
    words = -(-stored.shape[1] // size)
    places = _words(scratchpad, first, pitch, rows, words)
    row = scratchpad[places].reshape(rows, -1)
    row[:, : stored.shape[1]] = stored
    scratchpad[places] = row.reshape(rows, words, size)


def _words(scratchpad: Any, first: int, pitch: int, rows: int, words: int) -> NDArray[np.intp]:
    """Numbers of the words of each row."""
    last = first + (rows - 1) * pitch + words - 1
    if first < 0 or last >= len(scratchpad):
        raise ValueError(f"scratchpad has no address {last}: has 0 to {len(scratchpad) - 1}")
    return first + np.arange(rows)[:, None] * pitch + np.arange(words)
