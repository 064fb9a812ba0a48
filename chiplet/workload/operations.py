"""The operations of a fused block under a distribution method: communication, GEMMs and vector operations.

All element counts are for one die and one mini-batch: the mean where dies differ, and for GEMMs the sizes of the
busiest die. Sizes and counts may be arrays with one element for each machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Literal

from chiplet.graph.vector_work import VectorWork
from chiplet.vectorized.elementwise import Number, ceil_div, is_array, larger
from chiplet.workload.experts import Mixture
from chiplet.workload.layer import Layer
from nop.collective_cost import CollectiveCost

BlockName = Literal["input", "attention", "ffn", "head"]


@dataclass(frozen=True)
class Linear:
    """One linear layer Y = X W of ``h_in`` x ``h_out``.

    ``expand``: it is the first of its block. ``by_heads``: the features between the two linears are attention heads.
    With a ``mixture``, ``h_in`` and ``h_out`` are what one token uses.
    """

    name: str
    h_in: int
    h_out: int
    expand: bool
    by_heads: bool = False
    mixture: Mixture | None = None

    @property
    def weights(self) -> Number:
        """Weights that are stored, those of all experts included."""
        used = self.h_in * self.h_out
        return used if self.mixture is None else used * (self.mixture.stored / self.mixture.used)

    def pieces(self) -> Iterator[Piece]:
        """The linears of the mixture: one for the experts, and one for what all tokens go through if there is any."""
        mixture = self.mixture
        assert mixture is not None
        for name, features, count, active in (
            ("experts", mixture.routed, mixture.count, mixture.active),
            ("all tokens", mixture.beside, 1, 1),
        ):
            if not features:
                continue
            piece = replace(self, name=name, h_in=features, mixture=None)
            if self.expand:  # a slice has its part of the columns of each
                columns = larger(1, ceil_div(features * self.h_out, mixture.used))
                piece = replace(piece, h_in=self.h_in, h_out=columns)
            yield Piece(piece, count, Fraction(active, count), active * features / mixture.used)


@dataclass(frozen=True)
class Piece:
    """``count`` like linears of a mixture. Each sees ``tokens`` of the tokens, if all see equally many; together they
    have ``work`` of the multiply-adds.
    """

    linear: Linear
    count: int
    tokens: Fraction
    work: float

    def seen(self, tokens: Number) -> Number:
        """What each sees of ``tokens``, in whole tokens."""
        return share_of(tokens, self.tokens)


@dataclass(frozen=True)
class FusedBlock:
    """A fused block: a linear, a local operation in the middle, and a second linear.

    The ``input`` leads from a narrower embedding to the residual stream, and the ``head`` from there to the logits:
    they have no second linear. ``inner`` linears follow the first one, before the middle: those of latent attention,
    each of which reads latent features, and that of a head behind narrower features.

    ``layers`` layers have this block, which is that of ``layer``. ``label`` is its name, and what sets it apart where
    layers differ. ``neighbours`` are the labels of the blocks that run before or after it.
    """

    name: BlockName
    expand: Linear
    contract: Linear | None
    layer: Layer
    inner: tuple[Linear, ...] = ()
    label: str = ""
    layers: int = 1
    neighbours: tuple[str, ...] = ()

    @property
    def first(self) -> tuple[Linear, ...]:
        """The linears before the middle."""
        return (self.expand, *self.inner)

    def filling_tile(self, rows: Number) -> Number:
        """Tokens of which each linear sees ``rows``: more than these if the block has experts."""
        if self.expand.mixture is None:
            return rows
        share = min(piece.tokens for piece in self.expand.pieces())
        return ceil_div(rows * share.denominator, share.numerator)

    @property
    def narrow_features(self) -> int:
        """Features between the first linear and the inner ones, which these read."""
        return sum(linear.h_in for linear in self.inner)


@dataclass(frozen=True)
class CommStep:
    """One collective (or a sweep of broadcasts) of one mini-batch, as one die sees it.

    ``elements``: received by a die; ``serial_elements``: over the busiest link, which sets the time; ``element_hops``:
    elements times hops that a die sends. ``cost`` is that of its schedule, for the latency; None for data that travels
    in the packets of another collective. ``axis`` is the set of links in use: steps on different axes can run at the
    same time. ``weights``: the size does not depend on the tokens.
    """

    name: str
    op: str
    axis: str
    group: int
    elements: float
    serial_elements: float
    element_hops: float
    cost: CollectiveCost | None
    element_bytes: int
    weights: bool = False

    @property
    def steps(self) -> int:
        """Serial steps; 0 for data that travels with other data."""
        return 0 if self.cost is None else self.cost.steps


@dataclass(frozen=True)
class GemmStep:
    """``count`` GEMMs of m x k by k x n on the busiest die; ``macs`` multiply-adds on all dies together.

    A token tile cuts ``tile_share`` of its tokens from the dimension ``split``, in whole tokens.
    """

    name: str
    m: int
    k: int
    n: int
    count: int
    macs: float
    split: Literal["m", "k"] | None
    """The dimension that token tiles cut: the rows of X and dY, or the summed tokens of X^T dY. None: not cut."""
    tile_share: Fraction = Fraction(1)
    shared_tokens: Number = 0
    """The tokens of which each GEMM sees this share, if that is not all."""

    @property
    def tokens(self) -> Number:
        """Tokens that token tiles cut."""
        if self.tile_share != 1:
            return self.shared_tokens
        return self.m if self.split == "m" else self.k

    def tile_tokens(self, tile: Number) -> Number:
        """Tokens of each GEMM in a token tile of ``tile``."""
        return share_of(tile, self.tile_share)


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

    @cached_property
    def vector_work(self) -> VectorWork:
        """What the vector steps demand of the busiest die."""
        return sum((step.work * step.elements for step in self.vectors), VectorWork())


@dataclass(frozen=True)
class BlockPasses:
    """Operations of both passes over one block for one mini-batch; ``once``: sums over replicas, once a step."""

    block: FusedBlock
    forward: tuple[Operation, ...]
    backward: tuple[Operation, ...]
    once: tuple[CommStep, ...]


@dataclass(frozen=True)
class Batch:
    """A mini-batch of ``tokens`` tokens out of ``sequences`` sequences of ``length`` tokens.

    The attention multiplies queries with ``key_block`` keys at a time, 0 for all at once, and skips masked keys in
    strips of ``strip`` queries, if at all. Where the backward pass begins with the forward pass of the block, the
    attention computes its probabilities once more after that if ``scores_again`` is 1. The linears around it take
    the mini-batch in ``pieces`` equal pieces. With ``context`` each sequence has so many times the keys.
    """

    tokens: Number
    sequences: Number
    length: Number
    key_block: Number = 0
    strip: Number = 1
    scores_again: Number = 0
    pieces: Number = 1
    context: Number = 1

    @property
    def piece(self) -> Batch:
        """What linears take at a time."""
        if not is_array(self.pieces) and self.pieces == 1:
            return self
        return replace(self, tokens=ceil_div(self.tokens, self.pieces))


def share_of(tokens: Number, share: Fraction) -> Number:
    """``share`` of ``tokens``, in whole tokens."""
    return tokens if share == 1 else ceil_div(tokens * share.numerator, share.denominator)


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
    return (
        operation if not is_array(times) and times == 1 else replace(operation, times=operation.times * times)
    )


def in_pieces(
    before: Sequence[Operation], middle: Operation, after: Sequence[Operation], pieces: Number
) -> list[Operation]:
    """``middle`` with the operations ``before`` and ``after``, which run for each of ``pieces`` pieces."""
    first, second = ([repeated(operation, pieces) for operation in part] for part in (before, after))
    return [*first, middle, *second]


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
    return block.first if block.contract is None else (*block.first, block.contract)
