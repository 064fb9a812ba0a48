"""The work of one fused block under a distribution method: communication, GEMMs and vector operations.

All element counts are those of one die and one mini-batch; what differs between dies is the mean, and the
sizes of GEMMs are those of the busiest die.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import Literal

BlockName = Literal["attention", "ffn", "head"]


@dataclass(frozen=True)
class Linear:
    """One linear layer Y = X W of ``h_in`` x ``h_out``.

    ``expand`` says that it is the first of its block; ``by_heads`` that the features between are attention
    heads.
    """

    name: str
    h_in: int
    h_out: int
    expand: bool
    by_heads: bool = False


@dataclass(frozen=True)
class Block:
    """A fused block: a linear, something local in its middle, and (not for the head) a second linear."""

    name: BlockName
    expand: Linear
    contract: Linear | None


@dataclass(frozen=True)
class CommStep:
    """One collective (or a sweep of broadcasts) of one mini-batch, as one die sees it.

    ``elements``: received by a die; ``serial_elements``: over the busiest link, which sets the time;
    ``element_hops``: elements times hops that a die sends; ``steps`` times ``hops`` hop latencies are paid.
    ``axis`` is the set of links in use: steps on different axes can run at the same time. ``weights`` marks
    what does not grow with the tokens.
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
    """The dimension that token tiles cut: rows of X and dY, or the summed tokens of X^T dY. None: not cut."""


@dataclass(frozen=True)
class VectorStep:
    """``elements`` on the busiest die, each with ``operations`` vector operations; ``total`` on all dies."""

    name: str
    elements: float
    operations: int
    total: float


@dataclass(frozen=True)
class Operation:
    """Steps of one linear or of one block's middle, which may run at once for different token tiles."""

    name: str
    comms: tuple[CommStep, ...] = ()
    gemms: tuple[GemmStep, ...] = ()
    vectors: tuple[VectorStep, ...] = ()
    strip_rows: int = 0
    """Rows that are worked on in strips as high as the array, one strip's vector work behind the next one's
    GEMM.
    """


@dataclass(frozen=True)
class BlockPlan:
    """Both passes of one block for one mini-batch, and what is sent once a step instead."""

    block: Block
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
    """Both operations as one: their steps stream through the same token tiles."""
    return Operation(
        operation.name,
        operation.comms + other.comms,
        operation.gemms + other.gemms,
        operation.vectors + other.vectors,
    )


def sliced(linear: Linear, slices: int) -> list[Linear]:
    """``linear`` cut by output columns into at most ``slices`` parts, all but the last equally wide."""
    width = ceil(linear.h_out / slices)
    whole, rest = divmod(linear.h_out, width)
    return [replace(linear, h_out=size) for size in [width] * whole + [rest] * bool(rest)]


def largest_slice(linear: Linear, slices: int) -> Linear:
    """The first of :func:`sliced`, which no other is wider than."""
    return linear if slices == 1 else replace(linear, h_out=ceil(linear.h_out / slices))


def linears(block: Block) -> tuple[Linear, ...]:
    """The linear layers of ``block``."""
    return (block.expand,) if block.contract is None else (block.expand, block.contract)
