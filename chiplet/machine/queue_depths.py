"""Depths of the queues of a die that programs and predictions rely on: facts of the design, not settings.

A queue of what is read from SRAMs holds an entry for each cycle of their latency, and a few to spare."""

from __future__ import annotations

__all__ = [
    "COMMANDS_AHEAD",
    "COMMANDS_SPARE",
    "COMMANDS_SUMMED",
    "COMMANDS_WAITING",
    "COMMAND_READS",
    "OPERAND_WORDS_SPARE",
    "QUEUED_FLITS",
    "ROWS_SPARE",
    "WORDS_SPARE",
]

COMMANDS_AHEAD = 16
"""Commands that the command processor has asked for or holds until they are handed out."""

COMMAND_READS = 16
"""Reads in flight of a command processor, beside those of the load unit."""

COMMANDS_WAITING = 2
"""Commands that wait for a unit of the engine while it is busy with another."""

QUEUED_FLITS = 16
"""Flits that wait in a receive unit to go on. A chunk of no more than these never holds up the link that it arrived by.
Longer ones last longer than a way through the scratchpad."""

WORDS_SPARE = 2
"""Words of the scratchpad that a unit reads ahead, besides one for each cycle from a read to its word: they hide cycles
in which the bank serves another port."""

COMMANDS_SPARE = 3
"""Commands of a unit whose words are being read, besides one for each cycle from a read to its word: those whose words
wait for their use."""

OPERAND_WORDS_SPARE = 3
"""Words of an operand that the vector unit reads ahead, besides one for each cycle from a read to its word: one that is
offered, one that comes, and one for a bank that is busy."""

ROWS_SPARE = 3
"""Rows of sums that the drain unit reads ahead, besides one for each cycle from a read to its sum."""

COMMANDS_SUMMED = 4
"""GEMMs whose activations have begun, and whose sums have not all left the array; and one more for each cycle by which
SRAMs or multipliers take longer than one."""
