"""Floors: the cycles that no collective on a line of dies can go below, whatever its engines do.

Counted from the first flit that leaves an engine to the last one that enters one. A die receives the chunks of all
others, F flits each, over one link, the chunk of the die next to it along the chain or the ring first. What begins at
least k dies away has to come all the way, and only then the flits of all n - k such chunks can follow each other at a
flit a cycle. So an all-gather or a reduce-scatter takes, for each k from 1 to n - 1,

    way(k) + (k - 1) A + ((n - k) F - 1) L

cycles at least, and its floor is the longest of these. Terms:

- way(k): the hops of k steps, H cycles each; H is the cycle in which a flit passes a link and enters the next die's
  router, more with link adapters. A step of a chain is one hop; those of a folded ring are two hops, or one at the ends
  of the line: the k steps one after the other around the ring that take the longest.
- A: cycles of an addition, the stages of the adders; a sum is made at each die between two steps. 0 for an all-gather.
- L: cycles in which a link takes a flit, 1, or a frame with narrow link adapters.

k = 1 is the bandwidth of a link, k = n - 1 the latency of the longest way.

The sums of a chain come to a die from both sides. The one from the side with more dies is added to the die's own part,
then the other one to that: the order of the additions is part of the result. If k >= (n - 1) / 2 dies are on that side,
the last flit that comes from there is for this die, and another one enters the adder A cycles after it could have come;
or it goes on, and enters the next adder still later. So for k from (n - 1) / 2 to n - 2 another A is added.

An all-reduce is bound by the whole sums, which leave one die and come to all others: n F flits in each direction over
the link at the end of a line, around a ring as many as in both parts, and the longest way is there and back.
"""

from __future__ import annotations

from nop.collectives import ALGORITHMS, OPS, Algorithm, LineOp
from nop.topology import folded_ring

__all__ = ["line_floor"]


def line_floor(
    op: LineOp,
    nodes: int,
    algorithm: Algorithm,
    flits: int,
    *,
    hop_cycles: int = 1,
    add_cycles: int = 1,
    link_cycles: int = 1,
) -> int:
    """Cycles of a collective on a line of ``nodes`` dies with chunks of ``flits`` flits; 0 for one die.

    Parameters
    ----------
    hop_cycles, add_cycles, link_cycles
        H, A and L of the module's terms, which stands in all of them for the generated design without link adapters and
        with adders of one stage.

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
    adds = 0 if op == "all-gather" else add_cycles
    way = [hop_cycles * hops for hops in _ways(nodes, algorithm)]

    def following(steps: int) -> int:
        """Cycles until all chunks have come that begin ``steps`` steps away or more."""
        return way[steps] + (steps - 1) * adds + ((nodes - steps) * flits - 1) * link_cycles

    bounds = [following(steps) for steps in range(1, nodes)]
    if algorithm == "chain":
        bounds += [following(steps) + adds for steps in range(nodes // 2, nodes - 1)]
    if op != "all-reduce":
        return max(bounds)
    back = way[nodes - 1] + (flits - 1) * link_cycles  # of a sum from its die to the last one
    there = way[nodes - 1] + (nodes - 1) * adds
    carried = nodes if algorithm == "chain" else 2 * (nodes - 1)
    return max(*bounds, there + back, way[1] + (carried * flits - 1) * link_cycles)


def _ways(nodes: int, algorithm: Algorithm) -> list[int]:
    """Most hops of each number of steps one after the other, from 0 to ``nodes`` - 1."""
    if algorithm == "chain":
        return list(range(nodes))
    order = folded_ring(nodes)
    steps = [abs(order[place] - order[place - 1]) for place in range(nodes)]
    return [
        max(sum((steps + steps)[start : start + count]) for start in range(nodes)) for count in range(nodes)
    ]
