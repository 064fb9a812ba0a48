"""The schedule: which blocks are fused, the size of a mini-batch, what is double-buffered, and how often a pass runs.

Layers are the outer loop and mini-batches the inner one: the weights of a block are loaded once a pass, and all
mini-batches stream through. The rules, in order:

1. A block is fused if its weights, gradients and a mini-batch fit; else, or if that leaves fewer dies without a
   sequence in the attention, it is split into its linears.
2. The mini-batch is the largest that fits, and all mini-batches are equal.
3. The weights of the next block are loaded, and the gradients of the last one stored, behind the computation if both
   fit.

The global batch runs in the fewest rounds whose saved activations fit DRAM; gradients accumulate over the rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from chiplet.machine.specs import SUM_BYTES, SystemSpec
from chiplet.methods.base import Method
from chiplet.schedule.buffers import (
    BlockMemory,
    BufferUse,
    DoesNotFitError,
    DramNeed,
    Optimizer,
    dram_capacity,
    dram_state_bytes,
    saved_bytes_per_token,
)
from chiplet.schedule.fit import (
    BlockWork,
    Fit,
    batch_of,
    buffer_uses,
    equal_parts,
    fit_block,
    lacking,
    tile_limit,
)
from chiplet.vectorized.elementwise import (
    Number,
    ceil_div,
    choose,
    is_array,
    larger,
    rounded_down,
    rounded_up,
    smaller,
)
from chiplet.workload.operations import Batch, FusedBlock

Rule = Literal["fusion", "residence", "overlap"]
RULES: tuple[Rule, ...] = ("fusion", "residence", "overlap")
"""Rules of the schedule that can be switched off, to see what each saves."""


@dataclass(frozen=True)
class BlockSchedule:
    """How one block runs: its mini-batch, mini-batches in a round, the largest token tile, and what is double-buffered.

    For many machines ``weights_ahead``, ``gradients_behind`` and the numbers are arrays.
    """

    block: FusedBlock
    batch: Batch
    batches: Number
    parts: int
    slices: Number
    tile_limit: Number
    weights_ahead: Any
    gradients_behind: Any
    resident: bool
    buffers: tuple[BufferUse, ...]


@dataclass(frozen=True)
class Schedule:
    """How a training step runs: ``rounds`` times all layers forward and backward, each over ``sequences`` sequences."""

    rounds: Number
    sequences: Number
    length: Number
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

    ``mini_batch`` fixes the sequences of a mini-batch, else it is the largest that fits; ``without`` switches rules
    off; ``dram`` says what DRAM holds if not the whole model.

    Raises
    ------
    DoesNotFitError
        If something does not fit, naming the buffer, the bytes needed and the bytes available.
    """
    need = dram or whole_model(method, length, optimizer)
    name, dies = method.model.name, method.mesh.nodes
    least = dram_use(method, system, need, need.sequences or 1)
    if not least.fits:
        raise dram_refusal(name, dies, least, need.sequences)
    sequences = need.sequences or round_sequences(method, system, need, global_batch)
    work = BlockWork(method, system.die, sequences, length, mini_batch)
    fits = []
    for block in method.blocks():
        fits.append(fit_block(work, block, fused="fusion" not in without))
        if not fits[-1].size:
            raise block_refusal(name, dies, method.name, block.name, lacking(work, block), mini_batch)
    return assemble(work, fits, without, global_batch, dram_use(method, system, need, sequences))


def assemble(
    work: BlockWork, fits: Sequence[Fit], without: tuple[Rule, ...], global_batch: Number, dram: BufferUse
) -> Schedule:
    """The schedule of blocks that fit as ``fits`` say. Many machines have the same parts, and all of them or none
    slices.
    """
    memories = [
        work.memory(block, fit.parts, fit.slices)
        for block, fit in zip(work.method.blocks(), fits, strict=True)
    ]
    attention, ffn, head = (memory.units for memory in memories)
    # In the order of execution attention and FFN take turns, and the head follows the last FFN.
    neighbours = ([*attention, *ffn], [*attention, *ffn], [*head, ffn[-1]])
    blocks = tuple(
        block_schedule(memory, fit.size, work.sequences, units, without)
        for memory, fit, units in zip(memories, fits, neighbours, strict=True)
    )
    return Schedule(ceil_div(global_batch, work.sequences), work.sequences, work.length, blocks, dram)


