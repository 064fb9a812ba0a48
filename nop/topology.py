"""The mesh of dies, dimension-ordered routes on it, and the rings that collectives run on.

A node is a die's number ``row * cols + col``. A link is one direction between two neighbours.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from math import isqrt

Link = tuple[int, int]
"""One direction between neighbouring nodes: (from, to)."""

MAX_DIES = 1 << 20
"""More dies than any package has: a larger number is a typing error."""


@dataclass(frozen=True)
class Mesh:
    """A mesh of ``rows`` x ``cols`` dies without wrap-around links.

    Raises ``ValueError`` if a side is below 1, or if there are more than :data:`MAX_DIES`.
    """

    rows: int
    cols: int

    def __post_init__(self) -> None:
        for name, value in (("rows", self.rows), ("cols", self.cols)):
            if value < 1:
                raise ValueError(f"mesh {name} = {value}: must be at least 1")
        if self.nodes > MAX_DIES:
            raise ValueError(f"mesh {self} has more than {MAX_DIES} dies, the most of a package")

    def __str__(self) -> str:
        return f"{self.rows}x{self.cols}"

    @property
    def nodes(self) -> int:
        """Number of dies."""
        return self.rows * self.cols

    @property
    def edge_links(self) -> int:
        """Links that enter the mesh from outside: one for each die side on the perimeter."""
        return 2 * (self.rows + self.cols)

    def route(self, source: int, target: int) -> list[Link]:
        """Links of the dimension-ordered route: along the row first, then along the column."""
        row, col = divmod(source, self.cols)
        target_row, target_col = divmod(target, self.cols)
        path = [source]
        while col != target_col:
            col += 1 if target_col > col else -1
            path.append(row * self.cols + col)
        while row != target_row:
            row += 1 if target_row > row else -1
            path.append(row * self.cols + col)
        return list(itertools.pairwise(path))

    def hops(self, source: int, target: int) -> int:
        """Length of the route."""
        row, col = divmod(source, self.cols)
        target_row, target_col = divmod(target, self.cols)
        return abs(row - target_row) + abs(col - target_col)

    @property
    def has_cycle(self) -> bool:
        """Whether there is a ring through all dies in steps of one hop (a Hamiltonian cycle).

        On a grid there is one exactly if both sides are at least 2 and their product is even. Two dies in a line
        count as well: their two links form a ring.
        """
        return self.nodes == 2 or (min(self.rows, self.cols) >= 2 and self.nodes % 2 == 0)

    def flat_ring(self) -> list[int]:
        """The nodes in ring order: one hop a step if :attr:`has_cycle`, at most two otherwise.

        Without a cycle it is the folded ring over the serpentine path through all dies.
        """
        if not self.has_cycle:
            path = [
                row * self.cols + (col if row % 2 == 0 else self.cols - 1 - col)
                for row in range(self.rows)
                for col in range(self.cols)
            ]
            return [path[position] for position in folded_ring(self.nodes)]
        if self.rows % 2:  # an odd number of rows: build the transposed ring and turn it back
            return [col * self.cols + row for row, col in _cycle(self.cols, self.rows)]
        return [row * self.cols + col for row, col in _cycle(self.rows, self.cols)]


def _cycle(rows: int, cols: int) -> list[tuple[int, int]]:
    """Cells of a cycle on a grid with an even number of rows; column 0 is the way back."""
    if cols == 1:  # only two dies in a line
        return [(row, 0) for row in range(rows)]
    out = [
        (row, col)
        for row in range(rows)
        for col in (range(1, cols) if row % 2 == 0 else range(cols - 1, 0, -1))
    ]
    return out + [(row, 0) for row in range(rows - 1, -1, -1)]


def folded_ring(nodes: int) -> list[int]:
    """Ring order of a line without wrap-around: 0, 2, 4, ..., 5, 3, 1. Every step is at most two hops."""
    return [*range(0, nodes, 2), *reversed(range(1, nodes, 2))]


def most_square(nodes: int) -> Mesh:
    """The most square mesh of exactly ``nodes`` dies, with no more rows than columns.

    Raises ``ValueError`` if ``nodes`` is below 1 or above :data:`MAX_DIES`.
    """
    if nodes < 1:
        raise ValueError(f"dies = {nodes}: must be at least 1")
    if nodes > MAX_DIES:
        raise ValueError(f"dies = {nodes}: must be at most {MAX_DIES}, the most of a package")
    rows = next(side for side in range(isqrt(nodes), 0, -1) if nodes % side == 0)
    return Mesh(rows, nodes // rows)
