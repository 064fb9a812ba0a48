"""The schedule: which blocks are fused, the size of a mini-batch, what is double-buffered, and how often a pass runs.

Layers are the outer loop and mini-batches the inner one: the weights of a block are loaded once a pass, and all
mini-batches stream through. A block is fused, split into its linears, or these are cut into slices: what fits and is
quickest (:mod:`chiplet.schedule.combination`). Mini-batches are the largest that fit, and equal; the last of a round
has what is left. The weights of the next block are loaded, and the gradients of the last one stored, behind the
computation if both fit.

The global batch runs in the fewest rounds whose saved activations fit DRAM; gradients accumulate over the rounds.
The last round has the sequences that are left.
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
from chiplet.schedule.combination import Choice
from chiplet.schedule.context import WHOLE, ContextShare
from chiplet.schedule.double_buffers import pairs_of
from chiplet.schedule.fit import BlockWork, Fit, buffer_uses, candidates, tile_limit
from chiplet.schedule.mini_batches import MiniBatches, equal_parts, mini_batches
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
    """How one block runs: its buffers, its mini-batches in a step, the largest token tile, and what is
    double-buffered.
    """

    memory: BlockMemory
    mini_batches: tuple[MiniBatches, ...]
    tile_limit: Number
    weights_ahead: Any
    gradients_behind: Any
    buffers: tuple[BufferUse, ...]

    @property
    def block(self) -> FusedBlock:
        """The block."""
        return self.memory.block

    @property
    def parts(self) -> int:
        """Parts that it runs in, see :class:`chiplet.schedule.buffers.BlockMemory`."""
        return self.memory.parts

    @property
    def slices(self) -> Number:
        """Slices of each linear, likewise."""
        return self.memory.slices

    @property
    def keeps_probabilities(self) -> bool:
        """Whether the probabilities of the attention stay on the die, likewise."""
        return self.memory.keeps_probabilities

    @property
    def batch(self) -> Batch:
        """The largest mini-batch, which all are but the last of a round."""
        return self.mini_batches[0].batch


@dataclass(frozen=True)
class Schedule:
    """How a training step runs: ``rounds`` times all layers forward and backward, each over ``sequences`` sequences;
    the last over those that are left.
    """

    rounds: Number
    sequences: Number
    length: Number
    blocks: tuple[BlockSchedule, ...]
    dram: BufferUse


@dataclass(frozen=True)
class StepWork:
    """What a step works on: its rounds and sequences, what DRAM holds, and what blocks may do."""

    work: BlockWork
    global_batch: Number
    dram: BufferUse
    without: tuple[Rule, ...] = ()

    @property
    def rounds(self) -> Number:
        """Rounds of the step."""
        return ceil_div(self.global_batch, self.work.sequences)

    @property
    def tokens(self) -> Number:
        """Tokens of the step."""
        return self.global_batch * self.work.length

    @property
    def last_round(self) -> Number:
        """Part of the sequences that are in the last round."""
        return 1 - (self.rounds - 1) * self.work.sequences / self.global_batch

    def candidates(self, block: FusedBlock) -> list[Fit]:
        """Ways to run ``block``; none if nothing fits."""
        return candidates(self.work, block, fused="fusion" not in self.without)

    def mini_batches(self, block: FusedBlock, fit: Fit) -> tuple[MiniBatches, ...]:
        """The mini-batches of ``block`` in a step."""
        memory = self.work.memory_of(block, fit)
        return mini_batches(memory, fit.size, self.work.sequences, self.global_batch)


def step_work(
    method: Method,
    system: SystemSpec,
    *,
    global_batch: int,
    length: int,
    optimizer: Optimizer,
    mini_batch: int | None,
    without: tuple[Rule, ...] = (),
    dram: DramNeed | None = None,
    context: ContextShare = WHOLE,
) -> StepWork:
    """The work of one training step of ``global_batch`` sequences of ``length`` tokens.

    ``mini_batch`` fixes the sequences of a mini-batch, else it is the largest that fits; ``without`` switches rules
    off; ``dram`` says what DRAM holds if not the whole model; other packages have other parts of the sequences, as
    ``context`` says.

    Raises
    ------
    DoesNotFitError
        If DRAM is too small, naming the bytes needed and the bytes available.
    """
    need = dram or whole_model(method, length, optimizer)
    least = dram_use(method, system, need, need.sequences or 1)
    if not least.fits:
        raise dram_refusal(method, method.mesh.nodes, least, need.sequences)
    sequences = need.sequences or round_sequences(method, system, need, global_batch)
    work = BlockWork(method, system.die, sequences, length, mini_batch, context)
    return StepWork(work, global_batch, dram_use(method, system, need, sequences), without)


def assemble(step: StepWork, fits: Sequence[Fit], choices: Sequence[Choice]) -> Schedule:
    """The schedule of the blocks that run as ``fits`` say, double-buffered as in ``choices``."""
    work = step.work
    blocks = work.method.blocks()
    memories = [work.memory_of(block, fit) for block, fit in zip(blocks, fits, strict=True)]
    pairs = pairs_of(memories)
    return Schedule(
        step.rounds,
        work.sequences,
        work.length,
        tuple(
            block_schedule(memory, step.mini_batches(memory.block, fit), pair, choice)
            for memory, fit, pair, choice in zip(memories, fits, pairs, choices, strict=True)
        ),
        step.dram,
    )


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


def dram_refusal(method: Method, dies: int, use: BufferUse, sequences: int | None) -> DoesNotFitError:
    """The error that DRAM does not hold the training state and the activations of ``sequences``, or of one sequence."""
    model = method.model.name
    held = "one sequence's" if sequences in (None, 1) else f"{sequences} sequences'"
    hint = "; recompute=selective saves no probabilities" if method.switches.recompute == "none" else ""
    return use.refusal(f"{model} on {dies} dies: the training state with {held} activations", hint)


def block_refusal(
    method: Method, dies: int, block: FusedBlock, uses: Sequence[BufferUse], mini_batch: int | None
) -> DoesNotFitError:
    """The error that a block does not fit; names the fullest of its buffers ``uses``."""
    worst = max(uses, key=lambda use: use.needed / use.available)
    smallest = mini_batch is None or block.name != "attention"
    what = "the smallest mini-batch" if smallest else f"a mini-batch of {mini_batch} sequences"
    hint = ""
    if block.name == "attention" and method.switches.recompute == "none":
        hint = "; recompute=selective keeps no scores of whole sequences"
    where = f"{method.model.name} on {dies} dies, {method.name}"
    return worst.refusal(f"{where}: block {block.label} with {what}", hint)


def block_schedule(
    memory: BlockMemory, batches: tuple[MiniBatches, ...], pair: Number, choice: Choice
) -> BlockSchedule:
    """How a block runs in ``batches``; ``pair`` are the largest two sets of weights that follow each other."""
    die, batch = memory.die, batches[0].batch
    tile = tile_limit(memory, batch)
    weights, activations, sums = buffer_uses(memory, batch, tile)
    twice = rounded_up(pair * die.element_bytes + memory.passing_bytes)
    both = rounded_up(pair * SUM_BYTES + memory.panel_bytes)
    ahead, behind = choice.weights_ahead, choice.gradients_behind
    buffers = (
        replace(weights, needed=choose(ahead, larger(weights.needed, twice), weights.needed)),
        activations,
        replace(sums, needed=choose(behind, larger(sums.needed, both), sums.needed)),
    )
    return BlockSchedule(memory, batches, tile, ahead, behind, buffers)


def tile_choices(limit: Number, rows: Number, filling: Number | None = None) -> Number:
    """Token tiles to try: the height of the array times powers of two, up to ``limit``, and ``limit`` itself. Where
    ``filling`` tokens fill the array, which is more with experts, also these times powers of two, and the most of them.

    A list, or for many machines an array with a row for each choice, of which the last ones may be equal.
    """
    if filling is not None:
        # Tiles of less than what fills the array are cut by its height alone.
        whole = rounded_down(limit / filling) * filling
        choices = [tile_choices(limit, rows), tile_choices(limit, filling), choose(whole > 0, whole, limit)]
        if not is_array(choices[-1]):
            return sorted({*choices[0], *choices[1], choices[2]})
        import numpy as np

        return np.sort(np.concatenate([*choices[:2], choices[2][None]]), axis=0)
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
