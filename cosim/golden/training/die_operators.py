"""Products and vector programs of one die, bit for bit, on the parts of tensors that the die holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chiplet.graph.operators import Product, VectorRun
from chiplet.graph.sharding import DiePlace, Dim, Features, KvHeads, ShardedTensor, Tokens
from chiplet.graph.vector_program import VectorProgram
from cosim.golden.gemm import bf16_sums
from cosim.golden.numerics import float32_to_bf16, fp32_patterns, fp32_values
from cosim.golden.vector import PATTERN_TYPE
from cosim.golden.vector_program import Tensors, array_shape, run_vector_program

__all__ = ["DieTensors", "Values", "run_product", "run_vector"]

Values = NDArray[Any]
"""Patterns of what a die holds of a tensor: (rows, cols)."""

DieTensors = MutableMapping[str, Values]
"""What a die holds of each tensor, by name."""

Constants = Callable[[VectorProgram], Mapping[str, Values]]


class _Part(NamedTuple):
    """One instance of an operator: of a sequence of the die or of all, of a unit of columns or of all."""

    sequence: int | None
    unit: int | None


def _parts(
    operator: Product | VectorRun, tensors: Mapping[str, ShardedTensor], die: DiePlace
) -> Iterator[_Part]:
    """The instances of ``operator`` on ``die``, in order."""
    if not operator.each:
        yield _Part(None, None)
        return
    names = (*operator.reads, *operator.writes)
    heads = [tensors[name].cols for name in names if isinstance(tensors[name].cols, Features)]
    split = [dim for dim in heads if dim.axis == "row"]
    queries = [dim for dim in split if not isinstance(dim, KvHeads)]
    units = (split if operator.each == "kv-head" else queries)[0]
    assert isinstance(units, Features)
    sequences: list[int | None] = [None]
    if operator.each == "sequence-head":
        sequences = [*range(len(Tokens("column").part(die)) // die.tile.length)]
    for sequence in sequences:
        for unit in units.units(die):
            yield _Part(sequence, unit)


def _slices(tensor: ShardedTensor, part: _Part, each: str, die: DiePlace) -> tuple[slice, slice]:
    """Rows and columns of what ``die`` holds of ``tensor`` that belong to ``part``."""
    rows = cols = slice(None)
    if part.sequence is not None:
        length = die.tile.length
        rows = slice(part.sequence * length, (part.sequence + 1) * length)
    dim: Dim = tensor.cols
    if part.unit is not None and isinstance(dim, Features) and dim.axis == "row":
        grouped = isinstance(dim, KvHeads) and each != "kv-head"
        number = part.unit // dim.group if grouped and isinstance(dim, KvHeads) else part.unit
        cols = dim.unit_part(number, die)
    return rows, cols


def _pieces(cols: Dim, part: _Part, die: DiePlace) -> list[int]:
    """Lengths of the pieces of columns that belong to ``part``."""
    if part.unit is not None and isinstance(cols, Features):
        return cols.unit_pieces
    return cols.pieces(die)


def run_product(
    operator: Product, tensors: Mapping[str, ShardedTensor], held: DieTensors, die: DiePlace, *, rows: int
) -> Values:
    """The result of a product on ``die``, whose array has ``rows`` rows."""
    a, b, y = (held.get(name) for name in (operator.a, operator.b, operator.y))
    assert a is not None
    assert b is not None
    of = tensors[operator.y]
    start = operator.accumulate != "no" and y is not None
    total = fp32_values(y).copy() if start and y is not None else np.zeros(of.shape(die), np.float32)
    for part in _parts(operator, tensors, die):
        x = a[_slices(tensors[operator.a], part, operator.each, die)]
        w = b[_slices(tensors[operator.b], part, operator.each, die)]
        where = _slices(of, part, operator.each, die)
        # Tiles begin anew with each piece of summed columns; summed rows are one range.
        pieces = [len(x)] if operator.form == "tn" else _pieces(tensors[operator.a].cols, part, die)
        x = x.T if operator.form == "tn" else x
        w = w.T if operator.form == "nt" else w
        if x.size and w.size:
            total[where] = bf16_sums(x, w, rows, total[where], pieces)
    patterns = fp32_patterns(total)
    return float32_to_bf16(fp32_values(patterns)) if of.element == "bf16" else patterns


def run_vector(
    operator: VectorRun,
    tensors: Mapping[str, ShardedTensor],
    held: DieTensors,
    die: DiePlace,
    *,
    lanes: int,
    constants: Constants,
) -> tuple[dict[str, Values], list[Tensors]]:
    """Results of a vector program on ``die`` by the names of tensors, and all tensors of each of its instances."""
    program, bind = operator.program, operator.bind
    outputs: dict[str, Values] = {}
    for name in operator.writes:
        tensor = tensors[name]
        there = held[name].copy() if name in operator.reads else None
        outputs[name] = np.zeros(tensor.shape(die), PATTERN_TYPE[tensor.element]) if there is None else there
    kept = []
    for part in _parts(operator, tensors, die):
        views: dict[str, tuple[str, tuple[slice, slice]]] = {}
        inputs: Tensors = dict(constants(program))
        for name, operand in bind.items():
            rows, cols = _slices(tensors[operand.tensor], part, operator.each, die)
            if operand.member is not None:
                rows = slice(operand.member, operand.member + 1)
            if operand.half:
                middle = (cols.start + cols.stop) // 2
                cols = slice(cols.start, middle) if operand.half == "low" else slice(middle, cols.stop)
            views[name] = operand.tensor, (rows, cols)
            if name in program.inputs:
                # What is updated in place goes on from the instances before.
                of = outputs.get(operand.tensor, held.get(operand.tensor))
                assert of is not None
                inputs[name] = of[rows, cols].copy()
        wanted = {name: outputs[views[name][0]][views[name][1]] for name in program.outputs if name in views}
        size = _size(program, {**wanted, **inputs})
        if 0 in size:
            continue
        for name in views.keys() & {*program.inputs}:
            inputs[name] = inputs[name].reshape(array_shape(program.tensors[name], *size))
        offset = 0 if operator.offset is None else operator.offset.part(die).start
        result = run_vector_program(
            program, inputs, rows=size[0], cols=size[1], lanes=lanes, causal=operator.causal, offset=offset
        )
        kept.append(result)
        for name in program.outputs:
            if name in views:
                target, where = views[name]
                outputs[target][where] = result[name].reshape(outputs[target][where].shape)
    return outputs, kept


def _size(program: VectorProgram, bound: Mapping[str, Values]) -> tuple[int, int]:
    """Rows and columns that a program works on, from what it is given and leaves."""
    rows = cols = 1
    for name, value in bound.items():
        tensor = program.tensors[name]
        if tensor.spread == "matrix":
            rows = value.shape[0]
            cols = value.shape[1] * (2 if tensor.cols == "half" else 1)
        elif tensor.spread == "column":
            rows = value.size
        elif tensor.spread == "row":
            cols = value.size
    return rows, cols
