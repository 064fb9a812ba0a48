"""What fits the buffers: in how many parts and slices a block runs, and how large its mini-batch is.

All of it is worked out for one machine, or for many at once (:mod:`chiplet.vectorized.elementwise`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chiplet.machine.specs import DieSpec
from chiplet.methods.base import Method
from chiplet.schedule.buffers import BlockMemory, BufferUse
from chiplet.vectorized.bisection import largest_true, smallest_true
from chiplet.vectorized.elementwise import (
    Number,
    anywhere,
    ceil_div,
    choose,
    is_array,
    larger,
    rounded_down,
    rounded_up,
    smaller,
)
from chiplet.workload.operations import Batch, BlockName, FusedBlock, linears

MAX_PARTS: dict[BlockName, int] = {"attention": 3, "ffn": 2, "head": 1}
"""Parts that a block can be split into."""

OPERAND_SHARE = 4
"""A mini-batch leaves one part in so many of the activation buffer to gathered token tiles, where it can."""

MAX_TILE = 1024
"""Tokens beyond which a larger token tile hides no more: room for larger ones is not reserved."""


@dataclass(frozen=True)
class Fit:
    """How a block fits: its ``parts`` and ``slices``, as in :class:`chiplet.schedule.buffers.BlockMemory`, and the
    ``size`` of its mini-batch, in sequences for the attention and in tokens elsewhere; 0 where nothing fits.
    """

    parts: Number
    slices: Number
    size: Number


@dataclass(frozen=True)
class Work:
    """What a block works on: ``sequences`` of ``length`` tokens a round, in mini-batches of ``mini_batch`` sequences
    if that is given.
    """

    method: Method
    die: DieSpec
    sequences: Number
    length: Number
    mini_batch: Number | None

    def memory(self, block: FusedBlock, parts: int, slices: Number = 1) -> BlockMemory:
        """The buffers of ``block``."""
        return BlockMemory(self.method, block, self.die, self.length, parts, slices)


def fit_block(work: Work, block: FusedBlock, *, fused: bool) -> Fit:
    """The block with its largest mini-batch: in few parts if possible, unless more leave fewer dies idle; its
    linears sliced if nothing else fits. Not ``fused``, it has two parts at least, if it can.
    """
    parts = size = 0
    share = -1.0
    for count in range(1 if fused else min(2, MAX_PARTS[block.name]), MAX_PARTS[block.name] + 1):
        memory = work.memory(block, count)
        largest = _largest_batch(memory, work)
        busy = _busy_share(memory, largest)
        better = (largest > 0) & (busy > share)
        parts, size = choose(better, count, parts), choose(better, largest, size)
        share = choose(better, busy, share)
    if not anywhere(size == 0):
        return Fit(parts, 1, size)
    sliced = _sliced(work, block, size == 0)
    return Fit(
        choose(size > 0, parts, sliced.parts),
        choose(size > 0, 1, sliced.slices),
        choose(size > 0, size, sliced.size),
    )


def _sliced(work: Work, block: FusedBlock, wanted: Any) -> Fit:
    """Nothing fits with whole linears: cut them, into as few slices as leave room for a tile as high as the array,
    or else for any. Only the machines that it is ``wanted`` of count.
    """
    most_parts = MAX_PARTS[block.name]
    most = smaller(*(linear.h_out for linear in linears(block)))
    if is_array(wanted):
        most = choose(wanted, most, 1.0)
    slices: Number = most
    size: Number = 0

    for tile in (work.die.rows, 1):

        def fits(count: Number, tile: Number = tile) -> Any:
            return _smallest_fits(work.memory(block, most_parts, count), work, tile)

        fewest = smaller(smallest_true(2, most + 1, fits), most)
        largest = _largest_batch(work.memory(block, most_parts, fewest), work, tile)
        new = (size == 0) & (largest > 0)
        slices, size = choose(new, fewest, slices), choose(new, largest, size)
        if not anywhere((size == 0) & wanted):
            break
    return Fit(most_parts, slices, size)


def lacking(work: Work, block: FusedBlock) -> tuple[BufferUse, ...]:
    """What ``block`` asks of the buffers, cut as small as can be, for the smallest mini-batch or the one given."""
    memory = work.memory(block, MAX_PARTS[block.name], smaller(*(linear.h_out for linear in linears(block))))
    return buffer_uses(memory, batch_of(memory, 1 if work.mini_batch is None else _given(memory, work)), 1)


def batch_of(memory: BlockMemory, size: Number) -> Batch:
    """A mini-batch of ``size`` sequences in the attention, which needs them whole, of ``size`` tokens
    elsewhere.
    """
    length = memory.length
    if memory.block.name == "attention":
        return Batch(size * length, size, length)
    return Batch(size, ceil_div(size, length), length)


def equal_parts(total: Number, largest: Number, groups: Number) -> Number:
    """Size of equal parts of ``total``, each at most ``largest``; a multiple of ``groups`` where there are so
    many.

    Then no group of dies gets a sequence more than the others.
    """
    even = (groups <= largest) & (largest < total)
    most = choose(even, rounded_down(largest / groups) * groups, largest)
    size = ceil_div(total, ceil_div(total, most))
    return choose(even, ceil_div(size, groups) * groups, size)


def tile_limit(memory: BlockMemory, batch: Batch) -> Number:
    """Tokens of the largest token tile that the buffers hold beside the mini-batch; at least one."""
    if not memory.method.token_tiled:
        return batch.tokens
    die = memory.die
    operands = die.activation_bytes - memory.activation_bytes(batch.tokens, batch.sequences)
    sums = die.accumulator_bytes - memory.gradient_bytes - memory.strip_bytes
    limit = smaller(operands / memory.tile_operand_bytes, sums / memory.tile_sum_bytes, batch.tokens)
    return larger(1, rounded_down(limit))


def buffer_uses(memory: BlockMemory, batch: Batch, tile: Number) -> tuple[BufferUse, ...]:
    """What the mini-batch asks of each buffer beside token tiles of ``tile``."""
    die = memory.die
    weights, activations, sums = _needed_bytes(memory, batch, tile)
    return (
        BufferUse("weight buffer", rounded_up(weights), die.weight_bytes),
        BufferUse("activation buffer", rounded_up(activations), die.activation_bytes),
        BufferUse("accumulator buffer", rounded_up(sums), die.accumulator_bytes),
    )


def _unit(memory: BlockMemory) -> Number:
    """Units of a mini-batch's size that a sequence has."""
    return 1 if memory.block.name == "attention" else memory.length


