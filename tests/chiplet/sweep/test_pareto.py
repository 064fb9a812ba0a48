"""The Pareto front against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiplet.sweep.pareto import pareto_front


@given(
    st.integers(1, 4).flatmap(
        lambda k: st.lists(st.lists(st.integers(0, 6), min_size=k, max_size=k), max_size=40)
    )
)
def test_the_front_is_what_nothing_dominates(rows: list[list[int]]) -> None:
    values = np.array(rows, dtype=np.float64).reshape(len(rows), len(rows[0]) if rows else 2)
    dominated = [any((other <= row).all() and (other < row).any() for other in values) for row in values]
    assert pareto_front(values).tolist() == [not each for each in dominated]


def test_points_without_a_number_are_not_on_the_front() -> None:
    values = np.array([[1.0, np.nan], [2.0, 2.0], [3.0, 1.0], [3.0, 3.0]])
    assert pareto_front(values).tolist() == [False, True, True, False]
    assert pareto_front(np.full((2, 3), np.nan)).tolist() == [False, False]


@pytest.mark.parametrize("objectives", [2, 3])
def test_a_large_front_is_found_quickly(objectives: int) -> None:
    values = np.random.default_rng(0).random((20_000, objectives))
    front = pareto_front(values)
    best = values[front]
    sample = values[np.flatnonzero(~front)[:200]]
    assert all(((best <= row).all(axis=1)).any() for row in sample)
