"""Traffic patterns of a mesh: where the packets of each node go, on meshes of any shape."""

from __future__ import annotations

from nop.topology import Mesh

__all__ = ["PATTERNS", "pattern_targets"]

PATTERNS = ("uniform", "transpose", "bit-complement", "tornado", "neighbour", "hotspot")
"""Names of the patterns."""


def pattern_targets(pattern: str, mesh: Mesh, hotspot: int = 0) -> tuple[int, ...] | None:
    """The node that each node sends to, or None if targets are drawn at random from all nodes, the sender included.

    Nodes are numbered row by row. On R rows of C columns the node at row r and column c sends

    - ``transpose``: to node c R + r, which on a square mesh is the one at row c and column r;
    - ``bit-complement``: to row R - 1 - r and column C - 1 - c, whose bits are all others where R and C are powers of
      two;
    - ``tornado``: to row (r + ceil(R / 2) - 1) mod R and column (c + ceil(C / 2) - 1) mod C;
    - ``neighbour``: to row (r + 1) mod R and column (c + 1) mod C;
    - ``hotspot``: to the node ``hotspot``.

    Raises
    ------
    ValueError
        If there is no such pattern or node, or each node would send to itself.
    """
    if pattern not in PATTERNS:
        raise ValueError(f"pattern {pattern}: must be one of {', '.join(PATTERNS)}")
    rows, cols = mesh.rows, mesh.cols
    if pattern == "uniform":
        return None
    if pattern == "hotspot":
        if not 0 <= hotspot < mesh.nodes:
            raise ValueError(f"hotspot {hotspot}: must be a node from 0 to {mesh.nodes - 1}")
        return (hotspot,) * mesh.nodes
    targets = []
    for row in range(rows):
        for col in range(cols):
            if pattern == "transpose":
                targets.append(col * rows + row)
                continue
            if pattern == "bit-complement":
                to_row, to_col = rows - 1 - row, cols - 1 - col
            else:
                down, right = ((rows - 1) // 2, (cols - 1) // 2) if pattern == "tornado" else (1, 1)
                to_row, to_col = (row + down) % rows, (col + right) % cols
            targets.append(to_row * cols + to_col)
    if targets == list(range(mesh.nodes)):
        raise ValueError(
            f"pattern {pattern} on {rows}x{cols} routers: every node would send to itself: must be a larger mesh"
        )
    return tuple(targets)
