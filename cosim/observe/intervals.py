"""Intervals of cycles in which signals are high, from their changes, and what several signals have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TypeAlias

__all__ = ["Change", "Interval", "both", "either", "high", "length", "without"]

Change: TypeAlias = tuple[int, str, int]
"""Cycle, signal and its new value. Of several changes in one cycle, the last counts."""

Interval: TypeAlias = tuple[int, int]
"""Cycles from the first, inclusive, to the second, exclusive."""


def high(changes: Iterable[Change], end: int) -> dict[str, list[Interval]]:
    """Return the intervals in which each signal is 1, up to cycle ``end``: in order, with gaps between them."""
    values: dict[str, dict[int, int]] = {}
    for cycle, signal, value in changes:
        values.setdefault(signal, {})[cycle] = value
    by_signal = {}
    for signal, steps in values.items():
        times = [*sorted(steps), end]
        intervals: list[Interval] = []
        for start, stop in pairwise(times):
            if steps[start] and start < stop:
                if intervals and intervals[-1][1] == start:
                    start = intervals.pop()[0]
                intervals.append((start, stop))
        by_signal[signal] = intervals
    return by_signal


def both(first: Sequence[Interval], second: Sequence[Interval]) -> list[Interval]:
    """The intervals in which both are high."""
    common = []
    i = j = 0
    while i < len(first) and j < len(second):
        start, stop = max(first[i][0], second[j][0]), min(first[i][1], second[j][1])
        if start < stop:
            common.append((start, stop))
        if first[i][1] < second[j][1]:
            i += 1
        else:
            j += 1
    return common


def without(first: Sequence[Interval], second: Sequence[Interval], end: int) -> list[Interval]:
    """The intervals in which the first is high and the second is not."""
    edges = [0, *(edge for interval in second for edge in interval), end]
    gaps = [(edges[n], edges[n + 1]) for n in range(0, len(edges), 2)]
    return both(first, [gap for gap in gaps if gap[0] < gap[1]])


def either(*signals: Iterable[Interval]) -> list[Interval]:
    """The intervals in which any of them is high, with gaps between them."""
    joined: list[Interval] = []
    for start, stop in sorted(interval for intervals in signals for interval in intervals):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return joined


def length(intervals: Iterable[Interval]) -> int:
    """Cycles of intervals with gaps between them."""
    return sum(stop - start for start, stop in intervals)
