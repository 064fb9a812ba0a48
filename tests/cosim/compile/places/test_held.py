"""Tensors of a die before their buffers have words: runs of rows, and values that lie side by side."""

from __future__ import annotations

from cosim.compile.places.buffers import Buffer, place_buffers
from cosim.compile.places.held import Held, HeldRun, held_in
from cosim.compile.places.storage import matrix_storage, value_storage


def buffer(words: int) -> Buffer:
    return Buffer("x", None, None, words, 0, 0)


def test_a_tensor_lies_where_its_buffers_do() -> None:
    first, second = buffer(6), buffer(9)
    layout = matrix_storage("bf16", 8, 5, [4, 2])
    held = Held(layout, (HeldRun(0, 2, first), HeldRun(2, 3, second, 3)))
    place_buffers([first, second], 20, word_bytes=8)
    assert [tuple(run) for run in held.storage.runs] == [(0, 2, first.start), (2, 3, second.start + 3)]
    assert held.rows == 5


def test_values_of_whole_words_lie_side_by_side() -> None:
    whole = buffer(4)
    layout = value_storage("fp32", 8, 7)
    parts = [HeldRun(0, 2, whole, 0), HeldRun(2, 4, whole, 1), HeldRun(6, 1, whole, 3)]
    joined = Held(layout, tuple(parts)).joined()
    assert joined is not None
    assert joined.runs == (HeldRun(0, 7, whole, 0),)


def test_values_with_a_gap_do_not() -> None:
    whole = buffer(4)
    layout = value_storage("fp32", 8, 3)
    assert Held(layout, (HeldRun(0, 1, whole, 0), HeldRun(1, 2, whole, 1))).joined() is None
    apart = buffer(2)
    assert Held(layout, (HeldRun(0, 2, whole, 0), HeldRun(2, 1, apart, 1))).joined() is None


def test_values_in_a_part_of_the_same_buffer_do() -> None:
    whole, part = buffer(4), buffer(1)
    part.put_inside(whole, 1)
    held = Held(value_storage("fp32", 8, 4), (HeldRun(0, 2, whole, 0), HeldRun(2, 2, part)))
    joined = held.joined()
    assert joined is not None
    assert joined.runs[0].root == (whole, 0)


def test_one_run_is_side_by_side() -> None:
    held = held_in(buffer(3), value_storage("fp32", 8, 5))
    assert held.joined() == held
