"""The operations of a fused block under a distribution method: communication, GEMMs and vector operations.

All element counts are for one die and one mini-batch: the mean where dies differ, and for GEMMs the sizes of the
busiest die. Sizes and counts may be arrays with one element for each machine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from chiplet.graph.vector_work import VectorWork
from chiplet.vectorized.elementwise import Number, ceil_div, is_array

BlockName = Literal["attention", "ffn", "head"]


@dataclass(frozen=True)
class Linear:
    """One linear layer Y = X W of ``h_in`` x ``h_out``.

    ``expand``: it is the first of its block. ``by_heads``: the features between the two linears are attention heads.
    """

    name: str
    h_in: int
    h_out: int
    expand: bool
    by_heads: bool = False


@dataclass(frozen=True)
class FusedBlock:
    """A fused block: a linear, a local operation in the middle, and (except in the head) a second linear."""

    name: BlockName
    expand: Linear
    contract: Linear | None


@dataclass(frozen=True)
class CommStep:
    """One collective (or a sweep of broadcasts) of one mini-batch, as one die sees it.

    ``elements``: received by a die; ``serial_elements``: over the busiest link, which sets the time; ``element_hops``:
    elements times hops that a die sends. The latency is ``steps`` times ``hops`` hops. ``axis`` is the set of links in
    use: steps on different axes can run at the same time. ``weights``: the size does not depend on the tokens.
    """

    name: str
    op: str
    axis: str
    group: int
    elements: float
    serial_elements: float
    element_hops: float
    steps: int
    hops: int
    element_bytes: int
    weights: bool = False


@dataclass(frozen=True)
class GemmStep:
    """``count`` GEMMs of m x k by k x n on the busiest die; ``macs`` multiply-adds on all dies together."""

    name: str
    m: int
    k: int
    n: int
    count: int
    macs: float
    split: Literal["m", "k"] | None
    """The dimension that token tiles cut: the rows of X and dY, or the summed tokens of X^T dY. None: not cut."""


@dataclass(frozen=True)
class VectorStep:
    """``elements`` on the busiest die, ``total`` on all dies, with ``work`` of the vector unit for each."""

    name: str
    elements: float
    work: VectorWork
    total: float


@dataclass(frozen=True)
class Operation:
    """Steps of one linear, or of the middle of a block; they may run at the same time for different token tiles."""

    name: str
    comms: tuple[CommStep, ...] = ()
    gemms: tuple[GemmStep, ...] = ()
    vectors: tuple[VectorStep, ...] = ()
    strip_rows: Number | None = None
    """Rows that are processed in strips as high as the array, the vector work of one strip behind the GEMM of the
    next; None for token tiles.
    """
    times: Number = 1
    """Runs in a mini-batch."""


@dataclass(frozen=True)
class BlockPasses:
    """Operations of both passes over one block for one mini-batch; ``once``: what is sent once in a step."""

    block: FusedBlock
    forward: tuple[Operation, ...]
    backward: tuple[Operation, ...]
    once: tuple[CommStep, ...]


@dataclass(frozen=True)
class Batch:
    """A mini-batch of ``tokens`` tokens out of ``sequences`` sequences of ``length`` tokens."""

    tokens: int
    sequences: int
    length: int


def joined(operation: Operation, other: Operation) -> Operation:
    """Both operations as one whose steps share the same token tiles."""
    return Operation(
        operation.name,
        operation.comms + other.comms,
        operation.gemms + other.gemms,
        operation.vectors + other.vectors,
        times=operation.times,
    )


def repeated(operation: Operation, times: Number) -> Operation:
    """``operation``, run ``times`` times in a mini-batch."""
    return operation if not is_array(times) and times == 1 else replace(operation, times=times)


def slice_count(linear: Linear, slices: Number) -> Number:
    """Slices of ``linear`` by output columns, of equal width but for the last: at most ``slices``."""
    return ceil_div(linear.h_out, ceil_div(linear.h_out, slices))


def sliced(linear: Linear, slices: Number) -> list[tuple[Linear, Number]]:
    """The slices of ``linear``, with the number of equal ones: the first, those in between if any, and the last.

    With arrays, the number in between may be 0 for some machines.
    """
    if not is_array(slices) and slices == 1:
        return [(linear, 1)]
    first, count = largest_slice(linear, slices), slice_count(linear, slices)
    last = replace(linear, h_out=linear.h_out - (count - 1) * first.h_out)
    if is_array(count):
        return [(first, 1), (first, count - 2), (last, 1)]
    return [(first, 1)] * (count > 1) + [(first, count - 2)] * (count > 2) + [(last, 1)]


def largest_slice(linear: Linear, slices: Number) -> Linear:
    """The first of :func:`sliced`, which is the widest."""
    if not is_array(slices) and slices == 1:
        return linear
    return replace(linear, h_out=ceil_div(linear.h_out, slices))


def linears(block: FusedBlock) -> tuple[Linear, ...]:
    """The linear layers of ``block``."""
    return (block.expand,) if block.contract is None else (block.expand, block.contract)
