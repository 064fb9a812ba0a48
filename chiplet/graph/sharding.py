"""Sharded tensors: which part of which tensor a die holds, in which layout and type.

Die (i, j) of R x C dies. A dimension is whole on every die, or has a part for each die of a line: along a ``row`` the
part goes by the die's column j, down a ``column`` by its row i. Layout A of a token tile has tokens along the row and
features down the column; layout B has them the other way round.

Parts are those of :mod:`cosim.program.distribution`: tokens, which collectives move, in chunks of one size in the order
of the collective's slots; all else in blocks whose lengths differ by at most one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, Self

from chiplet.graph.vector_pass import Element
from nop.collectives import Algorithm
from nop.forwarding import slots

__all__ = [
    "ONE",
    "Along",
    "DiePlace",
    "Dim",
    "Features",
    "HalfHead",
    "KvHeads",
    "ShardedTensor",
    "TileShape",
    "Tokens",
]

Along = Literal["row", "column"]
"""Along a row of dies, or down a column."""


class TileShape(NamedTuple):
    """Sequences of a token tile, and tokens of each."""

    sequences: int
    length: int


class DiePlace(NamedTuple):
    """A die of ``rows`` x ``cols`` dies with its collective algorithm, and the token tile that it works on."""

    rows: int
    cols: int
    row: int
    col: int
    algorithm: Algorithm
    tile: TileShape

    def line(self, axis: Along) -> tuple[int, int]:
        """Dies of the line along ``axis``, and the place of this one."""
        return (self.cols, self.col) if axis == "row" else (self.rows, self.row)

    def at(self, axis: Along, place: int) -> DiePlace:
        """The die at ``place`` of this one's line along ``axis``."""
        return self._replace(col=place) if axis == "row" else self._replace(row=place)


@dataclass(frozen=True)
class Dim(ABC):
    """A dimension of a tensor. ``axis``: its parts belong to the dies of a line along it; None: it is whole."""

    axis: Along | None

    @abstractmethod
    def part(self, die: DiePlace) -> range:
        """Elements of the whole dimension that ``die`` holds."""

    @abstractmethod
    def chunk(self, die: DiePlace) -> int:
        """Elements that a collective carries for each die of the line; more than some have if it pads."""

    def pieces(self, die: DiePlace) -> list[int]:
        """Elements of each piece of what ``die`` holds, in order. As columns, a piece begins a word of a row."""
        length = len(self.part(die))
        piece = self.piece_length or max(1, length)
        return [piece] * (length // piece)

    @property
    def piece_length(self) -> int:
        """Elements of a piece; 0: one piece has all that a die holds."""
        return 0

    @property
    def uncut(self) -> Self:
        """The same dimension, whatever its pieces are."""
        return self

    @property
    def whole(self) -> Self:
        """The same dimension, whole on every die."""
        return replace(self, axis=None)


@dataclass(frozen=True)
class Tokens(Dim):
    """The tokens of a tile, sequence after sequence; down a column whole sequences."""

    def part(self, die: DiePlace) -> range:
        tokens = die.tile.sequences * die.tile.length
        if self.axis is None:
            return range(tokens)
        nodes, place = die.line(self.axis)
        first = slots(die.algorithm, nodes)[place] * self.chunk(die)
        return range(min(first, tokens), min(first + self.chunk(die), tokens))

    def chunk(self, die: DiePlace) -> int:
        if self.axis is None:
            return len(self.part(die))
        nodes, _ = die.line(self.axis)
        if self.axis == "column":
            return -(-die.tile.sequences // nodes) * die.tile.length
        return -(-die.tile.sequences * die.tile.length // nodes)


@dataclass(frozen=True)
class Features(Dim):
    """``size`` features; those of a ``unit``, such as a head, stay together.

    They are in pieces of ``piece`` features, a part of a unit or all of it; 0: of a unit, or in one piece if units are
    single features.

    Raises
    ------
    ValueError
        If a unit is not a whole number of pieces.
    """

    size: int = 1
    unit: int = 1
    piece: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        if self.piece < 0 or (self.piece and self.unit % self.piece):
            raise ValueError(f"features: piece = {self.piece}: must be a part of the {self.unit} of a unit")

    @property
    def piece_length(self) -> int:
        return self.piece or (self.unit if self.unit > 1 else 0)

    @property
    def unit_pieces(self) -> list[int]:
        """Features of each piece of a unit."""
        piece = self.piece or self.unit
        return [piece] * (self.unit // piece)

    @property
    def uncut(self) -> Self:
        return replace(self, piece=0)

    def units(self, die: DiePlace) -> range:
        """Units that ``die`` holds."""
        count = self.size // self.unit
        if self.axis is None:
            return range(count)
        nodes, place = die.line(self.axis)
        return range(count * place // nodes, count * (place + 1) // nodes)

    def part(self, die: DiePlace) -> range:
        units = self.units(die)
        return range(units.start * self.unit, units.stop * self.unit)

    def chunk(self, die: DiePlace) -> int:
        if self.axis is None:
            return self.size
        nodes, _ = die.line(self.axis)
        return -(-self.size // self.unit // nodes) * self.unit

    def unit_part(self, number: int, die: DiePlace) -> slice:
        """Unit ``number`` among the elements that ``die`` holds."""
        start = number * self.unit - self.part(die).start
        return slice(start, start + self.unit)


@dataclass(frozen=True)
class HalfHead(Features):
    """Columns of half a head: a matrix also where that is one column, which is no value of a row."""


@dataclass(frozen=True)
class KvHeads(Features):
    """Key or value heads, each on every die that has queries of its group: ``heads`` query heads in all."""

    heads: int = 1

    @property
    def group(self) -> int:
        """Query heads of a key or value head."""
        return self.heads // (self.size // self.unit)

    def units(self, die: DiePlace) -> range:
        if self.axis is None:
            return super().units(die)
        queries = Features(self.axis, self.heads).units(die)
        return range(queries.start // self.group, -(-queries.stop // self.group))

    def owners(self, head: int, die: DiePlace) -> range:
        """Places along the line of the dies that hold ``head``; they are neighbours."""
        assert self.axis is not None
        nodes, _ = die.line(self.axis)
        places = [place for place in range(nodes) if head in self.units(die.at(self.axis, place))]
        return range(places[0], places[-1] + 1)


ONE = Features(None)
"""One element, on every die."""


@dataclass(frozen=True)
class ShardedTensor:
    """A tensor of rows x cols over all dies.

    Attributes
    ----------
    rows, cols
        Its dimensions. With ``cols`` of one element its values lie one after the other.
    element
        Type of its elements; sums are fp32.
    partial
        What the dies of a line along this axis hold has yet to be added up.
    home
        Where it is between operators: ``memory`` for what outlives a step or comes from the host; it is moved to the
        scratchpad before use.
    life
        It is new for each token tile, batch or step, or is kept from step to step.
    layered
        Each layer has one.
    """

    name: str
    rows: Dim
    cols: Dim
    element: Element = "fp32"
    partial: Along | None = None
    home: Literal["scratchpad", "memory"] = "scratchpad"
    life: Literal["tile", "batch", "step", "run"] = "tile"
    layered: bool = False

    def shape(self, die: DiePlace) -> tuple[int, int]:
        """Rows and columns that ``die`` holds."""
        return len(self.rows.part(die)), len(self.cols.part(die))
