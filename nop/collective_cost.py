"""Cost of collectives in closed form: what a schedule costs without building it.

Everything is counted in chunks; a chunk is what one node owns (1/n of the tensor). ``nop.proof.delivery`` measures the
same numbers on the explicit schedules. The time that follows from them is that of ``chiplet.step.collective_time``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, log2
from typing import Literal

from nop.collectives import ALGORITHMS, Algorithm
from nop.topology import Mesh

Broadcast = Literal["tree", "pipelined"]

Form = Literal["ring", "chain", "broadcasts"]
"""How dies send chunks on, see :mod:`nop.forwarding`: around a ring, to both ends of a line, or one broadcast after the
other, each of which is over before the next one begins."""


@dataclass(frozen=True)
class CollectiveCost:
    """Cost of an all-gather or, equally, of the mirrored reduce-scatter.

    Attributes
    ----------
    form
        How chunks are sent on.
    steps, hops, way
        Serial steps, hops of the longest one, and hops of the longest way of a chunk, in all steps.
    received
        Chunks that a die receives, the mean over the dies.
    serial_chunks
        Chunks over the busiest link.
    chunk_hops
        Chunks times hops that a die sends, the mean.
    first_steps, first_way, first_share
        Of the first of two phases, of which the second begins when the first has ended: steps, longest way, and share
        of the chunks over the busiest link. 0 if there is one phase only.
    """

    form: Form
    steps: int
    hops: int
    way: int
    received: float
    serial_chunks: float
    chunk_hops: float
    first_steps: int = 0
    first_way: int = 0
    first_share: float = 0.0


@lru_cache(maxsize=1024)
def line_cost(nodes: int, algorithm: Algorithm) -> CollectiveCost:
    """All-gather on a line of ``nodes`` dies.

    The folded ring uses each direction of each link once a step, in steps of up to two hops. The two-way chain has
    one hop a step and takes the same time on its busiest link, the one at the end of the line.
    """
    last = nodes - 1
    if algorithm == "ring":
        return CollectiveCost(
            "ring", last, min(2, last), _folded_way(nodes, last), last, last, 2 * last * last / nodes
        )
    if algorithm == "chain":
        return CollectiveCost("chain", last, min(1, last), last, last, last, last)
    raise ValueError(f"collective algorithm {algorithm!r}: must be one of {', '.join(ALGORITHMS)}")


def _folded_way(nodes: int, steps: int) -> int:
    """Hops of the longest ``steps`` consecutive steps of a folded ring: two each, but one at each end of the line,
    half a ring apart.
    """
    return 2 * steps - (steps >= (nodes + 1) // 2) if nodes > 2 else steps


@lru_cache(maxsize=1024)
def flat_ring_cost(mesh: Mesh, bidirectional: bool) -> CollectiveCost:
    """All-gather around one ring through all dies of the mesh.

    With a cycle of single hops the two directions are independent. Without one the ring is folded over the
    serpentine path and already uses both directions of its links, so a second direction saves steps but no time on
    a link.
    """
    nodes = mesh.nodes
    last = nodes - 1
    steps = nodes // 2 if bidirectional else last
    if mesh.has_cycle:
        return CollectiveCost("ring", steps, min(1, last), steps, last, steps, last)
    # Two opposite rings share every link; if the number of steps to share is odd, the last step runs one way only.
    way = _folded_way(nodes, steps)
    return CollectiveCost("ring", steps, min(2, last), way, last, last, 2 * last * last / nodes)


@lru_cache(maxsize=1024)
def torus_ring_cost(mesh: Mesh, both: bool) -> CollectiveCost:
    """All-gather over the mesh by rings along its two dimensions, each folded.

    One dimension at a time: down the columns with one chunk for each die, then along the rows with ``rows`` chunks
    for each die. With ``both``, half of every chunk goes down the columns first and the other half along the rows.
    """
    down, along = line_cost(mesh.rows, "ring"), line_cost(mesh.cols, "ring")
    hops = max(down.hops, along.hops)
    columns_first = (down.serial_chunks, mesh.rows * along.serial_chunks)
    rows_first = (along.serial_chunks, mesh.cols * down.serial_chunks)
    hops_columns_first = down.chunk_hops + mesh.rows * along.chunk_hops
    hops_rows_first = along.chunk_hops + mesh.cols * down.chunk_hops
    received = mesh.nodes - 1
    chunk_hops = hops_columns_first
    first, second = columns_first
    first_steps, steps, first_way, way = down.steps, along.steps, down.way, along.way
    if both:
        first, second = (max(pair) / 2 for pair in zip(columns_first, rows_first, strict=True))
        first_steps = steps = max(down.steps, along.steps)
        first_way = way = max(down.way, along.way)
        chunk_hops = (hops_columns_first + hops_rows_first) / 2
    serial = first + second
    return CollectiveCost(
        "ring",
        first_steps + steps,
        hops,
        first_way + way,
        received,
        serial,
        chunk_hops,
        first_steps,
        first_way,
        first / serial if serial else 0.0,
    )


@lru_cache(maxsize=1024)
def broadcasts_cost(nodes: int, algorithm: Broadcast) -> CollectiveCost:
    """One broadcast from each of the ``nodes`` dies of a line in turn: the communication of a SUMMA sweep.

    A tree sends the whole chunk ceil(log2(nodes)) times in a row. Pipelined, the chunk streams through the
    line flit by flit (cut-through), so it takes one chunk time and the latency of the line. A die receives
    nodes - 1 chunks in both.
    """
    last = nodes - 1
    if algorithm == "pipelined":
        steps = nodes if last else 0
        return CollectiveCost("broadcasts", steps, last, steps * last, last, steps, last)
    if algorithm == "tree":
        depth = ceil(log2(nodes))
        # The first transfer crosses half of the line, and no later one is longer.
        longest = (nodes + 1) // 2 if last else 0
        steps = nodes * depth
        return CollectiveCost(
            "broadcasts", steps, longest, steps * longest, last, steps, sum(_tree_hops(nodes)) / nodes
        )
    raise ValueError(f"broadcast {algorithm!r}: must be tree or pipelined")


@lru_cache(maxsize=1024)
def _tree_hops(nodes: int) -> tuple[int, ...]:
    """Hops of all transfers of :func:`nop.collectives.tree_broadcast`, for each root: a transfer to the other half, and
    a broadcast in each half.
    """
    if nodes == 1:
        return (0,)
    half = (nodes + 1) // 2
    first, second = _tree_hops(half), _tree_hops(nodes - half)
    hops = []
    for root in range(nodes):
        if root < half:
            other = min(root + half, nodes - 1)
            hops.append(other - root + first[root] + second[other - half])
        else:
            hops.append(half + first[root - half] + second[root - half])
    return tuple(hops)
