"""The pipelined broadcast as an explicit schedule: what the closed form of its cost is proven with."""

from __future__ import annotations

from nop.collectives import CollectiveSchedule, Transfer

__all__ = ["pipelined_broadcast"]


def pipelined_broadcast(nodes: int, root: int, pieces: int) -> CollectiveSchedule:
    """Broadcast on a line in ``pieces`` pieces, numbered from 0, each of which advances one hop a step.

    It takes pieces - 1 steps more than the hops to the farther end. Its mirror image is the pipelined reduce.

    Raises
    ------
    ValueError
        If ``pieces`` is below 1 or ``root`` is not a node.
    """
    if pieces < 1:
        raise ValueError(f"pieces = {pieces}: must be at least 1")
    if not 0 <= root < nodes:
        raise ValueError(f"root = {root}: must be from 0 to {nodes - 1}")
    transfers = [
        Transfer(piece + abs(to - root) - 1, to - (1 if to > root else -1), to, piece)
        for piece in range(pieces)
        for to in range(nodes)
        if to != root
    ]
    return CollectiveSchedule("broadcast", nodes, tuple(sorted(transfers)), root)
