"""What a training step takes at least of a package, from the sizes alone: before anything is laid out or played."""

from __future__ import annotations

from math import ceil, prod, sqrt

from chiplet.graph.graph import Graph, Section
from chiplet.graph.operators import Gather, Move, Operator, Product, Reduce, Scatter, VectorRun
from chiplet.graph.sharding import DiePlace, Features, ShardedTensor
from chiplet.graph.training.sizes import StepSizes
from chiplet.graph.vector_program import ELEMENT_BYTES
from chiplet.layout.operator_parts import part_count
from chiplet.layout.storage import layout_of
from chiplet.machine.specs import DieSpec, SystemSpec, scratchpad_depth

__all__ = ["check_scratchpad", "least_commands", "least_scratchpad_bytes"]


def check_scratchpad(graph: Graph, sizes: StepSizes, system: SystemSpec) -> None:
    """Refuse what no order and no places make fit: a tensor that is loaded as a whole, or all operands of weights.

    Raises
    ------
    ValueError
        It names what needs more than there is, the bytes that it needs and those of the scratchpad.
    """
    word_bytes = system.memory.word_bytes
    there = scratchpad_depth(system.die, system.memory, system.nop) * word_bytes
    place = sizes.place(0, 0, None)
    needed = {"operands of weights alone need": least_scratchpad_bytes(graph, sizes)}
    for operator in (operator for section in graph.sections for operator in section.operators):
        if isinstance(operator, Move) and operator.direction == "load":
            for name in operator.tensors:
                layout = layout_of(graph.tensors[name], place, word_bytes)
                needed[f"{name} needs"] = layout.taken(layout.rows) * word_bytes
    largest = max(needed, key=needed.__getitem__)
    if needed[largest] > there:
        raise ValueError(f"scratchpad: {largest} {needed[largest]} bytes: die.scratchpad_bytes has {there}")


def least_scratchpad_bytes(graph: Graph, sizes: StepSizes) -> int:
    """Bytes of the scratchpad that operands of weights take, of the die that has most of them.

    All that layers use are there when the forward pass ends, as the backward pass uses them again.
    """
    die = sizes.place(sizes.rows - 1, sizes.cols - 1, None)
    ends = next(number for number, section in enumerate(graph.sections) if section.layers == "down") - 1
    written = {name for section in graph.sections[:ends] for of in section.operators for name in of.writes}
    read = {name for section in graph.sections[ends:] for of in section.operators for name in of.reads}
    held = (graph.tensors[name] for name in written & read if graph.tensors[name].life == "step")
    return sum(_bytes(tensor, die) * (graph.layers if tensor.layered else 1) for tensor in held)


def least_commands(graph: Graph, sizes: StepSizes, die: DieSpec) -> int:
    """About as many commands as all dies have at least, without those that clear, copy and pack words.

    Operators are counted on one die, so that it takes the same time for all sizes.
    """
    place = sizes.place(0, sizes.cols - 1, None)
    counts = (
        _times(section, graph, sizes) * _commands(operator, graph, place, die)
        for section in graph.sections
        for operator in section.operators
    )
    return sizes.rows * sizes.cols * sum(counts)


def _times(section: Section, graph: Graph, sizes: StepSizes) -> int:
    layers = 1 if section.layers == "once" else graph.layers
    return layers * (sizes.tiles if section.repeat == "tile" else 1)


def _commands(operator: Operator, graph: Graph, place: DiePlace, die: DieSpec) -> int:
    match operator:
        case Product():
            return part_count(operator, graph.tensors, place) * (_blocks(operator, graph, place, die) * 3 + 1)
        case Gather() | Scatter():
            return 2 * len(operator.carries) * (place.line(operator.axis)[0] > 1)
        case Reduce() | Move():
            return len(operator.tensors)
        case VectorRun():
            return part_count(operator, graph.tensors, place) * len(operator.program.passes)
    raise TypeError(f"step bounds: operator {operator.name} is a {type(operator).__name__}")


def _blocks(operator: Product, graph: Graph, place: DiePlace, die: DieSpec) -> int:
    """About the least blocks of a product of one part, each with two feeds and a GEMM.

    A block of m x k by k x n takes half of a buffer for each of its sides, so its multiply-adds are at most the square
    root of the three halves' product, as those of all blocks together are of the three matrices'.
    """
    halves = {
        operator.a: die.activation_depth * die.rows / 2,
        operator.b: die.weight_depth * die.cols / 2,
        operator.y: die.accumulator_depth * die.cols / 2,
    }
    shares = (_elements(graph.tensors[name], operator, place) / half for name, half in halves.items())
    return max(1, ceil(sqrt(prod(shares))))


def _elements(tensor: ShardedTensor, operator: Product, place: DiePlace) -> int:
    """Elements that a part of a product takes of an operand, or leaves."""
    rows, cols = tensor.shape(place)
    if operator.each == "sequence-head":
        rows = place.tile.length
    if operator.each and isinstance(tensor.cols, Features):
        cols = tensor.cols.unit
    return rows * cols


def _bytes(tensor: ShardedTensor, die: DiePlace) -> int:
    return prod(tensor.shape(die)) * ELEMENT_BYTES[tensor.element]
