"""Quantities add up and scale number by number, alone and for many machines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chiplet.vectorized.additive import Additive
from chiplet.vectorized.elementwise import Number


@dataclass(frozen=True)
class Pair(Additive):
    first: Number = 0.0
    second: Number = 0.0


def test_numbers_add_up_and_scale_field_by_field() -> None:
    assert Pair(1.0, 2.0) + Pair(10.0, 20.0) == Pair(11.0, 22.0)
    assert Pair(1.0, 2.0) * 3 == Pair(3.0, 6.0)
    assert sum((Pair(1.0, 2.0), Pair(0.5, 0.25)), Pair()).numbers == (1.5, 2.25)


def test_arrays_do_so_element_by_element() -> None:
    total = Pair(np.array([1.0, 2.0]), 1.0) * np.array([2.0, 3.0]) + Pair(0.5, 0.5)
    assert total.first.tolist() == [2.5, 6.5]
    assert total.second.tolist() == [2.5, 3.5]
