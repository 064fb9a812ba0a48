"""Copies between memory and exchange buffer: every word once, also where one command does not count them all."""

from __future__ import annotations

import pytest
from cosim.program.exchange_copies import words_from_exchange, words_to_exchange

from cosim.program.command import MOST_COUNT
from rtl.interface.isa import Opcode


@pytest.mark.parametrize("words", [0, 1, MOST_COUNT, MOST_COUNT + 1, 2 * MOST_COUNT + 7])
def test_every_word_is_copied_once(words: int) -> None:
    """Sums of more words than a command counts were refused on a package, whatever the size of the exchange buffer."""
    loads = words_to_exchange(address=100, base=5, words=words, word_elements=16)
    stores = words_from_exchange(address=100, base=5, words=words)
    for commands, opcode in ((loads, Opcode.LOAD), (stores, Opcode.STORE)):
        assert {command.opcode for command in commands} <= {opcode}
        assert sum(command.fields["rows"] for command in commands) == words
        copied = 0
        for command in commands:
            assert command.fields["base"] == 5 + copied
            assert command.fields["address"] == 100 + copied
            copied += command.fields["rows"]
