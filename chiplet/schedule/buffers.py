"""What the buffers of a die and the DRAM of the package must hold, in bytes.

Sizes grow with the tokens of a mini-batch; :mod:`chiplet.schedule.fit` finds the largest mini-batch that fits.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from chiplet.machine.specs import SUM_BYTES, DieSpec, SystemSpec
from chiplet.methods.base import Method, Recompute
from chiplet.schedule.context import WHOLE, ContextShare
from chiplet.vectorized.elementwise import Number, ceil_div, is_array, larger, rounded_down
from chiplet.workload.layer import Layer
from chiplet.workload.llm import Llm
from chiplet.workload.operations import FusedBlock, Linear, largest_slice, linears

Optimizer = Literal["sgd", "adam"]

STATE_BYTES: dict[Optimizer, int] = {"sgd": 8, "adam": 16}
"""DRAM bytes of a parameter besides the operand copy: 32-bit master and gradient, and two moments for Adam."""

UPDATE_BYTES: dict[Optimizer, int] = {"sgd": 12, "adam": 28}
"""DRAM bytes of updating a parameter: gradient, master and moments read, master and moments written. The operand
copy that is written too is not included."""


IN_BLOCKS = 4
"""Parts of an attention whose middle runs in blocks of keys, in the order of FlashAttention (Dao, arXiv 2307.08691).
Forward, a block of queries stays with its sums while all keys and values pass; backward, a block of keys and values
stays with its gradients while all queries pass. Scores are computed again in the backward pass.
"""

BLOCK_SHARE = 2
"""A block takes at most this fraction (one part in 2) of the scratchpad: the rest is for token tiles of the linears."""


class DoesNotFitError(ValueError):
    """A buffer is too small; the message is one line."""


@dataclass(frozen=True)
class BufferUse:
    """Bytes that a buffer must hold, and the bytes it has."""

    name: str
    needed: Number
    available: Number

    @property
    def fits(self) -> Any:
        """Whether the buffer is large enough, a bool."""
        return self.needed <= self.available

    def refusal(self, what: str, hint: str = "") -> DoesNotFitError:
        """The error that ``what`` does not fit, with the buffer, the bytes needed and the bytes available."""
        return DoesNotFitError(
            f"{what} does not fit: {self.name} needs {self.needed} bytes and has {self.available}{hint}"
        )


@dataclass(frozen=True)
class BlockMemory:
    """Buffer contents of one block under one method, with sequences of ``length`` tokens.

    ``parts`` says how the block runs: 1, fused; 2, split before its second linear; 3 (attention only), with its
    middle as a part of its own, one head of one sequence at a time; :data:`IN_BLOCKS`, with that in blocks of keys.
    Between parts, activations go through DRAM.
    ``slices`` cuts each linear by output columns; all mini-batches run through one slice before the next. A block that
    is computed once more before its backward pass may leave the probabilities of the attention on the die in
    between: ``keeps_probabilities``. Several packages may share each sequence: ``length`` is then the part of one.
    """

    method: Method
    block: FusedBlock
    die: DieSpec
    length: int
    parts: int
    slices: Number = 1
    keeps_probabilities: bool = False
    context: ContextShare = WHOLE

    @cached_property
    def units(self) -> tuple[Number, ...]:
        """Weights that are resident on a die together, in the order of use: those of the whole fused block, or before
        and after its middle; of each sliced linear its largest slice, twice, as one slice follows another.
        """
        method, block = self.method, self.block
        if is_array(self.slices) or self.slices > 1:
            return tuple(method.weights_of(linear) for linear in self._linears for _ in range(2))
        if self.parts == 1 or block.contract is None:
            return (method.weights_per_die(block),)
        return sum(map(method.weights_of, block.first)), method.weights_of(block.contract)

    @cached_property
    def _linears(self) -> list[Linear]:
        """The largest slice of each linear."""
        return [largest_slice(linear, self.slices) for linear in linears(self.block)]

    @cached_property
    def passing_bytes(self) -> Number:
        """Weights of other dies that pass through: two stationary tiles, or none."""
        die = self.die
        return 2 * die.rows * die.cols * die.element_bytes if self.method.weights_travel else 0

    @cached_property
    def weight_bytes(self) -> Number:
        """Weights of the largest part, and weights that pass through."""
        return larger(*self.units) * self.die.element_bytes + self.passing_bytes

    @cached_property
    def gradient_bytes(self) -> Number:
        """Weight gradients of the largest part, 32 bits each."""
        return larger(*self.units) * SUM_BYTES

    @cached_property
    def panel_bytes(self) -> int:
        """Sums that pass through the accumulator buffer on their way to the scratchpad: two panels as high as the
        array.
        """
        return 2 * self.die.rows * self.die.cols * SUM_BYTES

    @cached_property
    def strip_bytes(self) -> Number:
        """Attention scores of one strip of rows, and the keys of other packages that these are computed with."""
        if self.block.name != "attention":
            return 0
        blocks = self.context.blocks_at_once
        keys = self.length if self.context.ring else self.length * self.context.packages
        # Keys and values of other packages for one head, and sums of their gradients, double-buffered.
        passing = 4 * self.method.model.head_dim * (self.die.element_bytes + SUM_BYTES)
        return self._score_bytes * keys + passing * blocks * self.length

    @cached_property
    def _score_bytes(self) -> int:
        """Scores of one key for a strip of rows: 32 bits each, and twice as operands."""
        return self.die.rows * (SUM_BYTES + 2 * self.die.element_bytes)

    @cached_property
    def key_block(self) -> Number:
        """Keys that the attention works on at a time, equally many but for the last; 0 for all at once."""
        if self.parts != IN_BLOCKS:
            return self.length if self.context.ring else 0
        rows = self.die.rows
        room = self.die.scratchpad_bytes / BLOCK_SHARE - self._passing_rows_bytes
        most = larger(rows, rounded_down(room / self._key_bytes / rows) * rows)
        return ceil_div(self.length, ceil_div(self.length, most))

    @cached_property
    def _key_bytes(self) -> int:
        """What stays for a key of a block in the backward pass, which is more than for a query in the forward pass:
        key, value, their gradients in 32 bits, and scores.
        """
        layer = self.block.layer
        kept = (layer.head_dim + layer.value_dim) * (self.die.element_bytes + SUM_BYTES)
        return kept + self._score_bytes

    @cached_property
    def _passing_rows_bytes(self) -> int:
        """Queries, outputs and their gradients that pass in strips as high as the array, double-buffered; the sums of
        the gradient of the queries, in 32 bits, come and go.
        """
        layer = self.block.layer
        operands = (layer.head_dim + 2 * layer.value_dim) * self.die.element_bytes
        return 2 * self.die.rows * (operands + 2 * layer.head_dim * SUM_BYTES)

    @cached_property
    def tile_bytes(self) -> Number:
        """What each token of a token tile takes of the scratchpad: operands and partial sums, double-buffered."""
        return self.tile_operand_bytes + self.tile_sum_bytes

    @cached_property
    def tile_operand_bytes(self) -> Number:
        """Operands of each token of a token tile, double-buffered: gathered ones, and the tile's own inputs and
        outputs if no mini-batch is kept.
        """
        largest = larger(*(self.method.tile_operands(linear) for linear in self._linears))
        if self.parts >= 3:
            features = larger(*(2 * (linear.h_in + linear.h_out) for linear in self._linears))
            largest = largest + features / self.method.mesh.nodes
        return 2 * largest * self.die.element_bytes

    @cached_property
    def tile_sum_bytes(self) -> Number:
        """Partial sums of each token of a token tile, double-buffered, 32 bits each."""
        return 2 * larger(*(self.method.tile_sums(linear) for linear in self._linears)) * SUM_BYTES

    @cached_property
    def edge_features(self) -> int:
        """Features of block inputs, outputs and their gradients that are live for a token: three, double-buffered."""
        hidden = self.method.model.hidden
        if self.block.name == "input":
            return 2 * (2 * self.block.expand.h_in + hidden)
        return 4 * hidden if self.block.contract is None else 6 * hidden

    def activation_bytes(self, tokens: Number, sequences: Number) -> Number:
        """Activations of a mini-batch on the busiest die, which in the attention has whole heads of whole sequences.

        Saved features inside the block are double-buffered, and their gradients are live at the same time.
        """
        method, element = self.method, self.die.element_bytes
        dies = method.mesh.nodes
        edge = self.edge_features * tokens / dies
        if self.block.name == "input":
            return edge * element
        if self.block.contract is None:
            outputs = sum(linear.h_out for linear in self.block.first)
            return (edge + 2 * outputs * tokens / dies) * element
        if self.block.name == "ffn":
            return (
                edge + self._inner(self.block.expand.h_out, self.block.contract.h_in) * tokens / dies
            ) * element
        if self.parts == IN_BLOCKS:
            return self.key_block * self._key_bytes + self._passing_rows_bytes
        if self.parts == 3:  # the linears keep token tiles only
            return self.middle_bytes
        layer = self.block.layer
        heads = ceil_div(layer.heads, method.head_groups)
        kv_heads = ceil_div(method.kv_heads, method.head_groups)
        local = ceil_div(sequences, method.sequence_groups) * self.length
        key_value = kv_heads * (layer.head_dim + layer.value_dim)
        inner = self._inner(heads * layer.head_dim + key_value, heads * layer.value_dim)
        if self.keeps_probabilities:
            reach = layer.attention_reach(
                self.length * self.context.packages, method.skipped_by(self.die.rows)
            )
            inner = inner + heads * reach
        latent = self._inner(layer.latent_features, 0) * tokens / dies
        return (edge + inner * local + latent) * element + self.strip_bytes

    def pieces(self, tokens: Number, sequences: Number) -> Number:
        """Equal pieces in which the linears of an attention take a mini-batch that does not stay on the dies: as few as
        fit if the method has no token tiles. Each sends the weights anew.
        """
        if self.parts < 3 or self.method.token_tiled:
            return 1
        room = self.die.scratchpad_bytes - self.activation_bytes(tokens, sequences)
        most = larger(1, rounded_down(room / self.tile_bytes))
        return larger(1, ceil_div(tokens, most))

    @property
    def middle_bytes(self) -> Number:
        """The attention's middle alone with all keys: Q, K, V, output and their gradients of one head, and scores."""
        layer = self.block.layer
        of_token = 2 * (layer.head_dim + layer.value_dim)
        return 3 * of_token * self.length * self.die.element_bytes + self.strip_bytes

    def _inner(self, first: Number, second: Number) -> Number:
        """Live features of a token, with ``first`` after the first linear and ``second`` before the second."""
        return 3 * (first + second) if self.parts == 1 else larger(2 * first + 3 * second, 4 * second)


