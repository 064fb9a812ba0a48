"""Distribution of a GEMM over the dies of a package: which die has what.

Every operand and every result is in memory once, and is read or written once. The rows of an operand that are *tokens*
are cut into tiles, one for each die of a line; a collective on the line gathers them on all of its dies. Die (i, j) of
a package of R x C dies:

| form | tokens | gathers | multiplies with | result |
|---|---|---|---|---|
| ``nn``: X W | M | block i of K of X along its row | W block (i, j) of (K, N) | sums over the column |
| ``nt``: dY W^T | M | block j of K of dY along its column | W block (i, j) of (N, K) | sums over the row |
| ``tn``: X^T dY | K | block i of M of X along its row, block j of N of dY along its column | | its own block |

Blocks differ by at most one row or column. Where there are more dies than rows or columns, a block is one of zeros.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chiplet.machine.specs import PackageSpec
from cosim.program.shape import Shape
from nop.collectives import Algorithm
from nop.forwarding import slots

__all__ = ["DieShare", "Tiles", "cut", "macs_of", "share_of", "shares_of"]


@dataclass(frozen=True, kw_only=True)
class Tiles:
    """Tokens on the dies of a line, in tiles of one size; the last tiles are padded with zeros.

    The tiles lie in the order of the collective's chunks.

    Attributes
    ----------
    axis
        Axis of the line: row or column.
    tokens
        Tokens on the whole line.
    nodes, place
        Dies of the line, and the place of this die, counted from 0.
    algorithm
        Algorithm of the collective.
    """

    axis: str
    tokens: int
    nodes: int
    place: int
    algorithm: Algorithm

    @property
    def size(self) -> int:
        """Tokens of a tile."""
        return -(-self.tokens // self.nodes)

    @property
    def slot(self) -> int:
        """Number of the die's own tile."""
        return slots(self.algorithm, self.nodes)[self.place]

    def rows(self, place: int) -> range:
        """Tokens of the die at ``place``."""
        first = replace(self, place=place).slot * self.size
        return range(min(first, self.tokens), min(first + self.size, self.tokens))


@dataclass(frozen=True, kw_only=True)
class DieShare:
    """What a die has.

    Attributes
    ----------
    a, b
        Rows and columns of the stored operands that it multiplies.
    y
        Rows and columns of the result that it stores.
    a_tiles
        Tokens of the first operand, which is gathered.
    b_tiles
        Tokens of the second operand if it is gathered, else None.
    y_tiles
        Tokens of a result whose partial sums are reduce-scattered; None for one that is whole.
    """

    a: tuple[range, range]
    b: tuple[range, range]
    y: tuple[range, range]
    a_tiles: Tiles
    b_tiles: Tiles | None = None
    y_tiles: Tiles | None = None


def _blocks(size: int, count: int) -> list[range]:
    """``count`` blocks of ``size``, whose lengths differ by at most one."""
    ends = [size * number // count for number in range(count + 1)]
    return [range(start, end) for start, end in pairwise(ends)]


def share_of(package: PackageSpec, shape: Shape, algorithm: Algorithm, row: int, col: int) -> DieShare:
    """The share of the die in ``row`` and ``col``, counted from 0."""
    tokens = shape.k if shape.form == "tn" else shape.m
    along_row = Tiles(axis="row", tokens=tokens, nodes=package.cols, place=col, algorithm=algorithm)
    along_column = Tiles(axis="column", tokens=tokens, nodes=package.rows, place=row, algorithm=algorithm)
    everything = range(tokens)
    if shape.form == "tn":
        m_block, n_block = _blocks(shape.m, package.rows)[row], _blocks(shape.n, package.cols)[col]
        return DieShare(
            a=(everything, m_block),
            b=(everything, n_block),
            y=(m_block, n_block),
            a_tiles=along_row,
            b_tiles=along_column,
        )
    if shape.form == "nn":
        gathered, scattered = along_row, along_column
        k_block, n_block = _blocks(shape.k, package.rows)[row], _blocks(shape.n, package.cols)[col]
        b = (k_block, n_block)
    else:
        gathered, scattered = along_column, along_row
        k_block, n_block = _blocks(shape.k, package.cols)[col], _blocks(shape.n, package.rows)[row]
        b = (n_block, k_block)
    y = (scattered.rows(scattered.place), n_block)
    return DieShare(a=(everything, k_block), b=b, y=y, a_tiles=gathered, y_tiles=scattered)


def shares_of(package: PackageSpec, shape: Shape, algorithm: Algorithm) -> list[DieShare]:
    """The share of each die, in the order of the dies' numbers."""
    return [share_of(package, shape, algorithm, row, col) for row, col in package.places()]


def cut(values: NDArray[Any], block: tuple[range, range]) -> NDArray[Any]:
    """The block of ``values``; an empty block has one row or column of zeros."""
    rows, cols = block
    part = values[rows.start : rows.stop, cols.start : cols.stop]
    return np.pad(part, ((0, not rows), (0, not cols)))


def macs_of(shape: Shape, share: DieShare) -> int:
    """Multiply-adds that a die does of the whole GEMM, without those with zeros that pad it."""
    if shape.form == "tn":
        return shape.k * len(share.y[0]) * len(share.y[1])
    return shape.m * len(share.a[1]) * len(share.y[1])
