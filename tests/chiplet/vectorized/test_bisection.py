"""Searches for one machine and for many: the same places."""

from __future__ import annotations

from functools import partial
from operator import ge, le

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from chiplet.vectorized.bisection import largest_true, smallest_true

CASES = st.lists(st.tuples(st.integers(1, 300), st.integers(-3, 310)), min_size=1, max_size=8)


@given(cases=CASES, guess=st.integers(-5, 320))
def test_the_largest_that_holds(cases: list[tuple[int, int]], guess: int) -> None:
    totals, limits = (np.array(values, dtype=np.float64)[:, None] for values in zip(*cases, strict=True))
    found = largest_true(totals, lambda size: size <= limits, lambda: (guess, guess + 1))
    for (total, limit), many in zip(cases, found[:, 0].tolist(), strict=True):
        one = largest_true(total, partial(ge, limit), lambda: (guess, guess + 1))
        assert one == many == max(0, min(total, limit))


@given(cases=CASES, low=st.integers(1, 5))
def test_the_smallest_that_holds(cases: list[tuple[int, int]], low: int) -> None:
    highs, limits = (np.array(values, dtype=np.float64)[:, None] for values in zip(*cases, strict=True))
    found = smallest_true(low, highs, lambda size: size >= limits)
    for (high, limit), many in zip(cases, found[:, 0].tolist(), strict=True):
        one = smallest_true(low, high, partial(le, limit))
        assert one == many == max(low, min(high, limit))
