"""Numbers of slices that may be quicker than the fewest that fit, which machines with smaller buffers take."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from chiplet.schedule.buffers import BlockMemory
from chiplet.schedule.mini_batches import batch_of
from chiplet.vectorized.bisection import smallest_true
from chiplet.vectorized.elementwise import Number, anywhere, ceil_div, choose, larger, rounded_up, smaller
from chiplet.workload.operations import largest_slice, linears, slice_count

MULTIPLES = (1, 1.125, 1.25, 1.375, 1.5, 1.625, 1.75, 1.875, 2)
"""Numbers of slices that are looked at, as multiples of the fewest, but at least one more."""


def slice_counts(memory: BlockMemory, size: Number) -> Iterator[Number]:
    """Numbers of slices beside those of ``memory``, of a block with mini-batches of ``size``: out of up to twice as
    many the one whose columns fill the array best, and for an attention whose linears take a mini-batch in pieces the
    fewest with which it is one piece. Those that are not above the number of ``memory`` are no candidates.
    """
    most = smaller(*(linear.h_out for linear in linears(memory.block)))
    best, least = memory.slices, _array_columns(memory)
    for multiple in MULTIPLES:
        count = smaller(most, larger(memory.slices + 1, rounded_up(memory.slices * multiple)))
        columns = _array_columns(replace(memory, slices=count))
        best, least = choose(columns < least, count, best), smaller(least, columns)
    if anywhere(best > memory.slices):
        yield best
    if memory.method.token_tiled or memory.parts < 3:
        return
    batch = batch_of(memory, size)

    def whole(count: Number) -> Number:
        return replace(memory, slices=count).pieces(batch.tokens, batch.sequences) <= 1

    fewest = smaller(smallest_true(2, most + 1, whole), most)
    if anywhere(fewest > memory.slices):
        yield fewest


def _array_columns(memory: BlockMemory) -> Number:
    """Weights of a die in all slices of the block's linears, with columns of the array that a slice leaves unused."""
    method, columns = memory.method, memory.die.cols
    total: Number = 0
    for linear in linears(memory.block):
        gemm = method.linear_forward(largest_slice(linear, memory.slices), 1).gemms[0]
        total = total + slice_count(linear, memory.slices) * gemm.k * ceil_div(gemm.n, columns) * columns
    return total