def saved_bytes_per_token(
    model: Llm,
    length: Number,
    recompute: Recompute,
    element_bytes: int,
    numbers: Collection[int] | None = None,
) -> Number:
    """DRAM bytes that one token leaves in all layers, or in those with ``numbers``, for the backward pass.

    Counted as by Korthikanti et al. (arXiv 2205.05198), but without dropout masks, which these models do not have. The
    first layer comes with its row of the embedding, where a linear leads from there to the layers.
    """
    chosen = range(model.layers) if numbers is None else numbers
    total: Number = model.table_features if model.narrow and 0 in chosen else 0
    for kind in (*model.attention_kinds, *model.ffn_kinds):
        total = total + kind.count(chosen) * saved_elements(kind.layer, kind.block, length, recompute)
    return total * element_bytes


def saved_elements(layer: Layer, block: str, length: Number, recompute: Recompute) -> Number:
    """Elements that one token leaves in the ``block``, attention or FFN, of a layer, with the input of that."""
    parts = layer.saved_features(length)
    total = parts["inputs"] // 2
    if recompute != "full":
        total += parts[block]
    return total + parts["probabilities"] if block == "attention" and recompute == "none" else total


@dataclass(frozen=True)
class DramNeed:
    """What the DRAM of a package holds: ``state`` bytes, and ``saved`` bytes for each sequence in progress.

    ``sequences`` fixes how many are in progress at a time; None for as many as fit.
    """

    state: Number
    saved: Number
    sequences: Number | None = None

    def select(self, rows: Callable[[Number], Number]) -> DramNeed:
        """The machines that ``rows`` picks out of an array of many."""
        return DramNeed(rows(self.state), rows(self.saved), rows(self.sequences))


def dram_state_bytes(model: Llm, optimizer: Optimizer, element_bytes: int) -> int:
    """DRAM bytes of parameters, gradients and optimizer state."""
    return model.parameters * (element_bytes + STATE_BYTES[optimizer])


def dram_capacity(system: SystemSpec, edge_sides: Number) -> Number:
    """DRAM bytes of the package."""
    return system.memory.package_channels(edge_sides) * system.memory.channel_bytes
