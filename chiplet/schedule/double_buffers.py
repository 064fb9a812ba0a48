"""Weights of the next block, and gradients of the last one, beside those of a block.

In the order of execution attention and FFN take turns, and the head follows the last FFN.
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


def neighbours(attention: BlockMemory, ffn: BlockMemory, head: BlockMemory) -> tuple[Number, Number, Number]:
    """The largest two sets of weights that follow each other, for each of the three blocks."""
    layers = largest_pair(attention.units, ffn.units)
    return layers, layers, largest_pair(head.units, ffn.units[-1:])


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
