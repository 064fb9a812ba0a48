"""What vector programs demand, counted by hand."""

from __future__ import annotations

import pytest

from chiplet.graph.vector_work import VectorWork, program_work


def test_softmax_has_three_passes_over_elements() -> None:
    # Maximum; subtract, exponential, sum; scale. Reads 4, 4, 4 bytes, writes none, 4, 2.
    assert program_work("softmax") == VectorWork(2.0, 1.0, 5.0, 18.0)


def test_rotary_passes_have_half_of_the_columns() -> None:
    # Two products of two matrices, two of three and a sum; all read fp32, half of them write bf16.
    assert program_work("rotary") == VectorWork(2.0, 0.0, 3.0, (2 * (8 + 4) + 2 * (12 + 2)) / 2)


def test_a_tensor_that_is_read_twice_counts_once() -> None:
    assert program_work("rmsnorm").scratchpad_bytes == 4 + 4 + 2


def test_lanes_without_functions_are_slower_for_passes_that_have_one() -> None:
    work = VectorWork(30.0, 10.0, 0.0, 0.0)
    assert work.cycles(10, 10) == 4.0
    assert work.cycles(10, 5) == 5.0


def test_an_unknown_program_is_refused() -> None:
    with pytest.raises(ValueError, match="must be one of softmax"):
        program_work("relu")
