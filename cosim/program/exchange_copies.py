"""Commands that copy whole words between memory and a die's exchange buffer."""

from __future__ import annotations

from collections.abc import Iterator

from cosim.program.command import MOST_COUNT, Command
from rtl.interface.isa import Opcode

__all__ = ["words_from_exchange", "words_to_exchange"]


def words_to_exchange(*, address: int, base: int, words: int, word_elements: int) -> list[Command]:
    """Commands that load ``words`` words at ``address`` in memory into the exchange buffer, from word ``base`` on.

    A word holds ``word_elements`` elements.
    """
    return [
        Command(
            Opcode.LOAD,
            {
                "exchange": 1,
                "base": base + first,
                "pitch": 1,
                "rows": rows,
                "cols": word_elements,
                "words": 1,
                "address": address + first,
                "memory_pitch": 1,
            },
        )
        for first, rows in _counted(words)
    ]


def words_from_exchange(*, address: int, base: int, words: int) -> list[Command]:
    """Commands that store ``words`` words of the exchange buffer, from word ``base`` on, at ``address`` in memory."""
    return [
        Command(
            Opcode.STORE,
            {
                "exchange": 1,
                "base": base + first,
                "rows": rows,
                "panels": 1,
                "last_cols": 1,
                "address": address + first,
            },
        )
        for first, rows in _counted(words)
    ]


def _counted(words: int) -> Iterator[tuple[int, int]]:
    """First word and number of words of each command."""
    for first in range(0, words, MOST_COUNT):
        yield first, min(MOST_COUNT, words - first)
