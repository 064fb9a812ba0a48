"""Copies between memory and scratchpad: every word once, also where one command does not count them all."""

from __future__ import annotations

import pytest

from cosim.program.command import MOST_COUNT
from cosim.program.scratchpad_copies import words_from_scratchpad, words_to_scratchpad
from rtl.interface.isa import Opcode


@pytest.mark.parametrize("words", [0, 1, MOST_COUNT, MOST_COUNT + 1, 2 * MOST_COUNT + 7])
def test_every_word_is_copied_once(words: int) -> None:
    """Sums of more words than a command counts were refused on a package, whatever the size of the scratchpad."""
    loads = words_to_scratchpad(address=100, base=5, words=words)
    stores = words_from_scratchpad(address=100, base=5, words=words)
    for commands, opcode in ((loads, Opcode.LOAD), (stores, Opcode.STORE)):
        copied = 0
        for command in commands:
            assert command.opcode == opcode
            assert command.fields["base"] == 5 + copied
            assert command.fields["address"] == 100 + copied
            assert command.fields["rows"] == 1
            copied += command.fields["words"]
        assert copied == words
