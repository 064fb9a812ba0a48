"""What fits the buffers: the parts and slices that a block can run in, and the size of its mini-batch.

Everything is computed for one machine, or for many at once (:mod:`chiplet.vectorized.elementwise`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from chiplet.machine.specs import DieSpec
from chiplet.methods.base import Method
from chiplet.schedule.buffers import BLOCK_SHARE, IN_BLOCKS, BlockMemory, BufferUse
from chiplet.schedule.context import WHOLE, ContextShare
from chiplet.schedule.double_buffers import both_buffered, largest_pair, pair_of
from chiplet.schedule.mini_batches import batch_of, equal_parts, size_unit
from chiplet.schedule.other_sizes import other_sizes
from chiplet.schedule.slice_counts import slice_counts
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

MAX_PARTS: dict[BlockName, int] = {"input": 1, "attention": 3, "ffn": 2, "head": 1}
"""Most parts that a block can be split into, if its attention has all keys at once."""

TILE_SHARE = 4
"""If possible, a mini-batch leaves this fraction (one part in 4) of the scratchpad to token tiles."""

ENOUGH_TILES = 128
"""Token tiles as high as the array in a mini-batch that is large enough: of the time that its beginning and end take, a
larger one could hide less than one part in 128 of the mini-batch's.
"""

FEW_TILES = 16
"""Tiles as high as the array up to which one that is not full may cost less than more mini-batches."""

MAX_TILE = 1024
"""Tokens beyond which a larger token tile hides nothing more: room for larger tiles is not reserved."""


@dataclass(frozen=True)
class Fit:
    """How a block fits: its ``parts`` and ``slices``, as in :class:`chiplet.schedule.buffers.BlockMemory`, and the
    ``size`` of its mini-batch, in sequences for the attention and in tokens elsewhere; 0 where nothing fits.
    """

    parts: int
    slices: Number
    size: Number
    keeps_probabilities: bool = False
    way: int = 0
    """The same for fits that differ in size alone."""


def places_of_ways(fits: Sequence[Fit]) -> list[list[int]]:
    """The places of those of ``fits`` that differ in size alone, for each way to run the block."""
    places: dict[int, list[int]] = {}
    for place, fit in enumerate(fits):
        places.setdefault(fit.way, []).append(place)
    return list(places.values())


@dataclass(frozen=True)
class BlockWork:
    """What a block works on: in each round ``sequences`` of ``length`` tokens, in mini-batches of ``mini_batch``
    sequences unless that is None. Other packages have the other parts of these sequences, as ``context`` says.
    """

    method: Method
    die: DieSpec
    sequences: Number
    length: Number
    mini_batch: Number | None
    context: ContextShare = WHOLE

    def memory(self, block: FusedBlock, parts: int, slices: Number = 1) -> BlockMemory:
        """The buffers of ``block``."""
        return BlockMemory(self.method, block, self.die, self.length, parts, slices, context=self.context)

    def memory_of(self, block: FusedBlock, fit: Fit) -> BlockMemory:
        """The buffers of ``block`` that fits as ``fit`` says."""
        memory = self.memory(block, fit.parts, fit.slices)
        return replace(memory, keeps_probabilities=True) if fit.keeps_probabilities else memory


def candidates(work: BlockWork, block: FusedBlock, *, fused: bool = True) -> list[Fit]:
    """Ways to run the block that may be the quickest, fewest parts first, each with the largest mini-batch that fits.

    More parts are one where fewer leave mini-batches of less than :data:`ENOUGH_TILES`, or more dies idle, or blocks
    that wait for weights or gradients. Linears are sliced where nothing else fits, where mini-batches are as small,
    where token tiles are lower than the array, or where unsliced weights or gradients leave no room for those of the
    next block. They may have smaller mini-batches, beside larger token tiles. Without ``fused`` the block has at least
    two parts if it can. An attention over long sequences may run in blocks of keys, unless nothing is to be computed
    again. One that is computed again as a whole may keep its probabilities from then on, beside a smaller mini-batch.
    """
    fits = []
    full = work.method.switches.recompute == "full"
    if block.name == "attention" and full and fused:
        keeping = replace(work.memory(block, 1), keeps_probabilities=True)
        fits.append(Fit(1, 1, _largest_batch(keeping, work), keeps_probabilities=True))
    of_unit = work.length if block.name == "attention" else 1
    enough = ENOUGH_TILES * work.die.rows
    most: Number = 0
    widest: Number = 0
    share: Number = -1.0
    waits: Any = True
    for count in range(1 if fused else min(2, MAX_PARTS[block.name]), MAX_PARTS[block.name] + 1):
        memory = work.memory(block, count)
        size = _largest_batch(memory, work)
        busy = _busy_share(memory, size)
        tile = smaller(tile_limit(memory, batch_of(memory, size)), MAX_TILE)
        little = (most * of_unit < enough) & ((size > most) | (tile > widest))
        better = (size > 0) & (little | (busy > share) | waits)
        fits.append(Fit(count, 1, choose(better, size, 0)))
        most, share, widest = (
            larger(most, size),
            choose(better, larger(share, busy), share),
            choose(better, larger(widest, tile), widest),
        )
        if anywhere(waits):
            waits = waits & (((size > 0) & _buffers_fit(work, memory, 1)) ^ True)
    unsliced = work.memory(block, MAX_PARTS[block.name])
    total = work.sequences * size_unit(unsliced)
    small = most * of_unit < enough
    fewest: Number = 1
    for room, wanted in (
        (False, (most == 0) | (small & (most < total)) | (widest < work.die.rows)),
        (True, (most == 0) | (_buffers_fit(work, unsliced) ^ True)),
    ):
        if anywhere(wanted):
            sliced = _sliced(work, block, wanted, room=room)
            new = wanted & (sliced.slices > fewest)
            fits.append(Fit(sliced.parts, sliced.slices, choose(new, sliced.size, 0)))
            fewest = choose(new & (sliced.size > 0), sliced.slices, fewest)
            fits += _more_slices(work, fits, work.memory_of(block, fits[-1]))
    if block.name == "attention" and work.method.switches.recompute != "none":
        fits += _in_blocks(work, block, fits)
    fits = [replace(fit, way=number) for number, fit in enumerate(fits)]
    if block.name != "attention" and work.mini_batch is None:
        fits += [*_not_even(work, block, fits), *_other_sizes(work, block, fits)]
    return [fit for fit in fits if anywhere(fit.size > 0)]


def _not_even(work: BlockWork, block: FusedBlock, fits: Sequence[Fit]) -> list[Fit]:
    """Those of ``fits`` with mini-batches of few tiles as high as the array, with mini-batches that are larger, but not
    of whole tiles: the beginning and end of more mini-batches can take longer than a tile that is not full.
    """
    others = []
    for fit in fits:
        memory = work.memory_of(block, fit)
        few: Any = (fit.size > 0) & (fit.size < FEW_TILES * _size_groups(memory))
        if anywhere(few):
            size = _largest_batch(memory, work, even=False)
            others.append(replace(fit, size=choose(few & (size > fit.size), size, 0)))
    return others


def _other_sizes(work: BlockWork, block: FusedBlock, fits: Sequence[Fit]) -> Iterator[Fit]:
    """``fits`` with mini-batches of other sizes that may be quicker (:mod:`chiplet.schedule.other_sizes`)."""
    for fit in fits:
        memory = work.memory_of(block, fit)
        for size in other_sizes(memory, work.sequences * size_unit(memory), fit.size):
            yield replace(fit, size=size)


def _in_blocks(work: BlockWork, block: FusedBlock, fits: Sequence[Fit]) -> list[Fit]:
    """The attention in blocks of keys, where its middle with all keys takes more of the scratchpad than a block may; in
    slices, too, where nothing else fits.
    """
    whole = work.memory(block, MAX_PARTS[block.name])
    wanted: Any = whole.middle_bytes > whole.die.scratchpad_bytes / BLOCK_SHARE
    if not anywhere(wanted):
        return []
    size = _largest_batch(work.memory(block, IN_BLOCKS), work)
    unsliced = Fit(IN_BLOCKS, 1, choose(wanted, size, 0))
    for fit in (*fits, unsliced):
        wanted = wanted & (fit.size == 0)
    if not anywhere(wanted):
        return [unsliced]
    sliced = _sliced(work, block, wanted, room=False, parts=IN_BLOCKS)
    return [unsliced, replace(sliced, size=choose(wanted, sliced.size, 0))]


def _more_slices(work: BlockWork, fits: Sequence[Fit], memory: BlockMemory) -> Iterator[Fit]:
    """The last of ``fits``, in ``memory``, with more slices (:mod:`chiplet.schedule.slice_counts`)."""
    fit = fits[-1]
    for count in slice_counts(memory, fit.size):
        size = _largest_batch(replace(memory, slices=count), work)
        yield replace(fit, slices=count, size=choose((fit.size > 0) & (count > fit.slices), size, 0))


def _buffers_fit(work: BlockWork, memory: BlockMemory, parts: int | None = None) -> Any:
    """Whether all that can be double-buffered is, if no block is sliced and the blocks beside it are in ``parts``, by
    default in as many as can be.
    """
    beside = [block for block in work.method.blocks() if block.label in memory.block.neighbours]
    pairs = [pair_of(memory, work.memory(block, parts or MAX_PARTS[block.name])) for block in beside]
    return both_buffered(memory, larger(*pairs))


def _sliced(work: BlockWork, block: FusedBlock, wanted: Any, *, room: bool, parts: int | None = None) -> Fit:
    """Cut linears into the fewest slices that leave room for a tile as high as the array, or else for any tile; with
    ``room`` also for the weights and gradients of the slice after. Only machines for which it is ``wanted`` count. The
    block is in ``parts``, by default in as many as without blocks of keys.
    """
    most_parts = MAX_PARTS[block.name] if parts is None else parts
    most = smaller(*(linear.h_out for linear in linears(block)))
    if is_array(wanted):
        most = choose(wanted, most, 1.0)
    slices: Number = most
    size: Number = 0

    for tile in (work.die.rows, 1):

        def fits(count: Number, tile: Number = tile) -> Any:
            memory = work.memory(block, most_parts, count)
            enough = _smallest_fits(memory, work, tile)
            return enough & both_buffered(memory, largest_pair(memory.units)) if room else enough

        fewest = smaller(smallest_true(2, most + 1, fits), most)
        largest = choose(fits(fewest), _largest_batch(work.memory(block, most_parts, fewest), work, tile), 0)
        new = (size == 0) & (largest > 0)
        slices, size = choose(new, fewest, slices), choose(new, largest, size)
        if not anywhere((size == 0) & wanted):
            break
    return Fit(most_parts, slices, size)


def lacking(work: BlockWork, block: FusedBlock) -> tuple[BufferUse, ...]:
    """What ``block`` needs of the buffers in its smallest slices, for the given mini-batch or else the smallest."""
    parts = MAX_PARTS[block.name]
    if block.name == "attention" and work.method.switches.recompute != "none":
        parts = IN_BLOCKS
    memory = work.memory(block, parts, smaller(*(linear.h_out for linear in linears(block))))
    given = _given(memory, work) if block.name == "attention" else None
    return buffer_uses(memory, batch_of(memory, 1 if given is None else given), 1)


def tile_limit(memory: BlockMemory, batch: Batch) -> Number:
    """Tokens of the largest token tile that fits beside the mini-batch; at least one."""
    if not memory.method.token_tiled:
        return batch.piece.tokens
    die = memory.die
    left = die.scratchpad_bytes - memory.activation_bytes(batch.tokens, batch.sequences)
    return larger(1, rounded_down(smaller(left / memory.tile_bytes, batch.tokens)))


def buffer_uses(memory: BlockMemory, batch: Batch, tile: Number) -> tuple[BufferUse, ...]:
    """What the mini-batch and token tiles of ``tile`` need of each buffer."""
    die = memory.die
    weights, activations, sums = _needed_bytes(memory, batch, tile)
    return (
        BufferUse("weight buffer", rounded_up(weights), die.weight_bytes),
        BufferUse("scratchpad", rounded_up(activations), die.scratchpad_bytes),
        BufferUse("accumulator buffer", rounded_up(sums), die.accumulator_bytes),
    )


def _given(memory: BlockMemory, work: BlockWork) -> Number | None:
    """Size of the given mini-batch, None for the largest that fits."""
    if work.mini_batch is None:
        return None
    return smaller(work.mini_batch, work.sequences) * size_unit(memory)


def _busy_share(memory: BlockMemory, size: Number) -> Number:
    """Share of the dies that are busy in the attention, where each has whole sequences."""
    if memory.block.name != "attention":
        return 1.0
    groups = memory.method.sequence_groups
    return size / (larger(1, ceil_div(size, groups)) * groups)


def _size_groups(memory: BlockMemory) -> Number:
    """What a mini-batch is a multiple of if it can: the groups of dies that share its sequences out; in linears, which
    sum over tokens in the backward pass, the rows of the array times the groups of dies that share its tokens out.
    """
    if memory.block.name == "attention":
        return memory.method.sequence_groups
    return memory.die.rows * memory.method.token_groups


def _largest_batch(
    memory: BlockMemory, work: BlockWork, least_tile: Number = 1, *, even: bool = True
) -> Number:
    """Size of the largest mini-batch that fits beside a token tile of ``least_tile``, in equal parts of a round; 0 if
    none fits. Without ``even`` it is no multiple of :func:`_size_groups`. A given mini-batch is kept, but linears take
    it in equal parts where it does not fit.
    """
    total = work.sequences * size_unit(memory)
    groups = _size_groups(memory) if even else 1
    chosen: Number = 0 * total
    given = _given(memory, work)
    if given is not None:
        chosen = choose(_fits(memory, given, least_tile), given, 0)
        if memory.block.name == "attention" or not anywhere(chosen == 0):
            return chosen
        total = given
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


def _smallest_fits(memory: BlockMemory, work: BlockWork, least_tile: Number) -> Any:
    """Whether :func:`_largest_batch` finds one."""
    given = _given(memory, work)
    if given is not None and memory.block.name == "attention":
        return _fits(memory, given, least_tile)
    size = _smallest_size(memory, work, least_tile)
    fits: Any = False
    for tile in _reserved_tiles(memory):
        fits = fits | (_enough(memory, tile, least_tile) & _fits(memory, size, tile))
    return fits


def _enough(memory: BlockMemory, tile: Number, least_tile: Number) -> Any:
    """Whether room for token tiles of ``tile`` suffices for ``least_tile``; true for methods without token tiles."""
    return tile >= least_tile if memory.method.token_tiled else True


def _smallest_size(memory: BlockMemory, work: BlockWork, least_tile: Number) -> Number:
    """The smallest mini-batch with enough tokens for a tile of ``least_tile``, or with all tokens there are."""
    if memory.block.name == "attention":
        return smaller(ceil_div(least_tile, work.length), work.sequences)
    given = _given(memory, work)
    return smaller(least_tile, work.sequences * work.length if given is None else given)


def _reserved_tiles(memory: BlockMemory) -> tuple[Number, ...]:
    """Token tiles to reserve room for, in order of preference: large enough to hide latencies, then as high as the
    array, then any.
    """
    if not memory.method.token_tiled:
        return (1,)
    die = memory.die
    tokens = die.scratchpad_bytes / TILE_SHARE / memory.tile_bytes
    return larger(die.rows, rounded_down(smaller(tokens, MAX_TILE))), die.rows, 1


def _fits(memory: BlockMemory, size: Number, tile: Number) -> Any:
    die, batch = memory.die, batch_of(memory, size)
    weights, activations, sums = _needed_bytes(memory, batch, smaller(tile, batch.tokens))
    return (
        (weights <= die.weight_bytes)
        & (activations <= die.scratchpad_bytes)
        & (sums <= die.accumulator_bytes)
    )


def _largest_fitting(memory: BlockMemory, tile: Number, total: Number) -> Number:
    """The largest size of a mini-batch up to ``total`` that fits beside ``tile``; 0 if none does."""

    def activations(size: Number) -> Number:
        batch = batch_of(memory, size)
        return _needed_bytes(memory, batch, smaller(tile, batch.tokens))[1]

    def guesses() -> tuple[Number, ...]:
        # Bytes are nearly linear in the size: try the linear solution, and bisect on the side that it leaves.
        least, most = activations(1), activations(total)
        grows = most > least
        share = (memory.die.scratchpad_bytes - least) / choose(grows, most - least, 1)
        guess = choose(grows, 1 + rounded_down(share * (total - 1)), 0)
        return guess, guess + 1

    return largest_true(total, lambda size: _fits(memory, size, tile), guesses)


def _needed_bytes(memory: BlockMemory, batch: Batch, tile: Number) -> tuple[Number, Number, Number]:
    """Bytes that weight buffer, scratchpad and accumulator buffer must hold."""
    tokens = tile if memory.method.token_tiled else batch.piece.tokens
    activations = memory.activation_bytes(batch.tokens, batch.sequences) + tokens * memory.tile_bytes
    return memory.weight_bytes, activations, memory.gradient_bytes + memory.panel_bytes
