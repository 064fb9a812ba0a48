"""Limits of the hardware that programs rely on."""

from __future__ import annotations

from typing import Literal

from chiplet.machine.specs import SystemSpec


def io_die_names(system: SystemSpec) -> dict[tuple[int, Literal["west", "east"]], str]:
    """Names of the IO dies by die row, counted from 0, and end of the row; the prefixes of their AXI ports."""
    package = system.package
    return {(row, side): f"io_{side}_{row}" for row in range(package.rows) for side in package.io_sides}


QUEUED_FLITS = 16
"""Flits that wait in a receive unit to go on. A chunk of no more than these never holds up the link that it came by.
Longer ones last longer than a way through the exchange buffer."""


WAITING = 2
"""Commands that wait for a unit while it is busy with another."""


COMMANDS_AHEAD = 4
"""Commands that are asked for, or wait to be handed out."""
