"""Memory plane of a package: which IO die serves a die."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

from chiplet.machine.specs import PackageSpec

__all__ = ["IoPlace", "IoSide", "io_links", "io_place", "io_places"]

IoSide = Literal["west", "east", "north", "south"]
"""Side of a package."""


class IoPlace(NamedTuple):
    """Place of an IO die: a side of the package, and the row (west, east) or column (north, south), from 0."""

    side: IoSide
    line: int


def io_place(package: PackageSpec, row: int, col: int) -> IoPlace:
    """IO die that serves the die in ``row`` and ``col``, counted from 0: the nearest one at an end of its lines.

    Of two that are as near, west goes before east and north before south; of two sides that meet in a corner west goes
    before north, north before east, east before south, south before west. So a square package has as many dies on
    each side, if its rows are even in number.
    """
    west, north = 2 * col < package.cols, 2 * row < package.rows
    along_row = IoPlace("west" if west else "east", row)
    along_col = IoPlace("north" if north else "south", col)
    if package.io == "all":
        by_row, by_col = (io_links(package, row, col, place.side) for place in (along_row, along_col))
        row_first = west == north  # in these two corners the side at the end of the row goes first
        return along_row if by_row < by_col or (by_row == by_col and row_first) else along_col
    return along_row if package.io == "both" else IoPlace(package.io, row)


def io_links(package: PackageSpec, row: int, col: int, side: IoSide) -> int:
    """Links from the die in ``row`` and ``col``, counted from 0, to the IO die at an end of its row or column."""
    return {"west": col + 1, "east": package.cols - col, "north": row + 1, "south": package.rows - row}[side]


def io_places(package: PackageSpec) -> list[IoPlace]:
    """IO dies that serve any die: those of the west, east, north, south, on each side in order."""
    sides = get_args(IoSide)
    served = {io_place(package, row, col) for row, col in package.places()}
    return sorted(served, key=lambda place: (sides.index(place.side), place.line))
