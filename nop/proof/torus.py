"""A torus, on which schedules can be checked that a mesh has too few links for."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from nop.topology import Link, Mesh

__all__ = ["Torus"]


@dataclass(frozen=True)
class Torus(Mesh):
    """A mesh with wrap-around links in rows and columns; a side of two dies has one pair of links only."""

    def __str__(self) -> str:
        return f"{self.rows}x{self.cols} torus"

    def route(self, source: int, target: int) -> list[Link]:
        """Links of the dimension-ordered route: the shorter way along the row, then along the column; towards higher
        places if both ways are equally long.
        """
        row, col = divmod(source, self.cols)
        target_row, target_col = divmod(target, self.cols)
        path = [source]
        for step in _steps_around(col, target_col, self.cols):
            col = (col + step) % self.cols
            path.append(row * self.cols + col)
        for step in _steps_around(row, target_row, self.rows):
            row = (row + step) % self.rows
            path.append(row * self.cols + col)
        return list(itertools.pairwise(path))

    def hops(self, source: int, target: int) -> int:
        """Length of the route."""
        row, col = divmod(source, self.cols)
        target_row, target_col = divmod(target, self.cols)
        return len(_steps_around(col, target_col, self.cols)) + len(_steps_around(row, target_row, self.rows))


def _steps_around(place: int, target: int, length: int) -> list[int]:
    """Steps of 1 or -1 from one place of a ring to another, the shorter way."""
    up = (target - place) % length
    return [1] * up if 2 * up <= length else [-1] * (length - up)
