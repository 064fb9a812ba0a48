"""Intervals of cycles: sets of cycles in another form."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cosim.observe.intervals import Interval, both, either, high, length, without

END = 20


def test_high() -> None:
    changes = [(1, "a", 1), (1, "b", 0), (3, "a", 0), (3, "a", 1), (5, "a", 0), (6, "a", 1)]
    assert high(changes, 9) == {"a": [(1, 5), (6, 9)], "b": []}
    # Of a glitch only the end counts, and time after the end is none.
    assert high([(2, "a", 1), (2, "a", 0), (4, "a", 1)], 4) == {"a": []}


def intervals_of(cycles: set[int]) -> list[Interval]:
    changes = [(cycle, "a", int(cycle in cycles)) for cycle in range(END)]
    return high(changes, END)["a"]


def cycles_of(intervals: list[Interval]) -> set[int]:
    assert all(start < stop for start, stop in intervals)
    assert all(first[1] < second[0] for first, second in pairwise(intervals))
    return {cycle for start, stop in intervals for cycle in range(start, stop)}


SETS = st.sets(st.integers(0, END - 1))


@given(SETS, SETS, SETS)
def test_they_are_sets_of_cycles(a: set[int], b: set[int], c: set[int]) -> None:
    first, second, third = map(intervals_of, (a, b, c))
    assert cycles_of(first) == a
    assert length(first) == len(a)
    assert cycles_of(both(first, second)) == a & b
    assert cycles_of(without(first, second, END)) == a - b
    assert cycles_of(either(first, second, third)) == a | b | c
