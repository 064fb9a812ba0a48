"""The die to compare with: its sizes tell what numbers of blocks follow."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtl.synthesis.scaling.probe_die import probe_die, probe_size
from tests.rtl.synthesis.scaling.dies import die_spec

SIZES = st.integers(1, 512)


@given(SIZES, SIZES, st.integers(1, 9))
def test_no_number_follows_two_sizes_of_both_dies(rows: int, cols: int, times: int) -> None:
    other_rows, other_cols = probe_size(rows, cols)
    here, there = (1, rows, cols, rows * cols), (1, other_rows, other_cols, other_rows * other_cols)
    for first, second in product(range(4), repeat=2):
        number = times * here[first]
        if first != second and number % here[second] == 0:
            assert times * there[first] != number // here[second] * there[second]


@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (4, 4), (2, 16), (64, 64), (256, 3)])
def test_its_banks_have_as_many_words(rows: int, cols: int) -> None:
    die = die_spec(rows, cols)
    other = probe_die(die)
    assert (other.rows, other.cols) == probe_size(rows, cols)
    assert other.weight_depth == max(die.weight_depth, other.rows)
    assert other.activation_depth == max(die.activation_depth, other.rows)
    assert other.accumulator_depth == die.accumulator_depth
