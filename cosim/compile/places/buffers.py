"""Buffers of the scratchpad, by lifetime: which words a tensor, or what an operator needs in between, lies in.

A buffer is in use from the first to the last operator that touches it. Buffers of one time do not overlap. A new one
begins behind the last one that was placed, as far as there is room: words that were freed a moment ago are taken last,
so that a unit need not wait for another one to be done with them.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["Buffer", "NoRoomError", "place_buffers"]


class NoRoomError(ValueError):
    """The scratchpad is too small; the message names the buffer, the bytes needed and those that are there."""


@dataclass(eq=False)
class Buffer:
    """Words of the scratchpad.

    Attributes
    ----------
    name, layer, tile
        What lies there.
    words
        How many.
    first, last
        Numbers of the first and the last operator that touch it.
    inside, offset
        It is a part of another buffer, from that word on.
    word
        Its first word, once it is placed.
    """

    name: str
    layer: int | None
    tile: int | None
    words: int
    first: int
    last: int
    inside: Buffer | None = None
    offset: int = 0
    word: int = field(default=-1)

    def touch(self, number: int) -> None:
        """Operator ``number`` reads or writes it."""
        self.first, self.last = min(self.first, number), max(self.last, number)
        if self.inside is not None:
            self.inside.touch(number)

    def put_inside(self, other: Buffer, offset: int) -> None:
        """Make it a part of ``other``, which is in use at least as long."""
        self.inside, self.offset = other, offset
        other.touch(self.first)
        other.touch(self.last)

    @property
    def start(self) -> int:
        """Its first word."""
        return self.word if self.inside is None else self.inside.start + self.offset


def place_buffers(buffers: Sequence[Buffer], depth: int, *, word_bytes: int) -> int:
    """Give every buffer its words among ``depth``; returns how many words are used at most.

    Where gaps between the buffers of one time become too small for the next one, the largest buffers are placed first.

    Raises
    ------
    NoRoomError
        If more words are in use at a time than there are, or neither order leaves a gap that is large enough.
    """
    apart = sorted((buffer for buffer in buffers if buffer.inside is None), key=lambda b: b.first)
    _check_room(apart, depth, word_bytes)
    refused = _place_in_turn(apart, depth)
    if refused is not None:
        refused = _place_largest_first(apart, depth)
    if refused is not None:
        beside = [other for other in apart if other.first <= refused.last and refused.first <= other.last]
        raise NoRoomError(
            f"scratchpad: {_what(refused)} needs {refused.words * word_bytes} bytes in a row: no gap between the "
            f"{len(beside) - 1} buffers of its time is that large: die.scratchpad_bytes has {depth * word_bytes}"
        )
    return max((buffer.word + buffer.words for buffer in apart), default=0)


def _check_room(apart: Sequence[Buffer], depth: int, word_bytes: int) -> None:
    """Refuse what is more than ``depth`` words at a time."""
    ends: list[tuple[int, int]] = []  # last operators of the buffers in use, and their words
    used = 0
    for buffer in apart:
        while ends and ends[0][0] < buffer.first:
            used -= heapq.heappop(ends)[1]
        if used + buffer.words > depth:
            raise NoRoomError(
                f"scratchpad: {_what(buffer)} needs {buffer.words * word_bytes} bytes beside "
                f"{used * word_bytes} bytes in use: die.scratchpad_bytes has {depth * word_bytes}"
            )
        heapq.heappush(ends, (buffer.last, buffer.words))
        used += buffer.words


def _place_in_turn(apart: Sequence[Buffer], depth: int) -> Buffer | None:
    """Place each buffer behind the one before; returns one that has no room."""
    placed: list[Buffer] = []
    behind = 0
    for buffer in apart:
        placed = [other for other in placed if other.last >= buffer.first]
        taken = _words(placed)
        word = _gap(taken, buffer.words, behind, depth)
        if word is None:
            word = _gap(taken, buffer.words, 0, depth)
        if word is None:
            return buffer
        buffer.word = word
        behind = word + buffer.words
        placed.append(buffer)
    return None


def _place_largest_first(apart: Sequence[Buffer], depth: int) -> Buffer | None:
    """Place the largest buffers, and of these the ones that are in use longest, first; returns one without room."""
    placed: list[Buffer] = []
    for buffer in sorted(apart, key=lambda b: (-b.words, b.first - b.last, b.first)):
        beside = [other for other in placed if other.last >= buffer.first and other.first <= buffer.last]
        word = _gap(_words(beside), buffer.words, 0, depth)
        if word is None:
            return buffer
        buffer.word = word
        placed.append(buffer)
    return None


def _words(placed: Sequence[Buffer]) -> list[tuple[int, int]]:
    """The words of buffers, from the first to the one behind the last, ascending."""
    return sorted((other.word, other.word + other.words) for other in placed)


def _what(buffer: Buffer) -> str:
    where = "" if buffer.layer is None else f" of layer {buffer.layer}"
    return f"{buffer.name}{where}" + ("" if buffer.tile is None else f" in token tile {buffer.tile}")


def _gap(taken: Sequence[tuple[int, int]], words: int, start: int, depth: int) -> int | None:
    """The first word from ``start`` on with so many free words behind it."""
    word = start
    for first, end in taken:
        if end <= word:
            continue
        if first >= word + words:
            break
        word = end
    return word if word + words <= depth else None
