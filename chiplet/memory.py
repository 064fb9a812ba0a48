"""What the buffers of a die and the DRAM of the package must hold, in bytes.

Sizes are linear in the tokens of a mini-batch, so the largest mini-batch that fits follows in closed form
(``chiplet.schedule``).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Literal

from chiplet.llm import Llm
from chiplet.methods.base import Method, Recompute
from chiplet.methods.work import Block, linears
from chiplet.specs import DieSpec, SystemSpec

Optimizer = Literal["sgd", "adam"]

STATE_BYTES: dict[Optimizer, int] = {"sgd": 8, "adam": 16}
"""DRAM bytes of a parameter beside the operand copy: 32-bit master and gradient, and two moments for Adam."""

UPDATE_BYTES: dict[Optimizer, int] = {"sgd": 12, "adam": 28}
"""DRAM traffic of updating a parameter: reads gradient, master and moments, writes master and moments; the
operand copy that is written beside them is not counted here."""

UPDATE_OPS: dict[Optimizer, int] = {"sgd": 2, "adam": 12}
"""Vector operations of updating a parameter."""


@dataclass(frozen=True)
class BufferUse:
    """Bytes that a buffer must hold, and that it has."""

    name: str
    needed: int
    available: int

    def require(self, what: str) -> None:
        """Raise ``ValueError`` that names the buffer, the bytes needed and the bytes there, when it does not
        fit.
        """
        if self.needed > self.available:
            raise ValueError(
                f"{what} does not fit: {self.name} needs {self.needed} bytes and has {self.available}"
            )


@dataclass(frozen=True)
class BlockMemory:
    """Buffer contents of one block under one method.

    ``units`` are the weights a die keeps of each part that is resident at a time: one part when the block is
    fused, one for each linear when it is not.
    """

    method: Method
    block: Block
    die: DieSpec
    length: int
    fused: bool

    @property
    def units(self) -> tuple[float, ...]:
        """Weights of a die in each resident part."""
        whole = self.method.weights_per_die(self.block)
        if self.fused:
            return (whole,)
        sizes = [linear.h_in * linear.h_out for linear in linears(self.block)]
        return tuple(whole * size / sum(sizes) for size in sizes)

    @property
    def weight_bytes(self) -> float:
        """Weights of the largest part, and panels of other dies' weights."""
        return (max(self.units) + self.method.weight_panels(self.block)) * self.die.element_bytes

    @property
    def gradient_bytes(self) -> float:
        """Weight gradients of the largest part, 32 bits each."""
        return max(self.units) * 4

    @property
    def strip_bytes(self) -> int:
        """Attention scores of one strip of rows, 32 bits each; as operands half as much is held, twice."""
        return self.die.rows * self.length * 4 if self.block.name == "attention" else 0

    @property
    def tile_operand_bytes(self) -> float:
        """Gathered operands for each token of a token tile, double-buffered."""
        largest = max(self.method.tile_operands(linear) for linear in linears(self.block))
        return 2 * largest * self.die.element_bytes

    @property
    def tile_sum_bytes(self) -> float:
        """Partial sums for each token of a token tile, double-buffered, 32 bits each."""
        return 2 * max(self.method.tile_sums(linear) for linear in linears(self.block)) * 4

    @property
    def edge_features(self) -> int:
        """Features of block inputs, outputs and their gradients that are live for a token: three,
        double-buffered.
        """
        hidden = self.method.model.hidden
        if self.block.contract is None:
            return 4 * hidden
        return 6 * hidden

    def activation_bytes(self, tokens: int, sequences: int) -> float:
        """Activations of a mini-batch on the busiest die; in the attention it has whole heads of whole sequences.

        Features inside the block that were saved are double-buffered, and their gradients are live beside them.
        """
        method, model = self.method, self.method.model
        dies = method.mesh.nodes
        if self.block.contract is None:
            inner = 2 * self.block.expand.h_out * tokens / dies
        elif self.block.name == "attention":
            query = ceil(model.heads / method.head_groups) * model.head_dim
            key = ceil(method.kv_heads / method.head_groups) * model.head_dim
            local = ceil(sequences / method.sequence_groups) * self.length
            inner = self._inner(query + 2 * key, query) * local
        else:
            inner = self._inner(self.block.expand.h_out, self.block.contract.h_in) * tokens / dies
        return (self.edge_features * tokens / dies + inner) * self.die.element_bytes + self.strip_bytes

    def _inner(self, first: int, second: int) -> int:
        """Live features for a token: ``first`` after the first linear, ``second`` before the second."""
        return 3 * (first + second) if self.fused else max(2 * first + 3 * second, 4 * second)


def saved_bytes_per_token(model: Llm, length: int, recompute: Recompute, element_bytes: int) -> int:
    """DRAM bytes that one token leaves behind in all layers for the backward pass.

    Beside that of Korthikanti et al. (arXiv 2205.05198), whose counts include dropout masks that these models
    lack.
    """
    parts = model.saved_features(length)
    if recompute != "none":
        del parts["probabilities"]
    if recompute == "full":
        del parts["attention"], parts["ffn"]
    return model.layers * sum(parts.values()) * element_bytes


def dram_state_bytes(model: Llm, optimizer: Optimizer, element_bytes: int) -> int:
    """DRAM bytes of parameters, gradients and optimizer state."""
    return model.parameters * (element_bytes + STATE_BYTES[optimizer])


def dram_capacity(system: SystemSpec, edge_sides: int) -> int:
    """DRAM bytes of the package."""
    return system.memory.package_channels(edge_sides) * system.memory.channel_bytes