def _given(memory: BlockMemory, work: Work) -> Number:
    """Size of the mini-batch that is given."""
    return smaller(work.mini_batch, work.sequences) * _unit(memory)


def _busy_share(memory: BlockMemory, size: Number) -> Number:
    """Share of the dies that have work in the attention, where each has whole sequences."""
    if memory.block.name != "attention":
        return 1.0
    groups = memory.method.sequence_groups
    return size / (larger(1, ceil_div(size, groups)) * groups)


def _largest_batch(memory: BlockMemory, work: Work, least_tile: Number = 1) -> Number:
    """Size of the largest mini-batch that fits beside a token tile of ``least_tile``, made equal over a round; 0
    if there is none.
    """
    if work.mini_batch is not None:
        size = _given(memory, work)
        return choose(_fits(memory, size, least_tile), size, 0)
    total, groups = work.sequences * _unit(memory), 1
    if memory.block.name == "attention":
        groups = memory.method.sequence_groups
    chosen: Number = 0 * total
    for tile in _reserved_tiles(memory):
        wanted = _enough(memory, tile, least_tile)
        if not anywhere(wanted):
            continue
        largest = _largest_fitting(memory, tile, total)
        new = (chosen == 0) & wanted & (largest >= _smallest_size(memory, work, least_tile))
        if anywhere(new):
            chosen = choose(new, equal_parts(total, larger(1, largest), groups), chosen)
        if not anywhere(chosen == 0):
            break
    return chosen


def _smallest_fits(memory: BlockMemory, work: Work, least_tile: Number) -> Any:
    """Whether :func:`_largest_batch` finds any."""
    if work.mini_batch is not None:
        return _fits(memory, _given(memory, work), least_tile)
    size = _smallest_size(memory, work, least_tile)
    fits: Any = False
    for tile in _reserved_tiles(memory):
        fits = fits | (_enough(memory, tile, least_tile) & _fits(memory, size, tile))
    return fits


def _enough(memory: BlockMemory, tile: Number, least_tile: Number) -> Any:
    """Whether room for token tiles of ``tile`` is room for those of ``least_tile``; some methods have none."""
    return tile >= least_tile if memory.method.token_tiled else True


def _smallest_size(memory: BlockMemory, work: Work, least_tile: Number) -> Number:
    """The smallest mini-batch with enough tokens for a tile of ``least_tile``, or all there are."""
    if memory.block.name == "attention":
        return smaller(ceil_div(least_tile, work.length), work.sequences)
    return smaller(least_tile, work.sequences * work.length)


def _reserved_tiles(memory: BlockMemory) -> tuple[Number, ...]:
    """Token tiles to leave room for, in order of preference: large enough to hide latencies, then as high as
    the array.
    """
    if not memory.method.token_tiled:
        return (1,)
    die = memory.die
    operands = die.activation_bytes / OPERAND_SHARE / memory.tile_operand_bytes
    sums = (die.accumulator_bytes - memory.gradient_bytes - memory.strip_bytes) / memory.tile_sum_bytes
    return larger(die.rows, rounded_down(smaller(operands, sums, MAX_TILE))), die.rows, 1


def _fits(memory: BlockMemory, size: Number, tile: Number) -> Any:
    die, batch = memory.die, batch_of(memory, size)
    weights, activations, sums = _needed_bytes(memory, batch, smaller(tile, batch.tokens))
    return (
        (weights <= die.weight_bytes)
        & (activations <= die.activation_bytes)
        & (sums <= die.accumulator_bytes)
    )


def _largest_fitting(memory: BlockMemory, tile: Number, total: Number) -> Number:
    """The largest size of a mini-batch up to ``total`` that fits beside ``tile``; 0 if none does."""

    def activations(size: Number) -> Number:
        batch = batch_of(memory, size)
        return _needed_bytes(memory, batch, smaller(tile, batch.tokens))[1]

    def guesses() -> tuple[Number, ...]:
        # Bytes are nearly linear in the size: try there, and search the side where it must be.
        least, most = activations(1), activations(total)
        grows = most > least
        share = (memory.die.activation_bytes - least) / choose(grows, most - least, 1)
        guess = choose(grows, 1 + rounded_down(share * (total - 1)), 0)
        return guess, guess + 1

    return largest_true(total, lambda size: _fits(memory, size, tile), guesses)


def _needed_bytes(memory: BlockMemory, batch: Batch, tile: Number) -> tuple[Number, Number, Number]:
    """Bytes that weight, activation and accumulator buffer must hold."""
    tokens = tile if memory.method.token_tiled else batch.tokens
    activations = memory.activation_bytes(batch.tokens, batch.sequences) + tokens * memory.tile_operand_bytes
    sums = memory.gradient_bytes + memory.strip_bytes + tokens * memory.tile_sum_bytes
    return memory.weight_bytes, activations, sums
