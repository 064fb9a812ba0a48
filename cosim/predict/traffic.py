"""Predicted latency of packets on an idle mesh."""

from __future__ import annotations

from collections.abc import Iterable

from nop.topology import Mesh

__all__ = ["packets_latency", "zero_load_latency"]


def zero_load_latency(
    rows: int, cols: int, link_cycles: int = 0, *, flits: int = 1, frame_cycles: int = 1
) -> float:
    """Mean cycles of a packet of ``flits`` flits on an idle mesh, over all pairs of source and target.

    Each hop takes a cycle and those of the link, and the first router another cycle. Further flits follow at one a
    cycle, or one a frame where there is a link. The mean distance between two of n places on a line is
    (n^2 - 1) / (3 n).
    """
    hops = sum((side * side - 1) / (3 * side) for side in (rows, cols))
    own = 1 / (rows * cols)  # packets to the node itself
    return 1 + (1 + link_cycles) * hops + (flits - 1) * (own + (1 - own) * frame_cycles)


def packets_latency(
    mesh: Mesh, packets: Iterable[tuple[int, int, int]], link_cycles: int = 0, *, frame_cycles: int = 1
) -> float:
    """The same over ``packets``: source, target and flits. Raises ValueError if there is none."""
    latencies = [
        1
        + (1 + link_cycles) * mesh.hops(source, target)
        + (flits - 1) * (1 if source == target else frame_cycles)
        for source, target, flits in packets
    ]
    if not latencies:
        raise ValueError("no packets: must be at least one")
    return sum(latencies) / len(latencies)
