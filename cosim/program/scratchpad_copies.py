"""Commands that copy whole words between memory and a die's scratchpad."""

from __future__ import annotations

from collections.abc import Iterator

from cosim.program.command import MOST_COUNT, Command
from rtl.interface.isa import Opcode

__all__ = ["words_from_scratchpad", "words_to_scratchpad"]


def words_to_scratchpad(*, address: int, base: int, words: int) -> list[Command]:
    """Commands that load ``words`` words at ``address`` in memory into the scratchpad, from word ``base`` on."""
    return list(_copies(Opcode.LOAD, address, base, words))


def words_from_scratchpad(*, address: int, base: int, words: int) -> list[Command]:
    """Commands that store ``words`` words of the scratchpad, from word ``base`` on, at ``address`` in memory."""
    return list(_copies(Opcode.STORE, address, base, words))


def _copies(opcode: Opcode, address: int, base: int, words: int) -> Iterator[Command]:
    for first in range(0, words, MOST_COUNT):
        count = min(MOST_COUNT, words - first)
        yield Command(opcode, {"base": base + first, "rows": 1, "words": count, "address": address + first})
