"""Sizes of rounds and mini-batches: equal parts as far as they go, and what is left for the last one."""

from __future__ import annotations

from dataclasses import dataclass

from chiplet.schedule.buffers import BlockMemory
from chiplet.vectorized.elementwise import Number, anywhere, ceil_div, choose, larger, rounded_down
from chiplet.workload.operations import Batch

NEGLIGIBLE = 1 / 256
"""Share of tokens that may be counted beyond those that there are."""


@dataclass(frozen=True)
class MiniBatches:
    """``times`` mini-batches of a step that are all ``batch``. For many machines ``times`` may be 0 in some of them."""

    batch: Batch
    times: Number


def size_unit(memory: BlockMemory) -> Number:
    """Units of a mini-batch's size in one sequence: the attention needs sequences whole, other blocks tokens."""
    return 1 if memory.block.name == "attention" else memory.length


def batch_of(memory: BlockMemory, size: Number) -> Batch:
    """A mini-batch of ``size`` units."""
    length = memory.length
    if memory.block.name == "attention":
        tokens = size * length
        again = memory.method.switches.recompute == "full" and not memory.keeps_probabilities
        pieces = memory.pieces(tokens, size)
        packages = memory.context.packages
        return Batch(tokens, size, length, memory.key_block, memory.die.rows, int(again), pieces, packages)
    return Batch(size, ceil_div(size, length), length)


def equal_parts(total: Number, largest: Number, groups: Number) -> Number:
    """Size of equal parts of ``total``, each at most ``largest``; a multiple of ``groups`` if ``largest`` allows it.

    Then no group of dies gets more sequences than another. The last part is what the others leave.
    """
    even = (groups <= largest) & (largest < total)
    most = choose(even, rounded_down(largest / groups) * groups, largest)
    size = ceil_div(total, ceil_div(total, most))
    return choose(even, ceil_div(size, groups) * groups, size)


def parts_of(memory: BlockMemory, total: Number, size: Number) -> tuple[Number, Number]:
    """How many mini-batches of ``size`` run ``total`` units, and what is left for a smaller one at the end.

    Tokens are dealt out evenly: if what the last mini-batch lacks is at most a token of each, and :data:`NEGLIGIBLE`,
    all count as whole.
    """
    count, left = total // size, total % size
    if memory.block.name != "attention":
        lacking = size - left
        even = (left > 0) & (lacking <= count) & (lacking <= NEGLIGIBLE * total)
        count, left = choose(even, count + 1, count), choose(even, 0, left)
    return count, left


def mini_batches(
    memory: BlockMemory, size: Number, sequences: Number, global_batch: Number
) -> tuple[MiniBatches, ...]:
    """The mini-batches of a step, the largest first; sizes that no machine has are left out."""
    unit, rounds = size_unit(memory), global_batch // sequences
    whole: Number = 0
    smaller: list[MiniBatches] = []
    for times, total in ((rounds, sequences * unit), (1, global_batch % sequences * unit)):
        count, left = parts_of(memory, total, size)
        whole = whole + times * count
        if anywhere(left > 0):
            smaller.append(MiniBatches(batch_of(memory, larger(1, left)), choose(left > 0, times, 0)))
    return MiniBatches(batch_of(memory, size), whole), *smaller
