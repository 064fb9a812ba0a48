"""Places of a buffer are within it, large enough, and apart from the place before."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from chiplet.layout.buffer_places import BufferPlaces


@given(st.integers(1, 100), st.lists(st.integers(1, 100), min_size=1, max_size=30))
def test_places_are_large_enough_and_apart(depth: int, sizes: list[int]) -> None:
    turns, fitting = BufferPlaces(depth), [min(size, depth) for size in sizes]
    places = [turns.take(size) for size in fitting]
    for size, place in zip(fitting, places, strict=True):
        assert place.base >= 0
        assert place.base + size <= place.end <= depth
    for (before, behind), (size, other) in zip(pairwise(places), pairwise(fitting), strict=True):
        if max(size, other) <= depth // 2:
            assert before.end <= behind.base or behind.end <= before.base


def test_small_blocks_have_eight_places() -> None:
    places = BufferPlaces(64)
    assert [places.take(3).base for _ in range(9)] == [0, 8, 16, 24, 32, 40, 48, 56, 0]
