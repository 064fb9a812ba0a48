"""Floors: what the flits of a collective on a line of dies take at a flit a cycle, whatever the engines do.

Counted from the first flit that leaves an engine to the last one that enters one. In an all-gather the end die of the
line receives the (n - 1) F flits of all others over its one link, in a reduce-scatter it sends as many; the flit with
the longest way has its hops besides. In an all-reduce a link at the end carries n F flits in each direction, and the
longest way is there and back.

The sum of the two is reached by a stream of (n - 1) F flits that comes from the far end. Short chunks, all of which
are on their way at the same time, can be a few cycles quicker.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from nop.collectives import ALGORITHMS, Algorithm
from nop.topology import folded_ring

__all__ = ["OPS", "LineOp", "line_floor"]

LineOp = Literal["all-gather", "reduce-scatter", "all-reduce"]

OPS: tuple[LineOp, ...] = ("all-gather", "reduce-scatter", "all-reduce")


def line_floor(op: LineOp, nodes: int, algorithm: Algorithm, flits: int, *, hop_cycles: int = 1) -> int:
    """Cycles of a collective on a line of ``nodes`` dies with chunks of ``flits`` flits; 0 for one die.

    Raises
    ------
    ValueError
        For an unknown op or algorithm.
    """
    if op not in OPS:
        raise ValueError(f"collective op {op!r}: must be one of {', '.join(OPS)}")
    if algorithm not in ALGORITHMS:
        raise ValueError(f"collective algorithm {algorithm!r}: must be one of {', '.join(ALGORITHMS)}")
    if nodes == 1:
        return 0
    hops = nodes - 1
    if algorithm == "ring":
        # A chunk goes round the whole ring but for one step.
        order = folded_ring(nodes)
        steps = [abs(a - b) for a, b in pairwise([*order, order[0]])]
        hops = sum(steps) - min(steps)
    if op == "all-reduce":
        return nodes * flits + 2 * hops * hop_cycles
    return (nodes - 1) * flits + hops * hop_cycles
