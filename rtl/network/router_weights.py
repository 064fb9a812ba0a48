"""Weights of a router's inputs: the far nodes of a mesh get the same share of an output as the near ones."""

from __future__ import annotations

from rtl.interface.flit import SIDES, RouterPort

__all__ = ["WEIGHT_BITS", "router_weights"]

WEIGHT_BITS = 6
"""Bits of a weight: exact for meshes of up to 64 nodes."""


def router_weights(rows: int, cols: int, row: int, col: int) -> dict[RouterPort, int]:
    """Weights of the inputs from the sides of the router at ``row`` and ``col`` of a mesh; that of the die is 1.

    A weight is the number of nodes whose packets come in by that side: on routes along the row first, those of the row
    from the west and the east, and whole rows from the north and the south. So when all nodes send to one, each output
    on the way serves each node alike. Numbers beyond :data:`WEIGHT_BITS` are scaled, to at least 1.
    """
    nodes = {
        RouterPort.NORTH: row * cols,
        RouterPort.EAST: cols - 1 - col,
        RouterPort.SOUTH: (rows - 1 - row) * cols,
        RouterPort.WEST: col,
    }
    most, limit = max(nodes.values()), (1 << WEIGHT_BITS) - 1
    if most <= limit:
        return {side: nodes[side] for side in SIDES}
    return {side: max(1, round(nodes[side] * limit / most)) if nodes[side] else 0 for side in SIDES}
