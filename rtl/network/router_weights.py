"""Weights of a router's inputs: the far nodes of a mesh get the same share of an output as the near ones.

A weight is the number of nodes whose packets come in by a side, so that each output serves each node alike.
"""

from __future__ import annotations

from chiplet.machine.memory_plane import dies_behind
from chiplet.machine.specs import PackageSpec
from rtl.interface.flit import SIDES, RouterPort

__all__ = ["WEIGHT_BITS", "memory_weights", "router_weights"]

WEIGHT_BITS = 6
"""Bits of a weight: exact for meshes of up to 64 nodes."""


def router_weights(rows: int, cols: int, row: int, col: int) -> dict[RouterPort, int]:
    """Weights of the inputs from the sides of the router at ``row`` and ``col`` of a mesh where all send to all.

    On routes along the row first, the nodes of the row come in by the west and the east, and those of whole rows by the
    north and the south.
    """
    return _weights(
        {
            RouterPort.NORTH: row * cols,
            RouterPort.EAST: cols - 1 - col,
            RouterPort.SOUTH: (rows - 1 - row) * cols,
            RouterPort.WEST: col,
        }
    )


def memory_weights(package: PackageSpec, row: int, col: int) -> dict[RouterPort, int]:
    """Weights in the memory plane, of the router of the die in ``row`` and ``col``, counted from 0.

    Only requests meet on their way: answers of an IO die have its line to themselves.
    """
    behind = dies_behind(package, row, col)
    return _weights({RouterPort[side.upper()]: dies for side, dies in behind.items()})


def _weights(nodes: dict[RouterPort, int]) -> dict[RouterPort, int]:
    """Weights for so many nodes behind each side; beyond :data:`WEIGHT_BITS` they are scaled, to at least 1."""
    most, limit = max(nodes.values()), (1 << WEIGHT_BITS) - 1
    if most <= limit:
        return {side: nodes[side] for side in SIDES}
    return {side: max(1, round(nodes[side] * limit / most)) if nodes[side] else 0 for side in SIDES}
