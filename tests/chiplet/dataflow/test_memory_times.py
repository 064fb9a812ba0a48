"""Words on a link: each as soon as the link is free, and those that were asked for earlier before it."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from chiplet.dataflow.memory_times import MemoryLink

TIMES = st.lists(st.integers(0, 60), max_size=20)


@given(TIMES, st.integers(1, 4))
def test_words_do_not_meet(times: list[int], cycles: int) -> None:
    link = MemoryLink(cycles)
    begins = [link.take(time) for time in times]
    assert all(begin >= time for begin, time in zip(begins, times, strict=True))
    ordered = sorted(begins)
    assert all(later >= earlier + cycles for earlier, later in pairwise(ordered))


def test_an_expected_word_holds_up_those_that_are_asked_for_later() -> None:
    link = MemoryLink(4)
    link.expect([(10, 100)])
    assert link.take(100, asked=9) == 100
    assert link.take(100, asked=10) == 108  # the expected one came behind the first


def test_words_that_are_expected_are_taken_in_the_order_in_which_they_are_asked_for() -> None:
    link = MemoryLink(4)
    link.expect([(30, 50)])
    link.expect([(20, 40), (25, 44)])
    assert link.take(40, asked=22) == 44
    assert link.take(40, asked=30) == 56
