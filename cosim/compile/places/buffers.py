"""Buffers of the scratchpad, by lifetime: which words a tensor, or what an operator needs in between, lies in.

A buffer is in use from the first to the last operator that touches it. Buffers of one time do not overlap. A new one
begins behind the last one that was placed, as far as there is room: words that were freed a moment ago are taken last,
so that a unit need not wait for another one to be done with them.
"""

from __future__ import annotations

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

    Raises
    ------
    NoRoomError
        If one has no room.
    """
    placed: list[Buffer] = []
    behind = highest = 0
    for buffer in sorted((b for b in buffers if b.inside is None), key=lambda b: b.first):
        placed = [other for other in placed if other.last >= buffer.first]
        taken = sorted((other.word, other.word + other.words) for other in placed)
        word = _gap(taken, buffer.words, behind, depth)
        if word is None:
            word = _gap(taken, buffer.words, 0, depth)
        if word is None:
            used = sum(other.words for other in placed)
            where = "" if buffer.layer is None else f" of layer {buffer.layer}"
            where += "" if buffer.tile is None else f" in token tile {buffer.tile}"
            raise NoRoomError(
                f"scratchpad: {buffer.name}{where} needs {buffer.words * word_bytes} bytes beside "
                f"{used * word_bytes} bytes in use: die.scratchpad_bytes has {depth * word_bytes}"
            )
        buffer.word = word
        behind = word + buffer.words
        highest = max(highest, behind)
        placed.append(buffer)
    return highest


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
