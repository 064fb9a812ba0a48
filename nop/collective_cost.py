"""Cost of collectives in closed form: what a schedule costs without building it.

Everything is counted in chunks; a chunk is what one node owns (1/n of the tensor). Time follows the usual
latency-bandwidth model: ``serial_chunks * chunk_bytes / bandwidth + steps * hops * hop_seconds``, where the
bandwidth is that of one direction of one link. A ring all-gather gives (n - 1)(chunk / bandwidth + latency),
as in the analytical backend of ASTRA-sim. ``nop.proof.delivery`` measures the same numbers on the explicit
schedules.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, log2
from typing import Literal

from nop.collectives import ALGORITHMS, Algorithm
from nop.topology import Mesh

Broadcast = Literal["tree", "pipelined"]


@dataclass(frozen=True)
class CollectiveCost:
    """Cost of an all-gather or, equally, of the mirrored reduce-scatter.

    ``steps``: serial steps, each with the latency of ``hops`` hops; ``received``: chunks that a die
    receives (mean over the dies); ``serial_chunks``: chunks over the busiest link; ``chunk_hops``: chunks
    times hops that a die sends (mean).
    """

    steps: int
    hops: int
    received: float
    serial_chunks: float
    chunk_hops: float

    def seconds(self, chunk_bytes: float, bytes_per_second: float, hop_seconds: float) -> float:
        """Time of the collective, seconds."""
        return self.serial_chunks * chunk_bytes / bytes_per_second + self.steps * self.hops * hop_seconds


@lru_cache(maxsize=1024)
def line_cost(nodes: int, algorithm: Algorithm) -> CollectiveCost:
    """All-gather on a line of ``nodes`` dies.

    The folded ring uses each direction of each link once a step, in steps of up to two hops. The two-way chain has
    one hop a step and takes the same time on its busiest link, the one at the end of the line.
    """
    last = nodes - 1
    if algorithm == "ring":
        return CollectiveCost(last, min(2, last), last, last, 2 * last * last / nodes)
    if algorithm == "chain":
        return CollectiveCost(last, min(1, last), last, last, last)
    raise ValueError(f"collective algorithm {algorithm!r}: must be one of {', '.join(ALGORITHMS)}")


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
        return CollectiveCost(steps, min(1, last), last, steps, last)
    # Two opposite rings share every link; if the number of steps to share is odd, the last step runs one way only.
    return CollectiveCost(steps, min(2, last), last, last, 2 * last * last / nodes)


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
    if not both:
        return CollectiveCost(
            down.steps + along.steps, hops, received, sum(columns_first), hops_columns_first
        )
    serial = sum(max(pair) for pair in zip(columns_first, rows_first, strict=True)) / 2
    steps = 2 * max(down.steps, along.steps)
    return CollectiveCost(steps, hops, received, serial, (hops_columns_first + hops_rows_first) / 2)


@lru_cache(maxsize=1024)
def broadcasts_cost(nodes: int, algorithm: Broadcast) -> CollectiveCost:
    """One broadcast from each of the ``nodes`` dies of a line in turn: the communication of a SUMMA sweep.

    A tree sends the whole chunk ceil(log2(nodes)) times in a row. Pipelined, the chunk streams through the
    line flit by flit (cut-through), so it takes one chunk time and the latency of the line. A die receives
    nodes - 1 chunks in both.
    """
    last = nodes - 1
    if algorithm == "pipelined":
        return CollectiveCost(nodes if last else 0, last, last, nodes if last else 0, last)
    if algorithm == "tree":
        depth = ceil(log2(nodes))
        # The first transfer crosses half of the line, and no later one is longer.
        longest = (nodes + 1) // 2 if last else 0
        return CollectiveCost(nodes * depth, longest, last, nodes * depth, sum(_tree_hops(nodes)) / nodes)
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
