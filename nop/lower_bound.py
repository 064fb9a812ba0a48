"""Lower bound on the cycles of a collective on a line of dies, whatever the engines do.

Cycles count from the first flit that leaves an engine to the last one that enters one. A die receives the chunks of all
others, F flits each, over one link, nearest die along the chain or the ring first. A chunk that starts at least k dies
away must first travel that distance; only then can the flits of all n - k such chunks follow at one flit a cycle. So an
all-gather or a reduce-scatter takes at least, for each k from 1 to n - 1,

    way(k) + (k - 1) A + ((n - k) F - 1) L

cycles, and the bound is the largest of these. Terms:

- way(k): the hops of k steps, H cycles each. H is the one cycle in which a flit crosses a link and enters the next
  die's router; with link adapters it is more. A step of a chain is one hop. A step of a folded ring is two hops, or one
  at the ends of the line; way(k) takes the k consecutive steps of the ring that are slowest.
- A: cycles of an addition, the stages of the adders. Each die between two steps adds once. 0 for an all-gather.
- L: cycles that a flit occupies a link: 1, or those of a frame with narrow link adapters.

k = 1 gives the bandwidth of a link, k = n - 1 the latency of the longest way.

In a chain, sums reach a die from both sides. The sum from the side with more dies is added to the die's own part first,
and the other one to the result: the order of additions is part of the result. If k >= (n - 1) / 2 dies are on that
side, either the last flit from there is for this die, and the other sum's flit enters the adder A cycles later than it
could have arrived; or that flit goes on, and enters the next adder later still. So for k from (n - 1) / 2 to n - 2
another A is added.

All-reduce around a ring: a die receives n - 1 chunks of sums and then n - 1 sums, all over one link. The chunk that is
k-th among these 2 (n - 1) has come k steps, with an addition at each die between the first n - 1 of them and one more
where the sum is complete. So it takes, for each k from 1 to 2 (n - 1), at least

    way(k) + min(k - 1, n - 1) A + ((2n - 1 - k) F - 1) L

All-reduce of a chain: over the only link of an end die come n F flits, one for each flit of the result. Each of them
holds at least the sum of all other dies, which were added one after the other on the way from the other end:

    (n - 1) H + (n - 2) A + (n F - 1) L

Without the additions this holds for every all-reduce on a line. As half of the chunks, rounded up, are whole at an end
from where their sums come back, it also takes at least

    2 (n - 1) H + (n - 1) A + (ceil(n / 2) F - 1) L
"""

from __future__ import annotations

from nop.collectives import ALGORITHMS, OPS, Algorithm, LineOp, summed_up
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
        H, A and L as above. The defaults are those of the generated design without link adapters and with adders of
        one stage.

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
    if op == "all-reduce":
        return _all_reduce_floor(nodes, algorithm, flits, hop_cycles, add_cycles, link_cycles)
    adds = 0 if op == "all-gather" else add_cycles
    way = [hop_cycles * hops for hops in _ways(nodes, algorithm, nodes - 1)]

    def following(steps: int) -> int:
        """Cycles until all chunks that start at least ``steps`` steps away have arrived."""
        return way[steps] + (steps - 1) * adds + ((nodes - steps) * flits - 1) * link_cycles

    bounds = [following(steps) for steps in range(1, nodes)]
    if algorithm == "chain":
        bounds += [following(steps) + adds for steps in range(nodes // 2, nodes - 1)]
    return max(bounds)


def _all_reduce_floor(
    nodes: int, algorithm: Algorithm, flits: int, hop_cycles: int, add_cycles: int, link_cycles: int
) -> int:
    last = nodes - 1
    if algorithm == "chain":
        way, adds = last * hop_cycles, last * add_cycles
        returned = 2 * way + adds + (summed_up(nodes) * flits - 1) * link_cycles
        return max(way + adds - add_cycles + (nodes * flits - 1) * link_cycles, returned)
    ways = _ways(nodes, algorithm, 2 * last)
    return max(
        ways[steps] * hop_cycles
        + min(steps - 1, last) * add_cycles
        + ((2 * nodes - 1 - steps) * flits - 1) * link_cycles
        for steps in range(1, 2 * last + 1)
    )


def _ways(nodes: int, algorithm: Algorithm, longest: int) -> list[int]:
    """Most hops of any number of consecutive steps, from 0 to ``longest``."""
    if algorithm == "chain":
        return list(range(longest + 1))
    order = folded_ring(nodes)
    steps = [abs(order[place] - order[place - 1]) for place in range(nodes)]
    return [
        max(sum((3 * steps)[start : start + count]) for start in range(nodes)) for count in range(longest + 1)
    ]
