"""Buffers of the scratchpad: those of one time do not overlap, and what has no room is told by name."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosim.compile.places.buffers import Buffer, NoRoomError, place_buffers


def buffer(words: int, first: int, last: int, name: str = "x") -> Buffer:
    return Buffer(name, None, None, words, first, last)


LIVES = st.tuples(st.integers(1, 9), st.integers(0, 20), st.integers(0, 6))


@given(st.lists(LIVES, max_size=20), st.integers(0, 40))
def test_buffers_of_one_time_do_not_overlap(lives: list[tuple[int, int, int]], spare: int) -> None:
    buffers = [buffer(words, first, first + more) for words, first, more in lives]
    depth = sum(b.words for b in buffers) + spare
    used = place_buffers(buffers, depth, word_bytes=4)
    for number, one in enumerate(buffers):
        assert 0 <= one.start <= one.start + one.words <= used <= depth
        for other in buffers[:number]:
            if one.first <= other.last and other.first <= one.last:
                assert one.start + one.words <= other.start or other.start + other.words <= one.start


def test_words_that_were_freed_last_are_taken_last() -> None:
    first, second = buffer(4, 0, 1), buffer(4, 2, 3)
    place_buffers([first, second], 12, word_bytes=4)
    assert (first.start, second.start) == (0, 4)


def test_words_are_taken_again_where_there_are_no_others() -> None:
    buffers = [buffer(4, 0, 9), buffer(4, 1, 2), buffer(4, 3, 4)]
    assert place_buffers(buffers, 8, word_bytes=4) == 8
    assert [b.start for b in buffers] == [0, 4, 4]


def test_a_part_lives_in_its_whole() -> None:
    whole, part = buffer(8, 3, 4), buffer(2, 1, 6)
    part.put_inside(whole, 5)
    assert (whole.first, whole.last) == (1, 6)
    part.touch(9)
    assert whole.last == 9
    place_buffers([buffer(3, 0, 9), part, whole], 11, word_bytes=4)
    assert part.start == whole.start + 5


def test_what_has_no_room_is_told() -> None:
    buffers = [buffer(4, 0, 9), Buffer("attention.p", 1, 2, 5, 1, 2)]
    message = (
        r"scratchpad: attention\.p of layer 1 in token tile 2 needs 160 bytes beside 128 bytes in use: "
        r"die\.scratchpad_bytes has 256"
    )
    with pytest.raises(NoRoomError, match=message):
        place_buffers(buffers, 8, word_bytes=32)


def test_the_largest_are_placed_first_where_gaps_are_too_small() -> None:
    buffers = [buffer(1, 2, 2), buffer(4, 6, 9), buffer(4, 5, 8)]
    assert place_buffers(buffers, 8, word_bytes=4) == 8


def test_words_that_are_free_but_not_in_a_row_are_told() -> None:
    buffers = [buffer(4, 2, 5), buffer(4, 5, 9), buffer(3, 1, 4), buffer(4, 1, 1)]
    message = (
        r"scratchpad: x needs 12 bytes in a row: no gap between the 2 buffers of its time is that large: "
    )
    with pytest.raises(NoRoomError, match=message):
        place_buffers(buffers, 8, word_bytes=4)
    place_buffers(buffers, 11, word_bytes=4)


@given(st.lists(LIVES, min_size=1, max_size=12))
def test_what_is_refused_needs_more_than_there_is_or_a_gap(lives: list[tuple[int, int, int]]) -> None:
    buffers = [buffer(words, first, first + more) for words, first, more in lives]
    most = max(sum(b.words for b in buffers if b.first <= time <= b.last) for time in range(30))
    with pytest.raises(NoRoomError, match="bytes in use"):
        place_buffers(buffers, most - 1, word_bytes=4)
    with suppress(NoRoomError):  # gaps may be too small
        assert place_buffers(buffers, most, word_bytes=4) == most
