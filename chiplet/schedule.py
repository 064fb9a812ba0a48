"""The schedule: which blocks are fused, how large a mini-batch is, what is double-buffered, how often a pass
runs.

Layers are the outer loop and mini-batches the inner one: a block's weights are loaded once a pass and all
mini-batches stream through. The rules in order: a block is fused if its weights, gradients and a mini-batch
fit, and split into its linears otherwise, or when that leaves fewer dies without a sequence in the attention;
the largest mini-batch that fits is taken, and the mini-batches are made equal; the next block's weights are
loaded and the last one's gradients stored behind the computation where both fit. The global batch runs in as
few rounds as DRAM can hold the saved activations of; gradients accumulate over the rounds.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from math import ceil
from typing import Literal

from chiplet.memory import (
    BlockMemory,
    BufferUse,
    DramNeed,
    Optimizer,
    dram_capacity,
    dram_state_bytes,
    saved_bytes_per_token,
)
from chiplet.methods.base import Method
from chiplet.methods.work import Batch, Block, BlockName, linears
from chiplet.specs import DieSpec, SystemSpec

MAX_PARTS: dict[BlockName, int] = {"attention": 3, "ffn": 2, "head": 1}
"""Parts that a block can be split into."""

Rule = Literal["fusion", "residence", "overlap"]
RULES: tuple[Rule, ...] = ("fusion", "residence", "overlap")
"""Rules of the schedule that can be left out, to see what they save."""

OPERAND_SHARE = 4
"""A mini-batch leaves one part in so many of the activation buffer to gathered token tiles, where it can."""

MAX_TILE = 1024
"""Tokens beyond which a larger token tile hides no more: room for larger ones is not reserved."""


@dataclass(frozen=True)
class BlockSchedule:
    """How one block runs: its mini-batch, how many of them a round has, the largest token tile, what fits
    twice.
    """

    block: Block
    batch: Batch
    batches: int
    parts: int
    slices: int
    tile_limit: int
    weights_ahead: bool
    gradients_behind: bool
    resident: bool
    buffers: tuple[BufferUse, ...]


@dataclass(frozen=True)
class Schedule:
    """How a training step runs: ``rounds`` times all layers forward and backward over ``sequences`` sequences
    each.
    """

    rounds: int
    sequences: int
    length: int
    blocks: tuple[BlockSchedule, ...]
    dram: BufferUse


def make_schedule(
    method: Method,
    system: SystemSpec,
    *,
    global_batch: int,
    length: int,
    optimizer: Optimizer,
    mini_batch: int | None,
    without: tuple[Rule, ...] = (),
    dram: DramNeed | None = None,
) -> Schedule:
    """The schedule of one training step of ``global_batch`` sequences of ``length`` tokens.

    ``mini_batch`` fixes the sequences of a mini-batch instead of taking the largest that fits; ``without``
    leaves rules out; ``dram`` says what DRAM holds where that is not the whole model. Raises ``ValueError``
    that names the buffer, the bytes needed and the bytes there when something does not fit.
    """
    model, mesh, element = method.model, method.mesh, system.die.element_bytes
    need = dram or DramNeed(
        dram_state_bytes(model, optimizer, element),
        saved_bytes_per_token(model, length, method.switches.recompute, element) * length,
    )
    state, saved = need.state, need.saved
    capacity = dram_capacity(system, mesh.edge_links)
    where = f"{model.name} on {mesh.nodes} dies"
    least = BufferUse("DRAM", state + saved * (need.sequences or 1), capacity)
    if not least.fits:
        held = "one sequence's" if need.sequences is None else f"{need.sequences} sequences'"
        raise least.refusal(f"{where}: the training state with {held} activations")
    sequences = need.sequences or _equal(
        global_batch, min(global_batch, (capacity - state) // saved), method.sequence_groups
    )
    parts = [
        _fit(method, system.die, block, sequences, length, mini_batch, where, "fusion" not in without)
        for block in method.blocks()
    ]
    memories = [memory for memory, _ in parts]
    attention, ffn, head = (memory.units for memory in memories)
    # In the order of execution attention and FFN take turns, and the head follows the last FFN.
    neighbours = ([*attention, *ffn], [*attention, *ffn], [*head, ffn[-1]])
    blocks = tuple(
        _block_schedule(memory, batch, sequences, units, without)
        for (memory, batch), units in zip(parts, neighbours, strict=True)
    )
    return Schedule(
        ceil(global_batch / sequences),
        sequences,
        length,
        blocks,
        BufferUse("DRAM", state + saved * sequences, capacity),
    )


def _fit(
    method: Method,
    die: DieSpec,
    block: Block,
    sequences: int,
    length: int,
    mini_batch: int | None,
    where: str,
    fused: bool,
) -> tuple[BlockMemory, Batch]:
    """The block with its largest mini-batch: in few parts if possible, unless more leave fewer dies idle; its
    linears sliced if nothing else fits.
    """
    options = []
    for parts in range(1 if fused else min(2, MAX_PARTS[block.name]), MAX_PARTS[block.name] + 1):
        memory = BlockMemory(method, block, die, length, parts)
        batch = _largest_batch(memory, sequences, mini_batch)
        if batch is not None:
            options.append((memory, batch))
    if options:
        return max(options, key=lambda option: _busy_share(*option))
    # Nothing fits with whole linears: cut them, into as few slices as leave room for a tile as high as the
    # array, or else for any.
    most = min(linear.h_out for linear in linears(block))

    def fitting(slices: int, tile: int) -> tuple[BlockMemory, Batch | None]:
        cut = BlockMemory(method, block, die, length, MAX_PARTS[block.name], slices)
        return cut, _largest_batch(cut, sequences, mini_batch, tile)

    for tile in (die.rows, 1):
        larger = range(2, most + 1)
        fewest = bisect_left(larger, True, key=lambda slices: fitting(slices, tile)[1] is not None)
        memory, batch = fitting(min(2 + fewest, most), tile)
        if batch is not None:
            return memory, batch
    size = 1 if mini_batch is None else _fixed(memory, sequences, mini_batch)
    worst = max(_buffers(memory, _batch(memory, size), 1), key=lambda use: use.needed / use.available)
    what = "the smallest mini-batch" if mini_batch is None else f"a mini-batch of {mini_batch} sequences"
    raise worst.refusal(f"{where}, {method.name}: block {block.name} with {what}")


def _fixed(memory: BlockMemory, sequences: int, mini_batch: int) -> int:
    """Size of a mini-batch that the caller fixes, as :func:`_batch` counts it."""
    return min(mini_batch, sequences) * (1 if memory.block.name == "attention" else memory.length)


def _busy_share(memory: BlockMemory, batch: Batch) -> float:
    """Share of the dies that have work in the attention, where each has whole sequences."""
    if memory.block.name != "attention":
        return 1.0
    groups = memory.method.sequence_groups
    return batch.sequences / (ceil(batch.sequences / groups) * groups)


def _batch(memory: BlockMemory, size: int) -> Batch:
    """A mini-batch of ``size`` sequences in the attention, which needs them whole, of ``size`` tokens
    elsewhere.
    """
    length = memory.length
    if memory.block.name == "attention":
        return Batch(size * length, size, length)
    return Batch(size, ceil(size / length), length)


def _largest_batch(
    memory: BlockMemory, sequences: int, mini_batch: int | None, least_tile: int = 1
) -> Batch | None:
    """The largest mini-batch that fits beside a token tile of ``least_tile``, made equal over a round;
    ``None`` if there is none.
    """
    unit = 1 if memory.block.name == "attention" else memory.length
    if mini_batch is not None:
        batch = _batch(memory, _fixed(memory, sequences, mini_batch))
        return batch if _fits(memory, batch, least_tile) else None
    total = sequences * unit
    for tile in _reserved_tiles(memory):
        if memory.method.token_tiled and tile < least_tile:
            continue
        largest = _largest_fitting(memory, tile, total)
        if largest * memory.length // unit >= min(least_tile, sequences * memory.length):
            return _batch(memory, _equal(total, largest, memory.method.sequence_groups if unit == 1 else 1))
    return None


def _equal(total: int, largest: int, groups: int) -> int:
    """Size of equal parts of ``total``, each at most ``largest``; a multiple of ``groups`` where there are so
    many.

    Then no group of dies gets a sequence more than the others.
    """
    if groups <= largest < total:
        largest -= largest % groups
        return ceil(ceil(total / ceil(total / largest)) / groups) * groups
    return ceil(total / ceil(total / largest))


def _reserved_tiles(memory: BlockMemory) -> tuple[int, ...]:
    """Token tiles to leave room for, in order of preference: large enough to hide latencies, then as high as
    the array.
    """
    if not memory.method.token_tiled:
        return (1,)
    die = memory.die
    operands = die.activation_bytes / OPERAND_SHARE / memory.tile_operand_bytes
    sums = (die.accumulator_bytes - memory.gradient_bytes - memory.strip_bytes) / memory.tile_sum_bytes
    return max(die.rows, int(min(operands, sums, MAX_TILE))), die.rows, 1


def _fits(memory: BlockMemory, batch: Batch, tile: int) -> bool:
    die = memory.die
    needed = _needed_bytes(memory, batch, min(tile, batch.tokens))
    return (
        needed[0] <= die.weight_bytes
        and needed[1] <= die.activation_bytes
        and needed[2] <= die.accumulator_bytes
    )


def _largest_fitting(memory: BlockMemory, tile: int, total: int) -> int:
    """The largest size of a mini-batch up to ``total`` that fits beside ``tile``; 0 if none does."""

    def fits(size: int) -> bool:
        return _fits(memory, _batch(memory, size), tile)

    def activations(size: int) -> float:
        batch = _batch(memory, size)
        return _needed_bytes(memory, batch, min(tile, batch.tokens))[1]

    if fits(total):
        return total
    if not fits(1):
        return 0
    # Bytes are nearly linear in the size: try there, and search the side where it must be.
    low, high = 1, total - 1
    least, most = activations(1), activations(total)
    if most > least:
        share = (memory.die.activation_bytes - least) / (most - least)
        for size in (1 + int(share * (total - 1)), 2 + int(share * (total - 1))):
            if low < size <= high:
                if not fits(size):
                    high = size - 1
                    break
                low = size
    return low + bisect_left(range(low + 1, high + 1), True, key=lambda size: not fits(size))


def _tile_limit(memory: BlockMemory, batch: Batch) -> int:
    """Tokens of the largest token tile that the buffers hold beside the mini-batch; at least one."""
    if not memory.method.token_tiled:
        return batch.tokens
    die = memory.die
    operands = die.activation_bytes - memory.activation_bytes(batch.tokens, batch.sequences)
    sums = die.accumulator_bytes - memory.gradient_bytes - memory.strip_bytes
    limit = min(operands / memory.tile_operand_bytes, sums / memory.tile_sum_bytes, batch.tokens)
    return max(1, int(limit))


def _needed_bytes(memory: BlockMemory, batch: Batch, tile: int) -> tuple[float, float, float]:
    """Bytes that weight, activation and accumulator buffer must hold."""
    tokens = tile if memory.method.token_tiled else batch.tokens
    activations = memory.activation_bytes(batch.tokens, batch.sequences) + tokens * memory.tile_operand_bytes
    sums = memory.gradient_bytes + memory.strip_bytes + tokens * memory.tile_sum_bytes
    return memory.weight_bytes, activations, sums


def _buffers(memory: BlockMemory, batch: Batch, tile: int) -> tuple[BufferUse, ...]:
    die = memory.die
    weights, activations, sums = _needed_bytes(memory, batch, tile)
    return (
        BufferUse("weight buffer", ceil(weights), die.weight_bytes),
        BufferUse("activation buffer", ceil(activations), die.activation_bytes),
        BufferUse("accumulator buffer", ceil(sums), die.accumulator_bytes),
    )


def _block_schedule(
    memory: BlockMemory, batch: Batch, sequences: int, units: list[float], without: tuple[Rule, ...]
) -> BlockSchedule:
    die, block = memory.die, memory.block
    # The largest two neighbours of the run through the layers: attention parts and FFN parts in a ring.
    pair = max(first + second for first, second in zip(units, units[1:] + units[:1], strict=True))
    tile = _tile_limit(memory, batch)
    overlap = "overlap" not in without
    weights_ahead = overlap and pair * die.element_bytes + memory.passing_bytes <= die.weight_bytes
    # A second set of gradients may shrink the token tile, but not below the height of the array.
    tokens = tile if not memory.method.token_tiled else min(tile, die.rows)
    left = die.accumulator_bytes - pair * 4 - memory.strip_bytes
    gradients_behind = overlap and left >= tokens * memory.tile_sum_bytes
    if gradients_behind:
        tile = min(tile, max(tokens, int(left / memory.tile_sum_bytes)))
    uses = _buffers(memory, batch, tile)
    extra_weights = (
        ceil(pair * die.element_bytes + memory.passing_bytes) - uses[0].needed if weights_ahead else 0
    )
    extra_sums = ceil(pair * 4 - memory.gradient_bytes) if gradients_behind else 0
    buffers = (
        BufferUse(uses[0].name, uses[0].needed + max(0, extra_weights), uses[0].available),
        uses[1],
        BufferUse(
            uses[2].name, min(uses[2].needed + max(0, extra_sums), uses[2].available), uses[2].available
        ),
    )
    batches = ceil(sequences * batch.length / batch.tokens)
    return BlockSchedule(
        block,
        batch,
        batches,
        memory.parts,
        memory.slices,
        tile,
        weights_ahead,
        gradients_behind,
        "residence" not in without,
        buffers,
    )


def tile_choices(limit: int, rows: int) -> list[int]:
    """Token tiles worth trying: powers of two times the height of the array up to ``limit``, and ``limit``
    itself.
    """
    sizes = []
    size = rows
    while size < limit:
        sizes.append(size)
        size *= 2
    return [*sizes, limit]
