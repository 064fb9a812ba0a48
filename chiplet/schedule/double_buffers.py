"""Weights of the next block, and gradients of the last one, beside those of a block.

In the order of execution attention and FFN take turns, those of layers that differ in the order of the layers. The
input comes before the first attention, and the head follows the last FFN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chiplet.machine.specs import SUM_BYTES
from chiplet.schedule.buffers import BlockMemory
from chiplet.vectorized.elementwise import Number, larger


def largest_pair(units: Sequence[Number], following: Sequence[Number] = ()) -> Number:
    """The largest two consecutive sets of weights of ``units`` and then ``following``, in a circle."""
    circle = [*units, *following]
    return larger(*(first + second for first, second in zip(circle, circle[1:] + circle[:1], strict=True)))


def pair_of(memory: BlockMemory, beside: BlockMemory) -> Number:
    """The largest two sets of weights that follow each other in a block, and between it and the one ``beside`` it."""
    name = memory.block.name
    if name == "head":
        return largest_pair(memory.units, beside.units[-1:])
    return largest_pair(memory.units, beside.units[:1] if name == "input" else beside.units)


def pairs_of(memories: Sequence[BlockMemory]) -> list[Number]:
    """For each of all blocks, the largest two sets of weights that follow each other in it or beside it."""
    by_label = {memory.block.label: memory for memory in memories}
    return [
        larger(*(pair_of(memory, by_label[label]) for label in memory.block.neighbours))
        for memory in memories
    ]


def double_buffered(memory: BlockMemory, pair: Number) -> tuple[Any, Any]:
    """Whether weights can be loaded ahead, and gradients stored behind, if ``pair`` are the largest sets held at
    once.
    """
    die = memory.die
    return (
        pair * die.element_bytes + memory.passing_bytes <= die.weight_bytes,
        pair * SUM_BYTES + memory.panel_bytes <= die.accumulator_bytes,
    )


def both_buffered(memory: BlockMemory, pair: Number) -> Any:
    """Whether both can be done."""
    ahead, behind = double_buffered(memory, pair)
    return ahead & behind
