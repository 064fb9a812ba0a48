"""Depths of the queues of a die that programs and predictions rely on: facts of the design, not settings."""

from __future__ import annotations

__all__ = ["COMMANDS_AHEAD", "COMMANDS_WAITING", "COMMAND_READS", "QUEUED_FLITS"]

COMMANDS_AHEAD = 16
"""Commands that the command processor has asked for or holds until they are handed out."""

COMMAND_READS = 16
"""Reads in flight of a command processor, beside those of the load unit."""

COMMANDS_WAITING = 2
"""Commands that wait for a unit of the engine while it is busy with another."""

QUEUED_FLITS = 16
"""Flits that wait in a receive unit to go on. A chunk of no more than these never holds up the link that it arrived by.
Longer ones last longer than a way through the scratchpad."""
