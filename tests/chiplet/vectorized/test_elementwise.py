"""Formulas for one machine and for many: the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiplet.vectorized.elementwise import (
    ceil_div,
    choose,
    combinations,
    larger,
    rounded,
    rounded_down,
    rounded_up,
    smaller,
    tabulated,
)
from chiplet.vectorized.meshes import Meshes, mesh_cost
from nop.collective_cost import flat_ring_cost, line_cost, torus_ring_cost
from nop.topology import Mesh

PAIRS = st.lists(st.tuples(st.integers(1, 10**12), st.integers(1, 10**6)), min_size=1, max_size=9)
MESHES = st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=1, max_size=9)


@given(pairs=PAIRS)
def test_many_numbers_are_each_treated_as_one(pairs: list[tuple[int, int]]) -> None:
    first, second = (np.array(values, dtype=np.float64) for values in zip(*pairs, strict=True))
    for function in (
        ceil_div,
        larger,
        smaller,
        lambda a, b: rounded(a / b),
        lambda a, b: rounded_up(a / b),
        lambda a, b: rounded_down(a / b),
        lambda a, b: choose(a > b, a, -b),
    ):
        assert function(first, second).tolist() == [function(*pair) for pair in pairs]


@given(sides=MESHES)
def test_costs_are_looked_up_for_every_mesh(sides: list[tuple[int, int]]) -> None:
    rows, cols = (np.array(values, dtype=np.float64)[:, None] for values in zip(*sides, strict=True))
    meshes, singles = Meshes(rows, cols), [Mesh(*each) for each in sides]
    nodes: Any = meshes.nodes
    assert nodes[:, 0].tolist() == [mesh.nodes for mesh in singles]
    for cost in (flat_ring_cost, torus_ring_cost):
        for both in (False, True):
            many = mesh_cost(cost, meshes, both)
            for place, mesh in enumerate(singles):
                one = mesh_cost(cost, mesh, both)
                for name, value in vars(one).items():
                    found = getattr(many, name)
                    assert (found if isinstance(value, str) else found[place, 0]) == value
    lines = tabulated(line_cost, cols, "chain")
    assert lines.chunk_hops[:, 0].tolist() == [line_cost(mesh.cols, "chain").chunk_hops for mesh in singles]


def test_a_table_is_asked_once_for_each_combination() -> None:
    asked = []

    def function(first: int, word: str, second: int) -> float:
        asked.append((first, word, second))
        return first + second / 10

    found = tabulated(function, np.array([3.0, 1.0, 3.0, 1.0]), "x", np.array([1.0, 2.0, 1.0, 3.0]))
    assert found.tolist() == pytest.approx([3.1, 1.2, 3.1, 1.3])
    assert sorted(asked) == [(1, "x", 2), (1, "x", 3), (3, "x", 1)]
    assert tabulated(function, 2, "x", 3) == 2.3


@given(st.integers(0, 100), st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_combinations(size: int, count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    arrays = [random.choice([0.5, 1.0, 3.0], size) for _ in range(count)]
    first, number = combinations(arrays)
    if not arrays:
        assert len(first) == len(number) == 0
        return
    rows = list(zip(*arrays, strict=True))
    chosen = [rows[place] for place in first]
    assert chosen == sorted(set(rows))
    assert [chosen[index] for index in number] == rows
    assert all(rows.index(row) == place for row, place in zip(chosen, first, strict=True))
