"""Predicted latency of flits on an idle mesh."""

from __future__ import annotations


def zero_load_latency(rows: int, cols: int, link_cycles: int = 0) -> float:
    """Mean cycles of a flit on an idle mesh, over all pairs of source and target.

    Each hop takes a cycle and those of the link, and the first router another cycle. The mean distance between two of n
    places on a line is (n^2 - 1) / (3 n).
    """
    return 1 + (1 + link_cycles) * sum((side * side - 1) / (3 * side) for side in (rows, cols))