def whole_model(method: Method, length: Number, optimizer: Optimizer) -> DramNeed:
    """What DRAM holds if the whole model is on one package."""
    model, element = method.model, method.element_bytes
    saved = saved_bytes_per_token(model, length, method.switches.recompute, element) * length
    return DramNeed(dram_state_bytes(model, optimizer, element), saved)


def dram_use(method: Method, system: SystemSpec, need: DramNeed, sequences: Number) -> BufferUse:
    """What ``sequences`` in progress need of DRAM."""
    capacity = dram_capacity(system, method.mesh.edge_links)
    return BufferUse("DRAM", need.state + need.saved * sequences, capacity)


def round_sequences(method: Method, system: SystemSpec, need: DramNeed, global_batch: Number) -> Number:
    """Sequences of a round: as many as DRAM holds, but at least one, in equal rounds."""
    capacity = dram_capacity(system, method.mesh.edge_links)
    most = larger(1, rounded_down((capacity - need.state) / need.saved))
    return equal_parts(global_batch, smaller(global_batch, most), method.sequence_groups)


def dram_refusal(model: str, dies: int, use: BufferUse, sequences: int | None) -> DoesNotFitError:
    """The error that DRAM does not hold the training state and the activations of ``sequences``, or of one sequence."""
    held = "one sequence's" if sequences is None else f"{sequences} sequences'"
    return use.refusal(f"{model} on {dies} dies: the training state with {held} activations")


def block_refusal(
    model: str, dies: int, method: str, block: str, uses: Sequence[BufferUse], mini_batch: int | None
) -> DoesNotFitError:
    """The error that a block does not fit; names the fullest of its buffers ``uses``."""
    worst = max(uses, key=lambda use: use.needed / use.available)
    what = "the smallest mini-batch" if mini_batch is None else f"a mini-batch of {mini_batch} sequences"
    return worst.refusal(f"{model} on {dies} dies, {method}: block {block} with {what}")


def block_schedule(
    memory: BlockMemory, size: Number, sequences: Number, units: list[Number], without: tuple[Rule, ...]
) -> BlockSchedule:
    """How a block runs with mini-batches of ``size``; ``units`` are the sets of weights that are resident together, in
    the order of the run through the layers.
    """
    die, batch = memory.die, batch_of(memory, size)
    # The largest two consecutive sets: parts of attention and FFN follow each other in a circle.
    pair = larger(*(first + second for first, second in zip(units, units[1:] + units[:1], strict=True)))
    overlap = "overlap" not in without
    weights_ahead = overlap & (pair * die.element_bytes + memory.passing_bytes <= die.weight_bytes)
    both = pair * SUM_BYTES + memory.panel_bytes
    gradients_behind = overlap & (both <= die.accumulator_bytes)
    tile = tile_limit(memory, batch)
    weights, activations, sums = buffer_uses(memory, batch, tile)
    twice = rounded_up(pair * die.element_bytes + memory.passing_bytes)
    buffers = (
        replace(weights, needed=choose(weights_ahead, larger(weights.needed, twice), weights.needed)),
        activations,
        replace(sums, needed=choose(gradients_behind, larger(sums.needed, rounded_up(both)), sums.needed)),
    )
    return BlockSchedule(
        memory.block,
        batch,
        ceil_div(sequences * batch.length, batch.tokens),
        memory.parts,
        memory.slices,
        tile,
        weights_ahead,
        gradients_behind,
        "residence" not in without,
        buffers,
    )


def tile_choices(limit: Number, rows: Number) -> Number:
    """Token tiles to try: the height of the array times powers of two, up to ``limit``, and ``limit`` itself.

    A list, or for many machines an array with a row for each choice, of which the last ones may be equal.
    """
    if is_array(limit) or is_array(rows):
        import numpy as np

        count = max(0, int(np.ceil(np.log2(limit / rows)).max())) + 1
        powers = 2.0 ** np.arange(count)
        return np.minimum(rows * powers.reshape(-1, *[1] * max(np.ndim(limit), np.ndim(rows))), limit)
    sizes = []
    size = rows
    while size < limit:
        sizes.append(size)
        size *= 2
    return [*sizes, limit]
