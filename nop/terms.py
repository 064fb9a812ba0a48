"""Cycle terms of the network-on-package, which calibration measures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class NopTerms:
    """Cycles of the network-on-package's parts. The defaults follow from the design with adders of one stage.

    Attributes
    ----------
    hop_cycles
        From a flit's departure on a link to its arrival at the engine at the other end: one link and one router.
    bypass_cycles
        From a flit's departure on a link to its departure on the next link, straight through the router in between,
        if it leaves no copy there.
    link_cycles
        A flit occupies a link.
    add_cycles
        Extra time of a flit at a die that adds to it: the stages of the adders.
    store_cycles
        From the arrival of a word's last flit to the departure of its first one, through the scratchpad.
    post_cycles
        From the arrival of a chunk's last flit in the scratchpad to the semaphore of the unit that waits for it.
    command_cycles
        From the last flit of a unit's command until its next command waits for its semaphores.
    send_cycles
        From the semaphores of a sending command to its first flit out of the scratchpad.
    pass_cycles
        From the semaphores of a command to the first flit that it takes from a router or passes on.
    hand_cycles
        From a sum to its arrival at the die's other receive unit.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    hop_cycles: float = 1.0
    bypass_cycles: float = 1.0
    link_cycles: float = 1.0
    add_cycles: float = 1.0
    store_cycles: float = 4.0
    post_cycles: float = 2.0
    command_cycles: float = 1.0
    send_cycles: float = 3.0
    pass_cycles: float = 1.0
    hand_cycles: float = 0.0
