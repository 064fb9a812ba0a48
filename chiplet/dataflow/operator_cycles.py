"""Cycles of an operator on a die: how long it occupies its unit, and when what it leaves is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from chiplet.graph.graph import Graph, Instance
from chiplet.graph.operators import Gather, Move, Product, Reduce, Scatter, VectorRun
from chiplet.graph.pass_cycles import beat_cycles, pass_latency
from chiplet.graph.sharding import ONE, DiePlace, Features, KvHeads, ShardedTensor, Tokens
from chiplet.graph.vector_program import ELEMENT_BYTES, Tensor
from chiplet.machine.specs import SystemSpec, function_lanes, vector_lanes

__all__ = ["OperatorCycles", "Resource", "operator_cycles"]

Resource = Literal["array", "vector", "row", "column", "load", "store"]
"""What an operator occupies: a unit of the die, or the links along an axis."""


class OperatorCycles(NamedTuple):
    """An operator on a die.

    Attributes
    ----------
    resource
        What it occupies.
    busy
        For how many cycles.
    latency
        Cycles from the end of these until its results are there.
    """

    resource: Resource
    busy: int
    latency: int


@dataclass(frozen=True)
class _Sizes:
    """Rows of a tensor on a die, and the lengths of the pieces of its columns, of one part of the operator."""

    rows: int
    pieces: Sequence[int]

    @property
    def cols(self) -> int:
        return sum(self.pieces)


def operator_cycles(instance: Instance, graph: Graph, die: DiePlace, system: SystemSpec) -> OperatorCycles:
    """Cycles of ``instance`` on ``die``."""
    operator, tensors = instance.operator, graph.tensors
    match operator:
        case Product():
            return _product(operator, tensors, die, system)
        case VectorRun():
            return _vector(operator, tensors, die, system)
        case Gather() | Scatter():
            return _line(operator, tensors, die, system)
        case Reduce():
            return OperatorCycles("row", _replicas(operator, tensors, die, system), 40)
        case Move():
            words = sum(_words(tensors[name], die, system) for name in operator.tensors)
            return OperatorCycles(
                "load" if operator.direction == "load" else "store", words, 3 * system.memory.latency_cycles
            )
        case _:
            raise TypeError(f"dataflow: operator {operator.name} is a {type(operator).__name__}")


def _part_count(operator: Product | VectorRun, tensors: Mapping[str, ShardedTensor], die: DiePlace) -> int:
    """Parts that an operator works on one after the other."""
    if not operator.each:
        return 1
    names = (*operator.reads, *operator.writes)
    split = [c for c in (tensors[n].cols for n in names) if isinstance(c, Features) and c.axis == "row"]
    heads = split if operator.each == "kv-head" else [c for c in split if not isinstance(c, KvHeads)]
    count = len(heads[0].units(die))
    if operator.each == "sequence-head":
        count *= len(Tokens("column").part(die)) // die.tile.length
    return count


def _sizes(tensor: ShardedTensor, each: str, die: DiePlace) -> _Sizes:
    rows, _ = tensor.shape(die)
    pieces = tensor.cols.pieces(die)
    if each == "sequence-head":
        rows = min(rows, die.tile.length)
    cols = tensor.cols
    if each and isinstance(cols, Features) and cols.axis == "row" and pieces:
        pieces = pieces[: max(1, cols.unit // pieces[0])]
    return _Sizes(rows, pieces)


def _product(
    operator: Product, tensors: Mapping[str, ShardedTensor], die: DiePlace, system: SystemSpec
) -> OperatorCycles:
    """Tiles of the array: each takes as many cycles as rows stream, at least as many as weights come."""
    a, b, y = (_sizes(tensors[name], operator.each, die) for name in (operator.a, operator.b, operator.y))
    rows, cols = system.die.rows, system.die.cols
    summed = [a.rows] if operator.form == "tn" else a.pieces
    streamed = a.pieces if operator.form == "tn" else [a.rows]
    k_tiles = sum(-(-size // rows) for size in summed)
    panels = sum(-(-size // cols) for size in y.pieces)
    least = max(rows, system.die.stages)
    cycles = sum(max(size, least) for size in streamed if size) * k_tiles * panels
    count = _part_count(operator, tensors, die)
    del b
    return OperatorCycles("array", count * cycles if all(summed) else 0, 40)


def _vector(
    operator: VectorRun, tensors: Mapping[str, ShardedTensor], die: DiePlace, system: SystemSpec
) -> OperatorCycles:
    """Passes one after the other."""
    program = operator.program
    lanes = vector_lanes(system.vector, system.memory)
    functions = function_lanes(system.vector, system.memory)
    rows, cols, pieces = _extent(operator, tensors, die)
    cycles = 0
    for step in program.passes:
        height, width = Tensor(*program.extents(step)).shape(rows, max(cols, 1))
        work = program.operation(step, causal=False)
        cut = pieces if not step.statistics and width == cols else [width]
        for size in cut if work.reduction == "none" else [width]:
            cycles += int(
                beat_cycles(
                    work,
                    rows=height,
                    cols=size,
                    lanes=lanes,
                    function_lanes=functions,
                    word_bytes=system.memory.word_bytes,
                )
            ) + pass_latency(work, lanes=lanes, stages=system.die.stages)
    there = rows > 0 and cols > 0
    return OperatorCycles("vector", cycles * _part_count(operator, tensors, die) if there else 0, 2)


def _extent(
    operator: VectorRun, tensors: Mapping[str, ShardedTensor], die: DiePlace
) -> tuple[int, int, Sequence[int]]:
    """Rows and columns that a program works on at a time, and the pieces of the columns."""
    rows, cols, pieces = 1, 1, [1]
    for name, operand in operator.bind.items():
        tensor, sizes = operator.program.tensors[name], _sizes(tensors[operand.tensor], operator.each, die)
        if tensor.spread == "matrix":
            rows, cols, pieces = sizes.rows, sizes.cols, [*sizes.pieces]
            if tensors[operand.tensor].cols == ONE:
                rows, cols, pieces = 1, sizes.rows, [sizes.rows]
            elif operand.half or tensor.cols == "half":
                pieces = [cols // 2]
                cols = cols // 2 * (2 if tensor.cols == "half" else 1)
            break
        if tensor.spread == "column":
            rows = sizes.cols if operand.member is not None else max(sizes.rows, rows)
    if operator.offset is not None:
        cols = len(operator.offset.part(die))
        pieces = [cols]
    return rows, cols, pieces


def _words(tensor: ShardedTensor, die: DiePlace, system: SystemSpec) -> int:
    """Words of what a die holds."""
    rows, _ = tensor.shape(die)
    size, word = ELEMENT_BYTES[tensor.element], system.memory.word_bytes
    if tensor.cols == ONE:
        return -(-rows * size // word)
    return rows * sum(-(-piece * size // word) for piece in tensor.cols.pieces(die))


def _line(
    operator: Gather | Scatter, tensors: Mapping[str, ShardedTensor], die: DiePlace, system: SystemSpec
) -> OperatorCycles:
    """Chunks of all other dies over a die's links."""
    nodes, _ = die.line(operator.axis)
    if nodes == 1:
        return OperatorCycles(operator.axis, 0, 0)
    flits = 0
    for part in operator.carries:
        split = tensors[part.source if isinstance(operator, Gather) else part.target]
        chunk, size, word = split.rows.chunk(die), ELEMENT_BYTES[split.element], system.memory.word_bytes
        if split.cols == ONE:
            words = -(-chunk * size // word)
        else:
            words = chunk * sum(-(-piece * size // word) for piece in split.cols.pieces(die))
        flits += -(-words * word * 8 // system.nop.flit_bits)
    return OperatorCycles(operator.axis, (nodes - 1) * flits, 40 * (nodes - 1))


def _replicas(
    operator: Reduce, tensors: Mapping[str, ShardedTensor], die: DiePlace, system: SystemSpec
) -> int:
    return sum(
        2 * _words(tensors[name], die, system) * system.memory.word_bytes * 8 // system.nop.flit_bits
        for name in operator.tensors
    )
